"""
What is said of environment variables that give no option, and of settings at the start.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.advice import MOST_NAMED, prefix, strays, variables
from myconsumer.command.announcement import LONGEST_LINE, announce
from myconsumer.command.option import TOKEN_FILE, Option, countOption, text
from myconsumer.command.resolving import Command
from myconsumer.command.usage import CommandOptions

COMMAND = Command(
    "ours example",
    (
        countOption("limit", 1, 2, "how many"),
        countOption("times", 1, 5, "how often"),
        Option("url", text("a URL"), None, "where"),
        Option("words", list[str], (), "what"),
        TOKEN_FILE,
    ),
    advise=lambda settings, environ: [f"{settings['limit'].origin} is small"],
)


class ExampleOptions(CommandOptions):
    """
    What the example takes.
    """

    command = COMMAND


class StrayTests(SynchronousTestCase):
    """
    Tests for L{strays}.
    """

    def found(self, *names: str) -> list[str]:
        environ = dict.fromkeys(names, "s3cret")
        lines = strays(prefix(COMMAND), variables(COMMAND), environ)
        self.assertNotIn("s3cret", "".join(lines))
        return lines

    def test_namesWhatIsMeant(self) -> None:
        """
        A variable that is no option's is named, with the one that is like it.
        """
        self.assertEqual(
            self.found("OURS_LIMT", "OURS_KEY", "OURS_LIMIT"),
            [
                "OURS_KEY gives no option: remove it, or rename it",
                "OURS_LIMT gives no option: did you mean OURS_LIMIT?",
            ],
        )

    def test_saysWhereATokenGoes(self) -> None:
        """
        For a token in the environment the file is named that should hold it.
        """
        self.assertEqual(
            self.found("OURS_TOKEN"),
            [
                "OURS_TOKEN is not read: write the token into a file, and set "
                "OURS_TOKEN_FILE to the file's path"
            ],
        )

    def test_passesOverWhatKubernetesSets(self) -> None:
        """
        The variables that Kubernetes sets for Services are passed over, and those that
        begin otherwise.
        """
        for name in (
            "OURS_PORT",
            "OURS_SERVICE_HOST",
            "OURS_SERVICE_PORT",
            "OURS_SERVICE_PORT_HTTP",
            "OURS_PORT_80_TCP",
            "OURS_PORT_80_TCP_PROTO",
            "OURS_PORT_80_TCP_PORT",
            "OURS_PORT_80_TCP_ADDR",
            "OURS_WEB_PORT_53_UDP",
            "OURS_WEB_SERVICE_HOST",
            "OURS",
            "LIMT",
            "OURSLIMT",
        ):
            self.assertEqual(self.found(name), [], name)

    def test_isBounded(self) -> None:
        """
        Beyond some variables only their number is said.
        """
        lines = self.found(*(f"OURS_X{n}" for n in range(MOST_NAMED + 5)))
        self.assertEqual(len(lines), MOST_NAMED + 1)
        self.assertEqual(lines[-1], "5 more variables give no option")


class AnnounceTests(SynchronousTestCase):
    """
    Tests for L{announce}.
    """

    def announced(self, *words: str) -> list[tuple[str, str]]:
        options = ExampleOptions()
        options.parseOptions(words)
        with capturedLogs() as events:
            announce(options)
        for event in events:
            plain = {"options", "advice"} & set(event)
            self.assertTrue(all(isinstance(event[name], str) for name in plain))
        return [(event["log_level"].name, formatEvent(event)) for event in events]

    def setUp(self) -> None:
        self.patch(os, "environ", {})

    def test_saysWhereEachValueIsFrom(self) -> None:
        """
        One line has what was given and where, another one at level debug the defaults,
        and each advice has a line; a secret is in none.
        """
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/o.toml"
        Path(path).write_text('url = "http://host/q?key=s3cret"')
        os.environ.update(OURS_WORDS="a b", OURS_LIMT="3", OURS_CONFIG=path)
        line = self.announced("--limit", "4")
        self.assertEqual(
            [text for _, text in line],
            [
                "Options: limit 4 (--limit), url http://host/q?... "
                f"(url in {path!r}), words a b (OURS_WORDS)",
                "Options that were not given: times 5",
                "Options to change: OURS_LIMT gives no option: did you mean "
                "OURS_LIMIT?",
                "Options to change: --limit is small",
            ],
        )
        self.assertEqual(
            [level for level, _ in line], ["info", "debug", "warn", "warn"]
        )

    def test_saysWhenNothingWasGiven(self) -> None:
        """
        Where nothing was given, the line says so.
        """
        self.assertEqual(self.announced()[0], (LogLevel.info.name, "Options: none"))

    def test_isBounded(self) -> None:
        """
        However many values there are, and however long, the line is bounded.
        """
        words = [word for n in range(100) for word in ("--words", f"{n}" * 1000)]
        _, text = self.announced("--url", "x" * 100_000, *words)[0]
        self.assertLess(len(text), LONGEST_LINE + 20)
        self.assertIn("limit", self.announced("--limit=3", "--url", "x" * 9999)[0][1])
