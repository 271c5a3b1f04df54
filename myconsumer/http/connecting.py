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
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
)
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

_CONNECTING = 10.0

NO_COOKIES = CookieJar()
"""What to give treq with each request, so that it makes no jar for it."""


class NoCookieJar(IndexableCookieJar):
    """
    Neither keeps nor sends cookies: a queue needs none.
    """

    def add_cookie_header(self, request: Any) -> None:
        """
        See L{CookieJar.add_cookie_header}.
        """

    def extract_cookies(self, response: Any, request: Any) -> None:
        """
        See L{CookieJar.extract_cookies}.
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
        See L{IBodyProducer.startProducing}.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        See L{IBodyProducer.pauseProducing}.
        """

    def resumeProducing(self) -> None:
        """
        See L{IBodyProducer.resumeProducing}.
        """

    def stopProducing(self) -> None:
        """
        See L{IBodyProducer.stopProducing}.
        """


@implementer(IStreamClientEndpoint)
class QuietEndpoint:
    """
    Connects without a line in the log for each connection.
    """

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint.connect}.
        """
        protocolFactory.noisy = False
        return self._endpoint.connect(protocolFactory)


@implementer(IAgentEndpointFactory)
class CachedEndpoints:
    """
    Makes one endpoint for each origin, once.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._policy = BrowserLikePolicyForHTTPS()  # type: ignore[no-untyped-call]
        self._known: dict[tuple[bytes, bytes, int], IStreamClientEndpoint] = {}

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See L{IAgentEndpointFactory.endpointForURI}.
        """
        key = (uri.scheme, uri.host, uri.port)
        endpoint = self._known.get(key)
        if endpoint is None:
            endpoint = self._known[key] = QuietEndpoint(self._make(uri))
        return endpoint

    def _make(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        plain = HostnameEndpoint(self._reactor, host, uri.port, timeout=_CONNECTING)
        if uri.scheme == b"http":
            return plain
        return wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), plain)


def makeTreq(reactor: Any, pool: HTTPConnectionPool) -> HTTPClient:
    """
    Make treq's client.

    @param reactor: The reactor.
    @param pool: Keeps its connections.
    """
    endpoints = CachedEndpoints(reactor)
    agent = Agent.usingEndpointFactory(reactor, endpoints, pool)  # type: ignore[no-untyped-call]
    return HTTPClient(agent, NoCookieJar(), WholeBody)
