"""
An HTTP server of ours: its connections, their number, and their end.

Promise 8: the number of connections is bounded.
"""

from __future__ import annotations

from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Site

from myconsumer.http.serving.channel import Channel
from myconsumer.http.serving.guard import Guard
from myconsumer.http.serving.request import GuardedRequest

#: The seconds that answers get to be sent when the site is closed.
FLUSHING = 1.0


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
                "There are {count} connections, and no more are taken",
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
