"""
The heartbeat of leases that are alike: when they are extended.
"""

from __future__ import annotations

from math import inf

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.pipeline.batching import BatchSize
from myconsumer.pipeline.extension import Beats, Extension
from myconsumer.pipeline.lease import Lease
from myconsumer.retrying import LONGEST


class Heartbeat:
    """
    Extends all leases of one pace, at a third of the shortest.

    There are two for each pace.  One extends what requests do not fail with.  Side
    by side with it the other one extends the rest, in parts, which it divides until
    what cannot be extended is alone.

    @ivar pace: That of its leases; see L{paceOf <myconsumer.pipeline.batching.paceOf>}.
    @ivar due: When the next heartbeat is due, by our clock.
    @ivar size: How many leases the endpoint takes in one request.
    """

    _log = Logger()

    _timer: IDelayedCall | None = None
    _open: Deferred[float | None] | None = None
    _began = 0.0
    due = inf
    # Somebody asks for a heartbeat now.
    _isAsked = False
    _isClosed = False

    def __init__(self, beats: Beats, pace: int, isDoubtful: bool) -> None:
        """
        @param beats: What the heartbeats share.
        @param pace: See L{paceOf <myconsumer.pipeline.batching.paceOf>}.
        @param isDoubtful: Whether it extends those that requests fail with.
        """
        self._held = beats.held
        self._clock = beats.clock
        self.pace = pace
        self._isDoubtful = isDoubtful
        self.size = BatchSize(beats.clock)
        self._extension = Extension(beats, pace, isDoubtful, self.size)

    def dueBy(self, due: float) -> None:
        """
        A lease is to be extended.

        @param due: By when, by our clock.
        """
        if due < self.due:
            self._schedule(due)

    def ask(self) -> None:
        """
        Extend now; while a request is open, right after it.
        """
        self._isAsked = True
        self._schedule(self._clock.seconds())

    def close(self) -> None:
        """
        Send nothing any more.
        """
        self._isClosed = True
        self._unschedule()
        self._extension.close()

    def _mine(self) -> list[Lease]:
        return [
            lease
            for lease in self._held.values()
            if lease.pace == self.pace
            and (lease.part > 0) is self._isDoubtful
            and not (lease.isSetAside or lease.isBeating)
        ]

    def _schedule(self, due: float) -> None:
        self._unschedule()
        self.due = due
        if self._open is None:
            delay = max(0, due - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self._begin)

    def _unschedule(self) -> None:
        self.due = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        self.due = inf
        self._isAsked = False
        leases = self._mine()
        if leases:
            self._began = self._clock.seconds()
            self._open = Deferred.fromCoroutine(self._extension.extend(leases))
            self._open.addErrback(self._broken).addCallback(self._ended)

    def _broken(self, failure: Failure) -> float:
        self._log.failure("A heartbeat could not be dealt with", failure)
        return LONGEST

    def _ended(self, delay: float | None) -> None:
        self._open = None
        due, self.due = self.due, inf
        leases = self._mine()
        if self._isClosed or not leases:
            return
        now = self._clock.seconds()
        third = min(lease.length for lease in leases) / 3
        if delay is not None:
            left = [lease.expires - now for lease in leases if lease.expires > now]
            if left:
                # An endpoint that asks to be left alone is, for as long as that
                # leaves a chance to extend the lease that ends first.
                delay = min(delay, max(min(third, 0.5), 0.8 * min(left)))
            self._schedule(min(due, now + delay) if self._isDoubtful else now + delay)
        elif self._isAsked:
            self._schedule(now)
        else:
            self._schedule(min(due, self._began + third))
