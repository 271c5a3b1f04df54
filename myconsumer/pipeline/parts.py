"""
The parts of one run of the service, made and put together.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.interfaces import ITaskHandler, ITaskQueue
from myconsumer.pipeline.arrivals import Arrivals
from myconsumer.pipeline.breaker import REASON, Breaker
from myconsumer.pipeline.conclusions import Conclusions
from myconsumer.pipeline.execution import Execution
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.settlements import Settling
from myconsumer.pipeline.source import QueueTaskSource
from myconsumer.pipeline.terms import Claiming

#: With more tasks for each slot than this that have ended and are not settled, nothing
#: is claimed.
MOST_UNSETTLED = 4


@dataclass(eq=False)
class Pipeline:
    """
    What one run of the service is made of.
    """

    leases: Leases
    settling: Settling
    execution: Execution
    source: QueueTaskSource
    breaker: Breaker
    consumer: ParallelLimitedTaskConsumer

    @property
    def running(self) -> int:
        """
        How many tasks run.
        """
        return self.consumer.running

    @property
    def oldestBegan(self) -> float | None:
        """
        When the task was given to its handler that has run longest, by our clock;
        C{None} if none runs.
        """
        return min((run.began for run in self.execution.running), default=None)

    @property
    def waiting(self) -> int:
        """
        How many tasks have arrived and wait for a slot.
        """
        return len(self.source.arrivals)

    @property
    def unsettled(self) -> int:
        """
        How many tasks have ended and are not settled.  See L{Settling.backlog}.
        """
        return self.settling.backlog

    @property
    def leased(self) -> int:
        """
        How many leases are held: of tasks that wait, run, or are not settled.
        """
        return len(self.leases.held)

    @property
    def openClaims(self) -> int:
        """
        How many claims have not been answered.
        """
        return self.source.openClaims

    @property
    def claimFailures(self) -> int:
        """
        How many claims in a row have failed; 0 while they work.
        """
        return self.source.claimFailures

    @property
    def pauses(self) -> frozenset[str]:
        """
        Why claiming is paused: none if it is not.
        """
        broken = {REASON} if self.breaker.isTripped else set()
        return self.source.pauses | broken

    def close(self) -> None:
        """
        Send nothing any more: drop what is in flight.
        """
        self.settling.close()
        self.leases.close()
        self.source.abandon()


def makePipeline(
    queue: ITaskQueue,
    handler: ITaskHandler,
    limit: int,
    claiming: Claiming,
    timeout: float,
    maxAttempts: int,
    observers: Observers,
    clock: IReactorTime,
) -> Pipeline:
    """
    Make the parts, and connect each to those that it calls.

    @param queue: Where the tasks come from.
    @param handler: What is done with each.
    @param limit: The most tasks to run at once.
    @param claiming: How they are claimed.
    @param timeout: The seconds that a task may run for; 0 for no limit.
    @param maxAttempts: A task that fails in this attempt has failed for good; 0 leaves
        that to the endpoint.
    @param observers: Observe all that happens.
    @param clock: What keeps the time.
    """
    requests = Requests(queue, observers, clock)
    leases = Leases(requests, clock)
    settling = Settling(requests, leases, clock)
    arrivals = Arrivals(leases, settling, claiming.lease, clock)
    conclusions = Conclusions(settling.add, maxAttempts)
    execution = Execution(handler, conclusions, leases, observers, clock, timeout)
    source = QueueTaskSource(
        requests,
        arrivals,
        settling,
        execution.run,
        claiming,
        MOST_UNSETTLED * limit,
        clock,
    )
    breaker = Breaker(source, execution.run, observers, clock)
    leases.whenLost = source.leasesLost
    settling.whenSettled = source.settled
    conclusions.whenNotBegun = breaker.notBegun
    consumer = ParallelLimitedTaskConsumer(limit)
    return Pipeline(leases, settling, execution, source, breaker, consumer)
