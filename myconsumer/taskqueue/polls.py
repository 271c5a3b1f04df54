"""
Claims that are open: they wait for tasks, and are served in the order in which they
came.

Promise 5: what was leased to a claim that nobody waits for any more is released.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.interface import ITaskStore
from myconsumer.taskqueue.store.records import Delivery

T = TypeVar("T")

#: The seconds after which work that the store has failed at is retried.
AGAIN = 1.0

#: How many names of ended claims are remembered, for claims that come after their end.
REMEMBERED = 10_000


@dataclass(eq=False, slots=True)
class Poll:
    """
    One open claim.

    @ivar queue: The name of the queue.
    @ivar name: The claim's own name.
    @ivar limit: The most tasks.
    @ivar lease: The seconds for which they are to be leased.
    @ivar answer: Fires with them.
    @ivar timer: Ends its waiting.
    @ivar isAsking: Whether the store was asked for its tasks and has not answered.
    @ivar isOver: Whether its wait is over.
    @ivar isDropped: Whether nobody takes tasks for it any more.
    @ivar ending: Fire once nothing is leased to it, after it was dropped.
    """

    queue: str
    name: str
    limit: int
    lease: float
    answer: Deferred[list[Delivery]]
    timer: IDelayedCall | None = None
    isAsking: bool = False
    isOver: bool = False
    isDropped: bool = False
    ending: list[Deferred[None]] = field(default_factory=list)


class Polls:
    """
    All open claims.
    """

    def __init__(self, store: ITaskStore, clock: IReactorTime) -> None:
        """
        @param store: Keeps the tasks.
        @param clock: What keeps the time.
        """
        self._store = store
        self._clock = clock
        # by queue, in the order in which they came: dictionaries are ordered sets
        self._open: defaultdict[str, dict[Poll, None]] = defaultdict(dict)
        self._asked: Counter[str] = Counter()
        self._ended: dict[tuple[str, str], bool] = {}
        self._isClosed = False

    @property
    def openClaims(self) -> int:
        """
        How many claims are open.
        """
        return sum(len(polls) for polls in self._open.values())

    def claim(
        self, queue: str, name: str, limit: int, wait: float, lease: float
    ) -> Deferred[list[Delivery]]:
        """
        Lease what is ready, or wait for it.

        @param queue: The name of the queue.
        @param name: The claim's own name.
        @param limit: The most tasks.
        @param wait: The seconds to wait for the first.
        @param lease: The seconds for which they are to be leased.

        @return: Fires with the tasks; none: nothing came in time, or the claim was
            ended.  To be cancelled when nobody waits for the answer any more: what
            is leased then is released, uncounted.
        """
        if self._isClosed or self._ended.pop((queue, name), None) is not None:
            return succeed([])
        answer: Deferred[list[Delivery]] = Deferred(lambda _: self._drop(poll))
        poll = Poll(queue, name, limit, lease, answer)
        self._open[queue][poll] = None
        if wait:
            poll.timer = self._clock.callLater(wait, self._expire, poll)
        self.serve(queue)
        if not wait:
            self._expire(poll)
        return answer

    def serve(self, queue: str) -> None:
        """
        Ask the store for tasks of a queue, for as many claims as may get some.

        @param queue: The name of the queue.
        """
        for poll in list(self._open.get(queue, ())):
            if self._store.ready(queue) <= self._asked[queue]:
                break
            if not (poll.isAsking or poll.isDropped):
                self._ask(poll)

    def end(self, queue: str, name: str) -> Deferred[None]:
        """
        End a claim, or one that is still to come.

        @param queue: The name of the queue.
        @param name: The claim's own name.

        @return: Fires once nothing is leased to it that was not answered.
        """
        self._ended[queue, name] = True
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        ending: list[Deferred[None]] = []
        for poll in list(self._open.get(queue, ())):
            if poll.name == name:
                ending.append(Deferred())
                poll.ending.append(ending[-1])
                self._answer(poll, [])
        return gatherResults(ending).addCallback(lambda _: None)

    def close(self) -> None:
        """
        Answer all claims that wait, and those that come.
        """
        self._isClosed = True
        for polls in list(self._open.values()):
            for poll in list(polls):
                self._expire(poll)
                self._stopTimer(poll)

    def _ask(self, poll: Poll) -> None:
        poll.isAsking = True
        self._asked[poll.queue] += poll.limit
        asked = self._store.claim(poll.queue, poll.name, poll.limit, poll.lease)
        asked.addBoth(self._doneAsking, poll).addCallbacks(
            self._claimed, self._failed, callbackArgs=(poll,), errbackArgs=(poll,)
        )

    def _doneAsking(self, result: T, poll: Poll) -> T:
        poll.isAsking = False
        self._asked[poll.queue] -= poll.limit
        if not self._asked[poll.queue]:
            del self._asked[poll.queue]
        return result

    def _claimed(self, deliveries: list[Delivery], poll: Poll) -> None:
        if poll.isDropped:
            self._giveBack(poll, deliveries)
        elif deliveries or poll.isOver:
            self._answer(poll, deliveries)
        self.serve(poll.queue)

    def _failed(self, reason: Failure, poll: Poll) -> None:
        if not poll.isDropped:
            self._drop(poll)
            poll.answer.errback(reason)
        else:
            self._over(poll)
        self.serve(poll.queue)

    def _giveBack(self, poll: Poll, deliveries: Sequence[Delivery]) -> None:
        """
        Release what nobody took; retried until it succeeds.
        """
        released = [
            Settlement(delivery.receipt, "release", counted=False)
            for delivery in deliveries
        ]

        def again(_: Failure) -> None:
            if not self._isClosed:
                poll.timer = self._clock.callLater(
                    AGAIN, self._giveBack, poll, deliveries
                )

        self._store.settle(poll.queue, released).addCallbacks(
            lambda _: self._over(poll), again
        )

    def _expire(self, poll: Poll) -> None:
        poll.isOver = True
        if not (poll.isAsking or poll.isDropped):
            self._answer(poll, [])

    def _answer(self, poll: Poll, deliveries: list[Delivery]) -> None:
        if not poll.isDropped:
            self._drop(poll)
            poll.answer.callback(deliveries)

    def _drop(self, poll: Poll) -> None:
        """
        Note that nobody takes tasks for a claim any more.
        """
        poll.isDropped = True
        self._stopTimer(poll)
        if not poll.isAsking:
            self._over(poll)

    def _stopTimer(self, poll: Poll) -> None:
        if poll.timer is not None and poll.timer.active():
            poll.timer.cancel()

    def _over(self, poll: Poll) -> None:
        """
        Forget a claim: nothing is leased to it that was not delivered.
        """
        polls = self._open[poll.queue]
        polls.pop(poll, None)
        if not polls:
            del self._open[poll.queue]
        for ending in poll.ending:
            ending.callback(None)
