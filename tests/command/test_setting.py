"""
Tests for L{myconsumer.command.setting}, and for how options are read again.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.option import Option, countOption, text
from myconsumer.command.refusal import AllGiven, BadOption, exclude
from myconsumer.command.resolving import Command
from myconsumer.command.setting import DEFAULT, Change, Setting
from myconsumer.command.usage import CommandOptions

converted: list[str] = []


def convert(word: str) -> str:
    """
    Note what is converted; refuse what is not lower case.
    """
    converted.append(word)
    if not word.islower():
        raise ValueError("it is not in lower case")
    return word.upper()


def checkTogether(given: AllGiven) -> None:
    """
    Refuse two of the options.
    """
    exclude(given, "word", "name")


class ExampleOptions(CommandOptions):
    """
    What the example takes.
    """

    command = Command(
        "ours",
        (
            countOption("limit", 1, 2, "how many", isLive=True),
            Option("word", text("a word"), "default", "x", convert=convert),
            Option("rate", text("a rate"), None, "x", convert=convert, isLive=True),
            Option("name", text("a name"), None, "x"),
            Option("exec", text("a command"), None, "x", mayHoldSecrets=True),
            Option("rest", list[str], (), "x"),
        ),
        checkTogether,
    )


class SettingCase(SynchronousTestCase):
    """
    Options that are given on the command line, in the environment and in a file.
    """

    def setUp(self) -> None:
        self.patch(os, "environ", {})
        del converted[:]
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name).resolve() / "o.toml")

    def write(self, *lines: str) -> None:
        Path(self.path).write_text("\n".join(lines))

    def parsed(self, *words: str) -> ExampleOptions:
        options = ExampleOptions()
        options.parseOptions([*words, "--config", self.path])
        return options


class OriginTests(SettingCase):
    """
    Where each value was given.
    """

    def test_hasTheOrigin(self) -> None:
        """
        Each setting has the place that has given its value.
        """
        os.environ.update(OURS_RATE="fast", OURS_LIMIT="4")
        self.write('word = "b"', "limit = 5", 'rate = "slow"')
        settings = self.parsed("--limit", "3").settings
        self.assertEqual(
            {name: (each.origin, each.raw) for name, each in settings.items()},
            {
                "limit": ("--limit", 3),
                "word": (f"word in '{self.path}'", "b"),
                "rate": ("OURS_RATE", "fast"),
                "name": (DEFAULT, None),
                "exec": (DEFAULT, None),
                "rest": (DEFAULT, ()),
            },
        )
        self.assertEqual(settings["word"].value, "B")
        self.assertEqual(
            [name for name, each in settings.items() if not each.isDefault],
            ["limit", "word", "rate"],
        )

    def test_showsNoSecret(self) -> None:
        """
        A setting is shown as it was given, without what may be a secret.
        """
        options = {option.name: option for option in ExampleOptions.command.options}
        for name, raw, shown in (
            ("limit", 4, "4"),
            ("name", None, "none"),
            ("name", "mail.send", "mail.send"),
            ("name", "a\nb", "a b"),
            ("name", "http://h:1/q", "http://h:1/q"),
            ("name", "http://h/q?key=s3cret", "http://h/q?..."),
            ("name", "http://u:s3cret@h/q?a=b", "not shown"),
            ("name", "TOKEN=s3cret", "not shown"),
            ("exec", "cat", "cat"),
            ("exec", "", ""),
            ("exec", "curl -H 'X: s3cret'", "curl ..."),
            ("rest", ["a", "b", "u@s3cret"], "a, b, not shown"),
            ("rest", [], "none"),
        ):
            setting = Setting(options[name], raw, "--x", None)
            self.assertEqual(setting.shown, shown)


class RereadTests(SettingCase):
    """
    Tests for L{CommandOptions.reread}.
    """

    def changes(self, options: ExampleOptions) -> list[tuple[str, Any, Any, bool]]:
        return [
            (change.name, change.old.value, change.new.value, change.isLive)
            for change in options.reread()
        ]

    def test_takesWhatIsLive(self) -> None:
        """
        A changed value that takes effect at once is mapped to, and returned once.
        """
        self.write("limit = 3")
        options = self.parsed()
        self.assertEqual(self.changes(options), [])
        self.write("limit = 4", 'rate = "fast"')
        self.assertEqual(
            self.changes(options),
            [("limit", 3, 4, True), ("rate", None, "FAST", True)],
        )
        self.assertEqual((options["limit"], options["rate"]), (4, "FAST"))
        self.assertEqual(options.settings["limit"].value, 4)
        self.assertEqual(self.changes(options), [])
        self.write("")
        self.assertEqual(
            self.changes(options),
            [("limit", 4, 2, True), ("rate", "FAST", None, True)],
        )

    def test_keepsWhatNeedsARestart(self) -> None:
        """
        A changed value that needs a restart is returned once, and not mapped to.  It is
        returned again when it changes again, but not when it is that in use.
        """
        self.write('word = "a"')
        options = self.parsed()
        self.write('word = "b"')
        self.assertEqual(self.changes(options), [("word", "A", "B", False)])
        self.assertEqual(options["word"], "A")
        self.assertEqual(options.settings["word"].raw, "a")
        self.assertEqual(self.changes(options), [])
        self.write('word = "c"')
        self.assertEqual(self.changes(options), [("word", "A", "C", False)])
        self.write('word = "a"')
        self.assertEqual(self.changes(options), [])
        self.write('word = "c"')
        self.assertEqual(self.changes(options), [("word", "A", "C", False)])
        self.assertEqual(options["word"], "A")

    def test_convertsOnlyWhatChanges(self) -> None:
        """
        A value that was given before is not converted again, wherever it is given now.
        """
        self.write('word = "a"', 'rate = "fast"')
        options = self.parsed()
        self.assertEqual(converted, ["a", "fast"])
        self.changes(options)
        self.write('word = "b"', 'rate = "fast"')
        self.changes(options)
        self.changes(options)
        self.write('word = "a"', 'rate = "fast"')
        self.changes(options)
        self.assertEqual(converted, ["a", "fast", "b"])

    def test_changesNothingWhereAnythingIsWrong(self) -> None:
        """
        Where a value, a key, a combination or the file is wrong, nothing is changed.
        """
        self.write("limit = 3", 'word = "a"')
        options = self.parsed()
        before = (dict(options), dict(options.settings))
        for lines, said in (
            (["limit = 4", "limits = 5"], "'limits' in"),
            (["limit = 4", "word = 5"], "word in"),
            (["limit = 4", 'word = "B"'], "it is not in lower case"),
            (["limit = 4", 'word = "b"', 'name = "c"'], "exclude each other"),
            (["limit = 4", "word ="], "--config takes the path of a TOML file"),
            (None, "No such file"),
        ):
            if lines is None:
                os.remove(self.path)
            else:
                self.write(*lines)
            error = self.assertRaises(BadOption, options.reread)
            self.assertIn(said, str(error))
            self.assertEqual((dict(options), dict(options.settings)), before)
        self.write("limit = 4", 'word = "a"')
        self.assertEqual(self.changes(options), [("limit", 3, 4, True)])

    def test_changesNothingWhereAChangeIsNotPutToUse(self) -> None:
        """
        Where the changes cannot be put to use, nothing is changed.
        """
        self.write("limit = 3")
        options = self.parsed()
        self.write("limit = 4")

        def use(changes: Any) -> None:
            raise ValueError([change.name for change in changes])

        error = self.assertRaises(ValueError, options.reread, use)
        self.assertEqual(str(error), "['limit']")
        self.assertEqual(options["limit"], 3)
        used: list[Change] = []
        self.assertEqual(options.reread(used.extend), used)
        self.assertEqual((options["limit"], len(used)), (4, 1))

    def test_ignoresOriginsThatChange(self) -> None:
        """
        A value that is given elsewhere, and is the same, is no change.
        """
        self.write("")
        options = self.parsed()
        self.write("limit = 2", 'word = "default"')
        self.assertEqual(self.changes(options), [])
        self.assertEqual(options.settings["limit"].origin, f"limit in '{self.path}'")

    def test_keepsCommandLineAndEnvironment(self) -> None:
        """
        What the command line and the environment gave counts more than the file, even
        if the process's environment has changed.
        """
        os.environ["OURS_RATE"] = "fast"
        self.write("limit = 5", 'rate = "slow"')
        options = self.parsed("--limit", "3")
        os.environ.clear()
        self.write("limit = 6", 'rate = "slower"')
        self.assertEqual(self.changes(options), [])
        self.assertEqual((options["limit"], options["rate"]), (3, "FAST"))

    def test_findsTheFileFromElsewhere(self) -> None:
        """
        A relative path of the file is one from the directory of the start, given as
        option and in the environment.
        """
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        relative = os.path.relpath(self.path)
        for words, environ in (
            (["--config", relative], {}),
            ([], {"OURS_CONFIG": relative}),
        ):
            os.chdir(here)
            os.environ.clear()
            os.environ.update(environ)
            self.write("limit = 3")
            options = ExampleOptions()
            options.parseOptions(words)
            os.chdir("/")
            self.write("limit = 4")
            self.assertEqual(self.changes(options), [("limit", 3, 4, True)])

    def test_rereadsWithoutAFile(self) -> None:
        """
        Without C{--config} nothing changes.
        """
        options = ExampleOptions()
        options.parseOptions(["--limit", "3"])
        self.assertEqual(self.changes(options), [])
