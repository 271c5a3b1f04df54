"""
What happens to a consumer, in the log.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError
from myconsumer.interfaces import IConsumerObserver
from myconsumer.pipeline.breaker import REASON
from myconsumer.pipeline.observers import Observers
from myconsumer.status.journal import Journal, VerboseJournal
from myconsumer.status.totals import Totals
from myconsumer.task import COMPLETE, Ending, Request
from tests.status.events import crashed, number, size

CLAIM = Request("claim", 4, 70.0, 0.0, "c-1")


class JournalCase(SynchronousTestCase):
    """
    A journal that observes events.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.make(Journal)

    def make(self, kind: type[Journal]) -> None:
        self.journal = kind(self.clock)
        self.events = Observers([self.journal], self.clock)

    def logged(self, *events: Callable[[], object]) -> list[LogEvent]:
        """
        @return: What is logged of some events.
        """
        with capturedLogs() as logs:
            for each in events:
                each()
        return logs

    def lines(self, *events: Callable[[], object]) -> list[str]:
        """
        @return: The lines that are logged of some events.
        """
        return [formatEvent(each) for each in self.logged(*events)]


class JournalTests(JournalCase):
    """
    L{Journal}.
    """

    def test_isAnObserver(self) -> None:
        """
        L{Journal} and L{VerboseJournal} provide L{IConsumerObserver}.
        """
        for kind in (Journal, VerboseJournal):
            verifyObject(IConsumerObserver, kind(self.clock))

    def test_logsFailures(self) -> None:
        """
        A task that has failed is logged in one line.
        """
        ending = Ending("fail", "rejected")
        [line] = self.lines(lambda: self.events.taskEnded(number(17, 20), ending, 0.1))
        self.assertEqual(line, "Task 17 failed for good in attempt 20: rejected")

    def test_logsNothingOfSuccess(self) -> None:
        """
        Tasks that are complete, released on purpose or cut short are not logged.
        """
        task = number(1)
        for ending in (
            COMPLETE,
            Ending("complete"),
            Ending("release", "later", delay=1.0),
            Ending("uncounted", cause="stop"),
        ):
            self.assertEqual(
                self.lines(
                    lambda: self.events.taskStarted(task),
                    lambda ending=ending: self.events.taskEnded(task, ending, 0.1),
                ),
                [],
            )

    def test_logsChanges(self) -> None:
        """
        Pauses, their ends, and settings that are changed are logged with plain values.
        """
        self.assertEqual(
            self.lines(
                lambda: self.events.paused("lunch\x1b"),
                lambda: self.events.resumed("lunch\x1b"),
                lambda: self.events.settingChanged("limit", 4, 8),
                lambda: self.events.settingChanged("rate", None, 2.5),
            ),
            [
                "Pausing, nothing is claimed: lunch\\x1b",
                "A reason to pause is gone: lunch\\x1b",
                "The setting limit is 8 from now on, and was 4",
                "The setting rate is 2.5 from now on, and was None",
            ],
        )

    def test_leavesToOthersWhatTheyLog(self) -> None:
        """
        What is logged where it is noticed is not logged a second time.
        """
        self.assertEqual(
            self.lines(
                lambda: self.events.paused(REASON),
                lambda: self.events.resumed(REASON),
                lambda: self.events.leasesLost([1]),
                lambda: self.events.settlementsGivenUp([1]),
                lambda: self.events.requestFailed(CLAIM, 0.1, Failure(FaultError("x"))),
                self.events.started,
                lambda: self.events.stopping(0, 0),
                self.events.stopped,
            ),
            [],
        )

    def test_boundsChanges(self) -> None:
        """
        A handler that pauses and resumes all the time does not fill the log.
        """

        def flap() -> None:
            for _ in range(6000):
                self.events.paused("x" * 1000)
                self.events.resumed("x" * 1000)
                self.clock.advance(0.01)

        self.assertLess(size(self.logged(flap)), 10_000)

    def test_summarizesThousandsOfFailures(self) -> None:
        """
        Three thousand tasks that fail for good take less than 100 kB of the log, and
        are counted in it, even if each has a traceback.
        """

        def failAll() -> None:
            for id in range(3000):
                self.events.taskEnded(number(id, 20), crashed(), 0.1)
                self.clock.advance(0.001)
            self.events.stopped()

        logs = self.logged(failAll)
        self.assertLess(size(logs), 5_000)
        self.assertEqual(
            formatEvent(logs[-1]),
            "2999 more failures of tasks were counted and not logged",
        )


class VerboseTests(JournalCase):
    """
    L{VerboseJournal}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.make(VerboseJournal)

    def test_logsEachEvent(self) -> None:
        """
        Every event is one line at the level C{debug}.
        """
        fault, task = Failure(FaultError("down")), number(17, 2)
        logs = self.logged(
            lambda: self.events.requestSent(CLAIM),
            lambda: self.events.requestAnswered(CLAIM, 0.25, 3),
            lambda: self.events.requestFailed(CLAIM, 0.25, fault),
            lambda: self.events.taskStarted(task),
            lambda: self.events.taskEnded(task, COMPLETE, 0.25),
            lambda: self.events.leasesLost(["1", 2]),
            lambda: self.events.settlementsGivenUp(range(20)),
        )
        self.assertEqual({each["log_level"] for each in logs}, {LogLevel.debug})
        self.assertEqual(
            [formatEvent(each) for each in logs],
            [
                "Request sent: claim of 4, to be answered within 70 s",
                "Request answered after 0.25 s: claim of 4, 3 done",
                "Request failed after 0.25 s: claim of 4: FaultError: down",
                "Task 17 starts, attempt 2",
                "Task 17 has ended after 0.25 s, attempt 2: complete",
                "Leases lost: 1, 2",
                "Settlements given up: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
            ],
        )
        ended = logs[4]
        self.assertEqual(
            [ended[name] for name in ("id", "attempt", "outcome", "seconds")],
            [17, 2, "complete", 0.25],
        )

    def test_logsFailuresAsEver(self) -> None:
        """
        A failure is logged as without, and as an event that ends a task.
        """
        ending = Ending("fail", "rejected")
        lines = self.lines(lambda: self.events.taskEnded(number(17), ending, 0.5))
        self.assertEqual(
            lines,
            [
                "Task 17 failed for good in attempt 1: rejected",
                "Task 17 has ended after 0.5 s, attempt 1: fail, rejected",
            ],
        )

    def test_isNotCalledUnlessItIsWanted(self) -> None:
        """
        Without it nobody is called when a task starts, or a request is sent.
        """
        quiet = Observers([Journal(self.clock), Totals(self.clock)], self.clock)
        for event in ("requestSent", "taskStarted"):
            self.assertTrue(self.events.isObserved(event), event)
            self.assertFalse(quiet.isObserved(event), event)
