"""
What the tests of the pipeline share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.interfaces import IConsumerObserver
from myconsumer.pipeline.arrivals import Arrivals
from myconsumer.pipeline.claims import PAUSE
from myconsumer.pipeline.conclusions import Conclusions
from myconsumer.pipeline.execution import Execution
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.settlements import Settling
from myconsumer.pipeline.source import QueueTaskSource
from myconsumer.pipeline.terms import Claiming, Terms
from myconsumer.retrying import Policy
from myconsumer.task import Ending, Request, Settlement, Task
from myconsumer.testing import (
    Claim,
    ControlledHandler,
    Handling,
    ScriptedQueue,
    Settle,
    passTime,
)


@implementer(IConsumerObserver)
class Recorder:
    """
    Notes each event: its name and what it says.

    @ivar events: What has happened, the oldest first.
    @ivar whenSent: Called with each request that is announced.
    @ivar when: Called with the name of each event.
    """

    def __init__(self) -> None:
        self.whenSent: Callable[[Request], object] = lambda request: None
        self.when: Callable[[str], object] = lambda name: None
        self.events: list[tuple[Any, ...]] = []

    def names(self) -> list[str]:
        return [name for name, *_ in self.events]

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """
        @return: What the events of these names say, the oldest first.
        """
        return [tuple(said) for name, *said in self.events if name in names]

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in IConsumerObserver:
            raise AttributeError(name)
        return partial(self._note, name)

    def _note(self, name: str, *said: Any) -> None:
        self.events.append((name, *said))
        if name == "requestSent":
            self.whenSent(*said)
        self.when(name)


class SourceCase(SynchronousTestCase):
    """
    A source, its consumer, and a queue that the test answers.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.observer = Recorder()
        observers = Observers([self.observer], self.clock)
        self.requests = Requests(self.queue, observers, self.clock)
        self.leases = Leases(self.requests, self.clock)
        self.settling = Settling(self.requests, self.leases, self.clock)
        self.running: dict[str | int, Deferred[None]] = {}
        self.ran: list[tuple[Task, Lease | None]] = []
        self.onRun: Callable[[], object] = lambda: None
        self.closed: Deferred[None] | None = None
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        """
        Nothing is left once it is closed and all claims are answered.
        """
        closed = self.closed or self.close()
        for claim in self.queue.openClaims:
            claim.bring()
        for cancel in self.queue.cancels:
            if cancel.open:
                cancel.take()
        if not closed.called:
            self.passTime(PAUSE)
        self.successResultOf(closed)
        self.settling.close()
        self.leases.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(self, limit: int = 4, **options: Any) -> None:
        self.source = self.makeSource(limit, **options)
        self.consumer = ParallelLimitedTaskConsumer(limit)
        self.end = self.consumer.consume(self.source)
        self.passTime(0)

    def makeSource(self, limit: int = 4, **options: Any) -> QueueTaskSource:
        self.terms = Terms(limit, Claiming(**options))
        arrivals = Arrivals(self.leases, self.settling, self.clock)
        source = QueueTaskSource(
            self.requests,
            arrivals,
            self.settling,
            self.runTask,
            self.terms,
            self.clock,
        )
        self.leases.whenLost = source.leasesLost
        self.settling.whenSettled = source.settled
        return source

    def runTask(
        self, task: Task, lease: Lease | None, began: float
    ) -> Deferred[None] | None:
        """
        Run a task until L{endTask}; it ends at once where C{onRun} returns
        anything.
        """
        self.ran.append((task, lease))
        if self.onRun() is not None:
            return None
        self.running[task.id] = Deferred()
        return self.running[task.id]

    def endTask(self, *ids: int) -> None:
        """
        Tasks end, and are settled by nobody.
        """
        for id in ids:
            for ran, lease in self.ran:
                if ran.id == str(id) and lease is not None:
                    self.leases.drop([lease])
            self.running.pop(str(id)).callback(None)

    def close(self) -> Deferred[None]:
        self.closed = self.source.close()
        return self.closed

    def passTime(self, seconds: float) -> list[Claim]:
        """
        Let time pass.

        @return: The claims that were made meanwhile.
        """
        before = len(self.queue.claims)
        passTime(self.clock, seconds)
        return self.queue.claims[before:]

    @property
    def claim(self) -> Claim:
        return self.queue.claims[-1]

    def ids(self) -> list[str | int]:
        return [task.id for task, _ in self.ran]


