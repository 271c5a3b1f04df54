"""
The store in SQLite: the tasks of L{Tables}, by way of the one L{Writer}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from msgspec import UNSET
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.counts import Counts
from myconsumer.taskqueue.store.database import CHUNK
from myconsumer.taskqueue.store.expiry import Leased
from myconsumer.taskqueue.store.interface import (
    IStoreListener,
    ITaskStore,
    StoreError,
)
from myconsumer.taskqueue.store.records import (
    Delivery,
    Enqueued,
    FailedTasks,
    NewTask,
    Pruned,
    Retried,
    RetryCursor,
    State,
    TaskRecord,
)
from myconsumer.taskqueue.store.tables import Tables
from myconsumer.taskqueue.store.writer import Operation, Outcome, Writer

T = TypeVar("T")


@implementer(ITaskStore)
class SQLiteStore:
    """
    Keeps tasks with one connection, which somebody else has opened.
    """

    name = "SQLite"

    _listener: IStoreListener
    _isWaking = False
    # when the next delay or lease ends, by our clock
    _due: float | None = None

    def __init__(
        self,
        writer: Writer,
        clock: EpochClock,
        checkRoom: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param writer: Reaches the tasks.
        @param clock: Keeps the time, also for C{writer}.
        @param checkRoom: Called before tasks are queued; raises L{StoreError} where
            there is no room for them.
        """
        self._writer = writer
        self._clock = clock
        self._checkRoom = checkRoom
        self._counts = Counts()
        # receipts of leases from before the start, by queue and claim: whether these
        # claims were answered is not known
        self._unanswered: dict[tuple[str, str], list[str]] = {}

    def start(self) -> None:
        """
        See L{ITaskStore.start}.
        """

    def open(self, listener: IStoreListener) -> Deferred[float | None]:
        """
        See L{ITaskStore.open}.
        """
        self._listener = listener
        self._writer.onCommit = self._committed
        return self._writer.do(self._readAll).addCallback(self._opened)

    def idle(self) -> Deferred[None]:
        """
        See L{ITaskStore.idle}.
        """
        return self._writer.idle()

    def close(self) -> None:
        """
        See L{ITaskStore.close}.
        """
        self._writer.close()

    def enqueue(self, queue: str, tasks: Sequence[NewTask]) -> Deferred[Enqueued]:
        """
        See L{ITaskStore.enqueue}.
        """
        try:
            self._checkRoom()
        except StoreError as error:
            return fail(error)
        return self._writer.do(lambda tables, now: tables.enqueue(queue, tasks, now))

    def ready(self, queue: str) -> int:
        """
        See L{ITaskStore.ready}.
        """
        # the counts are stale while wake() runs; claims queued now run after it, so let
        # them all ask
        return CHUNK if self._isWaking else self._counts.ready(queue)

    def claim(
        self, queue: str, claim: str, limit: int, lease: float
    ) -> Deferred[list[Delivery]]:
        """
        See L{ITaskStore.claim}.
        """

        def leased(tables: Tables, now: float) -> list[Delivery]:
            deliveries = tables.claim(queue, claim, limit, lease, now)
            if not deliveries:
                self._counts.correct(tables, queue)
            return deliveries

        return self._writer.do(leased)

    def endClaim(self, queue: str, claim: str) -> Deferred[None]:
        """
        See L{ITaskStore.endClaim}.
        """
        receipts = self._unanswered.get((queue, claim), ())
        if not receipts:
            return succeed(None)

        def released(_: object) -> None:
            self._unanswered.pop((queue, claim), None)

        settlements = [Settlement(each, "release", counted=False) for each in receipts]
        return self.settle(queue, settlements).addCallback(released)

    def settle(
        self, queue: str, settlements: Sequence[Settlement]
    ) -> Deferred[list[str]]:
        """
        See L{ITaskStore.settle}.
        """
        return self._writer.do(
            lambda tables, now: tables.settlements.settle(queue, settlements, now)
        )

    def wake(self) -> Deferred[None]:
        """
        See L{ITaskStore.wake}.
        """
        self._isWaking = True
        return self._writer.do(lambda tables, now: tables.expiry.wake(now)).addBoth(
            self._woken
        )

    def counts(self) -> Deferred[dict[str, dict[State, int]]]:
        """
        See L{ITaskStore.counts}.
        """
        return succeed(self._counts.byQueue())

    def failed(self, queue: str, limit: int, after: int) -> Deferred[FailedTasks]:
        """
        See L{ITaskStore.failed}.
        """
        return self._writer.do(
            lambda tables, now: tables.archive.failed(queue, limit, after)
        )

    def retry(self, queue: str, ids: Collection[str]) -> Deferred[Retried]:
        """
        See L{ITaskStore.retry}.
        """
        return self._writer.do(lambda tables, now: tables.archive.retry(queue, ids))

    def retryAll(
        self, queue: str, limit: int, after: RetryCursor | None
    ) -> Deferred[Retried]:
        """
        See L{ITaskStore.retryAll}.
        """
        return Deferred.fromCoroutine(self._retryAll(queue, limit, after))

    def task(self, queue: str, id: str) -> Deferred[TaskRecord | None]:
        """
        See L{ITaskStore.task}.
        """
        return self._writer.do(lambda tables, now: tables.archive.task(queue, id))

    def prune(self, keep: float) -> Deferred[Pruned]:
        """
        See L{ITaskStore.prune}.
        """

        def pruned(tables: Tables, now: float) -> Pruned:
            gone = tables.archive.prune(now - keep)
            failed = {
                queue: n for (queue, state), n in gone.items() if state == "failed"
            }
            return Pruned(failed, gone.total() < CHUNK)

        return self._writer.do(pruned)

    def followClock(self) -> Deferred[float]:
        """
        See L{ITaskStore.followClock}.
        """
        ahead = self._clock.ahead()
        if not ahead:
            return succeed(0.0)
        # what shares the transaction must not find a lease ended: a clock that goes
        # back does so before the leases, one that goes forward after them
        if ahead > 0:
            self._clock.setBack(ahead)
        later = max(0.0, -ahead)
        return self._writer.do(
            lambda tables, now: tables.expiry.resume(now + later)
        ).addCallbacks(lambda _: self._set(ahead), self._notSet, errbackArgs=(ahead,))

    def _set(self, ahead: float) -> float:
        if ahead < 0:
            self._clock.setBack(ahead)
        self._tellDue()
        return ahead

    def _notSet(self, failure: Failure, ahead: float) -> Failure:
        if ahead > 0:
            self._clock.setBack(-ahead)
        return failure

    def _readAll(
        self, tables: Tables, now: float
    ) -> tuple[Counter[tuple[str, State]], list[Leased], float | None]:
        last = tables.archive.lastEnd()
        return (
            tables.count(),
            tables.expiry.resume(now),
            None if last is None else now - last,
        )

    def _opened(
        self, found: tuple[Counter[tuple[str, State]], list[Leased], float | None]
    ) -> float | None:
        counts, leased, sinceEnd = found
        self._counts.add(counts)
        for each in leased:
            receipts = self._unanswered.setdefault((each.queue, each.claim), [])
            receipts.append(each.receipt)
        return sinceEnd

    async def _retryAll(
        self, queue: str, limit: int, after: RetryCursor | None
    ) -> Retried:
        retried = 0
        while True:
            some = await self._writer.do(
                _retrySome(queue, min(CHUNK, limit - retried), after)
            )
            retried += some.retried
            if some.next is UNSET or retried == limit:
                return Retried(retried, next=some.next)
            after = some.next

    def _woken(self, result: T) -> T:
        self._isWaking = False
        return result

    def _committed(self, outcome: Outcome) -> None:
        self._counts.add(outcome.changes)
        if outcome.due is not UNSET:
            self._due = outcome.due
            self._tellDue()
        for (queue, state), change in outcome.changes.items():
            if state == "ready" and change > 0:
                self._listener.tasksReady(queue)

    def _tellDue(self) -> None:
        left = None
        if self._due is not None:
            left = max(0.0, self._due - self._clock.seconds())
        self._listener.nextDue(left)


def _retrySome(queue: str, limit: int, after: RetryCursor | None) -> Operation[Retried]:
    return lambda tables, now: tables.archive.retryAll(queue, limit, after, now)
