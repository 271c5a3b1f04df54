"""
A request to a server of ours: judged before any of its body is kept, and kept small.

Promise 8: the memory that unfinished requests take is bounded.
"""

from __future__ import annotations

from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from myconsumer.http.serving.answers import Refusal, refused

#: The largest body of a request, in bytes.
LARGEST_BODY = 16 * 1024 * 1024

#: The most bytes of bodies that are kept while they are not complete.
MOST_PENDING = 8 * LARGEST_BODY

# A client that still sends would not see an answer before its connection breaks, so
# what it sends is read, and thrown away, up to so many times the largest body.
_DRAINED = 4


class GuardedRequest(Request):
    """
    A request that is judged as soon as its head is there.  If it is refused nothing is
    kept of its body, and the answer follows when the client has sent it.

    @cvar largestBody: The largest body, in bytes.
    @cvar mostPending: The most bytes of bodies that a site keeps while they are not
        complete.
    """

    largestBody = LARGEST_BODY
    mostPending = MOST_PENDING

    _log = Logger()

    channel: Any
    content: Any
    _refusal: Refusal | None = None
    _received = 0
    _isReleased = False

    def gotLength(self, length: int | None) -> None:
        """
        See C{twisted.web.http.Request.gotLength}: the head is complete.
        """
        self.content = BytesIO()
        try:
            self.channel.site.guard.check(self.requestHeaders)
        except Refusal as refusal:
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
        elif self._isDrained() and not self.startedWriting:
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
        except Refusal as refusal:
            self._answer(refusal)
        else:
            super().render(resrc)

    def processingFailed(self, reason: Failure) -> Failure:
        """
        See C{Request.processingFailed}: something of ours is broken.
        """
        self._log.failure("A request to our server has failed", reason)
        self._answer(Refusal(500, "the server has failed; its log says why"))
        return reason

    def getRequestHostname(self) -> bytes:
        """
        See C{Request.getRequestHostname}.  Klein asks for it, and does not cope with
        one that is no name.
        """
        return b"localhost"

    def _answer(self, refusal: Refusal) -> None:
        self.write(refused(self, refusal))
        self.finish()

    def _isDrained(self) -> bool:
        return self._received > _DRAINED * self.largestBody

    def _checkSize(self, size: int) -> None:
        if size > self.largestBody:
            self._drop(
                Refusal(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than {self.largestBody} bytes; send it in "
                    "parts",
                )
            )

    def _checkPending(self) -> None:
        if self.channel.site.pending > self.mostPending:
            self._drop(
                Refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "too many large requests come at once; try again later",
                    {b"Retry-After": b"1"},
                )
            )

    def _drop(self, refusal: Refusal) -> None:
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
            raise Refusal(400, "there is no Host header; HTTP/1.1 requires one")
        try:
            unquote_to_bytes(self.path).decode()
        except UnicodeDecodeError:
            raise Refusal(400, "the path is not UTF-8, percent-encoded") from None
