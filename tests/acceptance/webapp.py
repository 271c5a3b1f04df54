"""
A web application that takes tasks, in the test's own process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from socket import socket
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python import log
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.acceptance.exchange import Seen, see


def answering(
    code: int, body: str = "", seconds: float = 0.0, **headers: str
) -> dict[str, Any]:
    """
    The payload of a task to which the application answers with C{code}, after some
    time.

    @param headers: Fields by their names, C{_} for C{-}.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"code": code, "body": body, "seconds": seconds, "headers": named}


@dataclass(eq=False)
class WebApp:
    """
    The application.  It is down until L{goUp}.

    @ivar health: What C{/health} answers.
    @ivar http10: Whether it speaks HTTP/1.0: no length, no connection kept.
    @ivar posts: Every task that it was sent.
    @ivar running: The tasks that wait for their answer.
    @ivar most: The most that ever did at once.
    @ivar broken: The ids of the tasks whose connection was gone before the answer.
    """

    reactor: Any
    health: int = 200
    http10: bool = False
    posts: list[Seen] = field(default_factory=list)
    asked: list[Seen] = field(default_factory=list)
    running: int = 0
    most: int = 0
    broken: list[str] = field(default_factory=list)
    _serving: set[Deferred[None]] = field(default_factory=set)
    _channels: set[_Channel] = field(default_factory=set)
    _closed: Deferred[None] | None = None
    _port: Any = None

    def __post_init__(self) -> None:
        self._site = Site(_Leaf(self))
        self._site.protocol = lambda: _Channel(self)  # type: ignore[method-assign]
        self._site.log = lambda request: None  # type: ignore[method-assign]
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self._number: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._number}"

    @property
    def connections(self) -> int:
        """
        How many connections ever carried a task.
        """
        return len({seen.port for seen in self.posts})

    def goUp(self) -> None:
        self._port = self.reactor.listenTCP(
            self._number, self._site, interface="127.0.0.1"
        )

    async def goDown(self) -> None:
        """
        End as a process that is killed: nobody listens, and no connection is left.
        """
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening()
        for served in list(self._serving):
            served.cancel()
        if self._channels:
            self._closed = Deferred()
            for channel in list(self._channels):
                channel.transport.abortConnection()
            await self._closed

    def _take(self, request: Request) -> None:
        served = Deferred.fromCoroutine(self._serve(request))
        self._serving.add(served)
        served.addErrback(lambda reason: reason.trap(CancelledError))
        served.addErrback(log.err, "the web application of the test is broken")
        served.addBoth(lambda _: self._serving.discard(served))

    async def _serve(self, request: Request) -> None:
        seen = see(request, self.reactor.seconds())
        if seen.path == "/health":
            self.asked.append(seen)
            request.setResponseCode(self.health)
            request.finish()
            return
        self.posts.append(seen)
        name = seen.headers["task-id"]
        request.notifyFinish().addErrback(lambda reason: self.broken.append(name))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await deferLater(self.reactor, seen.body["seconds"])
        finally:
            self.running -= 1
        if request._disconnected:
            return
        if self.http10:
            request.clientproto = b"HTTP/1.0"
        request.setResponseCode(seen.body["code"])
        for name, value in seen.body["headers"].items():
            request.setHeader(name, value)
        request.write(seen.body["body"].encode() * seen.body.get("times", 1))
        request.finish()


class _Leaf(Resource):
    """
    Takes every request, whatever its path.
    """

    isLeaf = True

    def __init__(self, webapp: WebApp) -> None:
        super().__init__()
        self._webapp = webapp

    def render(self, request: Request) -> int:
        self._webapp._take(request)
        return NOT_DONE_YET


class _Channel(HTTPChannel):
    """
    A connection, counted while it lasts.
    """

    def __init__(self, webapp: WebApp) -> None:
        super().__init__()
        self._webapp = webapp

    def connectionMade(self) -> None:
        self._webapp._channels.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self._webapp._channels.discard(self)
        closed = self._webapp._closed
        if closed is not None and not self._webapp._channels:
            self._webapp._closed = None
            closed.callback(None)

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """
        Keep no connection when speaking HTTP/1.0.
        """
        return not self._webapp.http10 and super().checkPersistence(request, version)
