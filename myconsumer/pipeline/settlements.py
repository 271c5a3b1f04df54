"""
Outcomes, gathered and sent in batches until the endpoint has them.

Promise 6: a settlement is retried until its lease has ended, and sent at least once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.pipeline.batching import (
    MOST_REFUSED,
    BatchSize,
    fitting,
    isDivisible,
    isForTheWhole,
)
from myconsumer.pipeline.doubtful import DoubtfulLane
from myconsumer.pipeline.lane import Lane
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.road import Road
from myconsumer.retrying import BoundedLog, Retry
from myconsumer.task import Settlement
from myconsumer.text import shownID


class PromptLane(Lane):
    """
    Sends outcomes as they come.  A batch that fails twice in a row, or that is
    refused, is for the doubtful lane, so that it does not hold up the next.
    """

    def __init__(self, road: Road, doubtful: DoubtfulLane) -> None:
        """
        @param road: What the lanes share.
        @param doubtful: Gets what failed.
        """
        super().__init__(road)
        self._doubtful = doubtful

    def _choose(self) -> list[Lease]:
        """
        See L{Lane._choose}.
        """
        if not self.pending:
            return []
        first = next(iter(self.pending))
        pace = first.pace
        alike = (each for each in self.pending.items() if each[0].pace == pace)
        return fitting(alike, self._room(first))

    def _failed(self, batch: list[Lease], failure: Failure) -> float:
        """
        See L{Lane._failed}.
        """
        refused = isDivisible(failure.value)
        self._road.refusals += refused
        delay = 0.0
        if not 0 < self._road.refusals <= MOST_REFUSED:
            delay = self._road.retry.failed(failure)
        isSecond = self._failures > 1 or self._isHurried
        if refused or (isSecond and not isForTheWhole(failure.value)):
            self._road.size.failed(len(batch), refused)
            moved = {lease: self.pending.pop(lease) for lease in batch}
            self._doubtful.take(moved, failure, 0.0 if self._isHurried else delay)
        return delay


class Settling:
    """
    Sends the settlements of tasks to the endpoint.

    What ends while a request is open goes with the next.  Side by side with that,
    in requests of their own, what has not started is given back, and what fails again
    and again is tried.
    Each settlement is repeated until it is acknowledged, or has been sent and its
    lease has ended.

    @ivar whenSettled: Called after settlements were acknowledged or given up.
    """

    _log = Logger()

    def __init__(self, requests: Requests, leases: Leases, clock: IReactorTime) -> None:
        """
        @param requests: What the settlements go to.
        @param leases: Where a lease is dropped once it is settled.
        @param clock: What keeps the time.
        """
        self._leases = leases
        self._retry = Retry("Settlements", clock)
        self._boundedLog = BoundedLog(self._log, clock)
        size = BatchSize(clock)
        self._observers = requests.observers
        road = Road(
            requests,
            self._observers,
            leases,
            clock,
            self._retry,
            size,
            self._tellLost,
            self._ended,
        )
        self._doubtful = DoubtfulLane(road)
        self._prompt = PromptLane(road, self._doubtful)
        self._returns = PromptLane(road, self._doubtful)
        self._lanes = (self._returns, self._prompt, self._doubtful)
        self._flushing: list[Deferred[None]] = []
        self.whenSettled: Callable[[], object] = lambda: None
        # Bound once, for speed.
        self.add = self._prompt.add

    @property
    def backlog(self) -> int:
        """
        How many tasks have ended and are not settled yet, but for those that are set
        aside since the endpoint does not take how they ended.
        """
        ended = len(self._prompt.pending) + len(self._returns.pending)
        return ended + self._doubtful.backlog

    def giveBack(self, leases: Collection[Lease]) -> None:
        """
        Release tasks that have not started, uncounted.  These releases wait for no
        other settlement, so that another consumer may run the tasks soon.

        @param leases: The leases on them.
        """
        for lease in leases:
            released = Settlement(lease.receipt, "release", counted=False)
            self._returns.add(lease, released)

    def flush(self) -> Deferred[None]:
        """
        Send now what waits for its time, and wait no longer than L{PATIENCE
        <myconsumer.pipeline.lane.PATIENCE>} for any answer.

        @return: Fires once everything is acknowledged or given up.
        """
        if self._isDone():
            return succeed(None)
        flushed: Deferred[None] = Deferred()
        self._flushing.append(flushed)
        self._retry.failures = 0
        for lane in self._lanes:
            lane.hurry()
        return flushed

    def close(self) -> None:
        """
        Send no more.  What is not acknowledged is logged; its leases end by
        themselves, and the endpoint delivers it again.
        """
        for lane in self._lanes:
            lane.close()
        left = [lease for lane in self._lanes for lease in lane.pending]
        if left:
            self._log.error(
                "The endpoint has not said that it knows how {count} tasks ended, and "
                "may deliver them again: {ids}",
                count=len(left),
                ids=", ".join(str(shownID(lease.id)) for lease in left[:10]),
            )
            self._observers.settlementsGivenUp([lease.id for lease in left])

    def _isDone(self) -> bool:
        return all(lane.isDone for lane in self._lanes)

    def _tellLost(self, batch: list[Lease], lost: Collection[str]) -> None:
        """
        Some leases had been lost when their settlement came.  A repeated one may
        have been taken the first time.
        """
        if not lost:
            return
        late = [
            lease
            for lease in batch
            if lease.receipt in lost and lease.sent == 1 and not lease.isLost
        ]
        if late:
            self._boundedLog.warn(
                "{count} tasks ended after their leases, such as {id}: the "
                "endpoint gives them to somebody else; a longer --lease may help",
                count=len(late),
                id=shownID(late[0].id),
            )
            self._observers.leasesLost([lease.id for lease in late])
        self._leases.lose(frozenset(lost))

    def _ended(self) -> None:
        if self._isDone():
            flushing, self._flushing = self._flushing, []
            for flushed in flushing:
                flushed.callback(None)
        self.whenSettled()
