"""
The settlement of a task that has ended.

Promise 1: at least once.  A task is completed only after its handler ended well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError, delayOf
from myconsumer.jsontext import encodedResult, unfinished
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.terms import Terms
from myconsumer.retrying import Policy
from myconsumer.task import Settlement, Task
from myconsumer.text import describe, shownID, textOf

#: How long a failed task waits for its next delivery: 1 s and doubling, up to
#: 10 minutes.
retryPolicy: Policy = backoffPolicy(1.0, 599.0, 2.0)

Settle = Callable[[Lease, Settlement], None]
NotBegun = Callable[[Task, Lease | None, str], None]


class Conclusions:
    """
    Settles tasks that have ended, as the results of their handlers say, or the
    exceptions.

    @ivar whenNotBegun: Called with a task that could not be begun, its lease if it has
        one, and why.  If it has one the task has been given back, else not.
    """

    _log = Logger()

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

    def complete(self, task: Task, lease: Lease | None, result: Any) -> None:
        """
        Settle a task whose handler ended well, to judge by what it handed back.
        """
        if result is None:
            if lease is not None:
                self._settle(lease, Settlement(lease.receipt, "complete"))
            return
        try:
            told = encodedResult(result)
        except ValueError as error:
            self._completeWithout(task, lease, result, error)
        else:
            if lease is not None:
                settlement = Settlement(lease.receipt, "complete", result=told)
                self._settle(lease, settlement)

    def raised(self, task: Task, lease: Lease | None, failure: Failure) -> None:
        """
        Settle a task whose handler has raised, even where the exception, which is the
        handler's code, cannot be read.
        """
        try:
            self._failed(task, lease, failure)
        except Exception as error:
            self._log.failure(
                "What task {id} raised cannot be told", id=shownID(task.id)
            )
            self.retry(task, lease, f"what it raised cannot be told: {textOf(error)}")

    def retry(
        self,
        task: Task,
        lease: Lease | None,
        error: str,
        delay: float | None = None,
    ) -> None:
        """
        Settle a task that was not done: again later, unless this was the last time.
        """
        if 0 < self._terms.maxAttempts <= task.attempt:
            self._fail(task, lease, error)
        else:
            self._release(task, lease, error, delay)

    def giveBack(self, lease: Lease | None) -> None:
        """
        Release a task that was cut short, as if it had not been delivered.
        """
        if lease is not None:
            self._settle(lease, Settlement(lease.receipt, "release", counted=False))

    def refuse(self, task: Task, lease: Lease | None) -> None:
        """
        Settle a task that was delivered too often without running it.
        """
        self._fail(
            task,
            lease,
            f"not run: this is attempt {task.attempt}, and --max-attempts is "
            f"{self._terms.maxAttempts}",
        )

    def _completeWithout(
        self, task: Task, lease: Lease | None, result: Any, error: ValueError
    ) -> None:
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
            self.raised(task, lease, result)
        elif what is not None:
            reason = Failure(TaskFailedError(f"it returned {what}"))
            self.raised(task, lease, reason)
        else:
            self._log.error(
                "Task {id} is completed without its result: {error}",
                id=shownID(task.id),
                error=textOf(error),
            )
            self.complete(task, lease, None)

    def _failed(self, task: Task, lease: Lease | None, failure: Failure) -> None:
        """
        Settle a task as its handler's exception says.
        """
        error = failure.value
        if isinstance(error, Release):
            self._release(task, lease, textOf(error), delayOf(error))
        elif isinstance(error, Reject):
            self._fail(task, lease, textOf(error))
        elif isinstance(error, NotBegunError):
            self.giveBack(lease)
            self.whenNotBegun(task, lease, textOf(error))
        elif isinstance(error, TaskFailedError):
            reason = textOf(error)
            self._log.warn(
                "Task {id} failed in attempt {attempt}: {reason}",
                id=shownID(task.id),
                attempt=task.attempt,
                reason=reason.partition("\n")[0],
            )
            self.retry(task, lease, reason, delayOf(error))
        else:
            self._log.failure(
                "Task {id} failed in attempt {attempt}",
                failure,
                LogLevel.error,
                id=shownID(task.id),
                attempt=task.attempt,
            )
            self.retry(task, lease, describe(failure))

    def _fail(self, task: Task, lease: Lease | None, error: str) -> None:
        self._log.error(
            "Task {id} has failed for good in attempt {attempt}: {error}",
            id=shownID(task.id),
            attempt=task.attempt,
            error=error.partition("\n")[0],
        )
        if lease is not None:
            self._settle(lease, Settlement(lease.receipt, "fail", error=error))

    def _release(
        self,
        task: Task,
        lease: Lease | None,
        error: str,
        delay: float | None = None,
    ) -> None:
        if delay is None:
            delay = self._retryDelay(task.attempt - 1)
        if lease is None:
            self._log.error(
                "Task {id} was not done, and is lost: it came without a receipt",
                id=shownID(task.id),
            )
            return
        self._settle(
            lease,
            Settlement(
                lease.receipt, "release", delay=delay, error=error, counted=True
            ),
        )
