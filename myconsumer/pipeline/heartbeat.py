"""
The heartbeat of leases that are alike: requests that extend them, in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.interfaces import ITaskQueue
from myconsumer.pipeline.batching import (
    MOST_REFUSED,
    BatchSize,
    deadlineFor,
    fitting,
    isDivisible,
    isForTheWhole,
    partOf,
)
from myconsumer.retrying import LONGEST, Retry
from myconsumer.task import Settlement

if TYPE_CHECKING:
    from myconsumer.pipeline.leases import Lease, Leases

#: Fewer failures in a row are no reason to wait: one part may be what fails.
MOST_FAILED = 2

#: The part of its time that a request about doubtful leases gets at first.
HASTE = 4


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
    _asked = False
    _closed = False
    # How many requests of all heartbeats were taken before this one began.
    _takenBefore = 0

    def __init__(
        self,
        leases: Leases,
        queue: ITaskQueue,
        clock: IReactorTime,
        pace: int,
        doubtful: bool,
    ) -> None:
        """
        @param leases: All leases that are held.
        @param queue: What the requests go to.
        @param clock: What keeps the time.
        @param pace: See L{paceOf <myconsumer.pipeline.batching.paceOf>}.
        @param doubtful: Whether it extends those that requests fail with.
        """
        self._leases = leases
        self._queue = queue
        self._clock = clock
        self.pace = pace
        self._doubtful = doubtful
        self._retry = Retry("Heartbeats", clock)
        # Counts those of a single lease, while others are taken.
        self._alone = Retry("Heartbeats of a single task", clock)
        self.size = BatchSize(clock)

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
        self._asked = True
        self._schedule(self._clock.seconds())

    def close(self) -> None:
        """
        Send nothing any more.
        """
        self._closed = True
        self._unschedule()
        if self._open is not None:
            self._open.cancel()

    def _mine(self) -> list[Lease]:
        return [
            lease
            for lease in self._leases.held.values()
            if lease.pace == self.pace
            and (lease.part > 0) is self._doubtful
            and not (lease.setAside or lease.beating)
        ]

    def _isHeld(self, lease: Lease) -> bool:
        return not lease.setAside and lease.receipt in self._leases.held

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
        self._asked = False
        leases = self._mine()
        if leases:
            self._began = self._clock.seconds()
            self._takenBefore = self._leases.taken
            self._open = Deferred.fromCoroutine(self._beat(leases))
            self._open.addErrback(self._broken).addCallback(self._ended)

    async def _beat(self, remaining: list[Lease]) -> float | None:
        """
        Extend leases: in a single request, unless the endpoint does not take it.

        @return: C{None} if all was taken; else the seconds to wait before the next.
        """
        delay = None
        while remaining := [lease for lease in remaining if self._isHeld(lease)]:
            batch = self._first(remaining)
            remaining = remaining[len(batch) :]
            try:
                await self._extend(batch)
            except Exception as error:
                if self._closed:
                    break
                isAlone = self._doubtful and len(batch) == 1 and self._areTaken(batch)
                retry = self._alone if isAlone else self._retry
                delay = retry.failed(Failure())
                if isAlone and isDivisible(error):
                    self._leases.beatOf(batch[0].pace, False).size.acquit()
                if not self._divide(batch, error, delay):
                    break
                if self._doubtful and len(batch) > 1:
                    remaining += batch
        return delay

    def _first(self, leases: Sequence[Lease]) -> list[Lease]:
        """
        @return: The first of C{leases}, as many as may travel in one request.
        """
        part = leases[0].part
        most = self.size.within(self._deadline(lease.length for lease in leases))
        alike = takewhile(lambda lease: lease.part == part, leases)
        extends = ((lease, _extension(lease)) for lease in alike)
        return fitting(extends, min(most, part or most))

    def _deadline(self, lengths: Iterable[float]) -> float:
        """
        @return: The seconds for a request.  A part that hangs is to leave time for
            the others; where it is all that fails, each gets all that it may.
        """
        isHasty = self._doubtful and not self._retry.failures
        return deadlineFor(lengths) / (HASTE if isHasty else 1)

    async def _extend(self, leases: Sequence[Lease]) -> None:
        sent = self._clock.seconds()
        lengths = [lease.length for lease in leases]
        # Whoever asks while the request is open gets another one.
        asked = [len(lease.extending) for lease in leases]
        deadline = self._deadline(lengths)
        for lease in leases:
            lease.beating = True
        try:
            lost = await self._queue.settle(
                [_extension(lease) for lease in leases], deadline
            )
        finally:
            self._release(leases)
        self._leases.taken += 1
        self._retry.succeeded()
        self._alone.succeeded()
        self.size.taken(len(leases), self._clock.seconds() - sent, deadline)
        for lease, length in zip(leases, lengths, strict=True):
            lease.expires = sent + length
        if self._doubtful:
            self._acquit(leases)
        self._leases.lose(lost)
        for lease, count in zip(leases, asked, strict=True):
            extended, lease.extending = lease.extending[:count], lease.extending[count:]
            for each in extended:
                each.callback(None)

    def _release(self, leases: Sequence[Lease]) -> None:
        """
        A request is over.  What was given another pace meanwhile has waited for that.
        """
        for lease in leases:
            lease.beating = False
            if lease.pace != self.pace:
                self._leases.beatOf(lease.pace, self._doubtful).ask()

    def _acquit(self, leases: Sequence[Lease]) -> None:
        """
        Let leases travel with the others again.
        """
        for lease in leases:
            lease.part = 0
            due = lease.expires - 2 / 3 * lease.length
            beat = self._leases.beatOf(lease.pace, False)
            if lease.extending:
                beat.ask()
            else:
                beat.dueBy(due)

    def _areTaken(self, batch: Sequence[Lease]) -> bool:
        """
        @return: Whether others are taken since a batch failed, or in this beat.
        """
        before = batch[0].seen if self._doubtful else self._takenBefore
        return self._leases.taken > before

    def _divide(self, batch: Sequence[Lease], error: Exception, delay: float) -> bool:
        """
        A request has failed.  Where that may be for one of its leases, have them
        travel apart from the others: at once, since a request that hung has taken
        a third of their time.

        @param delay: The seconds to wait, if it is all that fails.

        @return: Whether to go on with the others: it is not all that fails.
        """
        if isForTheWhole(error):
            return False
        areTaken = self._areTaken(batch)
        few = MOST_REFUSED if isDivisible(error) else MOST_FAILED
        isEarly = self._retry.failures < few and (self._doubtful or len(batch) > 1)
        goesOn = areTaken or isEarly
        if goesOn or (not self._doubtful and self._retry.failures > 1):
            self._setApart(batch, isDivisible(error), 0 if goesOn else delay)
        held = self._leases.held
        for lease in batch:
            if len(batch) > 1:
                lease.seen = self._leases.taken
            if held.get(lease.receipt) is lease:
                # the others come first
                held[lease.receipt] = held.pop(lease.receipt)
        return goesOn if self._doubtful else areTaken

    def _setApart(self, batch: Sequence[Lease], refused: bool, delay: float) -> None:
        for lease in batch:
            lease.part = partOf(len(batch))
        if not self._doubtful:
            self.size.failed(len(batch), refused)
            due = self._clock.seconds() + delay
            for pace in {lease.pace for lease in batch}:
                self._leases.beatOf(pace, True).dueBy(due)

    def _broken(self, failure: Failure) -> float:
        self._log.failure("A heartbeat could not be dealt with", failure)
        return LONGEST

    def _ended(self, delay: float | None) -> None:
        self._open = None
        due, self.due = self.due, inf
        leases = self._mine()
        if self._closed or not leases:
            return
        now = self._clock.seconds()
        third = min(lease.length for lease in leases) / 3
        if delay is not None:
            left = [lease.expires - now for lease in leases if lease.expires > now]
            if left:
                # An endpoint that asks to be left alone is, for as long as that
                # leaves a chance to extend the lease that ends first.
                delay = min(delay, max(min(third, 0.5), 0.8 * min(left)))
            self._schedule(min(due, now + delay) if self._doubtful else now + delay)
        elif self._asked:
            self._schedule(now)
        else:
            self._schedule(min(due, self._began + third))


def _extension(lease: Lease) -> Settlement:
    return Settlement(lease.receipt, "extend", lease=lease.length)
