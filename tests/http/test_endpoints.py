"""
Tests for L{myconsumer.http.endpoints}, and for what else treq is made of.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    ConnectBindError,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer.http.assembly import WholeBody
from myconsumer.http.endpoints import CachedEndpoints, LastingEndpoint
from tests.http.test_reserve import DescriptorCase


class Connected:
    """
    Stands for a protocol and its transport.
    """

    def __init__(self) -> None:
        self.transport = self

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See L{ITCPTransport <twisted.internet.interfaces.ITCPTransport>}.
        """

    def getHandle(self) -> None:
        """
        There is none.
        """


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    Takes a descriptor for each connection.
    """

    def __init__(self, lacking: Exception) -> None:
        self.lacking = lacking
        self.tries = 0
        self.open: list[int] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint.connect}.
        """
        self.tries += 1
        try:
            self.open.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return fail(self.lacking)
        return succeed(Connected())

    def close(self, count: int) -> None:
        for _ in range(count):
            os.close(self.open.pop())


class LastingEndpointTests(DescriptorCase):
    """
    Tests for L{LastingEndpoint}.
    """

    def connecting(self, lacking: Exception) -> LastingEndpoint:
        """
        Make an endpoint.

        @param lacking: What it fails with where descriptors are lacking.
        """
        self.endpoint = Endpoint(lacking)
        return LastingEndpoint(self.endpoint, self.reserve)

    def test_providesInterface(self) -> None:
        """
        L{LastingEndpoint} provides its interface.
        """
        endpoint = self.connecting(DNSLookupError())
        verifyObject(IStreamClientEndpoint, endpoint)

    def test_connectsWithReserve(self) -> None:
        """
        Where descriptors run out, those of the reserve are used, for looking up a name
        as well; closed connections fill the reserve again.
        """
        lacking = (ConnectBindError(24, "Too many open files"), DNSLookupError())
        for error in lacking:
            endpoint = self.connecting(error)
            self.successResultOf(endpoint.connect(None))
            with self.exhausted():
                first = [endpoint.connect(None) for _ in range(4)]
                self.endpoint.close(3)
                second = [endpoint.connect(None) for _ in range(4)]
            self.endpoint.close(4)
            for *connected, failed in (first, second):
                for each in connected:
                    self.successResultOf(each)
                self.failureResultOf(failed, type(error))

    def test_doesNotRetryOtherFailures(self) -> None:
        """
        A connection that fails for another reason is not tried again.
        """
        self.reserve.fill()
        endpoint = self.connecting(ConnectionRefusedError())
        with self.exhausted():
            connecting = endpoint.connect(None)
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.assertEqual(self.endpoint.tries, 1)


class PieceTests(SynchronousTestCase):
    """
    Tests for the pieces that the client is made of.
    """

    def test_providesInterfaces(self) -> None:
        """
        The endpoint factory and the producer of bodies provide their interfaces.
        """
        verifyObject(IAgentEndpointFactory, CachedEndpoints(reactor))
        verifyObject(IBodyProducer, WholeBody(b""))

    def test_cachesEndpoints(self) -> None:
        """
        There is one endpoint for each origin.
        """
        endpoints = CachedEndpoints(reactor)

        def made(url: bytes) -> object:
            return endpoints.endpointForURI(URI.fromBytes(url))

        self.assertIs(made(b"http://a/1"), made(b"http://a:80/2?3"))
        different = {made(b"http://a/"), made(b"http://b/"), made(b"https://a/")}
        self.assertEqual(len({*different, made(b"http://a:81/")}), 4)
