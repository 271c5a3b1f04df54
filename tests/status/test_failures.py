"""
The failures of tasks in the log, and how little of it they take.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count, cycle

from twisted.internet.task import Clock
from twisted.logger import (
    LogEvent,
    Logger,
    LogLevel,
    capturedLogs,
    formatEvent,
)
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.failures import Failures, isFailure
from myconsumer.task import COMPLETE, Ending
from tests.status.events import HOSTILE, crashed, number, places, size

#: The most bytes that may be logged in a minute.
MOST = 100_000


class FailuresCase(SynchronousTestCase):
    """
    Failures that are logged.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.failures = Failures(Logger(), self.clock)
        self.ids = count(1)

    def fail_(self, ending: Ending, attempt: int = 1) -> list[LogEvent]:
        """
        @return: What is logged of one failure.
        """
        with capturedLogs() as logs:
            self.failures.failed(number(next(self.ids), attempt), ending, 0.1234)
        return logs

    def lines(self, ending: Ending, attempt: int = 1) -> list[str]:
        """
        @return: The lines that are logged of one failure, without a traceback.
        """
        return [formatEvent(e).split("\n")[0] for e in self.fail_(ending, attempt)]


class WordingTests(FailuresCase):
    """
    One failure.
    """

    def test_wordsOutcomes(self) -> None:
        """
        Each outcome has one line of its own, at the level that suits it.
        """
        info, warn, error = LogLevel.info, LogLevel.warn, LogLevel.error
        for ending, level, line in (
            (
                crashed(),
                error,
                "Task 1 failed for good in attempt 3: ValueError: boom",
            ),
            (
                Ending("fail", "unusable\nand more"),
                error,
                "Task 2 failed for good in attempt 3: unusable",
            ),
            (
                Ending("release", "timed out after 5 s", None, 4.0, "timeout"),
                warn,
                "Task 3 failed in attempt 3, retried in 4 s: timed out after 5 s",
            ),
            (
                crashed(outcome="release"),
                error,
                "Task 4 failed in attempt 3, retried in 0 s: ValueError: boom",
            ),
            (
                Ending("dropped", "why", cause="failure"),
                error,
                "Task 5 was not done and is lost, since it came without a receipt: why",
            ),
            (
                Ending("lost", cause="lost"),
                info,
                "Task 6 has ended after its lease was lost, and is not settled",
            ),
            (
                Ending("complete", "too long"),
                error,
                "Task 7 is completed without its result: too long",
            ),
            (
                Ending("uncounted", "does not end", cause="stuck"),
                warn,
                "Task 8 does not end although it was cancelled; it is given back",
            ),
        ):
            [event] = self.fail_(ending, 3)
            self.assertEqual(formatEvent(event).split("\n")[0], line)
            self.assertEqual(event["log_level"], level, line)

    def test_knowsWhatIsNoFailure(self) -> None:
        """
        A task that is complete, was released on purpose, or was cut short, has not
        failed.
        """
        for ending in (
            COMPLETE,
            Ending("release", "later", delay=1.0),
            Ending("uncounted", cause="stop"),
            Ending("uncounted", "no room", cause="notBegun"),
        ):
            self.assertFalse(isFailure(ending), ending)
        for ending in (
            Ending("complete", "no JSON"),
            Ending("release", "why", cause="failure"),
            Ending("release", "timed out", cause="timeout"),
            Ending("fail", "rejected"),
            Ending("uncounted", "stuck", cause="stuck"),
            Ending("lost", cause="lost"),
            Ending("dropped", "why", cause="handler"),
        ):
            self.assertTrue(isFailure(ending), ending)

    def test_hasPlainFields(self) -> None:
        """
        Each field is a plain value, and the traceback is a part of the text.
        """
        [event] = self.fail_(crashed(), 2)
        fields = {
            "id": 1,
            "attempt": 2,
            "outcome": "fail",
            "seconds": 0.123,
            "delay": 0.0,
            "error": "ValueError: boom",
            "count": 1,
            "period": "0 s",
        }
        self.assertEqual({name: event[name] for name in fields}, fields)
        traceback = event["traceback"]
        self.assertTrue(traceback.startswith("Traceback (most recent"), traceback)
        self.assertIn(traceback, formatEvent(event))

    def test_survivesHostileExceptions(self) -> None:
        """
        Whatever an exception is like, one event of a bounded size is logged for it,
        and none for the next one of its kind.
        """
        for name, error in HOSTILE.items():
            with self.subTest(name):
                self.failures = Failures(Logger(), self.clock)
                ending = crashed(error)
                logs = self.fail_(ending)
                self.assertEqual(len(logs), 1)
                self.assertLess(size(logs), 6_500)
                self.assertEqual(self.fail_(ending), [])

    def test_showsNoControlCharacters(self) -> None:
        """
        The id of a task and the text of a failure do nothing to a terminal.
        """
        with capturedLogs() as logs:
            task = number("\x1b[2J" * 100)
            self.failures.failed(task, Ending("fail", "\x1b[2J" * 1000), 0.1)
        [event] = logs
        self.assertTrue(formatEvent(event).isprintable())
        self.assertLess(size(logs), 600)


