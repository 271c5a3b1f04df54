"""
The events of the log as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger, LogLevel, capturedLogs
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.jsonlog import LONGEST, MOST_FIELDS, asJSON

log = Logger(namespace="app.mail")


class Bad:
    """
    Cannot be shown.
    """

    def __repr__(self) -> str:
        raise ValueError("it is secret")


class JSONTests(SynchronousTestCase):
    """
    L{asJSON}.
    """

    def line(self, format: str, **fields: Any) -> dict[str, Any]:
        """
        Log one event as a warning, and give what its line holds.
        """
        with capturedLogs() as logs:
            log.warn(format, **fields)
        return self.decoded(logs[0])

    def decoded(self, event: Any) -> dict[str, Any]:
        text = asJSON(event)
        self.assertTrue(text.isascii())
        self.assertEqual(text.count("\n"), 1)
        self.assertTrue(text.endswith("\n"))

        def refuse(constant: str) -> None:
            self.fail(f"{constant} is no JSON")

        line: dict[str, Any] = json.loads(text, parse_constant=refuse)
        return line

    def test_holdsPlainFields(self) -> None:
        """
        A line holds time, level, logger, message and the plain fields of an event.
        """
        line = self.line("{n} of {id!r}", n=3, id="a\n", rate=0.5, on=True, by=None)
        self.assertRegex(line.pop("time"), r"^20\d\d-\d\d-\d\dT[\d:]{8}\.\d{3}\+00:00$")
        self.assertEqual(
            line,
            {
                "level": "warn",
                "logger": "app.mail",
                "message": "3 of 'a\\n'",
                "n": 3,
                "id": "a\n",
                "rate": 0.5,
                "on": True,
                "by": None,
            },
        )

    def test_omitsWhatIsNotPlain(self) -> None:
        """
        Objects, numbers that JSON has not, and fields that are called as the line's
        own are left out; halves of surrogate pairs are escaped.
        """
        fields = {
            "queue": object(),
            "list": ["secret"],
            "level_": LogLevel.info,
            "nan": float("nan"),
            "large": 10**5000,
            "message": "another",
            "half": "\ud800",
        }
        line = self.line("text", **fields)
        self.assertEqual(set(line), {"time", "level", "logger", "message", "half"})
        self.assertEqual((line["level"], line["message"]), ("warn", "text"))

    def test_boundsTexts(self) -> None:
        """
        Texts are cut in their middle when they are too long.
        """
        line = self.line("{text}", text="x" * LONGEST + "END")
        for name in ("message", "text"):
            self.assertLess(len(line[name]), LONGEST + 10)
            self.assertTrue(line[name].endswith("END"))

    def test_hasTheTraceback(self) -> None:
        """
        The event of a failure has its traceback, of a bounded length.
        """
        try:
            raise ValueError("x" * LONGEST + "END")
        except ValueError:
            failure = Failure()
        with capturedLogs() as logs:
            log.failure("Task {id} failed", failure, id=7)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        line = self.decoded(logs[0])
        self.assertEqual((line["message"], line["id"]), ("Task 7 failed", 7))
        self.assertTrue(line["traceback"].startswith("Traceback"))
        self.assertTrue(line["traceback"].rstrip().endswith("END"))
        self.assertLess(len(line["traceback"]), LONGEST + 10)
        self.assertNotIn("log_failure", line)

    def test_takesATracebackOutOfTheMessage(self) -> None:
        """
        A traceback that is a field is not part of the message that ends with it.
        """
        line = self.line("failed: {why}\n{traceback}", why="no", traceback="Trace\nb\n")
        self.assertEqual(line["message"], "failed: no")
        self.assertEqual(line["traceback"], "Trace\nb\n")
        self.assertNotIn("traceback", self.line("failed", traceback=""))

    def test_takesAnyEvent(self) -> None:
        """
        An event that cannot be formatted, or lacks everything, has a line all the
        same, unless there is nothing to say.
        """
        self.assertIn("nable to format", self.line("{missing}")["message"])
        self.assertIn("message", self.line("{bad}", bad=Bad()))
        self.assertEqual(asJSON({}), "")
        bare = self.decoded({"log_format": "text"})
        self.assertEqual((bare["level"], bare["logger"]), ("info", "-"))

    def test_takesHostileEvents(self) -> None:
        """
        Whatever the names of the fields, the time and the logger are, there is a line;
        it has as many fields as it may have, and not more.
        """
        for event in (
            {None: 1}, {3: 1}, {b"x": 1}, {("a",): 1},
            {"log_time": 1e300}, {"log_time": "x"}, {"log_time": float("nan")},
            {"log_namespace": Bad()},
        ):  # fmt: skip
            line = self.decoded({"log_format": "text"} | event)
            self.assertEqual(set(line), {"time", "level", "logger", "message"})
        many = {f"field{n}": n for n in range(1000)}
        self.assertEqual(len(self.line("text", **many)), 4 + MOST_FIELDS)

    def test_takesLegacyEvents(self) -> None:
        """
        What is logged in Twisted's old way has a line as well.
        """
        with capturedLogs() as logs:
            legacy.msg("in the old way", id=7)
        line = self.decoded(logs[0])
        self.assertEqual((line["message"], line["id"]), ("in the old way", 7))
        self.assertNotIn("isError", line)
