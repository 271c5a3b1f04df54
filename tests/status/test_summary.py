"""
The line that sums up what has happened.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.interfaces import IConsumerObserver
from myconsumer.pipeline.observers import Observers
from myconsumer.status.state import Status
from myconsumer.status.summary import INTERVAL, Summary
from myconsumer.status.totals import Totals
from myconsumer.task import COMPLETE, Ending, Outcome, Request
from tests.status.events import number


class SummaryTests(SynchronousTestCase):
    """
    L{Summary}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e6)
        self.status = Status(state="running", limit=4)
        totals = Totals(self.clock)
        self.summary = Summary(totals, lambda: self.status, self.clock)
        self.events = Observers([totals, self.summary], self.clock)
        self.events.started()
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        self.lines(self.events.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def lines(self, event: Any, *args: Any) -> list[str]:
        """
        @return: The lines that are logged as something happens.
        """
        with capturedLogs() as logs:
            event(*args)
        return [formatEvent(each) for each in logs]

    def pass_(self, intervals: int = 1) -> list[str]:
        """
        @return: The lines that are logged as time passes.
        """
        return self.lines(self.clock.pump, [INTERVAL] * intervals)

    def be(self, **fields: Any) -> None:
        """
        The consumer is at something from now on.
        """
        self.status = Status(limit=4, **{"state": "running", **fields})

    def end(self, count: int, outcome: Outcome = "complete") -> None:
        """
        Tasks end.
        """
        ending = COMPLETE if outcome == "complete" else Ending(outcome, "why")
        for id in range(count):
            self.events.taskEnded(number(id), ending, 0.1)

    def test_isAnObserver(self) -> None:
        """
        L{Summary} provides L{IConsumerObserver}.
        """
        verifyObject(IConsumerObserver, self.summary)

    def test_sumsUpFiveMinutes(self) -> None:
        """
        After five minutes a line says how tasks have ended, and what is left.
        """
        self.end(1234)
        self.end(12, "fail")
        self.end(8, "release")
        self.be(running=4, oldest=3.0, waiting=2)
        self.assertEqual(
            self.pass_(),
            [
                "In 5 min: 1,234 complete, 12 failed, 8 released; 4 running, the "
                "oldest for 3 s; 2 waiting"
            ],
        )
        self.be()
        self.end(1)
        self.assertEqual(self.pass_(), ["In 5 min: 1 complete; 0 running; 0 waiting"])

    def test_hasPlainFields(self) -> None:
        """
        Each number of the line is a field of its own.
        """
        self.end(3)
        self.be(running=1, oldest=2.5)
        with capturedLogs() as logs:
            self.clock.advance(INTERVAL)
        [event] = logs
        expected = {
            "seconds": 300.0,
            "complete": 3,
            "fail": 0,
            "running": 1,
            "oldest": 2.5,
            "waiting": 0,
            "claimFailures": 0,
        }
        self.assertEqual({name: event[name] for name in expected}, expected)

    def test_saysNothingWhileNothingHappens(self) -> None:
        """
        An idle consumer, whose claims are answered with nothing, logs nothing.
        """
        for _ in range(100):
            self.events.requestAnswered(Request("claim", 4, 70.0, 0.0, "c"), 60.0, 0)
            self.assertEqual(self.pass_(), [])

    def test_saysHourlyThatTasksRunOn(self) -> None:
        """
        A handler that hangs can be told from an idle queue: once an hour a line says
        for how long tasks have run, and at once after they came.
        """
        self.events.requestAnswered(Request("claim", 4, 70.0, 0.0, "c"), 0.1, 2)
        self.be(running=2, oldest=299.0)
        self.assertEqual(
            self.pass_(),
            ["In 5 min: 0 complete; 2 running, the oldest for 5 min; 0 waiting"],
        )
        self.be(running=2, oldest=3899.0)
        self.assertEqual(self.pass_(11), [])
        self.assertEqual(
            self.pass_(),
            ["In 1 h: 0 complete; 2 running, the oldest for 1 h 5 min; 0 waiting"],
        )
        self.assertEqual(len(self.pass_(24)), 2)

    def test_saysWhatKeepsItFromClaiming(self) -> None:
        """
        The line says that claims fail, or that claiming is paused, and why.
        """
        for fields, words in (
            ({"failingFor": 180.0}, "claims failing for 3 min"),
            ({"state": "paused", "pauses": ["lunch"]}, "paused: lunch"),
        ):
            self.end(1)
            self.be(**fields)
            [line] = self.pass_()
            self.assertEqual(
                line, f"In 5 min: 1 complete; 0 running; 0 waiting; {words}"
            )
            self.assertEqual(len(self.pass_(12)), 1)

    def test_sumsUpTheWholeTimeAtTheEnd(self) -> None:
        """
        The last line is about the time since the start, and no timer is left.
        """
        for _ in range(12):
            self.end(10)
            self.pass_()
        self.clock.advance(240.0)
        self.assertEqual(
            self.lines(self.events.stopped),
            ["In 1 h 4 min: 120 complete; 0 running; 0 waiting"],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_beginsAnewWithEachStart(self) -> None:
        """
        A consumer that is started again counts from there.
        """
        self.end(10)
        self.lines(self.events.stopped)
        self.clock.advance(1000.0)
        self.events.started()
        self.end(2)
        self.clock.advance(0.5)
        self.assertEqual(
            self.lines(self.events.stopped),
            ["In 0.5 s: 2 complete; 0 running; 0 waiting"],
        )
        self.events.started()
