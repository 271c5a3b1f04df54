"""
Tests for the command line of C{myconsumer}.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from inspect import iscoroutinefunction
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.cli.main import COMMANDS, Options, moduleOf

URL = "http://localhost:1/q"


class OptionsCase(SynchronousTestCase):
    """
    Parses command lines.
    """

    def setUp(self) -> None:
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("CONSUMER_", "MYCONSUMER_"))
        }
        self.patch(os, "environ", clean)

    def parsed(self, *arguments: str) -> Any:
        options = Options()
        options.parseOptions(arguments)
        return options.subOptions

    def refused(self, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            self.parsed(*arguments)
        line = caught.exception.code
        # a text goes to standard error, and makes the status 1
        assert isinstance(line, str)
        self.assertEqual(len(line.splitlines()), 1, line)
        self.assertTrue(line.startswith("myconsumer"), line)
        return line.removeprefix("myconsumer").lstrip(" :")


class CommandTests(OptionsCase):
    """
    Tests for the commands.
    """

    def test_findsEachCommand(self) -> None:
        """
        Each command has its options and a coroutine, in a module that is named after
        it.
        """
        for name in COMMANDS:
            command = getattr(moduleOf(name), name)
            self.assertTrue(iscoroutinefunction(command), name)
            self.assertEqual(str(self.parsed(name, URL, *self.more(name))["url"]), URL)

    def more(self, name: str) -> Sequence[str]:
        """
        Give the arguments that a command needs beside the URL.
        """
        return ["--all"] if name == "retry" else []

    def test_helpNamesEachCommand(self) -> None:
        """
        Each command is in the help.
        """
        text = str(Options())
        self.assertTrue(text.startswith("Usage: myconsumer COMMAND ..."))
        self.assertEqual(re.findall(r"^  (\w+) ", text, re.MULTILINE), [*COMMANDS])
        text = " ".join(text.split())
        for name, summary in COMMANDS.items():
            self.assertIn(f" {name} {summary}", text)

    def test_takesOtherArgumentsWhereTheURLIsInTheEnvironment(self) -> None:
        """
        Where the environment gives the URL, the first argument may be another one.
        """
        os.environ["MYCONSUMER_URL"] = URL
        self.assertEqual(self.parsed("retry", "17", "18")["ids"], ["17", "18"])
        self.assertEqual(str(self.parsed("enqueue", "x")["url"]), URL)
        other = "http://localhost:2/q"
        options = self.parsed("enqueue", other, "x")
        self.assertEqual((str(options["url"]), options["file"]), (other, "x"))
        del os.environ["MYCONSUMER_URL"]
        self.assertIn("URL takes an http://", self.refused("enqueue", "x"))

    def test_saysWhichCommandIsMeant(self) -> None:
        """
        A command that is misspelt is refused with the one that is like it.
        """
        line = self.refused("chekc")
        self.assertIn("'chekc' is no command; did you mean check? known are", line)
        self.assertIn(
            "'frobnicate' is no command; known are", self.refused("frobnicate")
        )

    def test_helpOfEachCommandIsNarrow(self) -> None:
        """
        No line of any command's help is wider than 80 columns, and each option is there
        once.
        """
        for name in COMMANDS:
            options = moduleOf(name).Options()
            text = str(options)
            self.assertLessEqual(max(map(len, text.splitlines())), 80)
            self.assertTrue(text.startswith(f"Usage: myconsumer {name} URL"))
            for option in options.command.options:
                count = 0 if option.argument else 1
                found = re.findall(rf"^  --{option.name} ", text, re.MULTILINE)
                self.assertEqual(len(found), count, option.name)

    def test_namesKnownCommands(self) -> None:
        """
        Without a command, or with an unknown one, the known ones are named.
        """
        self.assertIn("a command is needed: enqueue, counts", self.refused())
        self.assertIn("'frob' is no command; known are", self.refused("frob", URL))
        self.assertIn("what is not shown is no command", self.refused("http://a:b@c/"))

    def test_refusesUnknownOptions(self) -> None:
        """
        Unknown options are named, without their values.
        """
        self.assertEqual(
            self.refused("--frob"), "option --frob not recognized; --help lists all"
        )
        self.assertEqual(
            self.refused("counts", URL, "--frob=a=b"),
            "counts: option --frob not recognized; --help lists all",
        )
        self.assertIn(
            "an option that is not shown", self.refused("counts", URL, "--a@b=c")
        )

    def test_showsTheVersion(self) -> None:
        """
        A command shows the version, too.
        """
        with redirect_stdout(StringIO()) as out, self.assertRaises(SystemExit):
            self.parsed("failed", "--version")
        self.assertRegex(out.getvalue(), r"^myconsumer \d")


class QueueOptionsTests(OptionsCase):
    """
    Tests for what all commands take.
    """

    def test_takesOptionsAnywhere(self) -> None:
        """
        Options stand before, between and after the arguments, and none is one after two
        dashes.
        """
        for arguments in (
            ["--json", URL],
            [URL, "--json"],
        ):
            self.assertEqual(self.parsed("counts", *arguments)["json"], 1)
        options = self.parsed("retry", URL, "a", "--", "--all")
        self.assertEqual((options["ids"], options["all"]), (["a", "--all"], 0))
        options = self.parsed("enqueue", "--batch", "2", URL, "--delay=3", "-")
        self.assertEqual((options["batch"], options["delay"]), (2, 3.0))
        self.assertEqual(options["file"], "-")

    def test_checksTheURL(self) -> None:
        """
        The URL is checked, and not shown if there may be a secret in it.
        """
        self.assertIn(
            "counts: URL is needed: it takes an http:// or", self.refused("counts")
        )
        self.assertEqual(
            self.refused("counts", "localhost"),
            "counts: URL takes an http:// or https:// URL without user name and "
            "password, not 'localhost': it does not begin with http:// or https://",
        )
        self.assertNotIn("s3cret", self.refused("counts", "http://u:s3cret@h/"))

    def test_refusesTooManyArguments(self) -> None:
        """
        Arguments that are too many are refused.
        """
        self.assertIn("'x' is one argument too many", self.refused("counts", URL, "x"))
        self.assertIn("'y' is one", self.refused("enqueue", URL, "x", "y"))

    def test_findsTheTokenFile(self) -> None:
        """
        The token file is named by the option, or else by the variable, and read.
        """
        paths = [os.path.abspath(self.mktemp()) for _ in range(2)]
        for path in paths:
            Path(path).write_text("token")
        self.assertIsNone(self.parsed("counts", URL)["token-file"])
        os.environ["CONSUMER_TOKEN_FILE"] = ""
        self.assertIsNone(self.parsed("counts", URL)["token-file"])
        os.environ["CONSUMER_TOKEN_FILE"] = paths[0]
        self.assertEqual(self.parsed("counts", URL)["token-file"].path, paths[0])
        options = self.parsed("counts", URL, "--token-file", paths[1])
        self.assertEqual(options["token-file"].path, paths[1])

    def test_refusesAFileWithoutAToken(self) -> None:
        """
        A file that holds no token is refused.
        """
        self.assertRegex(
            self.refused("counts", URL, "--token-file", "./none"),
            "^counts: --token-file takes the path of a file .*, not './none': './none' "
            "cannot be read: No such file",
        )
        os.environ["CONSUMER_TOKEN_FILE"] = "/none"
        self.assertIn("CONSUMER_TOKEN_FILE takes", self.refused("counts", URL))


class PlacesTests(OptionsCase):
    """
    Tests for options that are not on the command line.
    """

    def test_takesVariables(self) -> None:
        """
        The environment gives the URL, numbers, flags and lists.
        """
        os.environ.update(
            MYCONSUMER_URL=URL,
            MYCONSUMER_BATCH="7",
            MYCONSUMER_JSON="true",
            MYCONSUMER_ONLY="its limit",
        )
        options = self.parsed("enqueue")
        self.assertEqual((str(options["url"]), options["batch"]), (URL, 7))
        self.assertIs(self.parsed("counts")["json"], True)
        self.assertEqual(self.parsed("check")["only"], ["its limit"])
        os.environ["MYCONSUMER_BATCH"] = "0"
        self.assertIn("MYCONSUMER_BATCH takes a whole", self.refused("enqueue"))

    def test_takesAFile(self) -> None:
        """
        The file of C{--config} gives the same, and has no other keys.
        """
        path = Path(self.mktemp())
        path.write_text(f'url = "{URL}"\nids = ["a", "b"]\n')
        self.assertEqual(self.parsed("retry", f"--config={path}")["ids"], ["a", "b"])
        self.assertIn("'ids' in", self.refused("counts", URL, "--config", str(path)))

    def test_passesOverTheConsumersVariables(self) -> None:
        """
        Variables of C{twistd consumer} are none of C{myconsumer}, but for the token's.
        """
        os.environ.update(CONSUMER_URL="x", CONSUMER_CONFIG="/none", CONSUMER_RETRY="x")
        self.assertEqual(self.parsed("enqueue", URL)["retry"], 60)
        self.assertIn("URL is needed", self.refused("enqueue"))


class EnqueueOptionsTests(OptionsCase):
    """
    Tests for what C{enqueue} and C{retry} take.
    """

    def test_readsStandardInputByDefault(self) -> None:
        """
        By default standard input is read, in batches of a thousand.
        """
        options = self.parsed("enqueue", URL)
        self.assertEqual((options["file"], options["batch"]), ("-", 1000))
        self.assertEqual(options["retry"], 60)

    def test_boundsNumbers(self) -> None:
        """
        Each number has its bounds.
        """
        for option, least, most in (
            ("--batch", 1, 10_000),
            ("--delay", 0, 31_536_000),
            ("--priority", -1000, 1000),
            ("--retry", 0, 31_536_000),
        ):
            for right in (least, most):
                options = self.parsed("enqueue", URL, f"{option}={right}")
                self.assertEqual(options[option[2:]], right)
            for wrong in (least - 1, most + 1, "", "x", "nan", "inf"):
                line = self.refused("enqueue", URL, f"{option}={wrong}")
                self.assertIn(f"from {least} to {most}, not '{wrong}'", line)
        self.assertIn("'1.5'", self.refused("enqueue", URL, "--priority=1.5"))

    def test_tasksExcludeWhatIsForAll(self) -> None:
        """
        With C{--tasks} the options that are for all tasks are refused.
        """
        self.assertEqual(self.parsed("enqueue", URL, "--tasks")["tasks"], 1)
        for option in ("--delay=0", "--priority=0", "--id-field=x"):
            name = option.partition("=")[0]
            self.assertIn(
                f"--tasks and {name} exclude each other",
                self.refused("enqueue", URL, "--tasks", option),
            )

    def test_retryTakesIdsOrAll(self) -> None:
        """
        C{retry} takes either ids or C{--all}.
        """
        self.assertEqual(self.parsed("retry", URL, "a", "b")["ids"], ["a", "b"])
        self.assertEqual(self.parsed("retry", URL, "--all")["all"], 1)
        self.assertIn("ids of failed tasks are needed", self.refused("retry", URL))
        self.assertIn("exclude each other", self.refused("retry", URL, "--all", "a"))
