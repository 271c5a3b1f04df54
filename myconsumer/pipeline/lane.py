"""
Settlements on their way to a queue, one request at a time.

Promise 6: a settlement is retried until its lease has ended, and sent at least once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.errors import FaultError
from myconsumer.pipeline.batching import (
    DEADLINE,
    deadlineFor,
    isForTheWhole,
)
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.requests import Sending
from myconsumer.pipeline.road import Road
from myconsumer.retrying import LONGEST, BoundedLog
from myconsumer.task import Settlement
from myconsumer.text import shownID

#: When flushing, the seconds that an answer may take.
PATIENCE = 2.0

#: When flushing, the least seconds between a failure and the next request: not many,
#: since there is no time for more.
BREATH = 0.1

_length = attrgetter("length")


class Lane:
    """
    Sends settlements in batches: the next one when the last is answered.

    Subclasses choose what goes in a batch, and what is done with a batch that the
    endpoint has not taken.

    @ivar pending: What was not taken yet, in order.
    @ivar patience: When flushing, the seconds that an answer may take.
    """

    patience = PATIENCE

    _log = Logger()

    _timer: IDelayedCall | None = None
    _request: Sending | None = None
    _began = 0.0
    _notBefore = 0.0
    _isClosed = False
    _isHurried = False
    # How many requests in a row were not taken.
    _failures = 0

    def __init__(self, road: Road) -> None:
        """
        @param road: What the lanes share.
        """
        self._road = road
        self._boundedLog = BoundedLog(self._log, road.clock)
        self.pending: dict[Lease, Settlement] = {}

    @property
    def isDone(self) -> bool:
        """
        Whether there is nothing left to send.
        """
        return not self.pending

    def add(self, lease: Lease, settlement: Settlement) -> None:
        """
        Send something with the next batch.
        """
        self.pending[lease] = settlement
        if self._timer is None and self._request is None:
            self.wake()

    def wake(self, delay: float = 0.0) -> None:
        """
        Send what there is after C{delay} seconds; later only after a failure that
        asked for that, or while a request is open.
        """
        if self._request is not None or self._isClosed:
            return
        now = self._road.clock.seconds()
        due = max(now + delay, self._notBefore)
        if self._timer is not None:
            if self._timer.getTime() <= due:
                return
            self._timer.cancel()
        self._timer = self._road.clock.callLater(due - now, self._send)

    def hurry(self) -> None:
        """
        From now on wait no longer than L{PATIENCE} for any answer, and send at once
        what waits for its time.  A request that is open gets a third of its deadline
        in all, if that is longer: its size was chosen for that.
        """
        self._isHurried = True
        self._notBefore = 0.0
        if self._request is None:
            self.wake()
        else:
            left = self._began + DEADLINE / 3 - self._road.clock.seconds()
            self._request.addTimeout(max(PATIENCE, left), self._road.clock)

    def close(self) -> None:
        """
        Send no more.
        """
        self._isClosed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._request is not None:
            self._request.cancel()

    def _room(self, lease: Lease) -> int:
        """
        @return: How many settlements a request may hold that has this one in it.
        """
        return self._road.size.within(self._deadline([lease]))

    def _deadline(self, leases: Iterable[Lease]) -> float:
        deadline = deadlineFor(map(_length, leases))
        return min(deadline, self.patience) if self._isHurried else deadline

    def _send(self) -> None:
        self._timer = None
        batch = self._choose()
        if not batch:
            self._road.ended()
            return
        for lease in batch:
            lease.sent += 1
        settlements = [self.pending[lease] for lease in batch]
        deadline = self._deadline(batch)
        self._began = self._road.clock.seconds()
        self._request = request = Sending(self._road.requests)
        request.addCallback(self._taken, batch, deadline).addErrback(
            self._notTaken, batch
        ).addErrback(self._broken).addCallback(self._answered)
        request.settle(settlements, deadline)

    def _taken(
        self, lost: Collection[str], batch: list[Lease], deadline: float
    ) -> float:
        seconds = self._road.clock.seconds() - self._began
        self._failures = self._road.refusals = 0
        self._road.taken += 1
        self._road.retry.succeeded()
        self._road.size.taken(len(batch), seconds, deadline)
        self._forget(batch)
        self._road.acknowledged(batch, lost)
        return 0.0

    def _notTaken(self, failure: Failure, batch: list[Lease]) -> float:
        if failure.check(CancelledError):
            late = FaultError(
                f"no answer within {self.patience:g} s, and there is no time left"
            )
            failure = Failure(late)
        if self._isClosed:
            return 0.0
        self._failures += 1
        delay = self._failed(batch, failure)
        if self._isHurried and not isForTheWhole(failure.value):
            delay = min(delay, BREATH)
        self._giveUp([lease for lease in batch if lease in self.pending])
        return delay

    def _broken(self, failure: Failure) -> float:
        self._log.failure("The answer to settlements could not be dealt with", failure)
        return LONGEST

    def _giveUp(self, batch: Iterable[Lease]) -> None:
        """
        Forget those whose lease has ended: the endpoint delivers them again.
        """
        ended = [lease for lease in batch if self._road.leases.hasEnded(lease)]
        if ended:
            self._forget(ended)
            self._boundedLog.error(
                "The leases of {count} tasks, such as {id}, have ended before the "
                "endpoint has said that it knows how they ended: it may deliver them "
                "again",
                count=len(ended),
                id=shownID(ended[0].id),
            )
            self._road.observers.settlementsGivenUp([lease.id for lease in ended])

    def _forget(self, batch: Sequence[Lease]) -> None:
        """
        These need not be sent again, and their leases are held no longer.
        """
        pending = self.pending
        for lease in batch:
            del pending[lease]
        self._road.leases.drop(batch)

    def _answered(self, delay: float) -> None:
        self._request = None
        if self._isClosed:
            return
        self._notBefore = self._road.clock.seconds() + delay
        if self.pending:
            self.wake()
        self._road.ended()

    def _choose(self) -> list[Lease]:
        """
        @return: Those to send now; none: those that wait have time, and wake the
            lane.
        """
        raise NotImplementedError

    def _failed(self, batch: list[Lease], failure: Failure) -> float:
        """
        A batch was not taken, as far as can be known.

        @return: The seconds to wait before the next.
        """
        raise NotImplementedError