class RepetitionTests(FailuresCase):
    """
    Failures of the same kind.
    """

    def test_hasATracebackOnce(self) -> None:
        """
        The same exception from the same place is logged with its traceback once, and
        then with the number of tasks, at growing intervals.
        """
        ending = crashed()
        self.assertIn("Traceback", formatEvent(self.fail_(ending)[0]))
        lines = []
        for _ in range(600):
            self.clock.advance(1.0)
            lines += self.lines(ending, 2)
        self.assertEqual(
            lines,
            [
                "In 60 s 60 tasks failed for good like 61 in attempt 2: "
                "ValueError: boom",
                "In 2 min 120 tasks failed for good like 181 in attempt 2: "
                "ValueError: boom",
                "In 4 min 240 tasks failed for good like 421 in attempt 2: "
                "ValueError: boom",
            ],
        )

    def test_tellsKindsApart(self) -> None:
        """
        The same exception from another place is another kind, and so is one that is
        retried, another type, and another text where there is no exception; numbers
        in a text make no difference.
        """
        first, second = places(2)
        new = [
            crashed(first),
            crashed(second),
            crashed(first, "release"),
            crashed(KeyError("x")),
            Ending("fail", "exit status 3"),
            Ending("fail", "killed by signal 9"),
        ]
        for ending in new:
            self.assertEqual(len(self.fail_(ending)), 1, ending)
        for ending in [
            *new,
            Ending("fail", "exit status 4"),
            Ending("fail", "killed by signal 11"),
        ]:
            self.assertEqual(self.fail_(ending), [], ending)

    def test_takesIdentifiersForTheSame(self) -> None:
        """
        Texts that differ in numbers, addresses and identifiers only are of one kind.
        """
        for text in (
            "no row 17 of 5 in 0xdeadbeef for 123e4567-e89b-12d3-a456-426614174000",
            "no row 8 of 12345 in 0x7f for 00000000-ffff-12d3-a456-42661417aaaa",
        ):
            logs = self.fail_(Ending("fail", text))
        self.assertEqual(logs, [])

    def test_saysAtTheEndHowManyWereNotLogged(self) -> None:
        """
        At the end one line says how many failures no line has mentioned.
        """
        for _ in range(10):
            self.fail_(crashed())
        with capturedLogs() as logs:
            self.failures.close()
            self.failures.close()
        self.assertEqual(
            [formatEvent(each) for each in logs],
            ["9 more failures of tasks were counted and not logged"],
        )


class BoundTests(FailuresCase):
    """
    Very many failures.
    """

    def bytesOf(
        self, endings: Iterator[Ending], minutes: int = 60, rate: int = 8
    ) -> list[int]:
        """
        @return: The bytes that are logged in each minute, of C{rate} failures a second.
        """
        sizes = []
        for _ in range(minutes):
            with capturedLogs() as logs:
                for _ in range(60 * rate):
                    self.failures.failed(number(next(self.ids)), next(endings), 0.01)
                    self.clock.advance(1 / rate)
            sizes.append(size(logs))
        return sizes

    def test_boundsAnHourOfFailures(self) -> None:
        """
        An hour of failures stays far below 100 kB a minute, whatever they are, and
        below 2 MB in all.
        """
        kinds: dict[str, list[Ending]] = {
            "the same": [crashed()],
            "different places": [crashed(each) for each in places(300)],
            "different texts": [
                Ending("fail", f"{chr(97 + n // 20)} {chr(97 + n % 20)} " * 10_000)
                for n in range(400)
            ],
            "hostile ones": [crashed(each) for each in HOSTILE.values()],
        }
        for name, endings in kinds.items():
            with self.subTest(name):
                self.failures = Failures(Logger(), self.clock)
                sizes = self.bytesOf(cycle(endings))
                self.assertLess(max(sizes), MOST / 2)
                self.assertLess(sum(sizes), 2_000_000)

    def test_countsWhatTheBudgetSuppresses(self) -> None:
        """
        Each failure is logged by itself, or counted in a line, also if there are more
        kinds than are kept.
        """
        endings = cycle([crashed(each) for each in places(300)])
        with capturedLogs() as logs:
            for _ in range(6000):
                self.failures.failed(number(next(self.ids)), next(endings), 0.01)
                self.clock.advance(0.05)
            self.failures.close()
        said = [formatEvent(each) for each in logs if "differ" in each["log_format"]]
        self.assertIn("failures of tasks were not logged", said[0])
        self.assertEqual(sum(each["count"] for each in logs), 6000)

    def test_costsConstantTimeAndMemory(self) -> None:
        """
        What is kept of failures does not grow with their number.
        """
        endings = cycle([crashed(each) for each in places(300)])
        self.bytesOf(endings, minutes=1)
        kept = sys.getallocatedblocks()
        self.bytesOf(endings, minutes=5)
        self.assertLess(sys.getallocatedblocks() - kept, 2000)
