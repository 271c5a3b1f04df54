"""
What is logged of the answers of worker processes.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.lines import BURST, Outlet
from myconsumer.handlers.processes.reports import (
    LONGEST_TRACEBACK,
    MOST_PLACES,
    Reports,
)
from myconsumer.retrying import QUIET_LASTING


def traceback(line: int, text: str) -> str:
    return (
        "Traceback (most recent call last):\n"
        f'  File "work.py", line {line}, in work\n    fail()\n'
        f"builtins.ValueError: {text}\n"
    )


class ReportsTests(SynchronousTestCase):
    """
    L{Reports}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.reports = Reports(self.clock, Outlet(self.clock))

    def raised(self, *tracebacks: str) -> list[str]:
        """
        @return: What is logged of tasks with these tracebacks.
        """
        with capturedLogs() as events:
            for number, each in enumerate(tracebacks):
                self.reports.raised(number, each)
        logged = [each for each in events if each["log_level"] is LogLevel.error]
        return [str(formatEvent(event)) for event in logged]

    def test_logsATracebackOnce(self) -> None:
        """
        The traceback of a place is logged once an hour, whatever the exception says.
        """
        [logged] = self.raised(traceback(1, "one"), traceback(1, "two"))
        self.assertIn("Task 0 raised, in its worker process:\nTraceback", logged)
        self.assertIn("ValueError: one", logged)
        self.assertEqual(len(self.raised(traceback(2, "one"))), 1)
        self.clock.advance(QUIET_LASTING - 1)
        self.assertEqual(self.raised(traceback(1, "one")), [])
        self.clock.advance(1)
        self.assertEqual(len(self.raised(traceback(1, "one"))), 1)

    def test_boundsPlaces(self) -> None:
        """
        However many places there are, a bounded number of them is kept in mind, and the
        log is bounded, too.
        """
        logged = self.raised(*(traceback(n, "x" * 1000) for n in range(1000)))
        self.assertLess(sum(map(len, logged)), BURST)
        self.clock.advance(600)
        last, first = 999, 999 - MOST_PLACES
        self.assertEqual(self.raised(traceback(last, "x")), [])
        self.assertNotEqual(self.raised(traceback(first, "x")), [])

    def test_escapesControlCharacters(self) -> None:
        """
        A traceback does nothing to a terminal, and has a bounded length.
        """
        [logged] = self.raised(traceback(1, "\x1b[2J" + "x" * 2 * LONGEST_TRACEBACK))
        self.assertNotIn("\x1b", logged)
        self.assertLess(len(logged), LONGEST_TRACEBACK + 200)

    def test_boundsResultsLeftOut(self) -> None:
        """
        That results are left out is logged within the bounds of the log.
        """
        with capturedLogs() as events:
            for number in range(10_000):
                self.reports.withoutResult(number, "it is no JSON")
        self.assertLess(len(events), 1000)
        self.assertIn("Task 0 is completed without its", str(formatEvent(events[0])))
