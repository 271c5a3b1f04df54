"""
Where connections are made: one endpoint for each origin, and connections that last.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectBindError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    BrowserLikePolicyForHTTPS,
)
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from myconsumer.http.keepalive import keepAlive
from myconsumer.http.reserve import Reserve

_CONNECTING = 10.0


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
        @param reserve: Descriptors held in reserve for connections; C{None}: none are.
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
