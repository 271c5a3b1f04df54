"""
Finding programs.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.command.programs import findProgram


class FindProgramTests(SynchronousTestCase):
    """
    L{findProgram}.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        self.patch(os, "environ", os.environ | {"PATH": path})

    def write(self, name: str, text: str, mode: int = 0o755) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return path

    def refused(self, name: str) -> str:
        with self.assertRaises(ValueError) as caught:
            findProgram(name)
        return str(caught.exception)

    def test_findsAProgramOnThePath(self) -> None:
        """
        A name is looked for on the PATH.
        """
        path = self.write("work", "#!/bin/sh\n")
        self.assertEqual(findProgram("work"), str(path))
        self.assertTrue(os.access(findProgram("sh"), os.X_OK))

    def test_makesPathsAbsolute(self) -> None:
        """
        A path is made absolute: the current directory may change.
        """
        self.write("work", "#! /usr/bin/env python\n")
        name = os.path.relpath(self.folder / "work")
        self.assertEqual(findProgram(f"./{name}"), str(self.folder / "work"))

    def test_refusesAMissingProgram(self) -> None:
        """
        A program that does not exist is refused.
        """
        self.assertEqual(
            self.refused("no-such"), "there is no program 'no-such' on the PATH"
        )
        self.assertEqual(self.refused("./no-such"), "there is no program './no-such'")
        self.assertIn("there is no program", self.refused(str(self.folder)))

    def test_refusesWhatIsNotExecutable(self) -> None:
        """
        A file that is not executable is refused.
        """
        path = str(self.write("work", "#!/bin/sh\n", 0o644))
        self.assertEqual(self.refused(path), f"{path!r} is not executable")

    def test_refusesAScriptWithoutInterpreter(self) -> None:
        """
        What a script is for has to be there: with a carriage return in its first line,
        it is not.
        """
        for line, name in (
            ("#!/no/such/thing -x\n", "/no/such/thing"),
            ("#!/bin/sh\r\n", "/bin/sh\r"),
            ("#!\n", ""),
        ):
            self.write("work", line)
            self.assertEqual(
                self.refused("work"),
                f"'work' is a script for {name!r}, which is not there",
            )

    def test_takesWhatIsNoScript(self) -> None:
        """
        Of what is no script, nothing more is asked.
        """
        for text in ("", "\x7fELF", "echo no first line\n"):
            path = self.write("work", text)
            self.assertEqual(findProgram("work"), str(path))
