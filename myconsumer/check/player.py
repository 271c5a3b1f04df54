"""
A producer and a consumer in one, with patience.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from myconsumer.check.delivery import Delivery, Poll
from myconsumer.check.exceptions import Broken, Slow, expect
from myconsumer.check.peer import Peer
from myconsumer.check.wire import Wire

#: The seconds that something may take which should happen at once.
PATIENCE = 5.0

_BETWEEN = 0.1


class Player:
    """
    Plays a producer and a consumer.

    @ivar peer: Makes the requests.
    @ivar wire: See L{Peer}.
    @ivar own: See L{Peer}.
    @ivar queue: See L{Peer.queue}.
    @ivar claim: See L{Peer.claim}.
    @ivar settle: See L{Peer.settle}.
    @ivar end: See L{Peer.end}.
    @ivar seconds: See L{Wire.seconds}.
    @ivar polls: The claims of the check under way that were not waited for.
    """

    def __init__(self, reactor: Any, wire: Wire) -> None:
        """
        @param reactor: The reactor, or a clock.
        @param wire: Sends the requests.
        """
        self._reactor = reactor
        self.peer = peer = Peer(wire)
        self.wire, self.own, self.seconds = wire, peer.own, wire.seconds
        self.queue, self.claim = peer.queue, peer.claim
        self.settle, self.end = peer.settle, peer.end
        self.polls: list[Poll] = []

    def begin(self, **claim: Any) -> Poll:
        """
        Make a claim without waiting for its answer.

        @param claim: See L{Peer.claim}.
        """
        name = str(uuid4())
        answered = Deferred.fromCoroutine(self.claim(name=name, **claim))
        poll = Poll(name, answered)
        self.polls.append(poll)
        return poll

    async def pause(self, seconds: float) -> None:
        """
        Wait.
        """
        await deferLater(self._reactor, seconds)

    async def some(
        self, limit: int = 1, seconds: float = PATIENCE, **claim: Any
    ) -> list[Delivery]:
        """
        Claim until tasks come.

        @param limit: The most tasks to ask for.
        @param seconds: The seconds after which to give up.
        @param claim: See L{Peer.claim}.
        """
        ends = self.seconds() + seconds
        while (left := ends - self.seconds()) > 0:
            if came := await self.claim(limit, left, **claim):
                return came
            await self.pause(min(_BETWEEN, max(0, ends - self.seconds())))
        return []

    async def get(
        self, count: int = 1, seconds: float = PATIENCE, **claim: Any
    ) -> list[Delivery]:
        """
        Claim until C{count} tasks have come.

        @param count: The number of tasks.
        @param seconds: The seconds after which to give up.
        @param claim: See L{Peer.claim}.
        """
        ends = self.seconds() + seconds
        found: list[Delivery] = []
        while len(found) < count:
            left = ends - self.seconds()
            came = await self.some(count - len(found), left, **claim)
            if not came:
                break
            found += came
        return found

    async def one(self, **claim: Any) -> Delivery:
        """
        Claim the task that is there.

        @param claim: See L{Peer.claim}.

        @raise Broken: No task comes.
        """
        came = await self.some(**claim)
        if not came:
            seen = f"a task that is queued was not delivered within {PATIENCE:g} s"
            raise Broken(f"{seen}; wanted: at once")
        return came[0]

    async def two(self, **claim: Any) -> tuple[Delivery, Delivery]:
        """
        Claim the two tasks that are there.

        @param claim: See L{Peer.claim}.

        @raise Broken: One of them does not come.
        """
        came = await self.get(2, **claim)
        seen = f"of 2 tasks that are queued {len(came)} came within {PATIENCE:g} s"
        expect(len(came) == 2, seen, "both")
        return came[0], came[1]

    async def settleHeld(self, *settlements: Mapping[str, Any]) -> None:
        """
        Settle tasks whose leases last: no receipt may be lost.

        @raise Broken: A receipt is lost.
        @raise Slow: A lease may have ended meanwhile.
        """
        lost = await self.settle(*settlements)
        if any(
            self.own.isOver(each["receipt"], self.seconds()) for each in settlements
        ):
            raise Slow
        expect(
            not lost,
            f"{len(lost or ())} of {len(settlements)} receipts are lost, though their "
            "leases have not ended",
            "none",
        )

    async def complete(self, *deliveries: Delivery) -> None:
        """
        Complete tasks whose leases last.

        @raise Broken: See L{settleHeld}.
        """
        await self.settleHeld(*(delivery.to("complete") for delivery in deliveries))


#: Checks one thing, which its docstring states.  It returns what is of interest where
#: that holds, or raises one of the exceptions of L{myconsumer.check.exceptions}.
Check = Callable[[Player], Awaitable[str | None]]
