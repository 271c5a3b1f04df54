"""
The run of one task: the handler, its time limit, and its end.
"""

from __future__ import annotations

from time import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError
from myconsumer.interfaces import ITaskHandler
from myconsumer.pipeline.conclusions import (
    DONE_TOO_LATE,
    LOST,
    STOPPED,
    STUCK,
    Conclusions,
)
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.run import Run, RunningTask
from myconsumer.pipeline.terms import Terms
from myconsumer.task import Ending, Task


class Execution:
    """
    Runs tasks with one handler.

    @ivar running: Those that have not ended yet.
    """

    def __init__(
        self,
        handler: ITaskHandler,
        conclusions: Conclusions,
        leases: Leases,
        observers: Observers,
        clock: IReactorTime,
        terms: Terms,
    ) -> None:
        """
        @param handler: Does the work.
        @param conclusions: Settles each task that has ended.
        @param leases: Extends the lease of a task that asks for it.
        @param observers: Observe when tasks start, and how they end.
        @param clock: What keeps the time.
        @param terms: For how long a task may run, and how often.
        """
        self._handler = handler
        self._conclusions = conclusions
        self._leases = leases
        self._clock = clock
        self._terms = terms
        self.running: set[Run] = set()
        # Bound once, for speed; what nobody observes is not even called.
        self._onSuccess, self._onFailure = self._runSucceeded, self._runFailed
        self._complete = conclusions.complete
        self._seconds = clock.seconds
        isObserved = observers.isObserved
        self._started = observers.taskStarted if isObserved("taskStarted") else None
        self._ended = observers.taskEnded if isObserved("taskEnded") else None

    def run(
        self, task: Task, lease: Lease | None, began: float
    ) -> Deferred[None] | None:
        """
        Run one task.

        @param task: The task.
        @param lease: The lease on it; C{None}: it is not to be settled.
        @param began: The time by our clock, which is not read again for that.

        @return: Fires when the task has ended; C{None} if it has already.
        """
        terms = self._terms
        if 0 < terms.maxAttempts < task.attempt:
            refused = self._conclusions.refuse(task, lease)
            if self._ended is not None:
                self._ended(task, refused, 0.0)
            return None
        timeout = terms.timeout
        deadline = time() + timeout if timeout else None
        run = Run(task, lease, self._leases, deadline, began)
        if self._started is not None:
            self._started(task)
        try:
            # one by one, since astuple would take half as long again
            running = RunningTask(
                task.id,
                task.payload,
                task.attempt,
                task.receipt,
                task.lease,
                task.enqueued,
                run=run,
            )
            result = self._handler.handle(running)
            # This is not cheap, and may run code of the result's.
            handling = None
            if result is not None and isinstance(result, Deferred):
                handling = result
        except BaseException:
            self._announce(run, self._conclusions.raised(task, lease, Failure()))
            return None
        if handling is not None:
            self.running.add(run)
            run.follow(handling, self._clock, timeout)
            return handling.addCallbacks(
                self._onSuccess, self._onFailure, (run,), {}, (run,), {}
            )
        ending = self._complete(task, lease, result)
        if self._ended is not None:
            self._ended(task, ending, self._seconds() - began)
        return None

    def stop(self) -> None:
        """
        Cancel whatever runs.
        """
        for run in list(self.running):
            run.stop()

    def abandon(self) -> None:
        """
        Give back whatever still runs without waiting for its end, which nobody observes
        then.
        """
        abandoned, self.running = self.running, set()
        for run in abandoned:
            run.isAbandoned = True
        for run in abandoned:
            if run.cancelled == "lost":
                self._announce(run, LOST)
            else:
                self._announce(run, self._conclusions.giveBack(run.lease, STUCK))

    def _runSucceeded(self, result: Any, run: Run) -> None:
        run.ended()
        if run.isAbandoned:
            return
        self.running.discard(run)
        if run.cancelled == "lost":
            ending = DONE_TOO_LATE
        else:
            ending = self._complete(run.task, run.lease, result)
        if self._ended is not None:
            self._ended(run.task, ending, self._seconds() - run.began)

    def _runFailed(self, failure: Failure, run: Run) -> None:
        run.ended()
        if run.isAbandoned:
            return
        self.running.discard(run)
        self._announce(run, self._concludeFailure(failure, run))

    def _concludeFailure(self, failure: Failure, run: Run) -> Ending:
        if run.cancelled == "lost":
            return LOST
        if run.cancelled == "stop":
            return self._conclusions.giveBack(run.lease, STOPPED)
        if run.cancelled == "timeout" and not failure.check(NotBegunError):
            return self._conclusions.timedOut(run.task, run.lease, run.timeout)
        return self._conclusions.raised(run.task, run.lease, failure)

    def _announce(self, run: Run, ending: Ending) -> None:
        """
        A task has ended.
        """
        if self._ended is not None:
            self._ended(run.task, ending, self._seconds() - run.began)
