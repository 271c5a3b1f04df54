"""
Outcomes, gathered and sent in batches until the endpoint has them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any

from msgspec import UNSET
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.batching import BatchSize, deadlineFor
from myconsumer.errors import FaultError, RefusalError
from myconsumer.interfaces import ITaskQueue
from myconsumer.leases import Lease, Leases
from myconsumer.retrying import LONGEST, Retry, faultPolicy
from myconsumer.task import Settlement

#: When flushing, the seconds that an answer may take.
PATIENCE = 2.0


class Settling:
    """
    Tells the endpoint how tasks ended.

    One request is open at a time; what ends meanwhile goes with the next.  Each
    settlement is repeated until it is acknowledged, or has been sent and its lease
    has ended.

    @ivar whenSettled: Called after settlements were acknowledged or given up.
    """

    _log = Logger()

    # The next request, while it waits for its time; and the open one.
    _timer: IDelayedCall | None = None
    _request: Deferred[Any] | None = None
    _closed = False

    def __init__(self, queue: ITaskQueue, leases: Leases, clock: IReactorTime) -> None:
        """
        @param queue: What the settlements go to.
        @param leases: Where a lease is dropped once it is settled.
        @param clock: What keeps the time.
        """
        self._queue = queue
        self._leases = leases
        self._clock = clock
        self._retry = Retry("Settlements", clock)
        self._batch = BatchSize()
        self._pending: dict[Lease, Settlement] = {}
        # Those that the endpoint has refused one by one, and when to try again.
        self._refused: dict[Lease, tuple[float, Settlement]] = {}
        self._flushing: list[Deferred[None]] = []
        self.whenSettled: Callable[[], object] = lambda: None

    @property
    def backlog(self) -> int:
        """
        How many tasks have ended and are not settled yet.
        """
        return len(self._pending) + len(self._refused)

    def add(self, lease: Lease, settlement: Settlement) -> None:
        """
        A task has ended.

        @param lease: The lease on it.
        @param settlement: How it ended.
        """
        # With nothing pending, a timer is that of what was refused.
        waits = self._timer is not None and bool(self._pending)
        self._pending[lease] = settlement
        if self._request is None and not waits and not self._closed:
            self._sendAfter(0)

    def flush(self) -> Deferred[None]:
        """
        Send now what waits for its time, and wait no longer than L{PATIENCE} for
        any answer.

        @return: Fires once everything is acknowledged or given up.
        """
        if not self.backlog:
            return succeed(None)
        flushed: Deferred[None] = Deferred()
        self._flushing.append(flushed)
        self._takeUp(inf)
        self._retry.failures = 0
        if self._request is None:
            self._sendAfter(0)
        else:
            self._request.addTimeout(PATIENCE, self._clock)
        return flushed

    def close(self) -> None:
        """
        Send no more.  What is not acknowledged is logged; its leases end by
        themselves, and the endpoint delivers it again.
        """
        self._closed = True
        self._cancelTimer()
        if self._request is not None:
            self._request.cancel()
        if self.backlog:
            self._log.error(
                "The endpoint has not said that it knows how {count} tasks ended, and "
                "may deliver them again: {ids}",
                count=self.backlog,
                ids=", ".join(
                    str(lease.id) for lease in [*self._pending, *self._refused][:10]
                ),
            )

    def _sendAfter(self, delay: float) -> None:
        self._cancelTimer()
        self._timer = self._clock.callLater(delay, self._send)

    def _cancelTimer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _takeUp(self, now: float) -> None:
        """
        Try again what was refused alone and has waited.
        """
        for lease, (due, settlement) in list(self._refused.items()):
            if due <= now:
                del self._refused[lease]
                self._pending[lease] = settlement

    def _send(self) -> None:
        """
        Send one batch.
        """
        self._timer = None
        self._takeUp(self._clock.seconds())
        batch = self._batch.first(list(self._pending))
        if not batch:
            self._sendNext(0)
            return
        for lease in batch:
            lease.sent += 1
        settlements = [self._pending[lease] for lease in batch]
        deadline = deadlineFor(lease.length for lease in batch)
        if self._flushing:
            deadline = min(deadline, PATIENCE)
        answer: Deferred[Collection[str]] = maybeDeferred(
            self._queue.settle, settlements, deadline
        )
        self._request = answer
        answer.addCallback(self._acknowledged, batch).addErrback(
            self._failed, batch
        ).addCallback(self._sendNext)

    def _acknowledged(self, lost: Collection[str], batch: Sequence[Lease]) -> float:
        """
        The endpoint has taken a batch.

        @return: The seconds to wait before the next.
        """
        self._retry.succeeded()
        self._batch.taken(len(batch))
        for lease in batch:
            del self._pending[lease]
            self._leases.drop(lease)
        if lost:
            self._tellLost(frozenset(lost), batch)
        return 0

    def _tellLost(self, lost: frozenset[str], batch: Sequence[Lease]) -> None:
        """
        Some leases had been lost when their settlement came.  A repeated one may
        have been taken the first time.
        """
        late = [
            lease
            for lease in batch
            if lease.receipt in lost and lease.sent == 1 and not lease.lost
        ]
        if late:
            self._log.warn(
                "{count} tasks ended after their leases, such as {id}: the "
                "endpoint gives them to somebody else; a longer --lease may help",
                count=len(late),
                id=late[0].id,
            )
        self._leases.lose(lost)

    def _failed(self, failure: Failure, batch: Sequence[Lease]) -> float:
        """
        A batch was not taken, as far as can be known.

        @return: The seconds to wait before the next.
        """
        if failure.check(CancelledError):  # type: ignore[no-untyped-call]
            late = FaultError(
                f"no answer within {PATIENCE:g} s, and there is no time left"
            )
            failure = Failure(late)  # type: ignore[no-untyped-call]
        error = failure.value
        if self._closed or self._batch.divide(len(batch), error):
            return 0
        alone = isinstance(error, RefusalError) and error.divisible
        if alone and self._dropResult(batch[0]):
            return 0
        delay = self._retry.failed(failure)
        if alone:
            self._setAside(batch[0])
            # The others are not to wait for it, unless they are refused as well.
            delay = faultPolicy(self._retry.failures) if self._retry.failures > 1 else 0
        self._giveUp(batch)
        return delay

    def _dropResult(self, lease: Lease) -> bool:
        """
        A settlement was refused alone: it may be for its result.

        @return: Whether it had one, and is worth another try without.
        """
        settlement = self._pending[lease]
        if settlement.result is UNSET:
            return False
        self._log.error(
            "The endpoint refuses how task {id} ended; it is told again without "
            "the result, of {size} bytes",
            id=lease.id,
            size=len(bytes(settlement.result)),
        )
        self._pending[lease] = Settlement(lease.receipt, settlement.outcome)
        return True

    def _setAside(self, lease: Lease) -> None:
        """
        A settlement was refused alone.
        """
        due = self._clock.seconds() + LONGEST
        self._refused[lease] = (due, self._pending.pop(lease))

    def _giveUp(self, batch: Sequence[Lease]) -> None:
        """
        Forget those whose lease has ended: the endpoint delivers them again.
        """
        ended = [lease for lease in batch if self._leases.hasEnded(lease)]
        for lease in ended:
            self._pending.pop(lease, None)
            self._refused.pop(lease, None)
            self._leases.drop(lease)
        if ended:
            self._log.error(
                "The leases of {count} tasks, such as {id}, have ended before the "
                "endpoint has said that it knows how they ended: it may deliver them "
                "again",
                count=len(ended),
                id=ended[0].id,
            )

    def _sendNext(self, delay: float) -> None:
        self._request = None
        if self._closed:
            return
        if self._pending:
            self._sendAfter(delay)
        elif self._refused:
            due = min(due for due, _ in self._refused.values())
            self._sendAfter(max(0, due - self._clock.seconds()))
        else:
            flushing, self._flushing = self._flushing, []
            for flushed in flushing:
                flushed.callback(None)
        self.whenSettled()
