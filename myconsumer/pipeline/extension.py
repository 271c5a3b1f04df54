"""
Requests that extend leases: divided, where they fail, until what cannot be extended is
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.pipeline.batching import (
    MOST_REFUSED,
    BatchSize,
    deadlineFor,
    fitting,
    isDivisible,
    isForTheWhole,
    partOf,
)
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.requests import Requests, Sending
from myconsumer.retrying import Retry
from myconsumer.task import Settlement

#: Fewer failures in a row are no reason to wait: one part may be what fails.
MOST_FAILED = 2

#: The part of its time that a request about doubtful leases gets at first.
HASTE = 4


class Beat(Protocol):
    """
    A heartbeat that leases may be handed to.

    @ivar size: How many leases the endpoint takes in one request.
    """

    size: BatchSize

    def dueBy(self, due: float) -> None:
        """
        Extend a lease by C{due}, by our clock.
        """

    def ask(self) -> None:
        """
        Extend now.
        """


@dataclass(eq=False)
class Beats:
    """
    What all heartbeats to one queue share.

    @ivar requests: What the heartbeats go to.
    @ivar clock: What keeps the time.
    @ivar held: All leases that are held, by their receipts.
    @ivar lose: Called with the receipts of leases that are lost.
    @ivar of: A pace (see L{paceOf <myconsumer.pipeline.batching.paceOf>}), and whether
        requests fail with the leases -> what extends such leases.
    @ivar taken: How many requests were taken.
    """

    requests: Requests
    clock: IReactorTime
    held: dict[str, Lease]
    lose: Callable[[Iterable[str]], object]
    of: Callable[[int, bool], Beat]
    taken: int = 0


class Extension:
    """
    Extends the leases of one heartbeat.
    """

    _isClosed = False
    _request: Sending | None = None
    # How many requests of all heartbeats were taken before this beat began.
    _takenBefore = 0

    def __init__(
        self, beats: Beats, pace: int, isDoubtful: bool, size: BatchSize
    ) -> None:
        """
        @param beats: What the heartbeats share.
        @param pace: See L{paceOf <myconsumer.pipeline.batching.paceOf>}.
        @param isDoubtful: Whether requests fail with these leases.
        @param size: How many leases the endpoint takes in one request.
        """
        self._beats = beats
        self._pace = pace
        self._isDoubtful = isDoubtful
        self._size = size
        self._retry = Retry("Heartbeats", beats.clock)
        # Counts those of a single lease, while others are taken.
        self._alone = Retry("Heartbeats of a single task", beats.clock)

    def close(self) -> None:
        """
        Drop the request that is open, and send no other.
        """
        self._isClosed = True
        if self._request is not None:
            self._request.cancel()

    async def extend(self, remaining: list[Lease]) -> float | None:
        """
        Extend leases: in a single request, unless the endpoint does not take it.

        @return: C{None} if all was taken; else the seconds to wait before the next.
        """
        delay = None
        self._takenBefore = self._beats.taken
        while remaining := [lease for lease in remaining if self._isToExtend(lease)]:
            batch = self._first(remaining)
            remaining = remaining[len(batch) :]
            try:
                await self._extend(batch)
            except Exception as error:
                if self._isClosed:
                    break
                isAlone = self._isDoubtful and len(batch) == 1 and self._areTaken(batch)
                retry = self._alone if isAlone else self._retry
                delay = retry.failed(Failure())
                if isAlone and isDivisible(error):
                    self._beats.of(batch[0].pace, False).size.acquit()
                if not self._divide(batch, error, delay):
                    break
                if self._isDoubtful and len(batch) > 1:
                    remaining += batch
        return delay

    def _first(self, leases: Sequence[Lease]) -> list[Lease]:
        """
        @return: The first of C{leases}, as many as may travel in one request.
        """
        part = leases[0].part
        most = self._size.within(self._deadline(lease.length for lease in leases))
        alike = takewhile(lambda lease: lease.part == part, leases)
        extends = ((lease, _extension(lease)) for lease in alike)
        return fitting(extends, min(most, part or most))

    def _deadline(self, lengths: Iterable[float]) -> float:
        """
        @return: The seconds for a request.  A part that hangs is to leave time for
            the others; where it is all that fails, each gets all that it may.
        """
        isHasty = self._isDoubtful and not self._retry.failures
        return deadlineFor(lengths) / (HASTE if isHasty else 1)

    async def _extend(self, leases: Sequence[Lease]) -> None:
        sent = self._beats.clock.seconds()
        lengths = [lease.length for lease in leases]
        # Whoever asks while the request is open gets another one.
        asked = [len(lease.extending) for lease in leases]
        deadline = self._deadline(lengths)
        for lease in leases:
            lease.isBeating = True
        try:
            self._request = request = Sending(self._beats.requests)
            request.extend([_extension(lease) for lease in leases], deadline)
            lost: Collection[str] = await request
        finally:
            self._request = None
            self._release(leases)
        self._beats.taken += 1
        self._retry.succeeded()
        self._alone.succeeded()
        self._size.taken(len(leases), self._beats.clock.seconds() - sent, deadline)
        for lease, length in zip(leases, lengths, strict=True):
            lease.expires = sent + length
        if self._isDoubtful:
            self._acquit(leases)
        self._beats.lose(lost)
        for lease, count in zip(leases, asked, strict=True):
            extended, lease.extending = lease.extending[:count], lease.extending[count:]
            for each in extended:
                each.callback(None)

    def _release(self, leases: Sequence[Lease]) -> None:
        """
        A request is over.  What was given another pace meanwhile has waited for that.
        """
        for lease in leases:
            lease.isBeating = False
            if lease.pace != self._pace:
                self._beats.of(lease.pace, self._isDoubtful).ask()

    def _acquit(self, leases: Sequence[Lease]) -> None:
        """
        Let leases travel with the others again.
        """
        for lease in leases:
            lease.part = 0
            due = lease.expires - 2 / 3 * lease.length
            beat = self._beats.of(lease.pace, False)
            if lease.extending:
                beat.ask()
            else:
                beat.dueBy(due)

    def _areTaken(self, batch: Sequence[Lease]) -> bool:
        """
        @return: Whether others are taken since a batch failed, or in this beat.
        """
        before = batch[0].seen if self._isDoubtful else self._takenBefore
        return self._beats.taken > before

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
        isEarly = self._retry.failures < few and (self._isDoubtful or len(batch) > 1)
        goesOn = areTaken or isEarly
        if goesOn or (not self._isDoubtful and self._retry.failures > 1):
            self._setApart(batch, isDivisible(error), 0 if goesOn else delay)
        held = self._beats.held
        for lease in batch:
            if len(batch) > 1:
                lease.seen = self._beats.taken
            if held.get(lease.receipt) is lease:
                # the others come first
                held[lease.receipt] = held.pop(lease.receipt)
        return goesOn if self._isDoubtful else areTaken

    def _setApart(self, batch: Sequence[Lease], refused: bool, delay: float) -> None:
        for lease in batch:
            lease.part = partOf(len(batch))
        if not self._isDoubtful:
            self._size.failed(len(batch), refused)
            due = self._beats.clock.seconds() + delay
            for pace in {lease.pace for lease in batch}:
                self._beats.of(pace, True).dueBy(due)

    def _isToExtend(self, lease: Lease) -> bool:
        isHeld = not lease.isSetAside and lease.receipt in self._beats.held
        return isHeld and not self._isClosed


def _extension(lease: Lease) -> Settlement:
    return Settlement(lease.receipt, "extend", lease=lease.length)
