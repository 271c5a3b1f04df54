"""
Claiming pauses while tasks cannot be begun.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError
from myconsumer.pipeline.cadence import MOST_FAILURES
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.source import QueueTaskSource, RunTask
from myconsumer.retrying import QUIET, QUIET_LASTING, Policy, faultPolicy
from myconsumer.task import Task

#: A task on trial that has run for this many seconds could be begun.
TRIAL = 5.0

#: Why claiming pauses then.
REASON = "tasks cannot be begun"


class Breaker:
    """
    A circuit breaker.  Has claiming paused as soon as a task could not be begun; then,
    after a backoff, has a single one claimed and tried.  If that can be begun claiming
    goes on as ever, else the next pause is longer.  To those who observe
    it, a trial is a part of the pause.

    @ivar isTripped: Whether claiming is paused, or goes on with a single task.
    """

    _log = Logger()

    isTripped = False
    _isClosed = False
    _failures = 0
    # What is tried.
    _trial: Task | None = None
    # The end of a pause, or of a trial.
    _timer: IDelayedCall | None = None
    # How many tasks could not be begun, and whether that was logged.
    _notBegun = 0
    _isTold = False
    _toldOf = ""
    _toldAt = 0.0

    def __init__(
        self,
        source: QueueTaskSource,
        run: RunTask,
        observers: Observers,
        clock: IReactorTime,
        policy: Policy = faultPolicy,
    ) -> None:
        """
        @param source: Is paused.
        @param run: Runs a task.
        @param observers: Observe when claiming pauses, and when it goes on.
        @param clock: What keeps the time.
        @param policy: The failures in a row before this one -> the seconds to pause.
        """
        self._source = source
        self._run = run
        self._observers = observers
        self._clock = clock
        self._policy = policy

    def notBegun(self, task: Task, lease: Lease | None, reason: str) -> None:
        """
        A task could not be begun, and has been given back if it has a lease.

        @param reason: Why, in words for the log.
        """
        if lease is None:
            self._source.putBack(task)
        self._notBegun += 1
        # What was begun before the pause says nothing about the time after it.
        if not self._isClosed and (not self.isTripped or task is self._trial):
            self._trip(reason)

    def close(self) -> None:
        """
        Pause nothing any more.
        """
        self._isClosed = True
        self._cancelTimer()

    def _trip(self, reason: str) -> None:
        self._cancelTimer()
        isFirst = not self.isTripped
        self.isTripped = True
        self._trial = None
        self._source.pause(REASON)
        delay = self._policy(self._failures)
        self._failures += 1
        self._tell(reason, delay)
        if self._failures < MOST_FAILURES:
            self._timer = self._clock.callLater(delay, self._tryOne)
        else:
            # Not at once: the task that has failed still counts as one that runs.
            self._timer = self._clock.callLater(0, self._giveUp, reason, delay)
        if isFirst:
            self._observers.paused(REASON)

    def _giveUp(self, reason: str, delay: float) -> None:
        """
        End a run that has nothing else to do; another is not given up.
        """
        failure = Failure(NotBegunError(reason))
        self._timer = None
        if not self._source.giveUp(failure):
            self._timer = self._clock.callLater(delay, self._tryOne)

    def _tryOne(self) -> None:
        self._timer = None
        self._source.trial = self._runOnTrial
        self._source.resume(REASON)

    def _runOnTrial(
        self, task: Task, lease: Lease | None, began: float
    ) -> Deferred[None] | None:
        """
        Run the task that is tried, and no other meanwhile.
        """
        self._source.pause(REASON)
        self._trial = task
        self._timer = self._clock.callLater(TRIAL, self._resume)
        ended = self._run(task, lease, began)
        if ended is None:
            self._begun(task)
            return None
        return ended.addCallback(lambda _: self._begun(task))

    def _begun(self, task: Task) -> None:
        """
        A task on trial has ended; if it could not be begun, that is known already.
        """
        if task is not self._trial or self._isClosed:
            return
        self._trial = None
        self._failures = 0
        if self.isTripped:
            self._resume()

    def _resume(self) -> None:
        """
        Claim as ever.  What is on trial may still turn out not to be begun.
        """
        self._cancelTimer()
        self.isTripped = False
        self._source.trial = None
        self._source.resume(REASON)
        if self._isTold:
            self._isTold = False
            self._log.info(
                "Tasks can be begun again, claiming; {count} could not be",
                count=self._notBegun,
            )
        self._notBegun = 0
        self._observers.resumed(REASON)

    def _cancelTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _tell(self, reason: str, delay: float) -> None:
        """
        Log a failure: once an hour while it lasts, and where it comes and goes once a
        minute.
        """
        now = self._clock.seconds()
        quiet = QUIET_LASTING if self._isTold else QUIET
        if reason == self._toldOf and now - self._toldAt < quiet:
            return
        self._isTold, self._toldOf, self._toldAt = True, reason, now
        self._log.warn(
            "Tasks cannot be begun and are given back, claiming nothing for "
            "{delay:.1f} s, and then one task at a time: {reason}",
            delay=delay,
            reason=reason,
        )
