"""
A client that goes away in the midst of a request, as one that is killed does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import URI

from myconsumer.check.exceptions import Unanswered
from myconsumer.http.endpoints import CachedEndpoints
from myconsumer.http.faults import explain
from myconsumer.http.urls import FixedURL

#: Posts a body to a URL, and closes the connection after some seconds.  Returns what
#: was answered until then.
Leaving = Callable[[FixedURL, bytes, float], Awaitable[bytes]]


_GOODBYE = 1.0


class _Client(Protocol):
    """
    Keeps what it gets.
    """

    def __init__(self) -> None:
        self.received = b""
        self.gone: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Called with a piece of the answer.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Called when the connection is closed.
        """
        self.gone.callback(None)


def makeLeaving(reactor: Any, token: bytes | None) -> Leaving:
    """
    Make what sends a request and goes away.

    @param reactor: The reactor.
    @param token: The bearer token to send, if any.
    """
    return partial(_leave, reactor, token)


async def _leave(
    reactor: Any, token: bytes | None, url: FixedURL, body: bytes, after: float
) -> bytes:
    uri = URI.fromBytes(url.to_text().encode("ascii"))
    client = _Client()
    try:
        endpoint = CachedEndpoints(reactor).endpointForURI(uri)
        await connectProtocol(endpoint, client)
    except CancelledError:
        raise
    except Exception:
        text, _ = explain(Failure())
        raise Unanswered(f"a client that goes away: {text}") from None
    transport: Any = client.transport
    transport.write(_request(uri, token, body))
    await deferLater(reactor, after)
    # not aborted: who is killed says goodbye as well, his kernel sees to it
    transport.loseConnection()
    with suppress(TimeoutError):
        await client.gone.addTimeout(_GOODBYE, reactor)
    transport.abortConnection()
    return client.received


def _request(uri: URI, token: bytes | None, body: bytes) -> bytes:
    host = uri.netloc
    lines = [
        b"POST " + uri.originForm + b" HTTP/1.1",
        b"Host: " + host,
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
    ]
    if token is not None:
        lines.append(b"Authorization: Bearer " + token)
    return b"\r\n".join([*lines, b"", body])
