"""
Connections whose answers have bounded heads.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol, Request
from twisted.web.client import (
    HTTPConnectionPool,
    ResponseFailed,
    _HTTP11ClientFactory,
)
from twisted.web.iweb import IResponse

from myconsumer.http.faults import BadHeadError
from myconsumer.http.head import Head


class Connection(HTTP11ClientProtocol):
    """
    Drops itself when the head of an answer passes its bounds.
    """

    _head: Head | None = None
    _bad: BadHeadError | None = None

    def request(self, request: Request) -> Deferred[IResponse]:
        """
        See C{HTTP11ClientProtocol.request}.
        """
        self._head = Head()
        answered: Deferred[IResponse] = super().request(request)
        return answered.addCallbacks(self._headCame, self._headFailed)

    def dataReceived(self, data: bytes) -> None:
        """
        See C{HTTP11ClientProtocol.dataReceived}.
        """
        head = self._head
        if head is None:
            super().dataReceived(data)
            return
        try:
            head.before(data)
            super().dataReceived(data)
            # else it has come, and another may be awaited already
            if self._head is head:
                head.after(data)
        except BadHeadError as error:
            self._bad = error
            transport: Any = self.transport
            transport.abortConnection()

    def _headCame(self, response: IResponse) -> IResponse:
        self._head = None
        return response

    def _headFailed(self, failure: Failure) -> Failure:
        self._head = None
        if self._bad is None:
            return failure
        reasons = [Failure(self._bad)]
        raise ResponseFailed(reasons)


class _Factory(_HTTP11ClientFactory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return Connection(self._quiescentCallback)


class ConnectionPool(HTTPConnectionPool):
    """
    Keeps idle L{Connection}s, and never sends a request twice by itself.
    """

    _factory = _Factory

    # common servers close a connection that was idle for five seconds: a request must
    # not be written into it just then
    cachedConnectionTimeout = 4

    # a GET whose answer is lost may have taken a task
    retryAutomatically = False

    def noteVersion(self, version: tuple[int, int]) -> None:
        """
        Keep connections only while the server speaks HTTP/1.1: one that speaks HTTP/1.0
        closes a kept connection under the next request.  A proxy may speak HTTP/1.0 in
        its error pages alone.

        @param version: The HTTP version of the last answer.
        """
        self.persistent = version >= (1, 1)
        if not self.persistent:
            self.closeCachedConnections()

    def closeWithin(self, seconds: float, clock: IReactorTime) -> Deferred[None]:
        """
        Close the kept connections.

        @param seconds: The most seconds to wait for their end.
        @param clock: Measures C{seconds}.

        @return: Fires once they are closed, or after C{seconds}; never fails.
        """
        closed: Deferred[None] = Deferred()
        timer = clock.callLater(seconds, closed.callback, None)

        def done(_: object) -> None:
            if timer.active():
                timer.cancel()
                closed.callback(None)

        self.closeCachedConnections().addBoth(done)
        return closed


def abort(transport: Any) -> None:
    """
    Drop a connection at once, unless it has another request by now.

    @param transport: What an agent's response gives to the reader of its body.
    """
    # It hides abortConnection, and loseConnection waits for ever for a TLS peer
    # that says no goodbye.
    hidden = getattr(transport, "_producer", transport)
    drop = getattr(hidden, "abortConnection", transport.loseConnection)
    drop()
