"""
What has happened, summed up in a line of the log every few minutes and at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from msgspec.structs import asdict
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from myconsumer.pipeline.observers import Observer
from myconsumer.status.state import Status, ended
from myconsumer.status.totals import Counts, Totals
from myconsumer.status.words import duration

#: The seconds between two lines, while anything happens.
INTERVAL = 300.0

#: The seconds between two lines while nothing happens, but tasks run, or something
#: keeps the consumer from claiming.
INTERVAL_LASTING = 3600.0


class Summary(Observer):
    """
    Logs how many tasks have ended, run and wait: every five minutes while tasks come or
    end; hourly while some only run on, or claims fail, or pause; and at the end, of the
    whole time.  A consumer that has nothing to do logs nothing.
    """

    _log = Logger()

    _timer: IDelayedCall | None = None
    # When the consumer has started, and the last line was logged, or would have been.
    _startedAt = 0.0
    _saidAt = 0.0

    def __init__(
        self, totals: Totals, state: Callable[[], Status], clock: IReactorTime
    ) -> None:
        """
        @param totals: Counts what happens.
        @param state: Returns what the consumer is at.
        @param clock: What keeps the time.
        """
        self._totals = totals
        self._state = state
        self._clock = clock
        self._atStart = self._said = self._logged = totals.counts()
        self._loggedAt = -inf

    def started(self) -> None:
        """
        See L{IConsumerObserver.started
        <myconsumer.interfaces.IConsumerObserver.started>}.
        """
        self._cancel()
        self._startedAt = self._saidAt = self._loggedAt = self._clock.seconds()
        self._atStart = self._said = self._logged = self._totals.counts()
        self._timer = self._clock.callLater(INTERVAL, self._due)

    def stopped(self) -> None:
        """
        See L{IConsumerObserver.stopped
        <myconsumer.interfaces.IConsumerObserver.stopped>}.
        """
        self._cancel()
        seconds = self._clock.seconds() - self._startedAt
        self._say(self._totals.counts().since(self._atStart), seconds)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        """
        Log a line, if there is anything to say.
        """
        now, counts = self._clock.seconds(), self._totals.counts()
        quiet = now - self._loggedAt
        self._timer = self._clock.callLater(INTERVAL, self._due)
        some, state = counts.since(self._said), self._state()
        isLasting = bool(state.running or state.trouble())
        if some.ended or some.claimed:
            self._say(some, now - self._saidAt, state)
        elif isLasting and quiet >= INTERVAL_LASTING:
            self._say(counts.since(self._logged), quiet, state)
        self._said, self._saidAt = counts, now

    def _say(self, counts: Counts, seconds: float, state: Status | None = None) -> None:
        state = state or self._state()
        self._logged, self._loggedAt = self._totals.counts(), self._clock.seconds()
        trouble = state.trouble()
        self._log.info(
            "In {period}: {ended}; {load}",
            period=duration(seconds),
            ended=ended(counts),
            load=f"{state.load()}; {trouble}" if trouble else state.load(),
            seconds=round(seconds, 3),
            running=state.running,
            oldest=state.oldest,
            waiting=state.waiting,
            **asdict(counts),
        )
