"""
The embedded queue between its store and its two entrances, HTTP and the consumer of the
same process: it opens the store, holds the claims that wait, and wakes tasks in time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from sys import maxsize
from typing import Literal, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.task import Settlement
from myconsumer.taskqueue.polls import AGAIN, Polls
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
    Retried,
    RetryCursor,
    State,
    TaskRecord,
)
from myconsumer.taskqueue.upkeep import Upkeep

T = TypeVar("T")


@implementer(IStoreListener)
class Broker:
    """
    Queues of tasks, each by its name.  A queue need not be made before it is used.

    Every Deferred fails with L{StoreError} where the store cannot be read or written;
    then nothing was changed, and the same may work later.
    """

    _state: Literal["opening", "open", "closing", "closed"] = "opening"
    # why the store could not be opened, while it cannot
    _fault: Failure | None = None
    # whether the store was opened, which counts its tasks
    _isCounted = False
    _nextDue: float | None = None
    _isWaking = False

    def __init__(self, store: ITaskStore, clock: IReactorTime, keep: float) -> None:
        """
        @param store: Keeps the tasks; it is started already, or will be before
            L{open}.
        @param clock: What keeps the time.
        @param keep: The seconds for which tasks are kept that completed or failed.
        """
        self._store = store
        self._clock = clock
        self._upkeep = Upkeep(store, clock, keep)
        self._polls = Polls(store, clock)
        self._opening: list[Deferred[None]] = []
        self._timers: dict[str, IDelayedCall] = {}

    @property
    def openClaims(self) -> int:
        """
        How many claims wait for tasks.
        """
        return self._polls.openClaims

    def open(self) -> None:
        """
        Open the store; retried until it succeeds.  Requests wait for the first attempt,
        and fail after one that failed.
        """
        self._store.open(self).addCallbacks(self._opened, self._notOpened)

    def close(self) -> Deferred[None]:
        """
        Answer all open claims.

        @return: Fires once all requests are done.
        """
        # a queue that was closed before it was open answers what it can
        self._state = "closing"
        self._upkeep.stop()
        self._polls.close()
        self._proceed()
        return self._store.idle().addCallback(self._closed)

    def enqueue(self, queue: str, tasks: Sequence[NewTask]) -> Deferred[Enqueued]:
        """
        See L{ITaskStore.enqueue}.
        """
        return self._do(lambda: self._store.enqueue(queue, tasks))

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
        answered is released, uncounted.

        @param queue: The name of the queue.
        @param name: The name of the claim.

        @return: Fires once that is done.
        """
        return self._whenOpen().addCallback(lambda _: self._cancelClaim(queue, name))

    def settle(
        self, queue: str, settlements: Sequence[Settlement]
    ) -> Deferred[list[str]]:
        """
        See L{ITaskStore.settle}.
        """
        return self._do(lambda: self._store.settle(queue, settlements))

    def counts(self) -> Deferred[dict[str, dict[State, int]]]:
        """
        See L{ITaskStore.counts}.
        """
        return self._whenOpen().addCallback(lambda _: self._counted())

    def failed(self, queue: str, limit: int, after: int) -> Deferred[FailedTasks]:
        """
        See L{ITaskStore.failed}.
        """
        return self._do(lambda: self._store.failed(queue, limit, after))

    def retry(self, queue: str, ids: Collection[str]) -> Deferred[Retried]:
        """
        See L{ITaskStore.retry}.
        """
        return self._do(lambda: self._store.retry(queue, ids))

    def retryAll(
        self, queue: str, limit: int = maxsize, after: RetryCursor | None = None
    ) -> Deferred[Retried]:
        """
        See L{ITaskStore.retryAll}.
        """
        return self._do(lambda: self._store.retryAll(queue, limit, after))

    def task(self, queue: str, id: str) -> Deferred[TaskRecord | None]:
        """
        See L{ITaskStore.task}.
        """
        return self._do(lambda: self._store.task(queue, id))

    def tasksReady(self, queue: str) -> None:
        """
        See L{IStoreListener.tasksReady}.
        """
        self._polls.serve(queue)

    def nextDue(self, seconds: float | None) -> None:
        """
        See L{IStoreListener.nextDue}.
        """
        self._nextDue = None if seconds is None else self._clock.seconds() + seconds
        self._wakeAt(self._nextDue)

    def _counted(self) -> Deferred[dict[str, dict[State, int]]]:
        if not self._isCounted:
            return fail(StoreError("the queue is closed"))
        return self._store.counts()

    def _cancelClaim(self, queue: str, name: str) -> Deferred[None]:
        ended = self._polls.end(queue, name)
        return self._store.endClaim(queue, name).addCallback(lambda _: ended)

    def _do(self, request: Callable[[], Deferred[T]]) -> Deferred[T]:
        if self._state == "open":
            return request()
        if self._state == "closed":
            return fail(StoreError("the queue is closed"))
        return self._whenOpen().addCallback(lambda _: request())

    def _whenOpen(self) -> Deferred[None]:
        if self._state != "opening":
            return succeed(None)
        if self._fault is not None:
            return fail(self._fault)
        self._opening.append(Deferred())
        return self._opening[-1]

    def _opened(self, sinceEnd: float | None) -> None:
        self._isCounted = True
        if self._state == "opening":
            self._state = "open"
            self._proceed()
            self._upkeep.start(sinceEnd)

    def _notOpened(self, reason: Failure) -> None:
        if self._state == "opening":
            self._fault = reason
            self._timers["open"] = self._clock.callLater(AGAIN, self.open)
            for waiting in self._swapOpening():
                waiting.errback(reason)

    def _proceed(self) -> None:
        for waiting in self._swapOpening():
            waiting.callback(None)

    def _swapOpening(self) -> Sequence[Deferred[None]]:
        opening, self._opening = self._opening, []
        return opening

    def _wakeAt(self, due: float | None) -> None:
        """
        Wake tasks when the first delay or lease ends.
        """
        if self._isWaking or self._state not in ("opening", "open"):
            return
        self._cancel("wake")
        if due is not None:
            left = max(0.0, due - self._clock.seconds())
            self._timers["wake"] = self._clock.callLater(left, self._wake)

    def _wake(self) -> None:
        self._isWaking = True
        self._store.wake().addCallbacks(self._woken, self._notWoken)

    def _woken(self, _: None) -> None:
        self._isWaking = False
        self._wakeAt(self._nextDue)

    def _notWoken(self, _: Failure) -> None:
        self._isWaking = False
        self._wakeAt(self._clock.seconds() + AGAIN)

    def _closed(self, _: None) -> None:
        self._state = "closed"
        for name in list(self._timers):
            self._cancel(name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()
