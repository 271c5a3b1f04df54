"""
One request to the endpoint, and the answer to it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.web.http import NO_BODY_CODES
from twisted.web.server import Request

from tests.acceptance.model import Delivery

if TYPE_CHECKING:
    from tests.acceptance.endpoint import Endpoint


@dataclass(eq=False)
class Seen:
    """
    One request, as it was seen.

    @ivar kind: C{claim}, C{settle}, C{cancel}, C{get} or C{other}.
    @ivar at: When it came, in seconds since the epoch.
    @ivar port: The client's port: it tells connections apart.
    @ivar status: What it was answered; L{None} until then, or without an answer.
    @ivar overAt: When it had its answer, or its connection was lost.
    """

    kind: str
    at: float
    path: str
    port: int
    headers: dict[str, str]
    body: dict[str, Any]
    status: int | None = None
    overAt: float = inf

    @property
    def outcomes(self) -> list[str]:
        """
        The outcomes in a settle request.
        """
        return [settlement["outcome"] for settlement in self.body.get("settle", ())]


@dataclass
class Reply:
    """
    What the contract has an endpoint answer.

    @ivar deliveries: What is delivered by it.
    """

    status: int
    value: Any = None
    deliveries: Sequence[Delivery] = ()

    @property
    def body(self) -> bytes:
        return b"" if self.value is None else json.dumps(self.value).encode()


@dataclass(eq=False)
class Exchange:
    """
    One request and the answer that is still to be given: what a fault acts on.
    """

    endpoint: Endpoint
    seen: Seen
    request: Request
    over: bool = False

    def __post_init__(self) -> None:
        self.request.notifyFinish().addBoth(self._end)

    def _end(self, result: object) -> None:
        self.over = True
        self.seen.overAt = self.endpoint.reactor.seconds()

    async def act(self, surplus: int = 0) -> Reply:
        """
        Do what the request asks for.

        @param surplus: How many tasks to lease beyond a claim's limit.
        """
        return await self.endpoint.act(self.seen, surplus)

    def answer(self, reply: Reply) -> None:
        """
        Answer in full.
        """
        for delivery in reply.deliveries:
            delivery.answered, delivery.arrived = True, not self.over
        self.send(reply.status, reply.body)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """
        Answer with anything.

        @param headers: Fields by their names, C{_} for C{-}.
        """
        if not self.over:
            self.head(status, len(body), **headers)
            self.request.write(body)
            self.request.finish()

    def head(self, status: int, length: int, **headers: str) -> None:
        self.seen.status = status
        if self.endpoint.http10:
            self.request.clientproto = b"HTTP/1.0"
        self.request.setResponseCode(status)
        headers.setdefault("Content_Type", "application/json")
        if not self.endpoint.http10 and status not in NO_BODY_CODES:
            headers["Content_Length"] = str(length)
        for name, value in headers.items():
            self.request.setHeader(name.replace("_", "-"), value)
        self.request.write(b"")

    def abort(self) -> None:
        self.request.transport.abortConnection()


#: Answers one request in another way than the contract says.
Fault = Callable[[Exchange], Awaitable[None]]


def see(request: Request, now: float) -> Seen:
    """
    Read a request.

    @param now: When it came, in seconds since the epoch.
    """
    path = request.path.decode()
    kind = {
        (b"POST", "/queue/claim"): "claim",
        (b"POST", "/queue/settle"): "settle",
        (b"GET", "/queue"): "get",
    }.get((request.method, path), "other")
    if request.method == b"DELETE" and path.startswith("/queue/claim/"):
        kind = "cancel"
    content = request.content.read()
    return Seen(
        kind=kind,
        at=now,
        path=path,
        port=request.getClientAddress().port,
        headers={
            name.decode().lower(): values[0].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        },
        body=json.loads(content) if content else {},
    )
