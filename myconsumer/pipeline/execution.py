"""
The run of one task: the handler, its time limit, and its end.
"""

from __future__ import annotations

from time import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError
from myconsumer.interfaces import ITaskHandler
from myconsumer.pipeline.conclusions import Conclusions
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.run import Run, RunningTask
from myconsumer.pipeline.terms import Terms
from myconsumer.task import Task
from myconsumer.text import shownID


class Execution:
    """
    Runs tasks with one handler.

    @ivar running: Those that have not ended yet.
    """

    _log = Logger()

    def __init__(
        self,
        handler: ITaskHandler,
        conclusions: Conclusions,
        leases: Leases,
        clock: IReactorTime,
        terms: Terms,
    ) -> None:
        """
        @param handler: Does the work.
        @param conclusions: Settles each task that has ended.
        @param leases: Extends the lease of a task that asks for it.
        @param clock: What keeps the time.
        @param terms: For how long a task may run, and how often.
        """
        self._handler = handler
        self._conclusions = conclusions
        self._leases = leases
        self._clock = clock
        self._terms = terms
        self.running: set[Run] = set()
        # Bound once, for speed.
        self._onSuccess, self._onFailure = self._runSucceeded, self._runFailed
        self._complete = conclusions.complete

    def run(self, task: Task, lease: Lease | None) -> Deferred[None] | None:
        """
        Run one task.

        @param task: The task.
        @param lease: The lease on it; C{None}: it is not to be settled.

        @return: Fires when the task has ended; C{None} if it has already.
        """
        if 0 < self._terms.maxAttempts < task.attempt:
            self._conclusions.refuse(task, lease)
            return None
        timeout = self._terms.timeout
        deadline = time() + timeout if timeout else None
        run = Run(task, lease, self._leases, deadline)
        try:
            result = self._handler.handle(RunningTask.of(run))
            # This is not cheap, and may run code of the result's.
            ending = None
            if result is not None and isinstance(result, Deferred):
                ending = result
        except BaseException:
            self._conclusions.raised(task, lease, Failure())
            return None
        if ending is not None:
            self.running.add(run)
            run.follow(ending, self._clock, timeout)
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
            run.isAbandoned = True
            if run.cancelled == "lost":
                continue
            self._log.warn(
                "Task {id} does not end although it was cancelled; it is given back",
                id=shownID(run.task.id),
            )
            self._conclusions.giveBack(run.lease)
        self.running.clear()

    def _runSucceeded(self, result: Any, run: Run) -> None:
        run.ended()
        if run.isAbandoned:
            return
        self.running.discard(run)
        if run.cancelled == "lost":
            self._log.info("Task {id} ended after its lease", id=shownID(run.task.id))
        else:
            self._complete(run.task, run.lease, result)

    def _runFailed(self, failure: Failure, run: Run) -> None:
        run.ended()
        if run.isAbandoned:
            return
        self.running.discard(run)
        if run.cancelled == "lost":
            self._log.info("Task {id} was cancelled", id=shownID(run.task.id))
        elif run.cancelled == "stop":
            self._conclusions.giveBack(run.lease)
        elif run.cancelled == "timeout" and not failure.check(NotBegunError):
            error = f"timed out after {run.timeout:g} s"
            self._log.warn("Task {id} {error}", id=shownID(run.task.id), error=error)
            self._conclusions.retry(run.task, run.lease, error)
        else:
            self._conclusions.raised(run.task, run.lease, failure)
