"""
The parts of one run of the service, made and put together.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.interfaces import ITaskHandler, ITaskQueue
from myconsumer.pipeline.arrivals import Arrivals
from myconsumer.pipeline.breaker import Breaker
from myconsumer.pipeline.conclusions import Conclusions
from myconsumer.pipeline.execution import Execution
from myconsumer.pipeline.leases import Leases
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


def makePipeline(
    queue: ITaskQueue,
    handler: ITaskHandler,
    limit: int,
    claiming: Claiming,
    timeout: float,
    maxAttempts: int,
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
    @param clock: What keeps the time.
    """
    leases = Leases(queue, clock)
    settling = Settling(queue, leases, clock)
    arrivals = Arrivals(leases, settling, claiming.lease, clock)
    conclusions = Conclusions(settling.add, maxAttempts)
    execution = Execution(handler, conclusions, leases, clock, timeout)
    source = QueueTaskSource(
        queue,
        arrivals,
        settling,
        execution.run,
        claiming,
        MOST_UNSETTLED * limit,
        clock,
    )
    breaker = Breaker(source, execution.run, clock)
    leases.whenLost = source.leasesLost
    settling.whenSettled = source.settled
    conclusions.whenNotBegun = breaker.notBegun
    consumer = ParallelLimitedTaskConsumer(limit)
    return Pipeline(leases, settling, execution, source, breaker, consumer)
