"""
Tests for L{myconsumer.http.reserve}, and for the connections made with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    ConnectBindError,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer.http.endpoints import LastingEndpoint
from myconsumer.http.reserve import Reserve


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


class DescriptorCase(SynchronousTestCase):
    """
    A process that can run out of descriptors, with three in reserve.
    """

    def setUp(self) -> None:
        self.reserve = Reserve(3)
        self.addCleanup(self.reserve.free)

    @contextlib.contextmanager
    def exhausted(self) -> Iterator[None]:
        """
        Leave no descriptor within the context.
        """
        held: list[int] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.dup(0))
            yield
        finally:
            for each in held:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class ReserveTests(DescriptorCase):
    """
    Tests for L{Reserve}.
    """

    def test_freesDescriptors(self) -> None:
        """
        Freed descriptors can be opened by others; where none is left the reserve takes
        none.
        """
        self.reserve.fill()
        self.assertFalse(self.reserve.isNeeded())
        with self.exhausted():
            needed = self.reserve.isNeeded()
            self.reserve.free()
            taken = [os.dup(0) for _ in range(3)]
            self.reserve.fill()
            nothingHeld = not self.reserve.isNeeded()
        for each in taken:
            os.close(each)
        self.assertTrue(needed)
        self.assertTrue(nothingHeld)


class ConnectingTests(DescriptorCase):
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
