"""
A source that polls a function for tasks at regular intervals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.consumer import asLogger
from myconsumer.interfaces import ITaskConsumer, ITaskSource

Producer = Callable[[], Any]


@implementer(ITaskSource)
class PollingTaskSource:
    """
    Polls a producer at once when it is started, and then at regular intervals,
    never twice at the same time.
    """

    _log = Logger()

    _consumer: ITaskConsumer | None = None
    # The poll at the next interval, and when that is.
    _timer: IDelayedCall | None = None
    _next = 0.0
    # The next poll is due now.
    _isDue = False
    # A poll is in flight, or its consumer is being called.
    _isPolling = False
    # Somebody on the stack polls for as long as one is due.
    _isLooping = False

    def __init__(
        self,
        interval: float,
        task_producer: Producer,
        clock: IReactorTime | None = None,
        logger: Logger | logging.Logger | None = None,
    ) -> None:
        """
        @param interval: The seconds between two polls.
        @param task_producer: Returns the next task, a nullary callable, or C{None}
            where there is none; or a C{Deferred} of either.
        @param clock: Measures the interval; the reactor by default.
        @param logger: Where to log, of Twisted or of the standard library.

        @raise ValueError: C{interval} is negative, or no number.
        """
        if not interval >= 0:
            raise ValueError(f"interval takes seconds, 0 or more, not {interval!r}")
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        if logger is not None:
            self._log = asLogger(logger)
        self._clock = clock
        self._interval = interval
        self._produce = task_producer
        self._stopping: list[Deferred[bool]] = []

    def start(self, consumer: ITaskConsumer) -> None:
        """
        See L{ITaskSource.start}.  Polls at once, or when the poll in flight has
        ended; the interval begins anew.
        """
        self._consumer = consumer
        self._next = self._clock.seconds() + self._interval
        self._isDue = True
        self._cancelTimer()
        self._poll()

    def stop(self) -> Deferred[bool]:
        """
        See L{ITaskSource.stop}.  The C{Deferred} fires once a poll in flight has
        ended; a task that it brings still goes to the consumer.
        """
        self._consumer = None
        self._cancelTimer()
        if not self._isPolling:
            return succeed(True)
        stopped: Deferred[bool] = Deferred()
        self._stopping.append(stopped)
        return stopped

    def _poll(self) -> None:
        """
        Poll for as long as a poll is due and the last one has ended, then wait
        for the next interval.
        """
        if self._isLooping:
            return
        self._isLooping = True
        while self._isDue and not self._isPolling and self._consumer is not None:
            self._isDue = False
            self._isPolling = True
            self._pollOnce(self._consumer)
        self._isLooping = False
        if self._consumer is not None and not self._isPolling and self._timer is None:
            self._awaitInterval()

    def _pollOnce(self, consumer: ITaskConsumer) -> None:
        """
        Poll the producer, and call C{consumer} with its answer.
        """

        def found(task: Callable[[], Any] | None) -> None:
            if task is None:
                consumer.noTasksFound()
            else:
                consumer.taskStarted(task)

        def failed(reason: Failure) -> None:
            consumer.taskProductionFailed(reason)

        def tellingFailed(failure: Failure) -> None:
            self._log.failure("{consumer} failed", failure, consumer=consumer)

        produced: Deferred[Any] = maybeDeferred(self._produce)
        produced.addCallbacks(found, failed)
        produced.addErrback(tellingFailed)
        produced.addBoth(self._pollEnded)

    def _pollEnded(self, _: object) -> None:
        self._isPolling = False
        stopping, self._stopping = self._stopping, []
        for stopped in stopping:
            stopped.callback(self._consumer is None)
        self._poll()

    def _awaitInterval(self) -> None:
        """
        Poll at the next interval; those that passed during a poll are left out.
        """
        late = self._clock.seconds() - self._next
        if late >= 0:
            missed = late // self._interval if self._interval else 0
            self._next += (missed + 1) * self._interval
        self._timer = self._clock.callLater(
            max(0, self._next - self._clock.seconds()), self._tick
        )

    def _tick(self) -> None:
        self._timer = None
        self._isDue = True
        self._poll()

    def _cancelTimer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
