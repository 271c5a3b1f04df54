"""
Requests to a queue: each is announced when it is sent, and once more when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.interfaces import ISelfTimedTaskQueue, ITaskQueue
from myconsumer.pipeline.observers import Observers
from myconsumer.task import Claimed, Request, RequestKind, Settlement

#: The seconds beyond its C{wait} within which a claim must have ended.
CLAIM_WITHIN = 30.0

#: The seconds beyond its deadline within which a request about leases must have ended.
SETTLE_WITHIN = 10.0

#: The seconds within which a request to cancel a claim must have ended.
CANCEL_WITHIN = 30.0


class Requests:
    """
    What all requests to one queue share.

    @ivar queue: Where they go.
    @ivar observers: Observe them.
    @ivar clock: Measures how long they take.
    @ivar isObserved: Whether anybody wants to know of them.
    @ivar isSelfTimed: Whether the queue is an L{ISelfTimedTaskQueue
        <myconsumer.interfaces.ISelfTimedTaskQueue>}.
    """

    def __init__(
        self, queue: ITaskQueue, observers: Observers, clock: IReactorTime
    ) -> None:
        """
        @param queue: Where they go.
        @param observers: Observe them.
        @param clock: Measures how long they take.
        """
        self.queue = queue
        self.observers = observers
        self.clock = clock
        self.isObserved = any(
            observers.isObserved(event)
            for event in ("requestSent", "requestAnswered", "requestFailed")
        )
        self.isSelfTimed = bool(ISelfTimedTaskQueue.providedBy(queue))


class Sending(Deferred[Any]):
    """
    The answer to one request, for which whoever sends the request waits before that:
    what observes the request may call anything, and so may the queue.

    Cancelling it drops the request, which is not even sent if that was still to come.

    @ivar isSent: Whether the queue was given the request.
    """

    isSent = False
    _request: Request | None = None
    _inner: Deferred[Any] | None = None

    def __init__(self, requests: Requests) -> None:
        """
        @param requests: What it shares with others.
        """
        super().__init__(_cancel)
        self._requests = requests
        if requests.isObserved:
            self.addCallbacks(self._answered, self._failed)

    def claim(self, claim: str, limit: int, wait: float, lease: float) -> None:
        """
        Send a claim.  See L{ITaskQueue.claim
        <myconsumer.interfaces.ITaskQueue.claim>}.
        """
        if self._isToSend("claim", limit, wait + CLAIM_WITHIN, claim):
            self._send(self._requests.queue.claim, claim, limit, wait, lease)

    def settle(self, settlements: Sequence[Settlement], deadline: float) -> None:
        """
        Send settlements.  See L{ITaskQueue.settle
        <myconsumer.interfaces.ITaskQueue.settle>}.
        """
        if self._isToSend("settle", len(settlements), deadline + SETTLE_WITHIN):
            self._send(self._requests.queue.settle, settlements, deadline)

    def extend(self, settlements: Sequence[Settlement], deadline: float) -> None:
        """
        Send a heartbeat.  See L{ITaskQueue.settle
        <myconsumer.interfaces.ITaskQueue.settle>}.
        """
        if self._isToSend("extend", len(settlements), deadline + SETTLE_WITHIN):
            self._send(self._requests.queue.settle, settlements, deadline)

    def cancelClaim(self, claim: str) -> None:
        """
        Have a claim ended.  See L{ITaskQueue.cancelClaim
        <myconsumer.interfaces.ITaskQueue.cancelClaim>}.
        """
        if self._isToSend("cancel", 1, CANCEL_WITHIN, claim):
            self._send(self._requests.queue.cancelClaim, claim)

    def _isToSend(
        self, kind: RequestKind, count: int, within: float, claim: str | None = None
    ) -> bool:
        """
        Announce the request.  See L{Request}.

        @return: Whether it is to be sent: it was not cancelled, before or meanwhile.
        """
        if self._requests.isObserved and not self.called:
            sent = self._requests.clock.seconds()
            self._request = request = Request(kind, count, within, sent, claim)
            self._requests.observers.requestSent(request)
        return not self.called

    def _send(self, method: Callable[..., Deferred[Any]], *args: Any) -> None:
        self.isSent = True
        try:
            inner = method(*args)
        except Exception:
            inner = fail()
        if self.called:
            # the queue has had it cancelled
            inner.addErrback(lambda _: None)
            inner.cancel()
            return
        self._inner = inner
        inner.addCallbacks(self.callback, self.errback)

    def drop(self) -> None:
        """
        Drop the request, if it was sent.  Called when this is cancelled.
        """
        if self._inner is not None:
            self._inner.cancel()

    def _answered(self, answer: Any) -> Any:
        request = self._request
        if request is not None:
            try:
                count = _count(request, answer)
            except Exception:
                return self._failed(Failure())
            seconds = self._requests.clock.seconds() - request.sent
            self._requests.observers.requestAnswered(request, seconds, count)
        return answer

    def _failed(self, failure: Failure) -> Failure:
        request = self._request
        if request is not None:
            seconds = self._requests.clock.seconds() - request.sent
            self._requests.observers.requestFailed(request, seconds, failure)
        return failure


def _cancel(sending: Deferred[Any]) -> None:
    """
    The canceller of a L{Sending}: a function, lest each is a circle of references.
    """
    if isinstance(sending, Sending):
        sending.drop()


def _count(request: Request, answer: Any) -> int:
    """
    @return: See C{count} of L{IConsumerObserver.requestAnswered
        <myconsumer.interfaces.IConsumerObserver.requestAnswered>}.
    """
    if request.kind == "claim":
        claimed: Claimed = answer
        return len(claimed.tasks)
    if request.kind == "cancel":
        return int(bool(answer))
    lost: Collection[str] = answer
    return max(0, request.count - len(lost))
