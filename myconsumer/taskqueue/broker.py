"""
The embedded queue without a door: what its two doors, HTTP and the consumer of the same
process, have in common.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from sys import maxsize
from typing import TypeVar

from msgspec import UNSET
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from myconsumer.task import Settlement
from myconsumer.taskqueue.polls import Polls
from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.counts import Counts
from myconsumer.taskqueue.store.database import CHUNK
from myconsumer.taskqueue.store.records import (
    Delivery,
    Enqueued,
    FailedTasks,
    NewTask,
    Retried,
    RetryCursor,
    State,
    TaskRecord,
)
from myconsumer.taskqueue.store.tasks import Leased, Store
from myconsumer.taskqueue.store.writer import Operation, Outcome, Writer
from myconsumer.taskqueue.upkeep import Upkeep

T = TypeVar("T")

#: The seconds until that is tried again which has failed and nobody waits for.
AGAIN = 1.0


class Broker:
    """
    Queues of tasks, each by its name.  They are there as soon as they are spoken of.

    Every Deferred fails with C{sqlite3.Error} where the file cannot be read or
    written; then nothing was changed, and the same may work later.
    """

    def __init__(
        self,
        writer: Writer,
        clock: EpochClock,
        keep: float,
        checkRoom: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param writer: Reaches the tasks.
        @param clock: What keeps the time.
        @param keep: The seconds for which tasks are kept that completed or failed.
        @param checkRoom: Called before tasks are queued, which fails with the
            C{sqlite3.Error} that it raises.
        """
        self._writer = writer
        self._clock = clock
        self._upkeep = Upkeep(writer, clock, keep, lambda: self._wakeAt(self._nextDue))
        self._checkRoom = checkRoom
        self._counts = Counts()
        self._isOpen = False
        # why it could not be opened, while it cannot
        self._fault: Failure | None = None
        # leases from before the start, by claim: whether these claims were answered
        # is not known
        self._unanswered: dict[tuple[str, str], list[str]] = {}
        self._opening: list[Deferred[None]] = []
        self._timers: dict[str, IDelayedCall] = {}
        self._nextDue: float | None = None
        self._isWaking = False
        self._isClosed = False
        self._isOver = False
        self._polls = Polls(writer, clock, self._readyTasks, self._counts.correct)
        writer.onCommit = self._committed

    def open(self) -> None:
        """
        Find out how things are, for as long as it takes, and begin all leases anew.
        What is asked meanwhile waits for that; it fails once that has failed, and until
        it has worked.
        """
        self._writer.do(
            lambda store, now: (
                store.count(),
                store.resume(now),
                store.archive.lastEnd(),
            )
        ).addCallbacks(self._opened, self._notOpened)

    def close(self) -> Deferred[None]:
        """
        Answer all open claims.

        @return: Fires once all that was asked for is done.
        """
        self._isClosed = True
        self._upkeep.stop()
        self._polls.close()
        self._proceed()
        return self._writer.idle().addCallback(self._closed)

    def enqueue(self, queue: str, tasks: Sequence[NewTask]) -> Deferred[Enqueued]:
        """
        Queue tasks: all of them or, if this fails, none.

        @param queue: The name of the queue.
        @param tasks: The tasks.

        @return: Fires once they are durable.
        """
        try:
            self._checkRoom()
        except sqlite3.Error as error:
            return fail(error)
        return self._do(lambda store, now: store.enqueue(queue, tasks, now))

    def claim(
        self, queue: str, name: str, limit: int, wait: float, lease: float
    ) -> Deferred[list[Delivery]]:
        """
        See L{Polls.claim}.
        """
        return self._whenOpen().addCallback(
            lambda _: self._polls.claim(queue, name, limit, wait, lease)
        )

    def cancelClaim(self, queue: str, name: str) -> Deferred[None]:
        """
        End a claim, or one that is still to come.  What was leased under it and not
        answered goes back, uncounted.

        @param queue: The name of the queue.
        @param name: The claim's own name.

        @return: Fires once that is so.
        """
        return self._whenOpen().addCallback(lambda _: self._cancelClaim(queue, name))

    def settle(
        self, queue: str, settlements: Sequence[Settlement]
    ) -> Deferred[list[str]]:
        """
        Take note of how tasks ended, or that they still run.

        @param queue: The name of the queue.
        @param settlements: What is said of them.

        @return: Fires, once that is durable, with the receipts that are no longer
            those of a lease.
        """
        return self._do(lambda store, now: store.settle(queue, settlements, now))

    def counts(self) -> Deferred[dict[str, dict[State, int]]]:
        """
        @return: Fires with the number of tasks in each state, by queue.
        """
        return self._whenOpen().addCallback(lambda _: self._counts.byQueue())

    def failed(self, queue: str, limit: int, after: int) -> Deferred[FailedTasks]:
        """
        List tasks that have failed.

        @param queue: The name of the queue.
        @param limit: The most tasks.
        @param after: Where to go on, L{FailedTasks.next}; 0: at the beginning.
        """
        return self._do(lambda store, now: store.archive.failed(queue, limit, after))

    def retry(self, queue: str, ids: Collection[str]) -> Deferred[Retried]:
        """
        Make failed tasks ready, their attempts beginning anew.

        @param queue: The name of the queue.
        @param ids: Their names.
        """
        return self._do(lambda store, now: store.archive.retry(queue, ids))

    def retryAll(
        self, queue: str, limit: int = maxsize, after: RetryCursor | None = None
    ) -> Deferred[Retried]:
        """
        Make ready all tasks that have failed by now, their attempts beginning anew.

        @param queue: The name of the queue.
        @param limit: The most tasks.
        @param after: Where to go on, L{Retried.next}; C{None}: at the beginning.
        """
        return Deferred.fromCoroutine(self._retryAll(queue, limit, after))

    def task(self, queue: str, id: str) -> Deferred[TaskRecord | None]:
        """
        Look a task up.

        @param queue: The name of the queue.
        @param id: Its name.

        @return: Fires with how things are with it; with C{None} if it is not known.
        """
        return self._do(lambda store, now: store.archive.task(queue, id))

    def _cancelClaim(self, queue: str, name: str) -> Deferred[None]:
        ended = self._polls.end(queue, name)
        receipts = self._unanswered.get((queue, name), ())
        if not receipts:
            return ended

        def released(_: object) -> Deferred[None]:
            self._unanswered.pop((queue, name), None)
            return ended

        settlements = [Settlement(each, "release", counted=False) for each in receipts]
        return self.settle(queue, settlements).addCallback(released)

    async def _retryAll(
        self, queue: str, limit: int, after: RetryCursor | None
    ) -> Retried:
        retried = 0
        while True:
            some = await self._do(
                partial(_retrySome, queue, min(CHUNK, limit - retried), after)
            )
            retried += some.retried
            if some.next is UNSET or retried == limit:
                return Retried(retried, next=some.next)
            after = some.next

    def _do(self, operation: Operation[T]) -> Deferred[T]:
        if self._isOver:
            return fail(sqlite3.OperationalError("the queue is closed"))
        if self._isOpen:
            return self._writer.do(operation)
        return self._whenOpen().addCallback(lambda _: self._writer.do(operation))

    def _whenOpen(self) -> Deferred[None]:
        if self._isOpen or self._isClosed:
            return succeed(None)
        if self._fault is not None:
            return fail(self._fault)
        self._opening.append(Deferred())
        return self._opening[-1]

    def _opened(
        self,
        found: tuple[Counter[tuple[str, State]], list[Leased], float | None],
    ) -> None:
        counts, leased, lastEnd = found
        self._counts.add(counts)
        for each in leased:
            receipts = self._unanswered.setdefault((each.queue, each.claim), [])
            receipts.append(each.receipt)
        self._isOpen = True
        self._proceed()
        if not self._isClosed:
            self._upkeep.start(lastEnd)

    def _proceed(self) -> None:
        for waiting in self._swapOpening():
            waiting.callback(None)

    def _notOpened(self, reason: Failure) -> None:
        if not self._isClosed:
            self._fault = reason
            self._timers["open"] = self._clock.callLater(AGAIN, self.open)
            for waiting in self._swapOpening():
                waiting.errback(reason)

    def _swapOpening(self) -> Sequence[Deferred[None]]:
        opening, self._opening = self._opening, []
        return opening

    def _readyTasks(self, queue: str) -> int:
        # while tasks become ready nobody knows how many, and what is asked for is
        # asked for after that
        return CHUNK if self._isWaking else self._counts.ready(queue)

    def _committed(self, outcome: Outcome) -> None:
        self._counts.add(outcome.changes)
        if outcome.due is not UNSET:
            self._nextDue = outcome.due
            self._wakeAt(outcome.due)
        for (queue, state), change in outcome.changes.items():
            if state == "ready" and change > 0:
                self._polls.serve(queue)

    def _wakeAt(self, due: float | None) -> None:
        """
        Have tasks become ready when the first delay or lease ends.
        """
        if self._isWaking or self._isClosed:
            return
        self._cancel("wake")
        if due is not None:
            left = max(0.0, due - self._clock.seconds())
            self._timers["wake"] = self._clock.callLater(left, self._wake)

    def _wake(self) -> None:
        self._isWaking = True
        self._writer.do(Store.wake).addCallbacks(self._woken, self._notWoken)

    def _woken(self, _: None) -> None:
        self._isWaking = False
        self._wakeAt(self._nextDue)

    def _notWoken(self, _: Failure) -> None:
        self._isWaking = False
        self._wakeAt(self._clock.seconds() + AGAIN)

    def _closed(self, _: None) -> None:
        self._isOver = True
        for name in list(self._timers):
            self._cancel(name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()


def _retrySome(
    queue: str, limit: int, after: RetryCursor | None, store: Store, now: float
) -> Retried:
    return store.archive.retryAll(queue, limit, after, now)
