"""
Real servers on the loopback interface that answer what a test tells them to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

Reply = Callable[["Connection"], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Connection(Protocol):
    """
    Calls C{reply} for each whole request.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._buffer = b""

    def connectionMade(self) -> None:
        self.server.connections.append(self)
        self.server.opened += 1

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            self.server.requests.append(self._buffer[:whole])
            self._buffer = self._buffer[whole:]
            self.server.reply(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.server.connections.remove(self)
        waiting, self.server.waiting = self.server.waiting, []
        for each in waiting:
            each.callback(reason.value)


class Server(Factory):
    """
    Answers every request with C{reply}.

    @ivar opened: How many connections were ever opened.
    """

    noisy = False

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.opened = 0
        self.connections: list[Connection] = []
        self.requests: list[bytes] = []
        self.waiting: list[Deferred[BaseException | None]] = []

    def buildProtocol(self, addr: object) -> Connection:
        """
        See L{Factory.buildProtocol}.
        """
        return Connection(self)

    def lost(self) -> Deferred[BaseException | None]:
        """
        Wait for the next connection to end.
        """
        waiting: Deferred[BaseException | None] = Deferred()
        self.waiting.append(waiting)
        return waiting


def serve(case: Any, reply: Reply, context: Any = None) -> tuple[Server, str]:
    """
    Serve until the end of a test.

    @return: The server and its URL.
    """
    server = Server(reply)
    net: Any = reactor
    if context is None:
        port = net.listenTCP(0, server, interface="127.0.0.1")
    else:
        port = net.listenSSL(0, server, context, interface="127.0.0.1")

    def stop() -> Any:
        for connection in server.connections:
            connection.transport.abortConnection()
        return port.stopListening()

    case.addCleanup(stop)
    scheme = "http" if context is None else "https"
    return server, f"{scheme}://127.0.0.1:{port.getHost().port}/q"


def sends(*pieces: bytes, close: bool = False, abort: bool = False) -> Reply:
    """
    Make a reply of some bytes.

    @param close: Whether to close the connection then.
    @param abort: Whether to reset it.
    """

    def reply(connection: Connection) -> None:
        transport: Any = connection.transport
        for piece in pieces:
            transport.write(piece)
        if close:
            transport.loseConnection()
        if abort:
            transport.abortConnection()

    return reply
