"""
A source, its consumer and a queue that the test answers: what the tests share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.pipeline.arrivals import Arrivals
from myconsumer.pipeline.claims import PAUSE
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.settlements import Settling
from myconsumer.pipeline.source import QueueTaskSource
from myconsumer.pipeline.terms import Claiming
from myconsumer.task import Task
from tests.model import (
    Claim,
    ScriptedQueue,
    passTime,
)


class SourceCase(SynchronousTestCase):
    """
    A source, its consumer, and a queue that the test answers.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.leases = Leases(self.queue, self.clock)
        self.settling = Settling(self.queue, self.leases, self.clock)
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
        options.setdefault("mostUnsettled", 4 * limit)
        self.source = self.makeSource(**options)
        self.consumer = ParallelLimitedTaskConsumer(limit)
        self.end = self.consumer.consume(self.source)
        self.passTime(0)

    def makeSource(self, mostUnsettled: int = 16, **options: Any) -> QueueTaskSource:
        claiming = Claiming(**options)
        arrivals = Arrivals(self.leases, self.settling, claiming.lease, self.clock)
        source = QueueTaskSource(
            self.queue,
            arrivals,
            self.settling,
            self.runTask,
            claiming,
            mostUnsettled,
            self.clock,
        )
        self.leases.whenLost = source.leasesLost
        self.settling.whenSettled = source.settled
        return source

    def runTask(self, task: Task, lease: Lease | None) -> Deferred[None] | None:
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
                    self.leases.drop(lease)
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
        """
        The last claim.
        """
        return self.queue.claims[-1]

    def ids(self) -> list[str | int]:
        """
        What was run, in order.
        """
        return [task.id for task, _ in self.ran]
