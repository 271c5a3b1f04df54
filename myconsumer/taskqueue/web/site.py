"""
The HTTP server of the embedded queue: requests are judged before any of their body is
kept, and kept small.

Promise 8: what is kept of requests is bounded, each of them and all together.
"""

from __future__ import annotations

from http import HTTPStatus
from io import BytesIO
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from myconsumer.taskqueue.web.answers import Refused, refused
from myconsumer.taskqueue.web.channel import Channel
from myconsumer.taskqueue.web.guard import Guard

#: The largest body of a request, in bytes.
LARGEST_BODY = 16 * 1024 * 1024

#: The most bytes of bodies that are kept while they are not complete.
MOST_PENDING = 8 * LARGEST_BODY

# A client that still sends would not see an answer before its connection breaks, so
# what it sends is read, and thrown away, up to here.
_DRAINED = 4 * LARGEST_BODY


#: The seconds that answers get to be sent when the site is closed.
FLUSHING = 1.0


class GuardedRequest(Request):
    """
    A request that is judged as soon as its head is there.  If it is refused nothing is
    kept of its body, and the answer follows when the client has sent it.
    """

    _log = Logger()

    channel: Any
    content: Any
    _refusal: Refused | None = None
    _received = 0
    _isReleased = False

    def gotLength(self, length: int | None) -> None:
        """
        See C{twisted.web.http.Request.gotLength}: the head is complete.
        """
        self.content = BytesIO()
        try:
            self.channel.site.guard.check(self.requestHeaders)
        except Refused as refusal:
            self._refusal = refusal
        else:
            self._checkSize(length or 0)

    def handleContentChunk(self, data: bytes) -> None:
        """
        See C{twisted.web.http.Request.handleContentChunk}: a piece of the body came.
        """
        self._received += len(data)
        if self._refusal is None:
            self.content.write(data)
            self.channel.site.pending += len(data)
            self._checkSize(self._received)
            self._checkPending()
        elif self._received > _DRAINED and not self.startedWriting:
            self.clientproto = b"HTTP/1.1"
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
            self.write(refused(self, self._refusal))
            self.channel.loseConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        See C{twisted.web.http.Request.requestReceived}: the body is complete.
        """
        self._release()
        if not self.startedWriting:
            super().requestReceived(command, path, version)

    def connectionLost(self, reason: Failure) -> None:
        """
        See C{Request.connectionLost}.
        """
        self._release()
        super().connectionLost(reason)

    def render(self, resrc: IResource) -> None:
        """
        See C{Request.render}.
        """
        try:
            if self._refusal is not None:
                raise self._refusal
            self._checkReadable()
        except Refused as refusal:
            self._answer(refusal)
        else:
            super().render(resrc)

    def processingFailed(self, reason: Failure) -> Failure:
        """
        See C{Request.processingFailed}: something of ours is broken.
        """
        self._log.failure("A request to the queue has failed", reason)
        self._answer(Refused(500, "the queue has failed; its log says why"))
        return reason

    def getRequestHostname(self) -> bytes:
        """
        See C{Request.getRequestHostname}.  Klein asks for it, and does not cope with
        one that is no name.
        """
        return b"localhost"

    def _answer(self, refusal: Refused) -> None:
        self.write(refused(self, refusal))
        self.finish()

    def _checkSize(self, size: int) -> None:
        if size > LARGEST_BODY:
            self._drop(
                Refused(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than {LARGEST_BODY} bytes; send it in parts",
                )
            )

    def _checkPending(self) -> None:
        if self.channel.site.pending > MOST_PENDING:
            self._drop(
                Refused(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "too many large requests come at once; try again later",
                    {b"Retry-After": b"1"},
                )
            )

    def _drop(self, refusal: Refused) -> None:
        self._release()
        self.content = BytesIO()
        self._refusal = refusal

    def _release(self) -> None:
        """
        The body is no longer one that is kept and not complete.
        """
        if self._refusal is None and not self._isReleased:
            self.channel.site.pending -= self._received
            self._isReleased = True

    def _checkReadable(self) -> None:
        if self.clientproto == b"HTTP/1.1" and not self.requestHeaders.hasHeader(
            b"Host"
        ):
            raise Refused(400, "there is no Host header; HTTP/1.1 requires one")
        try:
            unquote_to_bytes(self.path).decode()
        except UnicodeDecodeError:
            raise Refused(400, "the path is not UTF-8, percent-encoded") from None


class GuardedSite(Site):
    """
    Serves a resource to those who may.  It writes no access log.

    @ivar guard: Tells who may.
    @ivar channels: The connections that are open.
    @ivar pending: The bytes of bodies that are kept and not complete.
    """

    _log = Logger()

    requestFactory = GuardedRequest
    # HTTP/2 is not spoken
    protocol = Channel  # type: ignore[assignment]
    noisy = False

    def __init__(
        self,
        resource: IResource,
        guard: Guard,
        reactor: IReactorTime | None = None,
        mostChannels: int | None = None,
    ) -> None:
        """
        @param resource: Answers the requests.
        @param guard: Tells who may.
        @param reactor: What keeps the time, for connections that are idle.
        @param mostChannels: How many connections may be open; C{None}: half as many as
            this process may have files.
        """
        super().__init__(resource, reactor=reactor, parsePOSTFormSubmission=False)
        self.guard = guard
        self.channels: set[Channel] = set()
        self.pending = 0
        self._most = mostChannels
        self._isCrowded = False
        self._closing: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        See C{Site.buildProtocol}.  Where there are too many connections already, this
        one is closed.
        """
        count, most = len(self.channels), self._mostChannels()
        if count < most // 2:
            self._isCrowded = False
        if count < most:
            return super().buildProtocol(addr)
        if not self._isCrowded:
            self._isCrowded = True
            self._log.warn(
                "There are {count} connections, and no more are taken; the limit of "
                "open files sets how many may be",
                count=count,
            )
        return None

    def _mostChannels(self) -> int:
        if self._most is None:
            self._most = getrlimit(RLIMIT_NOFILE)[0] // 2
        return self._most

    def lost(self, channel: Channel) -> None:
        """
        Called when a connection is gone.

        @param channel: The connection.
        """
        self.channels.discard(channel)
        if not self.channels:
            closing, self._closing = self._closing, []
            for closed in closing:
                closed.callback(None)

    def close(self) -> Deferred[None]:
        """
        Close all connections, once what was answered is sent.

        @return: Fires once they are gone, after L{FLUSHING} seconds at the latest.
        """
        closed: Deferred[None] = Deferred()
        if not self.channels:
            return succeed(None)
        self._closing.append(closed)
        for channel in list(self.channels):
            channel.loseConnection()
        aborting = self.reactor.callLater(FLUSHING, self._abort)

        def stop(_: None) -> None:
            if aborting.active():
                aborting.cancel()

        return closed.addCallback(stop)

    def _abort(self) -> None:
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def startFactory(self) -> None:
        """
        See C{Site.startFactory}.  Without a log no clock is needed for its lines.
        """
