"""
Tests for L{myconsumer.command.usage}, L{myconsumer.command.programoptions},
L{myconsumer.command.commandline}, L{myconsumer.command.option} and what
L{myconsumer.command.resolving} makes of arguments, lists and flags.
"""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.option import Flag, Option, countOption, later, text
from myconsumer.command.refusal import AllGiven, exclude
from myconsumer.command.resolving import Command
from myconsumer.command.usage import CommandOptions

_WORDS = Annotated[list[str], Meta(description="words")]


def shorter(word: str) -> str:
    """
    Take a word without its first letter.
    """
    if len(word) < 2:
        raise ValueError("it is too short")
    return word[1:]


def checkTogether(given: AllGiven) -> None:
    """
    Refuse two of the options.
    """
    exclude(given, "word", "loud", "name")


TABLE = Command(
    "ours example",
    (
        Option("name", text("a name"), None, "who", argument="NAME"),
        Option("rest", _WORDS, (), "what else", argument="MORE"),
        Option("word", _WORDS, (), "a word; may be repeated", convert=shorter),
        Option("loud", Flag, False, "shout"),
        countOption("times", 1, 2, "how often"),
        Option("secret", text("a text"), "", "a secret", variable="THEIR_SECRET"),
    ),
    checkTogether,
)


class ExampleOptions(CommandOptions):
    """
    What the example takes.
    """

    command = TABLE
    synopsis = "[NAME] [MORE...] [options]"
    longdesc = ""


