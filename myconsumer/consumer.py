"""
A consumer of tasks that bounds how many run at once.

Promise 2: never more than C{limit} tasks run at once, unless the source sends more, or
more ran when the limit was lowered.

Promise 3: the source is started again the moment a slot is free.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any, Literal

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import AlreadyRunningError, NotRunningError
from myconsumer.fields import Positive, check
from myconsumer.interfaces import ITaskConsumer, ITaskSlots, ITaskSource


def asLogger(logger: Logger | logging.Logger) -> Logger:
    """
    Make a logger of Twisted's of one of the standard library.

    @param logger: Where events go.

    @return: C{logger} itself if it is Twisted's, else one that passes each event
        on to it, formatted, with the traceback of its failure.
    """
    if not isinstance(logger, logging.Logger):
        return logger

    @implementer(ILogObserver)
    def passOn(event: LogEvent) -> None:
        level = getattr(logging, event["log_level"].name.upper())
        failure = event.get("log_failure")
        logger.log(
            level,
            "%s",
            formatEvent(event),
            exc_info=failure
            and (failure.type, failure.value, failure.getTracebackObject()),
        )

    return Logger(namespace=logger.name, observer=passOn)


@implementer(ITaskConsumer, ITaskSlots)
class ParallelLimitedTaskConsumer:
    """
    Runs the tasks of one source, at most C{limit} at once.

    The source calls the consumer for each task.  The consumer starts the source while
    another task may run, and stops it while none may.  An instance serves one run.

    @ivar running: See L{ITaskSlots.running}.
    @ivar limit: See L{ITaskSlots.limit}.
    @ivar lastFailure: Why looking for tasks has failed, if it has failed the last time:
        asked when the run has ended, it tells whether the source failed or had nothing
        left.
    """

    _log = Logger()

    running = 0
    lastFailure: Failure | None = None
    _source: ITaskSource | None = None
    _isStarting = False
    _isToStartAgain = False
    # Nothing more is asked of the source, once this is set: it is being stopped for
    # good, it has stopped, and then the run is over.
    _end: Literal["draining", "stopped", "over"] | None = None

    def __init__(
        self, worker_limit: int, logger: Logger | logging.Logger | None = None
    ) -> None:
        """
        @param worker_limit: The most tasks to run at once, 1 or more.
        @param logger: Where to log, of Twisted or of the standard library.

        @raise TypeError: C{worker_limit} is no integer.
        @raise ValueError: C{worker_limit} is less than 1.
        """
        check("worker_limit", Positive, worker_limit)
        if logger is not None:
            self._log = asLogger(logger)
        self.limit = worker_limit
        # Bound once: that is a tenth of what a task costs.
        self._onEnd, self._onFailure = self._taskEnded, self._taskFailed
        self._run: Deferred[None] = Deferred()
        self._drained: list[Deferred[None]] = []

    @property
    def freeSlots(self) -> int:
        """
        See L{ITaskSlots.freeSlots}.
        """
        return max(0, self.limit - self.running)

    def setLimit(self, limit: int) -> None:
        """
        Change how many tasks may run at once.  A higher limit has new slots filled at
        once; with a lower one nothing is cancelled, and no further task is asked for
        until fewer run.  Harmless at any time.

        @param limit: The most tasks to run at once, 1 or more.

        @raise TypeError: C{limit} is no integer.
        @raise ValueError: C{limit} is less than 1.
        """
        check("limit", Positive, limit)
        before, self.limit = self.limit, limit
        source = self._source
        if source is None or self._end is not None:
            return
        # else the source is started or stopped already, whatever for
        if before <= self.running < limit:
            self._startSource(source)
        elif limit <= self.running < before:
            self._stopSource(source)

    def consume(self, source: ITaskSource) -> Deferred[None]:
        """
        Start C{source} and run the tasks that it finds.

        @param source: Where the tasks come from.

        @return: Fires with C{None} once the source is exhausted, or keeps failing, and
            no task runs; C{lastFailure} tells which.

        @raise AlreadyRunningError: C{consume} was called before.
        """
        if self._source is not None:
            raise AlreadyRunningError(self, self._source)
        self._source = source
        self._startSource(source)
        return self._run

    def taskStarted(self, task: Callable[[], Any]) -> None:
        """
        See L{ITaskConsumer.taskStarted}.  The task is run at once, even past the
        limit, since the source may not send it again.
        """
        source = self._source
        if source is None:
            raise NotRunningError(self)
        self.running += 1
        self.lastFailure = None
        try:
            result = task()
        except BaseException:
            self._taskFailed(Failure())
        else:
            if result is None:
                self._taskEnded(None)
            elif isinstance(result, Deferred):
                result.addCallbacks(self._onEnd, self._onFailure)
            elif iscoroutine(result):
                deferred: Deferred[Any] = Deferred.fromCoroutine(result)
                deferred.addCallbacks(self._onEnd, self._onFailure)
            elif isinstance(result, Failure):
                self._taskFailed(result)
            else:
                self._taskEnded(None)
        if self._end is not None:
            return
        if self.running >= self.limit:
            self._stopSource(source)
        else:
            self._startSource(source)

    def noTasksFound(self) -> None:
        """
        See L{ITaskConsumer.noTasksFound}.  With nothing running, the run ends.
        """
        if self._source is None:
            raise NotRunningError(self)
        if self._end is not None:
            return
        self.lastFailure = None
        if self.running == 0:
            self._endRun(self._source)

    def taskProductionFailed(self, reason: Failure) -> None:
        """
        See L{ITaskConsumer.taskProductionFailed}.  The source gets another chance
        when a task ends; with nothing running, the run ends.
        """
        if self._source is None:
            raise NotRunningError(self)
        if self._end is not None:
            return
        self.lastFailure = reason
        self._log.warn(
            "Looking for tasks failed with {running} running: {reason}",
            running=self.running,
            reason=getattr(reason, "value", reason),
        )
        if self.running == 0:
            self._endRun(self._source)
        else:
            self._stopSource(self._source)

    def drain(self) -> Deferred[None]:
        """
        Stop the source for good and let the running tasks end.  A task that the
        source still brings is run and waited for.  Harmless before L{consume}.

        @return: Fires with C{None} once the source has stopped and no task runs,
            after the C{Deferred} that L{consume} has returned.
        """
        if self._source is None:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        if self._end is None:
            self._end = "draining"
            self._whenStopped(self._source).addCallback(self._sourceStopped)
        self._endIfIdle()
        return drained

    def _sourceStopped(self, _: bool) -> None:
        if self._end != "over":
            self._end = "stopped"
            self._endIfIdle()

    def _startSource(self, source: ITaskSource) -> None:
        """
        Start the source.  One start that would nest in another is done after it,
        so that tasks which end at once need no stack.
        """
        if self._isStarting:
            self._isToStartAgain = True
            return
        self._isStarting = self._isToStartAgain = True
        try:
            while self._isToStartAgain:
                self._isToStartAgain = False
                source.start(self)
        except Exception:
            failure = Failure()
            self._log.failure("{source} failed to start", failure, source=source)
            self._isStarting = False
            self.taskProductionFailed(failure)
        finally:
            self._isStarting = False

    def _stopSource(self, source: ITaskSource) -> None:
        """
        Stop the source, and forget that it was to be started.
        """
        self._isToStartAgain = False
        try:
            source.stop()
        except Exception:
            self._log.failure("{source} failed to stop", source=source)

    def _whenStopped(self, source: ITaskSource) -> Deferred[bool]:
        """
        As L{_stopSource}.

        @return: Fires with the result of the source's C{stop}.  Where that fails the
            source counts as stopped, lest the run never ends.
        """

        def failed(failure: Failure) -> bool:
            self._log.failure("{source} failed to stop", failure, source=source)
            return True

        self._isToStartAgain = False
        return maybeDeferred(source.stop).addErrback(failed)

    def _endRun(self, source: ITaskSource) -> None:
        """
        Stop the source, and end the run unless it turns out to be restarted.
        """

        def stopped(stillStopped: bool) -> None:
            # A start that waits for another to be done is one, too.
            if stillStopped and self.running == 0 and not self._isToStartAgain:
                self._sourceStopped(True)

        self._whenStopped(source).addCallback(stopped)

    def _endIfIdle(self) -> None:
        """
        If no task runs and the source has stopped, fire the C{Deferred}s that wait for
        the end.
        """
        if self.running or self._end not in ("stopped", "over"):
            return
        if self._end == "stopped":
            self._end = "over"
            self._run.callback(None)
        waiting, self._drained = self._drained, []
        for drained in waiting:
            drained.callback(None)

    def _taskEnded(self, _: object) -> None:
        self.running -= 1
        if self._end is not None:
            self._endIfIdle()
        elif self.running < self.limit and self._source is not None:
            self._startSource(self._source)

    def _taskFailed(self, failure: Failure) -> None:
        try:
            self._log.failure("A task failed", failure)
        finally:
            self._taskEnded(None)
