"""
Settlements that requests failed with: divided until what is bad is alone, and then
set aside.

Promise 4: a settlement that the endpoint cannot take holds up no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET
from msgspec.structs import replace
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.pipeline.batching import (
    MOST_REFUSED,
    fitting,
    isDivisible,
    isForTheWhole,
    partOf,
)
from myconsumer.pipeline.lane import PATIENCE, Lane
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.road import Road
from myconsumer.retrying import LONGEST, faultPolicy
from myconsumer.task import Settlement
from myconsumer.text import shownID

#: The failures after which a settlement that fails alone, while others are taken, is
#: made shorter or set aside; one that is refused is at once.
MOST_ALONE = 3


@dataclass(eq=False)
class Doubt:
    """
    What is known of a settlement that requests failed with.

    @ivar part: The most settlements that it travels with.
    @ivar seen: How many requests had been taken when it became doubtful.
    @ivar due: When it may be sent again.
    @ivar alone: How often it has failed alone, as it is now, while others were taken.
    @ivar isLast: Whether it has failed alone, and is tried after all others.
    @ivar whole: What it was before it was made shorter, if it was.
    """

    part: int
    seen: int
    due: float = 0.0
    alone: int = 0
    isLast: bool = False
    whole: Settlement | None = None


class DoubtfulLane(Lane):
    """
    Finds out what is wrong: a settlement, if others are taken meanwhile; else the
    endpoint, and then all are kept as they are.
    """

    _log = Logger()

    # So little that a part of a part still has its time.
    patience = PATIENCE / 3

    def __init__(self, road: Road) -> None:
        """
        @param road: What the lanes share.
        """
        super().__init__(road)
        self._doubts: dict[Lease, Doubt] = {}

    @property
    def backlog(self) -> int:
        """
        How many there are that are not set aside.
        """
        return sum(not lease.isSetAside for lease in self.pending)

    @property
    def isDone(self) -> bool:
        """
        See L{Lane.isDone}.  When flushing, what is set aside has one more try.
        """
        now = self._road.clock.seconds()
        return all(
            self._isHurried and lease.isSetAside and self._doubts[lease].due > now
            for lease in self.pending
        )

    def take(
        self, settlements: dict[Lease, Settlement], failure: Failure, delay: float
    ) -> None:
        """
        A request has failed.

        @param settlements: What it held.
        @param failure: Why it failed.
        @param delay: The seconds to wait.
        """
        part = partOf(len(settlements))
        for lease in settlements:
            self._doubts[lease] = Doubt(part, self._road.taken)
        self.pending.update(settlements)
        if len(settlements) == 1 and isDivisible(failure.value):
            [lease] = settlements
            self._failedAlone(lease, str(failure.value), True, False)
        self._giveUp(settlements)
        self.wake(delay)

    def hurry(self) -> None:
        """
        See L{Lane.hurry}.
        """
        for doubt in self._doubts.values():
            doubt.due = 0.0
        super().hurry()

    def _choose(self) -> list[Lease]:
        """
        See L{Lane._choose}.
        """
        now = self._road.clock.seconds()
        due = [lease for lease in self.pending if self._doubts[lease].due <= now]
        if not due:
            if self._doubts:
                self.wake(min(doubt.due for doubt in self._doubts.values()) - now)
            return []
        first = min(due, key=self._turn)
        turn = self._turn(first)
        alike = (
            (lease, self.pending[lease])
            for lease in due
            if lease.pace == first.pace and self._turn(lease) == turn
        )
        return fitting(alike, min(self._doubts[first].part, self._room(first)))

    def _turn(self, lease: Lease) -> tuple[bool, bool, int]:
        """
        The smallest parts first: that one is taken shows what is at fault.
        """
        doubt = self._doubts[lease]
        return lease.isSetAside, doubt.isLast, doubt.part

    def _failed(self, batch: list[Lease], failure: Failure) -> float:
        """
        See L{Lane._failed}.
        """
        for lease in batch:
            # the others come first
            self.pending[lease] = self.pending.pop(lease)
            self._doubts[lease].isLast = len(batch) == 1
        if isForTheWhole(failure.value):
            return self._road.retry.failed(failure)
        othersAreTaken = self._road.taken > max(
            self._doubts[lease].seen for lease in batch
        )
        refused = isDivisible(failure.value)
        self._road.refusals += refused
        goesOn = othersAreTaken or 0 < self._road.refusals <= MOST_REFUSED
        if len(batch) > 1:
            for lease in batch:
                self._doubts[lease].part = partOf(len(batch))
        elif goesOn:
            self._failedAlone(batch[0], str(failure.value), refused, othersAreTaken)
        else:
            self._restore(batch[0])
        return 0.0 if goesOn else self._road.retry.failed(failure)

    def _failedAlone(
        self, lease: Lease, reason: str, refused: bool, othersAreTaken: bool
    ) -> None:
        """
        A settlement is not taken, and that seems to be its own fault.
        """
        doubt = self._doubts[lease]
        now = self._road.clock.seconds()
        if refused:
            self._road.size.acquit()
        doubt.alone += MOST_ALONE if refused else 1
        if lease.isSetAside:
            doubt.due = now + LONGEST
        elif doubt.alone < MOST_ALONE:
            doubt.due = now + faultPolicy(doubt.alone)
        elif self._shorten(lease, reason):
            doubt.alone = 0
        elif othersAreTaken:
            lease.isSetAside = True
            doubt.due = now + LONGEST
            self._boundedLog.error(
                "The endpoint does not take how task {id} ended; its lease is extended "
                "no longer, and once that has ended the task may be delivered again: "
                "{reason}",
                id=shownID(lease.id),
                reason=reason,
            )

    def _shorten(self, lease: Lease, reason: str) -> bool:
        """
        A settlement is not taken: it may be for its result, or its text.

        @return: Whether it had any, and is worth another try without.
        """
        settlement = self.pending[lease]
        doubt = self._doubts[lease]
        isNew = doubt.whole is None
        doubt.whole = doubt.whole or settlement
        if settlement.result is not UNSET:
            if isNew:
                self._boundedLog.error(
                    "The endpoint does not take how task {id} ended; it is sent again "
                    "without the result, of {size} bytes: {reason}",
                    id=shownID(lease.id),
                    size=memoryview(settlement.result).nbytes,
                    reason=reason,
                )
            self.pending[lease] = replace(settlement, result=UNSET)
            return True
        if settlement.error is not UNSET:
            self.pending[lease] = replace(settlement, error=UNSET)
            return True
        return False

    def _restore(self, lease: Lease) -> None:
        """
        The endpoint takes nothing: it is not for the result, or the text.
        """
        doubt = self._doubts[lease]
        if doubt.whole is not None:
            self.pending[lease] = doubt.whole
            doubt.alone = 0

    def _forget(self, batch: Sequence[Lease]) -> None:
        """
        See L{Lane._forget}.
        """
        super()._forget(batch)
        for lease in batch:
            del self._doubts[lease]
