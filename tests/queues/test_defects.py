"""
Tests for L{myconsumer.queues.defects}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.queues.defects import DefectLog, Defects
from myconsumer.retrying import QUIET


class DefectLogTests(SynchronousTestCase):
    """
    Tests for L{DefectLog} and L{Defects}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.defectLog = DefectLog(Logger(), self.clock)

    def logged(self, defects: Defects) -> list[dict[str, Any]]:
        """
        @return: The events that the defects of an answer are logged with.
        """
        with capturedLogs() as events:
            self.defectLog.add(defects)
        return events

    def absent(self, *fields: str) -> list[str]:
        """
        @return: The lines about an answer in which these fields are wrong.
        """
        defects = Defects()
        for field in fields:
            defects.takeAsAbsent(field, "17", "a string")
        return [event["fields"] for event in self.logged(defects)]

    def test_logsNothingWithoutDefects(self) -> None:
        """
        An answer without defects is not logged.
        """
        self.assertEqual(self.logged(Defects()), [])

    def test_logsEachFieldOnceAMinute(self) -> None:
        """
        An unfit field is logged once a minute, however many tasks and answers have it.
        """
        first = "lease of task 17 is not a string"
        self.assertEqual(
            self.absent("lease", "lease", "lease"), [f"{first}; and 2 more"]
        )
        self.assertEqual(self.absent("lease"), [])
        other = "attempt of task 17 is not a string"
        self.assertEqual(self.absent("lease", "attempt"), [other])
        self.clock.advance(QUIET)
        self.assertEqual(self.absent("lease", "attempt"), [f"{first}; {other}"])

    def test_countsDroppedTasks(self) -> None:
        """
        Dropped tasks are logged in one line: the first reasons, and the number.
        """
        defects = Defects()
        for number in range(1000):
            defects.drop(f"reason {number}")
        [event] = self.logged(defects)
        self.assertEqual(event["count"], 1000)
        reasons = "reason 0; reason 1; reason 2; and 997 more"
        self.assertEqual(event["reasons"], reasons)