class ExecutionCase(SynchronousTestCase):
    """
    An execution that settles into a list.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.handler = ControlledHandler()
        queue = ScriptedQueue(self.clock)
        requests = Requests(queue, Observers([], self.clock), self.clock)
        self.leases = Leases(requests, self.clock)
        self.settled: list[tuple[Lease, Settlement]] = []
        self.make()
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        self.assertEqual(self.execution.running, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(
        self,
        timeout: float = 0.0,
        maxAttempts: int = 0,
        retryDelay: Policy = lambda failures: 10.0 * 2**failures,
        observers: Iterable[IConsumerObserver] | None = None,
    ) -> None:
        self.observer = Recorder()
        self.terms = Terms(1, timeout=timeout, maxAttempts=maxAttempts)
        if observers is None:
            observers = [self.observer]
        self.execution = Execution(
            self.handler,
            Conclusions(self.settle, self.terms, retryDelay),
            self.leases,
            Observers(observers, self.clock),
            self.clock,
            self.terms,
        )

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        self.settled.append((lease, settlement))

    def run_(self, **fields: Any) -> tuple[Lease, Deferred[None] | None]:
        """
        Run a task that has a lease.
        """
        lease = Lease("r-1", "1", 60, 60)
        task = Task("1", None, receipt="r-1", **fields)
        return lease, self.execution.run(task, lease, self.clock.seconds())

    @property
    def ending(self) -> Ending:
        """
        How the last task has ended, as that was announced.
        """
        ending: Ending = self.observer.of("taskEnded")[-1][1]
        return ending

    def scripted(self, result: Any) -> None:
        """
        Have the handler return something, or raise it.
        """

        def script(handling: Handling) -> Any:
            if isinstance(result, BaseException):
                raise result
            return result

        self.handler.script = script

    def outcome(self, result: Any, **fields: Any) -> Settlement:
        """
        @return: What a task is settled with when the handler returns C{result}, or
            raises it.
        """
        self.scripted(result)
        lease, ended = self.run_(**fields)
        self.assertIsNone(ended)
        [(settledLease, settlement)] = self.settled
        self.settled.clear()
        self.assertIs(settledLease, lease)
        self.assertEqual(settlement.receipt, "r-1")
        return settlement


class LeasesCase(SynchronousTestCase):
    """
    Leases at a queue that the test answers.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.observer = Recorder()
        observers = Observers([self.observer], self.clock)
        self.requests = Requests(self.queue, observers, self.clock)
        self.leases = Leases(self.requests, self.clock)
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        """
        Nothing is left once they are closed.
        """
        self.leases.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([each for each in self.queue.settles if each.open], [])

    def hold(self, *receipts: str, length: float = 60.0) -> list[Lease]:
        """
        Hold leases that have just arrived.
        """
        now = self.clock.seconds()
        held = [self.leases.hold(each, f"of {each}", length, now) for each in receipts]
        return [lease for lease in held if lease is not None]

    def slow(self, takes: Callable[[int], float]) -> None:
        """
        From now on heartbeats are answered after a time that depends on their size,
        if that is in time.
        """

        def answer(beat: Settle) -> None:
            seconds = takes(len(beat.settlements))
            if seconds < beat.deadline:
                answering = self.clock.callLater(seconds, beat.take)
                beat.answer.addErrback(lambda _: answering.cancel())
            else:
                beat.expireAfter(self.clock, beat.deadline)

        self.queue.onSettle = answer

    def passTime(self, seconds: float) -> list[Settle]:
        """
        Let time pass.

        @return: The heartbeats that were sent meanwhile.
        """
        before = len(self.queue.settles)
        passTime(self.clock, seconds)
        return self.queue.settles[before:]
