"""
Tests for L{myconsumer.queues.defects}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.queues.defects import QUIET, Complaints, Findings


class ComplaintsTests(SynchronousTestCase):
    """
    Tests for L{Complaints} and L{Findings}.
    """

    def setUp(self) -> None:
        """
        Make what complains.
        """
        self.clock = Clock()
        self.complaints = Complaints(Logger(), self.clock)

    def told(self, findings: Findings) -> list[dict[str, Any]]:
        """
        @return: What is logged of some findings.
        """
        with capturedLogs() as events:
            self.complaints.tell(findings)
        return events

    def absent(self, *fields: str) -> list[str]:
        """
        @return: What is said of an answer in which these fields are wrong.
        """
        findings = Findings()
        for field in fields:
            findings.takeAsAbsent(field, "17", "a string")
        return [event["fields"] for event in self.told(findings)]

    def test_nothing(self) -> None:
        """
        Where nothing is wrong, nothing is said.
        """
        self.assertEqual(self.told(Findings()), [])

    def test_onceAMinute(self) -> None:
        """
        Of each field something is said once a minute, however many answers have it.
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

    def test_dropped(self) -> None:
        """
        Of what is dropped the first reasons are given, and the number.
        """
        findings = Findings()
        for number in range(1000):
            findings.drop(f"reason {number}")
        [event] = self.told(findings)
        self.assertEqual(event["count"], 1000)
        reasons = "reason 0; reason 1; reason 2; and 997 more"
        self.assertEqual(event["reasons"], reasons)
