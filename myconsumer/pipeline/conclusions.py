"""
The settlement of a task that has ended.

Promise 1: at least once.  A task is completed only after its handler ended well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from twisted.application.internet import backoffPolicy
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError, delayOf
from myconsumer.jsontext import encodedResult, unfinished
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.terms import Terms
from myconsumer.retrying import Policy
from myconsumer.task import COMPLETE, Cause, Ending, Settlement, Task
from myconsumer.text import describe, textOf

#: How long a failed task waits for its next delivery: 1 s and doubling, up to
#: 10 minutes.
retryPolicy: Policy = backoffPolicy(1.0, 599.0, 2.0)

Settle = Callable[[Lease, Settlement], None]
NotBegun = Callable[[Task, Lease | None, str], None]


#: The ending of a task that was cancelled since the service stops.
STOPPED = Ending("uncounted", "cancelled: the service stops", cause="stop")

#: The ending of a task that was cancelled for that, and does not end.
STUCK = Ending("uncounted", "does not end although it was cancelled", cause="stuck")

#: The ending of a task that was cancelled since its lease was lost.
LOST = Ending("lost", "cancelled: its lease was lost", cause="lost")

#: The ending of a task that was done, but whose lease had been lost.
DONE_TOO_LATE = Ending("lost", cause="lost")


class Conclusions:
    """
    Settles tasks that have ended, as the results of their handlers say, or the
    exceptions.

    @ivar whenNotBegun: Called with a task that could not be begun, its lease if it has
        one, and why.  If it has one the task has been given back, else not.
    """

    def __init__(
        self, settle: Settle, terms: Terms, retryDelay: Policy = retryPolicy
    ) -> None:
        """
        @param settle: Called with each leased task's settlement, once.
        @param terms: In which attempt a task that fails has failed for good.
        @param retryDelay: The failures before this one -> the seconds that a
            failed task waits for its next delivery.
        """
        self._settle = settle
        self._terms = terms
        self._retryDelay = retryDelay
        self.whenNotBegun: NotBegun = lambda task, lease, reason: None

    def complete(self, task: Task, lease: Lease | None, result: Any) -> Ending:
        """
        Settle a task whose handler ended well, to judge by what it handed back.
        """
        if result is None:
            if lease is not None:
                self._settle(lease, Settlement(lease.receipt, "complete"))
            return COMPLETE
        try:
            told = encodedResult(result)
        except ValueError as error:
            return self._completeWithout(task, lease, result, error)
        if lease is not None:
            settlement = Settlement(lease.receipt, "complete", result=told)
            self._settle(lease, settlement)
        return COMPLETE

    def raised(self, task: Task, lease: Lease | None, failure: Failure) -> Ending:
        """
        Settle a task whose handler has raised, even where the exception, which is the
        handler's code, cannot be read.
        """
        try:
            return self._failed(task, lease, failure)
        except Exception as error:
            why = f"what it raised cannot be told: {textOf(error)}"
            ending = Ending("release", why, Failure(), None, "failure")
            return self.retry(task, lease, ending)

    def timedOut(self, task: Task, lease: Lease | None, limit: float) -> Ending:
        """
        Settle a task that was cancelled for its time limit, of C{limit} seconds.
        """
        why = f"timed out after {limit:g} s"
        return self.retry(task, lease, Ending("release", why, cause="timeout"))

    def retry(self, task: Task, lease: Lease | None, ending: Ending) -> Ending:
        """
        Settle a task that was not done: again later, unless this was the last time.

        @param ending: How it ends if it is not the last time.
        """
        if 0 < self._terms.maxAttempts <= task.attempt:
            return self._fail(lease, replace(ending, outcome="fail", delay=None))
        return self._release(task, lease, ending)

    def giveBack(self, lease: Lease | None, ending: Ending) -> Ending:
        """
        Release a task that was cut short, as if it had not been delivered.

        @param ending: How it ends, if it can be given back.
        """
        if lease is None:
            return replace(ending, outcome="dropped")
        self._settle(lease, Settlement(lease.receipt, "release", counted=False))
        return ending

    def refuse(self, task: Task, lease: Lease | None) -> Ending:
        """
        Settle a task that was delivered too often without running it.
        """
        why = (
            f"not run: this is attempt {task.attempt}, and --max-attempts is "
            f"{self._terms.maxAttempts}"
        )
        return self._fail(lease, Ending("fail", why, cause="attempts"))

    def _completeWithout(
        self, task: Task, lease: Lease | None, result: Any, error: ValueError
    ) -> Ending:
        """
        Settle a task whose handler has returned what cannot be encoded: it may not
        have ended well.

        @param error: Why C{result} cannot be encoded.
        """
        try:
            isFailure, what = isinstance(result, Failure), unfinished(result)
        except Exception:
            # a closed mapping, a proxy: not even that can be found out
            isFailure, what = False, None
        if isFailure:
            return self.raised(task, lease, result)
        if what is not None:
            reason = Failure(TaskFailedError(f"it returned {what}"))
            return self.raised(task, lease, reason)
        self.complete(task, lease, None)
        return Ending("complete", textOf(error))

    def _failed(self, task: Task, lease: Lease | None, failure: Failure) -> Ending:
        """
        Settle a task as its handler's exception says.
        """
        error = failure.value
        if isinstance(error, Release):
            asked = Ending("release", textOf(error), delay=delayOf(error))
            return self._release(task, lease, asked)
        if isinstance(error, Reject):
            return self._fail(lease, Ending("fail", textOf(error)))
        if isinstance(error, NotBegunError):
            return self._notBegun(task, lease, textOf(error))
        cause: Cause = "failure"
        if isinstance(error, TaskFailedError):
            ending = Ending("release", textOf(error), None, delayOf(error), cause)
        else:
            ending = Ending("release", describe(failure), failure, None, cause)
        return self.retry(task, lease, ending)

    def _notBegun(self, task: Task, lease: Lease | None, error: str) -> Ending:
        """
        Give back a task that could not be begun; without a lease it waits on.
        """
        ending = Ending("uncounted", error, cause="notBegun")
        if lease is not None:
            self.giveBack(lease, ending)
        self.whenNotBegun(task, lease, error)
        return ending

    def _fail(self, lease: Lease | None, ending: Ending) -> Ending:
        if lease is not None:
            error = ending.error or ""
            self._settle(lease, Settlement(lease.receipt, "fail", error=error))
        return ending

    def _release(self, task: Task, lease: Lease | None, ending: Ending) -> Ending:
        if lease is None:
            return replace(ending, outcome="dropped", delay=None)
        delay, error = ending.delay, ending.error or ""
        if delay is None:
            delay = self._retryDelay(task.attempt - 1)
        self._settle(
            lease,
            Settlement(
                lease.receipt, "release", delay=delay, error=error, counted=True
            ),
        )
        return replace(ending, delay=delay)
