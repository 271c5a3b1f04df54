"""
A pull endpoint over real HTTP, in the test's own process.

It answers as the contract says, unless a test gives it a plan of L{faults
<tests.acceptance.faults>}, and keeps a record of all that it saw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python import log
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.acceptance import faults
from tests.acceptance.exchange import Exchange, Fault, Reply, Seen, see
from tests.acceptance.model import Job, ModelQueue


@dataclass(eq=False)
class Endpoint:
    """
    The endpoint.

    @ivar plan: The faults that requests meet.
    @ivar canCancel: Whether it has C{DELETE}; if not it answers C{405}.
    @ivar waits: Whether it keeps a claim open until a task comes.
    @ivar http10: Whether it speaks HTTP/1.0: no length, no connection kept.
    @ivar roundTrip: The seconds that each request takes at least.
    @ivar down: Whether it resets each connection as soon as it is made.
    @ivar token: The bearer token that it wants.
    @ivar plainly: What a C{GET} that takes these jobs is answered.
    @ivar seen: Every request.
    @ivar refused: When connections were reset for being L{down}.
    @ivar mostOpenClaims: The most claims that ever waited for their answer at once.
    @ivar channels: The connections that are open.
    """

    reactor: Any
    plan: faults.Plan = lambda seen: None
    canCancel: bool = True
    waits: bool = True
    http10: bool = False
    roundTrip: float = 0.0
    down: bool = False
    token: str | None = None
    plainly: Callable[[list[Job]], Any] = lambda jobs: jobs[0].message("")
    seen: list[Seen] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    mostOpenClaims: int = 0
    _exchanges: list[Exchange] = field(default_factory=list)
    _serving: set[Deferred[None]] = field(default_factory=set)
    channels: set[_Channel] = field(default_factory=set)
    _closed: Deferred[None] | None = None

    def __post_init__(self) -> None:
        self.queue = ModelQueue(self.reactor)
        self._site = Site(_Leaf(self))
        self._site.protocol = lambda: _Channel(self)
        self._site.log = lambda request: None
        self._port = self.reactor.listenTCP(0, self._site, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self._port.getHost().port}/queue"

    def requests(self, kind: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.kind == kind]

    @property
    def connections(self) -> int:
        """
        How many connections ever carried a request.
        """
        return len({seen.port for seen in self.seen})

    @property
    def openClaims(self) -> int:
        """
        How many claims wait for their answer now, on a live connection.
        """
        self._exchanges = [each for each in self._exchanges if not each.over]
        return sum(each.seen.kind == "claim" for each in self._exchanges)

    def goDown(self) -> None:
        """
        Begin an outage: every connection is reset, those that are open too.
        """
        self.down = True
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def lost(self, channel: _Channel) -> None:
        self.channels.discard(channel)
        if self._closed is not None and not self.channels:
            self._closed.callback(None)

    async def close(self) -> None:
        """
        Be gone for good: nothing listens any more.
        """
        await self._port.stopListening()
        self.queue.close()
        for served in list(self._serving):
            served.cancel()
        if self.channels:
            self._closed = Deferred()
            self.goDown()
            await self._closed

    def serve(self, request: Request) -> None:
        exchange = Exchange(self, see(request, self.reactor.seconds()), request)
        self.seen.append(exchange.seen)
        self._exchanges.append(exchange)
        self.mostOpenClaims = max(self.mostOpenClaims, self.openClaims)
        served = Deferred.fromCoroutine(self._serve(exchange))
        self._serving.add(served)
        served.addErrback(lambda reason: reason.trap(CancelledError))
        served.addErrback(log.err, "the endpoint of the test is broken")
        served.addBoth(lambda _: self._serving.discard(served))

    async def _serve(self, exchange: Exchange) -> None:
        if self.roundTrip:
            await deferLater(self.reactor, self.roundTrip)
        fault = self.plan(exchange.seen) or self._refusal(exchange.seen)
        if fault is None:
            exchange.answer(await exchange.act())
        else:
            await fault(exchange)

    def _refusal(self, seen: Seen) -> Fault | None:
        if self.token and seen.headers.get("authorization") != f"Bearer {self.token}":
            return faults.status(401)
        return None

    async def act(self, seen: Seen, surplus: int) -> Reply:
        """
        Do what a request asks for, and say what the contract has it answered.

        @param surplus: How many tasks to lease beyond a claim's limit.
        """
        if seen.kind == "claim":
            return await self._claim(seen, surplus)
        if seen.kind == "settle":
            return Reply(200, {"lost": self.queue.settle(seen.body["settle"])})
        if seen.kind == "get":
            jobs = self.queue.take(1)
            return Reply(200, self.plainly(jobs)) if jobs else Reply(204)
        if seen.kind == "cancel" and self.canCancel:
            self.queue.cancelClaim(seen.path.rpartition("/")[2])
            return Reply(204)
        return Reply(405)

    async def _claim(self, seen: Seen, surplus: int) -> Reply:
        body = seen.body
        deliveries = await self.queue.claim(
            body["claim"],
            body["consumer"],
            body["limit"] + surplus,
            body["wait"] if self.waits else 0,
            body["lease"],
        )
        tasks = [delivery.job.message(delivery.receipt) for delivery in deliveries]
        return Reply(200, {"tasks": tasks}, deliveries)


class _Leaf(Resource):
    """
    Takes every request, whatever its path.
    """

    isLeaf = True

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    def render(self, request: Request) -> int:
        self._endpoint.serve(request)
        return NOT_DONE_YET


class _Channel(HTTPChannel):
    """
    One connection, known to its endpoint.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    def connectionMade(self) -> None:
        """
        A connection was made, and is reset at once if the endpoint is down.
        """
        self._endpoint.channels.add(self)
        super().connectionMade()
        if self._endpoint.down:
            self._endpoint.refused.append(self._endpoint.reactor.seconds())
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self._endpoint.lost(self)

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """
        Keep no connection when speaking HTTP/1.0.
        """
        return not self._endpoint.http10 and super().checkPersistence(request, version)
