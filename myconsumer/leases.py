"""
All leases that are held, kept alive in one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.batching import BatchSize, deadlineFor
from myconsumer.errors import LeaseLostError, RefusalError
from myconsumer.interfaces import ITaskQueue
from myconsumer.retrying import Retry
from myconsumer.task import Settlement


class Lease(Struct, eq=False):
    """
    A claimed task that is ours until its settlement is acknowledged.

    @ivar receipt: The proof of it.
    @ivar id: The task's, for the log.
    @ivar length: The seconds for which it lasts, once extended.
    @ivar expires: When it ends unless it is extended, by our clock.
    @ivar lost: Whether the endpoint has said that it is no longer ours.
    @ivar onLost: Called when the endpoint says so.
    @ivar sent: How often the endpoint was told how the task ended.
    @ivar extending: Fire once the next heartbeat has extended it.
    """

    receipt: str
    id: str | int
    length: float
    expires: float
    lost: bool = False
    onLost: Callable[[], object] | None = None
    sent: int = 0
    extending: list[Deferred[None]] = []


class Leases:
    """
    Every lease that is held, from the arrival of its task until its settlement is
    acknowledged.

    A heartbeat extends all of them at a third of the shortest.  Only the endpoint
    can say that one is lost; by our own clock nothing is given up.

    @ivar held: The leases by their receipts.
    @ivar whenLost: Called after some were lost.
    """

    _log = Logger()

    _timer: IDelayedCall | None = None
    _beat: Deferred[None] | None = None
    _beatSent = 0.0
    _due = float("inf")
    # Somebody asks for a heartbeat now.
    _asked = False
    _closed = False

    def __init__(self, queue: ITaskQueue, clock: IReactorTime) -> None:
        """
        @param queue: What the heartbeats go to.
        @param clock: What keeps the time.
        """
        self._queue = queue
        self._clock = clock
        self._retry = Retry("Heartbeats", clock)
        self._batch = BatchSize()
        self.held: dict[str, Lease] = {}
        # Those that the open heartbeat extends, if the endpoint hears of it.
        self._extending: frozenset[Lease] = frozenset()
        self.whenLost: Callable[[], object] = lambda: None

    def hold(
        self, receipt: str, id: str | int, length: float, arrived: float
    ) -> Lease | None:
        """
        Keep a lease from now on.

        @param receipt: The proof of it.
        @param id: The task's, for the log.
        @param length: The seconds that it lasts.
        @param arrived: When it arrived, by our clock.

        @return: The lease; L{None} if one of this receipt is held already.
        """
        if receipt in self.held:
            return None
        lease = self.held[receipt] = Lease(receipt, id, length, arrived + length)
        if arrived + length / 3 < self._due:
            self._schedule(arrived + length / 3)
        return lease

    def drop(self, lease: Lease) -> None:
        """
        Keep a lease no longer: it is settled, or given up.
        """
        if self.held.get(lease.receipt) is lease:
            del self.held[lease.receipt]
        self._refuseToExtend(lease, f"task {lease.id} has ended")

    def hasEnded(self, lease: Lease) -> bool:
        """
        @return: Whether a lease is lost, or has ended by our clock.  One that a
            heartbeat is about to extend has not, until that is answered.
        """
        isOver = lease.expires <= self._clock.seconds()
        return lease.lost or (isOver and lease not in self._extending)

    def extend(self, lease: Lease, length: float) -> Deferred[None]:
        """
        Extend a lease now, together with all others, and to as much from then on.

        @param lease: The lease.
        @param length: The seconds that it is to last.

        @return: Fires once it is extended; fails with L{LeaseLostError} if it is
            held no longer.
        """
        if self._closed or self.held.get(lease.receipt) is not lease:
            return fail(LeaseLostError(f"the lease of task {lease.id} is lost"))
        lease.length = length
        extended: Deferred[None] = Deferred()
        lease.extending.append(extended)
        self._asked = True
        self._schedule(self._clock.seconds())
        return extended

    def _refuseToExtend(self, lease: Lease, why: str) -> None:
        """
        Tell whoever waits for a lease to be extended that it will not be.
        """
        extending, lease.extending = lease.extending, []
        for extended in extending:
            extended.errback(LeaseLostError(why))

    def lose(self, receipts: Iterable[str]) -> None:
        """
        The endpoint says that these are no longer ours.  A task among them is
        cancelled, or never started.
        """
        lost = [self.held.pop(receipt) for receipt in receipts if receipt in self.held]
        for lease in lost:
            lease.lost = True
            if lease.onLost is not None:
                lease.onLost()
            self._refuseToExtend(lease, f"the lease of task {lease.id} is lost")
        # What was settled meanwhile is not ours any more, and rightly so.
        ids = [lease.id for lease in lost if not lease.sent]
        if ids:
            self._log.warn(
                "The leases of {count} tasks are lost, such as {id}'s: "
                "the endpoint gives them to somebody else",
                count=len(ids),
                id=ids[0],
            )
        if lost:
            self.whenLost()

    def close(self) -> None:
        """
        Send no more heartbeats.  What is still held ends by itself.
        """
        self._closed = True
        self._unschedule()
        if self._beat is not None:
            self._beat.cancel()
        for lease in list(self.held.values()):
            self._refuseToExtend(lease, "the service has stopped")

    def _schedule(self, due: float) -> None:
        self._unschedule()
        self._due = due
        if self._beat is None:
            delay = max(0, due - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self._startBeat)

    def _unschedule(self) -> None:
        self._due = float("inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _startBeat(self) -> None:
        self._timer = None
        self._due = float("inf")
        self._asked = False
        if self.held:
            self._beatSent = self._clock.seconds()
            self._beat = Deferred.fromCoroutine(self._extendAll())
            self._beat.addBoth(self._beatEnded)

    async def _extendAll(self) -> None:
        """
        One heartbeat: a single request, unless the endpoint refuses so many.
        """
        remaining = list(self.held.values())
        refused = 0
        while remaining and refused < 3:
            batch = self._batch.first(remaining)
            try:
                await self._extend(batch)
            except RefusalError as error:
                if self._batch.divide(len(batch), error):
                    continue
                if not error.divisible:
                    raise
                self._retry.failed(Failure())  # type: ignore[no-untyped-call]
                refused += 1
                self._putLast(batch[0])
            else:
                self._retry.succeeded()
            remaining = remaining[len(batch) :]

    def _putLast(self, lease: Lease) -> None:
        """
        Let the other leases be extended before one that is refused.
        """
        if self.held.get(lease.receipt) is lease:
            self.held[lease.receipt] = self.held.pop(lease.receipt)

    async def _extend(self, leases: Sequence[Lease]) -> None:
        sent = self._clock.seconds()
        lengths = [lease.length for lease in leases]
        # Whoever asks while the request is open gets another one.
        asked = [len(lease.extending) for lease in leases]
        self._extending = frozenset(leases)
        try:
            lost = await self._queue.settle(
                [
                    Settlement(lease.receipt, "extend", lease=length)
                    for lease, length in zip(leases, lengths, strict=True)
                ],
                deadlineFor(lengths),
            )
        finally:
            self._extending = frozenset()
        self._batch.taken(len(leases))
        for lease, length in zip(leases, lengths, strict=True):
            lease.expires = sent + length
        self.lose(lost)
        for lease, count in zip(leases, asked, strict=True):
            extended, lease.extending = lease.extending[:count], lease.extending[count:]
            for each in extended:
                each.callback(None)

    def _beatEnded(self, result: Failure | None) -> None:
        self._beat = None
        self._due = float("inf")
        if self._closed or not self.held:
            return
        leases = self.held.values()
        now = self._clock.seconds()
        third = min(lease.length for lease in leases) / 3
        if isinstance(result, Failure):
            delay = self._retry.failed(result)
            left = [lease.expires - now for lease in leases if lease.expires > now]
            if left:
                # An endpoint that asks to be left alone is, for as long as that
                # leaves a chance to extend the lease that ends first.
                delay = min(delay, max(min(third, 0.5), 0.8 * min(left)))
            self._schedule(now + delay)
        elif self._asked:
            self._schedule(now)
        else:
            self._schedule(self._beatSent + third)
