"""
Tests for L{myconsumer.check.report} and L{myconsumer.check.table}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.check.report import Kind, Report
from myconsumer.check.table import CHECKS, named, sentence


class ReportTests(SynchronousTestCase):
    """
    Tests for L{Report}.
    """

    def test_writesLines(self) -> None:
        """
        Each check is a line, what does not hold has its requests below it, and the last
        line counts.
        """
        lines: list[str] = []
        report = Report(lines.append)
        report.tell(Kind.OK, "a", "")
        report.tell(Kind.OK, "b", "0.01 s")
        report.tell(Kind.NOTE, "c", "slow")
        self.assertFalse(report.failed)
        report.tell(Kind.FAIL, "d", "seen", ["one", "two"])
        report.tell(Kind.SKIP, "e", "why")
        report.line("by the way")
        report.total()
        self.assertTrue(report.failed)
        self.assertEqual(
            lines,
            [
                "ok    a",
                "ok    b (0.01 s)",
                "note  c: slow",
                "FAIL  d: seen",
                "      one",
                "      two",
                "skip  e: why",
                "by the way",
                "3 hold (1 with a note), 1 does not, 1 was skipped",
            ],
        )


class TableTests(SynchronousTestCase):
    """
    Tests for L{CHECKS}.
    """

    def test_everyCheckHasASentence(self) -> None:
        """
        Each check has a sentence of its own, which begins like the middle of one.
        """
        sentences = [sentence(check) for check in CHECKS]
        self.assertEqual(len(set(sentences)), len(sentences))
        for text in sentences:
            self.assertRegex(text, r"^([a-z]|DELETE ).*[a-z01]$")

    def test_choosesByParts(self) -> None:
        """
        Checks are chosen by parts of their sentences; without a part, all of them are.
        """
        self.assertEqual(list(named([])), list(CHECKS))
        chosen = [sentence(check) for check in named(["its limit", "obeys its delay"])]
        self.assertEqual(
            chosen,
            [
                "a claim brings no more tasks than its limit",
                "a release obeys its delay",
            ],
        )
        self.assertRaises(ValueError, named, ["its limit", "nothing like that"])
