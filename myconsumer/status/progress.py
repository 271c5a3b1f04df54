"""
Whether a service makes progress: no request hangs.

An endpoint that is down, a pause, an empty queue and a full backoff are progress: no
request is in flight then for longer than it may be.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.pipeline.observers import Observer
from myconsumer.task import Request

#: What a request is for, as a sentence names it.
_WORDS = {
    "claim": "A claim of {count} tasks",
    "settle": "A request that settles {count} tasks",
    "extend": "A request that extends {count} leases",
    "cancel": "A request that cancels a claim",
}


class Progress(Observer):
    """
    Knows the requests that are in flight.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: Measures how long they are.
        """
        self._clock = clock
        # The oldest first.
        self._sent: dict[Request, None] = {}

    def requestSent(self, request: Request) -> None:
        """
        See L{IConsumerObserver.requestSent
        <myconsumer.interfaces.IConsumerObserver.requestSent>}.
        """
        self._sent[request] = None

    def requestAnswered(self, request: Request, seconds: float, count: int) -> None:
        """
        See L{IConsumerObserver.requestAnswered
        <myconsumer.interfaces.IConsumerObserver.requestAnswered>}.
        """
        self._sent.pop(request, None)

    def requestFailed(self, request: Request, seconds: float, reason: Failure) -> None:
        """
        See L{IConsumerObserver.requestFailed
        <myconsumer.interfaces.IConsumerObserver.requestFailed>}.
        """
        self._sent.pop(request, None)

    def isStuck(self) -> str | None:
        """
        @return: A sentence about the oldest of the requests that hang, each of which is
            in flight for longer than it may be; C{None} while there is progress.
        """
        now = self._clock.seconds()
        for request in self._sent:
            hung = now - request.sent
            if hung > request.within:
                return (
                    f"{_WORDS[request.kind].format(count=request.count)} has hung for "
                    f"{hung:.0f} s, and must have ended within "
                    f"{request.within:.0f} s"
                )
        return None
