"""
What is counted of a consumer for metrics: plain numbers, since each task pays for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, get_args

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from myconsumer.errors import FaultError, RefusalError
from myconsumer.fields import YEAR
from myconsumer.pipeline.observers import Observer
from myconsumer.status.histogram import Histogram
from myconsumer.task import Ending, Request, RequestKind, Task

#: What has become of a request: it was answered as it should be; with no task, or with
#: none of the settlements taken; it may succeed later; something has to be changed
#: first; it was wanted no longer; or the queue has a bug.
Result = Literal["answered", "empty", "fault", "refused", "cancelled", "bug"]

#: The bounds of buckets: seconds that tasks run, that they are queued, that requests
#: take, and how many tasks there are in a batch.
RUN_SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    *(30, 60, 300, 900, 3_600),
)
QUEUED_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400)
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)

_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)


class Metrics(Observer):
    """
    Counts what happens, beside what L{Totals <myconsumer.status.totals.Totals>} does.

    @ivar run: The seconds that tasks have run.
    @ivar queued: The seconds from when tasks were queued to when they were started, of
        those that have ended and for which the endpoint says when they were queued.
    @ivar requests: How many requests have ended, by kind and result.
    @ivar took: The seconds that requests took, by kind, but for those that were
        cancelled.
    @ivar batches: How many tasks claims have brought, and how many settlements and
        extensions were sent at once, by kind.
    @ivar retried: How many settlements were in requests that have failed.
    """

    retried = 0

    def __init__(self, wallClock: Callable[[], float] = time.time) -> None:
        """
        @param wallClock: Returns the seconds since 1970.
        """
        self._wallClock = wallClock
        self.run = Histogram(RUN_SECONDS)
        self.queued = Histogram(QUEUED_SECONDS)
        results: tuple[Result, ...] = get_args(Result)
        self.requests = {(kind, result): 0 for kind in _KINDS for result in results}
        self.took = {kind: Histogram(REQUEST_SECONDS) for kind in _KINDS}
        batched: tuple[RequestKind, ...] = ("claim", "settle", "extend")
        self.batches = {kind: Histogram(BATCH_SIZES) for kind in batched}

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded
        <myconsumer.interfaces.IConsumerObserver.taskEnded>}.  All that is counted of a
        task is counted here: a start that nobody observes costs nothing.
        """
        # what was delivered too often was not run
        if ending.cause == "attempts":
            return
        self.run.observe(seconds)
        if task.enqueued is not None:
            queued = self._wallClock() - seconds - task.enqueued
            # the clocks of two machines differ, and who says a year says nonsense
            if queued < YEAR:
                self.queued.observe(queued if queued > 0.0 else 0.0)

    def requestAnswered(self, request: Request, seconds: float, count: int) -> None:
        """
        See L{IConsumerObserver.requestAnswered
        <myconsumer.interfaces.IConsumerObserver.requestAnswered>}.
        """
        kind = request.kind
        self.requests[kind, "answered" if count else "empty"] += 1
        self.took[kind].observe(seconds)
        if kind == "claim":
            if count:
                self.batches[kind].observe(count)
        elif kind in self.batches:
            self.batches[kind].observe(request.count)

    def requestFailed(self, request: Request, seconds: float, reason: Failure) -> None:
        """
        See L{IConsumerObserver.requestFailed
        <myconsumer.interfaces.IConsumerObserver.requestFailed>}.
        """
        result = _resultOf(reason)
        self.requests[request.kind, result] += 1
        if result == "cancelled":
            return
        self.took[request.kind].observe(seconds)
        if request.kind == "settle":
            self.retried += request.count


def _resultOf(reason: Failure) -> Result:
    if isinstance(reason.value, CancelledError):
        return "cancelled"
    if isinstance(reason.value, RefusalError):
        return "refused"
    return "fault" if isinstance(reason.value, FaultError) else "bug"
