"""
The command line of C{twistd consumer}, and what it makes of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from unittest import TestCase as PlainTestCase

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.options.table import CONFIG, OPTIONS
from myconsumer.tap import Options

NEEDED = ["--url", "http://localhost:1/", "--limit", "2", "--python", "os.getcwd"]


def parse(arguments: Sequence[str]) -> Options:
    """
    Parse a command line.
    """
    options = Options()
    options.parseOptions(arguments)
    return options


class TapCase(SynchronousTestCase):
    """
    Keeps what parsing changes in this process.
    """

    def setUp(self) -> None:
        """
        Have no options in the environment, and the path restored.
        """
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CONSUMER_")}
        self.patch(os, "environ", clean)
        self.patch(sys, "path", list(sys.path))

    def refused(self, *arguments: str) -> str:
        """
        Give the one line with which a command line is refused.
        """
        with self.assertRaises(SystemExit) as caught:
            parse(arguments)
        line = caught.exception.code
        # a text goes to standard error, and makes the status 1
        assert isinstance(line, str)
        self.assertEqual(len(line.splitlines()), 1, line)
        self.assertTrue(line.startswith("consumer: "), line)
        return line.removeprefix("consumer: ")


class OptionsTests(TapCase):
    """
    L{Options}.
    """

    def test_given(self) -> None:
        """
        What is given is there by its long name, and so is what is not.
        """
        options = parse([*NEEDED, "--wait=3", "--until-empty"])
        self.assertEqual(set(options), {option.name for option in OPTIONS})
        self.assertEqual(options["wait"], 3.0)
        self.assertIs(options["until-empty"], True)
        self.assertIs(options["python"], os.getcwd)
        self.assertEqual(options["lease"], 60)

    def test_lastCounts(self) -> None:
        """
        Of an option that is given twice the last counts.
        """
        self.assertEqual(parse([*NEEDED, "--limit", "7"])["limit"], 7)

    def test_environment(self) -> None:
        """
        The environment is looked at.
        """
        os.environ["CONSUMER_WAIT"] = "4"
        self.assertEqual(parse(NEEDED)["wait"], 4.0)
        os.environ["CONSUMER_WAIT"] = "x"
        self.assertIn("CONSUMER_WAIT takes a number", self.refused(*NEEDED))

    def test_wrongValue(self) -> None:
        """
        A wrong value is refused in one line.
        """
        self.assertEqual(
            self.refused(*NEEDED, "--limit", "0"),
            "--limit takes a whole number from 1 to 1000000, not '0'",
        )

    def test_missing(self) -> None:
        """
        What is missing is named in one line.
        """
        self.assertIn("--url is needed", self.refused())
        self.assertIn("--limit is needed", self.refused(*NEEDED[:2], *NEEDED[4:]))
        self.assertIn("--python is needed", self.refused(*NEEDED[:4]))

    def test_unknown(self) -> None:
        """
        Options that are none, or not yet, are refused by name.
        """
        later = ["exec", "forward", "run-in", "local", "listen", "status", "retries"]
        for option in (*(f"--{name}" for name in later), "-x", "--lim-it=4"):
            line = self.refused(*NEEDED, option, "4")
            self.assertIn(f"option {option.split('=')[0]} not recognized", line)

    def test_ambiguous(self) -> None:
        """
        The beginning of several options' names is refused.
        """
        self.assertIn("option --p not a unique prefix", self.refused("--p", "4"))

    def test_noArgument(self) -> None:
        """
        An option without its argument is refused with what it takes.
        """
        for option in (*OPTIONS, CONFIG):
            if option.name != "until-empty":
                self.assertEqual(
                    self.refused(*NEEDED, f"--{option.name}"),
                    f"--{option.name} takes {option.takes}, and nothing was given",
                )

    def test_flagWithArgument(self) -> None:
        """
        A flag takes no argument there.
        """
        self.assertEqual(
            self.refused(*NEEDED, "--until-empty=false"),
            "--until-empty takes no value on the command line",
        )

    def test_surplus(self) -> None:
        """
        Surplus arguments are refused.
        """
        for surplus in (["a"], ["a", "b"], ["--", "a"]):
            self.assertIn("'a' is no option", self.refused(*NEEDED, *surplus))

    def test_secrets(self) -> None:
        """
        A password is not shown, wherever on the command line it is.
        """
        for arguments in (
            ["http://user:secret@host/"],
            ["--url=http://user:secret@host/"],
            ["--ur:http://user:secret@host/"],
            ["-uhttp://user:secret@host/"],
            ["--until-empty=http://user:secret@host/"],
            ["--limit=http://user:secret@host/"],
            ["--http://user:secret@host/", "x"],
        ):
            self.assertNotIn("secret", self.refused(*NEEDED, *arguments))

    def test_importsFromHere(self) -> None:
        """
        A callable may be in the current directory, as with C{python -m}.
        """
        with TemporaryDirectory() as folder:
            self.addCleanup(os.chdir, os.getcwd())
            self.addCleanup(sys.modules.pop, "tap_worker", None)
            os.chdir(folder)
            Path("tap_worker.py").write_text("def work(task): return task\n")
            options = parse([*NEEDED, "--python", "tap_worker.work"])
            self.assertEqual(options["python"](5), 5)
            self.assertEqual(sys.path[0], os.getcwd())
            parse([*NEEDED, "--python", "tap_worker.work"])
            self.assertEqual(sys.path.count(os.getcwd()), 1)
            os.chdir("/")

    def test_help(self) -> None:
        """
        The help has every option with its default, the environment and the file.
        """
        output = StringIO()
        with redirect_stdout(output), self.assertRaises(SystemExit) as caught:
            parse(["--help"])
        self.assertEqual(caught.exception.code, 0)
        text = " ".join(output.getvalue().split())
        self.assertIn("--url URL --limit N --python NAME [options]", text)
        for option in (*OPTIONS, CONFIG):
            self.assertIn(f" --{option.name}", text)
            self.assertIn(option.help, text)
            if option.default:
                self.assertIn(f"{option.help} [default: {option.default}]", text)
        self.assertIn("CONSUMER_LIMIT", text)
        self.assertIn("TOML", text)

    def test_version(self) -> None:
        """
        The version is this package's, not Twisted's.
        """
        output = StringIO()
        with redirect_stdout(output), self.assertRaises(SystemExit) as caught:
            parse(["--version"])
        self.assertEqual(caught.exception.code, 0)
        self.assertRegex(output.getvalue(), r"^myconsumer \d+\.\d+")


class AnyCommandLineTests(PlainTestCase):
    """
    Whatever is on the command line, it is taken or refused in one line.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from([f"--{o.name}" for o in (*OPTIONS, CONFIG)]),
                st.sampled_from(["--", "-", "--limit=", "--p", "--=", "-n", "1", "x"]),
                st.text(st.characters(exclude_categories=[])),
            ).filter(lambda word: not word.startswith(("--h", "--v"))),
            max_size=5,
        )
    )
    def test_anyWords(self, words: list[str]) -> None:
        """
        Any words after what is needed.
        """
        try:
            options = parse([*NEEDED, *words])
        except SystemExit as refused:
            line = str(refused.code)
            self.assertTrue(line.startswith("consumer: "))
            self.assertEqual(len(line.splitlines()), 1)
            self.assertTrue(line.isprintable())
        else:
            self.assertEqual(set(options), {option.name for option in OPTIONS})


class MakeServiceTests(PlainTestCase):
    """
    L{makeService<myconsumer.tap.makeService>}, on a reactor of its own.
    """

    def test_nothingBegun(self) -> None:
        """
        The service is made, and nothing is opened or begun yet: the process may fork.
        """
        script = f"""
            import threading
            from myconsumer.service import ConsumerService
            from myconsumer.tap import Options, makeService
            from twisted.internet import reactor

            options = Options()
            options.parseOptions({NEEDED!r})
            readers = reactor.getReaders()
            service = makeService(options)
            assert isinstance(service, ConsumerService)
            assert not service.running
            assert reactor.getDelayedCalls() == []
            assert reactor.getReaders() == readers
            assert threading.active_count() == 1
        """
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", dedent(script)],
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual((ended.stderr, ended.returncode), ("", 0))
