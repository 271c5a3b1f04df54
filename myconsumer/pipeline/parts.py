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
from myconsumer.pipeline.terms import Terms


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
    terms: Terms

    def termsChanged(self) -> None:
        """
        Called after the terms have changed.
        """
        self.consumer.setLimit(self.terms.limit)
        self.source.termsChanged()


def makePipeline(
    queue: ITaskQueue,
    handler: ITaskHandler,
    terms: Terms,
    clock: IReactorTime,
) -> Pipeline:
    """
    Make the parts, and connect each to those that it calls.

    @param queue: Where the tasks come from.
    @param handler: What is done with each.
    @param terms: How tasks are claimed and run; they may change.
    @param clock: What keeps the time.
    """
    leases = Leases(queue, clock)
    settling = Settling(queue, leases, clock)
    arrivals = Arrivals(leases, settling, clock)
    conclusions = Conclusions(settling.add, terms)
    execution = Execution(handler, conclusions, leases, clock, terms)
    source = QueueTaskSource(
        queue,
        arrivals,
        settling,
        execution.run,
        terms,
        clock,
    )
    breaker = Breaker(source, execution.run, clock)
    leases.whenLost = source.leasesLost
    settling.whenSettled = source.settled
    conclusions.whenNotBegun = breaker.notBegun
    consumer = ParallelLimitedTaskConsumer(terms.limit)
    return Pipeline(leases, settling, execution, source, breaker, consumer, terms)
