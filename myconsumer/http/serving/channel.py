"""
A connection to a server of ours: how long its requests may take to begin.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

#: The seconds that the head of a request may take, and the first one to begin.
HEAD = 10.0

# The most digits of a Content-Length: those of the largest size of a file.
_LONGEST_LENGTH = 19


class ChannelOwner(Protocol):
    """
    What a channel needs of its site.

    @ivar reactor: What keeps the time.
    @ivar channels: The connections that are open.
    """

    reactor: Any
    channels: set[Channel]

    def lost(self, channel: Channel) -> None:
        """
        Called when a connection is gone.

        @param channel: The connection.
        """


class Channel(HTTPChannel):
    """
    A connection, known to its site.
    """

    site: ChannelOwner
    transport: Any

    _head: IDelayedCall | None = None
    _isReadingHead = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)
        self._beginHead()

    def dataReceived(self, data: bytes) -> None:
        if self.line_mode:
            self._isReadingHead = True
        super().dataReceived(data)
        if self._isReadingHead and self._head is None and self in self.site.channels:
            self._beginHead()

    def allHeadersReceived(self) -> None:
        self._isReadingHead = False
        self._endHead()
        super().allHeadersReceived()

    def _beginHead(self) -> None:
        # however many bytes of it come meanwhile
        self._head = self.site.reactor.callLater(HEAD, self.timeoutConnection)

    def _endHead(self) -> None:
        if self._head is not None and self._head.active():
            self._head.cancel()
        self._head = None

    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        # Twisted has Python make a number of whatever has digits only
        if name.lower() == b"content-length" and len(value.strip()) > _LONGEST_LENGTH:
            self._respondToBadRequestAndDisconnect()
            # what else has come already has no effect
            self.lineReceived = lambda line: None  # type: ignore[method-assign]
            return False
        return bool(super().headerReceived(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._endHead()
        self.site.lost(self)