class CommandOptionsTests(SynchronousTestCase):
    """
    Tests for L{CommandOptions}.
    """

    def setUp(self) -> None:
        self.patch(os, "environ", {})

    def parsed(self, *words: str) -> dict[str, Any]:
        options = ExampleOptions()
        options.parseOptions(words)
        return dict(options)

    def refused(self, *words: str, options: Any = ExampleOptions) -> str:
        caught = self.assertRaises(SystemExit, options().parseOptions, words)
        self.assertEqual(len(str(caught).splitlines()), 1)
        return str(caught).removeprefix("ours example: ")

    def test_givesDefaults(self) -> None:
        """
        What is not given has its default, arguments and lists too.
        """
        self.assertEqual(
            self.parsed(),
            {
                "name": None,
                "rest": [],
                "word": [],
                "loud": False,
                "times": 2,
                "secret": "",
            },
        )

    def test_takesArgumentsAnywhere(self) -> None:
        """
        Arguments are taken in their order, between options, and after two dashes
        whatever they begin with; the last one takes all that are left.
        """
        for words in (
            ["a", "b", "c", "--times=3"],
            ["--times", "3", "a", "b", "c"],
            ["a", "--times=3", "b", "--", "c"],
        ):
            found = self.parsed(*words)
            self.assertEqual(
                (found["name"], found["rest"], found["times"]), ("a", ["b", "c"], 3)
            )
        self.assertEqual(self.parsed("--", "--times=3")["name"], "--times=3")

    def test_collectsLists(self) -> None:
        """
        An option that is a list may be repeated, and each value is converted.
        """
        found = self.parsed("--word", "abc", "--word=de")
        self.assertEqual(found["word"], ["bc", "e"])

    def test_refusesOneValueOfAList(self) -> None:
        """
        Of a list the value that is wrong is named, not the others.
        """
        self.assertEqual(
            self.refused("--word", "abc", "--word=d"),
            "--word takes words, not 'd': it is too short",
        )

    def test_takesListsFromOtherPlaces(self) -> None:
        """
        A variable gives a list of one; the file gives a list.
        """
        os.environ["OURS_WORD"] = "abc"
        self.assertEqual(self.parsed()["word"], ["bc"])
        path = Path(self.mktemp())
        path.write_text('word = ["abc", "de"]\nname = "n"\nloud = false\n')
        os.environ.clear()
        os.environ["OURS_CONFIG"] = str(path)
        self.assertIn("exclude each other", self.refused())
        path.write_text('word = ["abc", "de"]\nrest = ["r"]\nloud = false\n')
        found = self.parsed()
        self.assertEqual((found["word"], found["rest"]), (["bc", "e"], ["r"]))

    def test_takesArgumentsFromVariables(self) -> None:
        """
        The environment may give an argument; the command line counts more.
        """
        os.environ["OURS_NAME"] = "a"
        self.assertEqual(self.parsed()["name"], "a")
        self.assertEqual(self.parsed("b")["name"], "b")

    def test_usesTheVariableOfAnOption(self) -> None:
        """
        A variable with a name of its own gives the option, and the usual name does
        not.
        """
        os.environ.update(THEIR_SECRET="x", OURS_SECRET="y")
        self.assertEqual(self.parsed()["secret"], "x")

    def test_excludesWhatIsTrue(self) -> None:
        """
        Options that exclude each other are named by their places; a flag that is
        false is not given.
        """
        os.environ["OURS_LOUD"] = "true"
        self.assertEqual(self.refused("a"), "OURS_LOUD and NAME exclude each other")
        os.environ["OURS_LOUD"] = "false"
        self.assertEqual(self.parsed("a")["name"], "a")

    def test_callsArgumentsByTheirNames(self) -> None:
        """
        An argument that is refused is called as the synopsis calls it.
        """
        needed = TABLE.options[0]._replace(needed=True, convert=shorter)

        class Needing(ExampleOptions):
            command = Command("ours example", (needed,))

        self.assertEqual(
            self.refused(options=Needing),
            "NAME is needed: it takes a name; OURS_NAME or the file of --config may "
            "give it, too",
        )
        self.assertEqual(
            self.refused("x", options=Needing),
            "NAME takes a name, not 'x': it is too short",
        )
        self.assertEqual(
            self.refused("xy", "z", options=Needing),
            "'z' is one argument too many; --help lists all",
        )

    def test_showsNoSecretInAList(self) -> None:
        """
        A list or a table in the file is not shown if it may hold a secret.
        """
        path = Path(self.mktemp())
        for value in ('["TOKEN=hidden"]', '{x = "TOKEN=hidden"}', '[["u:hidden@h"]]'):
            path.write_text(f"secret = {value}\n")
            line = self.refused("--config", str(path))
            self.assertIn("takes a text, not what was given and is not shown", line)

    def test_refusesATableWithTwoOfAName(self) -> None:
        """
        Where a plugin brings an option with the name of another, nothing is taken, and
        the refusal has the name.
        """
        for name in ("times", "config", "help", "version", "check-config"):

            class Twice(ExampleOptions):
                command = Command(
                    "ours example",
                    (
                        countOption("times", 1, 1, "one"),
                        countOption(name, 1, 2, "two"),
                    ),
                )

            self.assertEqual(
                self.refused(options=Twice),
                f"2 options are called --{name}, at least one of them a plugin's: "
                "remove the package that brings it",
            )

    def test_refusesTypesWithoutADescription(self) -> None:
        """
        An option is refused in plain words where its type has no description, as a
        plugin's may.
        """
        for type_, takes in (
            (Annotated[int, Meta(ge=1)], "an integer"),
            (list[int], "an integer"),
            (dict[str, int], "another value"),
        ):

            class Plain(ExampleOptions):
                command = Command("ours example", (Option("size", type_, None, "x"),))

            self.assertEqual(
                self.refused("--size=0z", options=Plain).partition(", not")[0],
                f"--size takes {takes}",
            )

    def test_helpShowsOptions(self) -> None:
        """
        The help has options and flags with their texts, and no argument among them.
        """
        with redirect_stdout(StringIO()) as out:
            self.assertRaises(SystemExit, ExampleOptions().parseOptions, ["--help"])
        help = " ".join(out.getvalue().split())
        for said in (
            "[NAME] [MORE...] [options]",
            "--word VALUE a word; may be repeated",
            "--loud shout",
            "--times N how often [default: 2]",
        ):
            self.assertIn(said, help)
        self.assertNotIn("--name", help)


class LaterTests(SynchronousTestCase):
    """
    Tests for L{later}.
    """

    def test_importsWhenCalled(self) -> None:
        """
        A function is looked for when it is called, be it a module's or a class's.
        """
        missing = later("myconsumer.not_there.function")
        self.assertRaises(AttributeError, missing, "x")
        self.assertEqual(later("shlex.split")("a b"), ["a", "b"])
        self.assertEqual(later("builtins.dict.fromkeys")("ab"), {"a": None, "b": None})
