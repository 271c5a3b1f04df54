"""
The run of one task: the handler, its time limit, and what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError
from myconsumer.handlers.outcomes import delayOf, describe, encoded, textOf, unfinished
from myconsumer.interfaces import ITaskHandler
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.run import Run, RunningTask
from myconsumer.retrying import Policy
from myconsumer.task import Settlement, Task

#: How long a failed task waits for its next delivery: 1 s and doubling, up to
#: 10 minutes.
retryPolicy: Policy = backoffPolicy(1.0, 599.0, 2.0)

Settle = Callable[[Lease, Settlement], None]
NotBegun = Callable[[Task, Lease | None, str], None]


class Execution:
    """
    Runs tasks with one handler, and says how each ended.

    @ivar running: Those that have not ended yet.
    @ivar whenNotBegun: Called with a task that could not be begun, its lease if it has
        one, and why.  If it has one the task has been given back, else not.
    """

    _log = Logger()

    def __init__(
        self,
        handler: ITaskHandler,
        settle: Settle,
        leases: Leases,
        clock: IReactorTime,
        timeout: float = 0.0,
        maxAttempts: int = 0,
        retryDelay: Policy = retryPolicy,
    ) -> None:
        """
        @param handler: Does the work.
        @param settle: Is told how each leased task ended, once.
        @param leases: Extends the lease of a task that asks for it.
        @param clock: What keeps the time.
        @param timeout: The seconds that a task may run for; 0 for no limit.
        @param maxAttempts: A task that fails in this attempt has failed for good;
            0 leaves it to the endpoint.
        @param retryDelay: The failures before this one -> the seconds that a
            failed task waits for its next delivery.
        """
        self._handler = handler
        self._settle = settle
        self._leases = leases
        self._clock = clock
        self._timeout = timeout
        self._maxAttempts = maxAttempts
        self._retryDelay = retryDelay
        self.running: set[Run] = set()
        self.whenNotBegun: NotBegun = lambda task, lease, reason: None
        # Bound once, for speed.
        self._onSuccess, self._onFailure = self._runSucceeded, self._runFailed

    def run(self, task: Task, lease: Lease | None) -> Deferred[None] | None:
        """
        Run one task.

        @param task: The task.
        @param lease: The lease on it; C{None}: nobody wants to hear of its end.

        @return: Fires when the task has ended; C{None} if it has already.
        """
        if 0 < self._maxAttempts < task.attempt:
            self._refuse(task, lease)
            return None
        deadline = time() + self._timeout if self._timeout else None
        run = Run(task, lease, self._leases, deadline)
        try:
            result = self._handler.handle(RunningTask.of(run))
            # This is not cheap, and may run code of the result's.
            ending = None
            if result is not None and isinstance(result, Deferred):
                ending = result
        except BaseException:
            self._raised(task, lease, Failure())
            return None
        if ending is not None:
            self.running.add(run)
            run.follow(ending, self._clock, self._timeout)
            return ending.addCallbacks(
                self._onSuccess, self._onFailure, (run,), {}, (run,), {}
            )
        self._complete(task, lease, result)
        return None

    def stop(self) -> None:
        """
        Cancel whatever runs.
        """
        for run in list(self.running):
            run.stop()

    def abandon(self) -> None:
        """
        Give back whatever still runs without waiting for its end.
        """
        for run in self.running:
            run.abandoned = True
            if run.cancelled == "lost":
                continue
            self._log.warn(
                "Task {id} does not end although it was cancelled; it is given back",
                id=run.task.id,
            )
            self._giveBack(run.lease)
        self.running.clear()

    def _runSucceeded(self, result: Any, run: Run) -> None:
        run.ended()
        if run.abandoned:
            return
        self.running.discard(run)
        if run.cancelled == "lost":
            self._log.info("Task {id} ended after its lease", id=run.task.id)
        else:
            self._complete(run.task, run.lease, result)

    def _runFailed(self, failure: Failure, run: Run) -> None:
        run.ended()
        if run.abandoned:
            return
        self.running.discard(run)
        if run.cancelled == "lost":
            self._log.info("Task {id} was cancelled", id=run.task.id)
        elif run.cancelled == "stop":
            self._giveBack(run.lease)
        elif run.cancelled == "timeout" and not failure.check(NotBegunError):
            error = f"timed out after {self._timeout:g} s"
            self._log.warn("Task {id} {error}", id=run.task.id, error=error)
            self._retry(run.task, run.lease, error)
        else:
            self._raised(run.task, run.lease, failure)

    def _complete(self, task: Task, lease: Lease | None, result: Any) -> None:
        """
        Settle a task whose handler ended well, to judge by what it handed back.
        """
        if result is None:
            if lease is not None:
                self._settle(lease, Settlement(lease.receipt, "complete"))
            return
        try:
            told = encoded(result)
        except ValueError as error:
            self._completeWithout(task, lease, result, error)
        else:
            if lease is not None:
                settlement = Settlement(lease.receipt, "complete", result=told)
                self._settle(lease, settlement)

    def _completeWithout(
        self, task: Task, lease: Lease | None, result: Any, error: ValueError
    ) -> None:
        """
        Settle a task whose handler handed back what cannot be told: it may not have
        ended well.

        @param error: Why that cannot be told.
        """
        try:
            isFailure, what = isinstance(result, Failure), unfinished(result)
        except Exception:
            # a closed mapping, a proxy: not even that can be found out
            isFailure, what = False, None
        if isFailure:
            self._raised(task, lease, result)
        elif what is not None:
            reason = Failure(TaskFailedError(f"it returned {what}"))
            self._raised(task, lease, reason)
        else:
            self._log.error(
                "Task {id} is completed without its result: {error}",
                id=task.id,
                error=textOf(error),
            )
            self._complete(task, lease, None)

    def _giveBack(self, lease: Lease | None) -> None:
        """
        Release a task that was cut short, as if it had not been delivered.
        """
        if lease is not None:
            self._settle(lease, Settlement(lease.receipt, "release", counted=False))

    def _raised(self, task: Task, lease: Lease | None, failure: Failure) -> None:
        """
        Settle a task whose handler raised something, even where what that means
        cannot be told: it is code of the handler's, too.
        """
        try:
            self._failed(task, lease, failure)
        except Exception as error:
            self._log.failure("What task {id} raised cannot be told", id=task.id)
            self._retry(task, lease, f"what it raised cannot be told: {textOf(error)}")

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
            self._giveBack(lease)
            self.whenNotBegun(task, lease, textOf(error))
        elif isinstance(error, TaskFailedError):
            reason = textOf(error)
            self._log.warn(
                "Task {id} failed in attempt {attempt}: {reason}",
                id=task.id,
                attempt=task.attempt,
                reason=reason.partition("\n")[0],
            )
            self._retry(task, lease, reason, delayOf(error))
        else:
            self._log.failure(
                "Task {id} failed in attempt {attempt}",
                failure,
                LogLevel.error,
                id=task.id,
                attempt=task.attempt,
            )
            self._retry(task, lease, describe(failure))

    def _retry(
        self,
        task: Task,
        lease: Lease | None,
        error: str,
        delay: float | None = None,
    ) -> None:
        """
        Settle a task that was not done: again later, unless this was the last time.
        """
        if 0 < self._maxAttempts <= task.attempt:
            self._fail(task, lease, error)
        else:
            self._release(task, lease, error, delay)

    def _refuse(self, task: Task, lease: Lease | None) -> None:
        """
        Settle a task that was delivered too often without running it.
        """
        self._fail(
            task,
            lease,
            f"not run: this is attempt {task.attempt}, and --max-attempts is "
            f"{self._maxAttempts}",
        )

    def _fail(self, task: Task, lease: Lease | None, error: str) -> None:
        self._log.error(
            "Task {id} has failed for good in attempt {attempt}: {error}",
            id=task.id,
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
                id=task.id,
            )
            return
        self._settle(
            lease,
            Settlement(
                lease.receipt, "release", delay=delay, error=error, counted=True
            ),
        )
