"""
How treq is set up for few endpoints and many requests.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectBindError, DNSLookupError
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
)
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from myconsumer.http.keepalive import keepAlive
from myconsumer.http.reserve import Reserve

_CONNECTING = 10.0

#: What to give treq with each request, so that it makes no jar for it.
NO_COOKIES = CookieJar()


class NoCookieJar(IndexableCookieJar):
    """
    Neither keeps nor sends cookies: a queue needs none.
    """

    def add_cookie_header(self, request: Any) -> None:
        """
        See C{CookieJar.add_cookie_header}.
        """

    def extract_cookies(self, response: Any, request: Any) -> None:
        """
        See C{CookieJar.extract_cookies}.
        """


@implementer(IBodyProducer)
class WholeBody:
    """
    Writes a body that is in memory at once.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        See C{IBodyProducer.startProducing}.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        See C{IBodyProducer.pauseProducing}.
        """

    def resumeProducing(self) -> None:
        """
        See C{IBodyProducer.resumeProducing}.
        """

    def stopProducing(self) -> None:
        """
        See C{IBodyProducer.stopProducing}.
        """


@implementer(IStreamClientEndpoint)
class LastingEndpoint:
    """
    Makes connections that notice when the other side vanishes; where the process has
    run out of descriptors, with those of a reserve.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, reserve: Reserve) -> None:
        self._endpoint = endpoint
        self._reserve = reserve

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        See C{IStreamClientEndpoint.connect}.
        """
        self._reserve.fill()
        connected: Deferred[Any] = self._endpoint.connect(protocolFactory)
        connected.addErrback(self._connectAgain, protocolFactory)
        return connected.addCallback(self._connected)

    def _connectAgain(self, failure: Failure, protocolFactory: Any) -> Any:
        # looking up a name fails without saying that descriptors were lacking
        lacking = isinstance(failure.value, ConnectBindError | DNSLookupError)
        if not (lacking and self._reserve.isNeeded()):
            return failure
        self._reserve.free()
        return self._endpoint.connect(protocolFactory)

    def _connected(self, protocol: Any) -> Any:
        self._reserve.fill()
        keepAlive(protocol.transport)
        return protocol


@implementer(IAgentEndpointFactory)
class CachedEndpoints:
    """
    Makes one endpoint for each origin, once.
    """

    def __init__(self, reactor: Any, reserve: Reserve | None = None) -> None:
        """
        @param reactor: The reactor.
        @param reserve: Descriptors for connections, or C{None}.
        """
        self._reactor = reactor
        self._reserve = Reserve(0) if reserve is None else reserve
        self._policy = BrowserLikePolicyForHTTPS()
        self._known: dict[tuple[bytes, bytes, int], IStreamClientEndpoint] = {}

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See C{IAgentEndpointFactory.endpointForURI}.
        """
        key = (uri.scheme, uri.host, uri.port)
        endpoint = self._known.get(key)
        if endpoint is None:
            endpoint = self._known[key] = self._make(uri)
        return endpoint

    def _make(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        plain = LastingEndpoint(
            HostnameEndpoint(self._reactor, host, uri.port, timeout=_CONNECTING),
            self._reserve,
        )
        if uri.scheme == b"http":
            return plain
        return wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), plain)


def makeTreq(reactor: Any, pool: HTTPConnectionPool, reserve: Reserve) -> HTTPClient:
    """
    Make treq's client.

    @param reactor: The reactor.
    @param pool: Keeps its connections.
    @param reserve: Descriptors for connections.
    """
    endpoints = CachedEndpoints(reactor, reserve)
    agent = Agent.usingEndpointFactory(reactor, endpoints, pool)
    return HTTPClient(agent, NoCookieJar(), WholeBody)
