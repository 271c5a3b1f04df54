"""
Tests for L{myconsumer.http} over real connections: what no stub can do.
"""

from __future__ import annotations

import contextlib
import os
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from myconsumer.errors import FaultError
from myconsumer.http import Client, makeClient
from myconsumer.http.answer import Answer
from myconsumer.http.keepalive import keepAlive
from myconsumer.http.urls import FixedURL, parseURL
from tests.http.wire import OK, Connection, Reply, Server, sends, serve

PLENTY = 10.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


class WireCase(TestCase):
    """
    A client, and servers that do as they are told.
    """

    timeout = 30

    def setUp(self) -> None:
        """
        Make a client that keeps up to four connections.
        """
        self.client = self.made(4)

    def made(self, *args: Any, **kwargs: Any) -> Client:
        """
        Make a client that is closed at the end.
        """
        client = makeClient(reactor, *args, **kwargs)

        async def close() -> None:
            await client.close()
            await pause(0)

        self.addCleanup(lambda: ensureDeferred(close()))
        return client

    def served(self, reply: Reply, context: Any = None) -> Server:
        """
        Serve, and ask there from now on.
        """
        server, url = serve(self, reply, context)
        self.url = FixedURL.of(parseURL(url))
        return server

    def ask(self, deadline: float = PLENTY, method: str = "POST") -> Deferred[Answer]:
        body = b"{}" if method == "POST" else None
        return self.client.request(method, self.url, body, deadline)

    async def fault(self, deadline: float = PLENTY, method: str = "POST") -> str:
        """
        Send a request that has to fail with L{FaultError}.

        @return: Its text.
        """
        error = await self.assertFailure(self.ask(deadline, method), FaultError)
        return str(error)


def pause(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds, lambda: None)


class FaultTests(WireCase):
    """
    Tests for answers that are not whole.
    """

    async def test_failsOnBrokenAnswers(self) -> None:
        """
        A broken connection, an answer that is cut off and what is no HTTP are faults,
        explained in one line of plain words.
        """
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"
        before, within = "before an answer came", "before the answer was whole"
        for reply, text in (
            (sends(close=True), before),
            (sends(abort=True), before),
            (sends(b"HTTP/1.1 200 OK\r\n", close=True), within),
            (sends(HEAD + b"{}", close=True), within),
            (sends(chunked, close=True), within),
            (sends(b"hello\r\n\r\n", close=True), "no proper HTTP"),
            (sends(b"HTTP/1.1 200 OK\r\nhello\r\n\r\n"), "no proper HTTP"),
            (sends(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "no proper HTTP"),
            (sends(b"\x00\xff" * 100_000), within),
        ):
            self.served(reply)
            self.assertIn(text, await self.fault())

    async def test_takesBodyWithoutLength(self) -> None:
        """
        A body without a length ends with its connection.
        """
        for version in (b"1.0", b"1.1"):
            self.served(sends(b"HTTP/%s 200 OK\r\n\r\n{}" % version, close=True))
            self.assertEqual((await self.ask()).body, b"{}")

    async def test_failsWithoutServer(self) -> None:
        """
        A server that is not there is a fault.
        """
        self.url = FixedURL.of(parseURL("http://127.0.0.1:1/q"))
        self.assertIn("cannot connect", await self.fault())

    async def test_dropsStalledAnswer(self) -> None:
        """
        An answer that stalls is a fault at the deadline, wherever it stalls, and its
        connection is dropped.
        """
        for reply in (sends(), sends(b"HTTP/1.1 200 OK\r\n"), sends(HEAD, b"{")):
            server = self.served(reply)
            lost = server.lost()
            self.assertIn("no whole answer within 0.05 s", await self.fault(0.05))
            await lost

    async def test_dropsCancelledRequest(self) -> None:
        """
        A cancelled request's connection is dropped.
        """
        for reply in (sends(), sends(HEAD, b"{")):
            server = self.served(reply)
            lost = server.lost()
            asked = self.ask()
            await pause(0.05)
            asked.cancel()
            asked.addErrback(lambda _: None)
            await lost

    async def test_dropsEndlessBody(self) -> None:
        """
        The connection of a body without end is dropped in the middle.
        """
        sent = []

        def endless(connection: Connection) -> None:
            transport: Any = connection.transport
            transport.write(b"HTTP/1.1 200 OK\r\n\r\n")

            class Pump:
                def resumeProducing(self) -> None:
                    sent.append(65536)
                    transport.write(b" " * 65536)

                def stopProducing(self) -> None:
                    pass

            transport.registerProducer(Pump(), False)

        server = self.served(endless)
        lost = server.lost()
        self.assertIn("longer than 16 MiB", await self.fault())
        await lost
        self.assertLess(sum(sent), 2 * 16 * 1024 * 1024)


class HeadTests(WireCase):
    """
    Tests for what comes before a body.
    """

    def endless(self, piece: bytes, start: bytes = b"") -> Reply:
        """
        Make a reply that sends C{piece} for ever.
        """

        def reply(connection: Connection) -> None:
            transport: Any = connection.transport

            class Pump:
                def resumeProducing(self) -> None:
                    transport.write(piece)

                def stopProducing(self) -> None:
                    pass

            transport.write(start)
            transport.registerProducer(Pump(), False)

        return reply

    async def test_dropsEndlessHead(self) -> None:
        """
        A head without end is a fault at once, and its connection is dropped.
        """
        for line in (b"a:\n", b"Some: header\r\n", b"Some: " + b"x" * 9999 + b"\r\n"):
            server = self.served(self.endless(line * 10, b"HTTP/1.1 200 OK\r\n"))
            lost = server.lost()
            self.assertIn("head is longer than 64 KiB", await self.fault())
            await lost

    async def test_takesLongHead(self) -> None:
        """
        A head of nearly 64 KiB is taken, with a body in the same piece.
        """
        body = b"x" * 100_000
        lines = b"Some: " + b"x" * 9985 + b"\r\n"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n" + lines * 6 + b"\r\n"
        self.served(sends(head + body))
        for _ in range(2):
            self.assertEqual((await self.ask()).body, body)

    async def test_skipsInterimAnswers(self) -> None:
        """
        Up to 16 answers of 1xx may come first, in whatever pieces.
        """
        interim = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + CONTINUE
        self.served(sends(interim * 8 + OK))
        self.assertEqual((await self.ask()).body, b"{}")
        pieces = [bytes([byte]) for byte in interim + OK]

        def slowly(connection: Connection) -> None:
            transport: Any = connection.transport
            for number, piece in enumerate(pieces):
                reactor.callLater(number * 0.001, transport.write, piece)

        self.served(slowly)
        self.assertEqual((await self.ask()).body, b"{}")

    async def test_failsOnManyInterimAnswers(self) -> None:
        """
        A seventeenth answer of 1xx is a fault, and is not parsed: each would be a line
        in the log.
        """
        for reply in (sends(CONTINUE * 17 + OK), self.endless(CONTINUE * 1000)):
            server = self.served(reply)
            lost = server.lost()
            with capturedLogs() as events:
                text = await self.fault()
            self.assertIn("no proper HTTP: more than 16 answers of 1xx", text)
            self.assertLess(len(events), 20)
            await lost

    async def test_ignoresInterimAnswersInBody(self) -> None:
        """
        A body may hold thousands of what looks like answers of 1xx.
        """
        body = CONTINUE * 5000
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.served(sends(head + body))
        self.assertEqual((await self.ask()).body, body)

    async def test_failsOnSwitchingProtocols(self) -> None:
        """
        An unasked 101 is a fault at once, with its connection dropped.
        """
        for piece in (b"HTTP/1.1 101 Switching Protocols\r\n", b"HTTP/1.1 101\n\n"):
            server = self.served(sends(piece))
            lost = server.lost()
            self.assertIn("no proper HTTP: 101 Switching", await self.fault())
            await lost

    async def test_boundsTinyChunks(self) -> None:
        """
        A body may come in tens of thousands of chunks, and in more if they are not
        tiny.
        """
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        end = b"0\r\n\r\n"
        long = b"14\r\n" + b"a" * 20 + b"\r\n"
        for chunks, size in (
            (b"1\r\na\r\n" * 40_000, 40_000),
            (long * 60_000, 1_200_000),
        ):
            self.served(sends(head + chunks + end))
            self.assertEqual(len((await self.ask()).body), size)
        self.served(sends(head + b"1\r\na\r\n" * 60_000))
        self.assertIn("chunks of a few bytes", await self.fault())


class LastingTests(WireCase):
    """
    Tests for connections that are to notice when the other side vanishes.
    """

    async def test_probesSilentConnections(self) -> None:
        """
        Each connection is probed while it is silent, over TLS as well.
        """
        for context in (None, secured(self)):
            self.served(sends(HEAD, b"{"), context)
            asked = self.ask()
            # the socket is there before the connection is made, and is set up
            while not (handles := clientSockets(self.url.port)) or not handles[
                0
            ].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
                await pause(0.01)
            [handle] = handles
            found = {
                name: handle.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
                if hasattr(socket, name)
            }
            self.assertEqual(sorted(found.values()), sorted((30, 10, 3)[: len(found)]))
            asked.cancel()
            asked.addErrback(lambda _: None)
            await pause(0.05)

    def test_leavesOutMissingOptions(self) -> None:
        """
        An option of TCP that a platform lacks is left out.
        """
        tried = []

        class Transport:
            def setTcpKeepAlive(self, enabled: bool) -> None:
                tried.append(enabled)

            def getHandle(self) -> Transport:
                return self

            def setsockopt(self, *args: object) -> None:
                tried.append(args)
                raise OSError("Protocol not available")

        keepAlive(Transport())
        self.assertEqual(len(tried), 5)


class UnreachableTests(WireCase):
    """
    Tests for servers that are not there.
    """

    async def test_notesThatNothingWasSent(self) -> None:
        """
        A fault says whether a connection could be made.
        """
        self.url = FixedURL.of(parseURL("http://127.0.0.1:1/q"))
        error = await self.assertFailure(self.ask(), FaultError)
        self.assertTrue(error.unreachable)
        self.served(sends(close=True))
        error = await self.assertFailure(self.ask(), FaultError)
        self.assertFalse(error.unreachable)


class ConnectionTests(WireCase):
    """
    Tests for how connections are used.
    """

    async def test_sharesConnection(self) -> None:
        """
        Requests one after the other share a connection.
        """
        server = self.served(sends(OK))
        for _ in range(20):
            await self.ask()
        self.assertEqual(server.opened, 1)

    async def test_keepsSomeConnections(self) -> None:
        """
        Requests side by side have a connection each, of which as many are kept as were
        asked for.
        """
        server = self.served(sends(OK))
        for _ in range(3):
            await gatherResults([self.ask() for _ in range(4)])
        self.assertEqual(server.opened, 4)
        await gatherResults([self.ask() for _ in range(9)])
        await pause(0.05)
        self.assertEqual(len(server.connections), 4)

    async def test_closesKeptConnections(self) -> None:
        """
        Closing the client closes the kept connections; the client can be used again.
        """
        server = self.served(sends(OK))
        await self.ask()
        lost = server.lost()
        await self.client.close()
        await lost
        await self.ask()
        self.assertEqual(server.opened, 2)

    async def test_neverResends(self) -> None:
        """
        A request whose connection breaks, even a kept one, is not sent again.
        """
        for method in ("GET", "DELETE", "POST"):
            server = self.served(sends(OK))
            await self.ask(method=method)
            server.reply = sends(close=True)
            await self.fault(method=method)
            self.assertEqual(len(server.requests), 2)

    async def test_keepsNoConnectionOfOldServer(self) -> None:
        """
        A server that speaks HTTP/1.0 closes each connection after its answer: every
        request has one of its own, and succeeds.
        """
        answer = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        for reply in (
            sends(answer, close=True),
            sends(b"HTTP/1.0 204 No Content\r\n\r\n", close=True),
            sends(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", close=True),
            sends(answer),
            self.closesLater(answer),
        ):
            server = self.served(reply)
            self.client = self.made(4)
            for _ in range(20):
                await self.ask()
            self.assertEqual(server.opened, 20)

    def closesLater(self, answer: bytes) -> Reply:
        """
        Make what answers at once and closes a moment later, as a slow server does.
        """

        def reply(connection: Connection) -> None:
            transport: Any = connection.transport
            transport.write(answer)
            closing = reactor.callLater(0.001, transport.loseConnection)
            # the client may be the first to close
            self.addCleanup(lambda: closing.active() and closing.cancel())

        return reply

    async def test_keepsConnectionAfterOldErrorPage(self) -> None:
        """
        If only an error page was HTTP/1.0, as proxies have them, connections are kept
        again after that.
        """
        old = b"HTTP/1.0 503 Busy\r\nContent-Length: 2\r\n\r\n{}"
        server = self.served(sends(old, close=True))
        await self.fault()
        server.reply = sends(OK)
        for _ in range(20):
            await self.ask()
        # the first answer after it comes on a connection that is not kept
        self.assertEqual(server.opened, 3)

    async def test_keepsNone(self) -> None:
        """
        A client that is made so keeps no connection.
        """
        self.client = self.made(1, persistent=False)
        server = self.served(sends(OK))
        for _ in range(3):
            await self.ask(method="GET")
        self.assertEqual(server.opened, 3)
        for request in server.requests:
            self.assertIn(b"Connection: close\r\n", request)

    async def test_sendsLongBody(self) -> None:
        """
        A body of some megabytes is sent whole.
        """
        server = self.served(sends(OK))
        body = b'"' + b"x" * 5_000_000 + b'"'
        await self.client.request("POST", self.url, body, PLENTY)
        self.assertTrue(server.requests[0].endswith(b"\r\n\r\n" + body))

    async def test_sendsNoCookies(self) -> None:
        """
        Cookies are not sent back.
        """
        server = self.served(
            sends(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))
        )
        await self.ask()
        await self.ask()
        self.assertNotIn(b"cookie", b"".join(server.requests).lower())

    async def test_sendsToken(self) -> None:
        """
        A client that is made with a token file sends its token; with a file that holds
        none no client is made.
        """
        path = self.mktemp()
        self.assertRaises(ValueError, makeClient, reactor, 4, path)
        with open(path, "w") as file:
            file.write("s3cret\n")
        self.client = self.made(4, path)
        server = self.served(sends(OK))
        await self.ask()
        self.assertIn(b"Authorization: Bearer s3cret\r\n", server.requests[0])


class TLSTests(WireCase):
    """
    Tests for C{https://}.
    """

    async def test_trustsCertificate(self) -> None:
        """
        A server with a trusted certificate gets requests, over a kept connection.
        """
        server = self.served(sends(OK), secured(self))
        for _ in range(3):
            self.assertEqual((await self.ask()).body, b"{}")
        self.assertEqual(server.opened, 1)

    async def test_refusesUnknownCertificate(self) -> None:
        """
        A server whose certificate is not trusted gets no request.
        """
        server = self.served(sends(OK), secured(self, trusted=False))
        self.assertIn("certificate verify failed", await self.fault())
        self.assertEqual(server.requests, [])

    async def test_dropsStalledAnswer(self) -> None:
        """
        The connection of an answer that stalls is dropped, though the server does not
        take part in closing it.
        """
        server = self.served(sends(HEAD, b"{"), secured(self))
        lost = server.lost()
        asked = self.fault(0.3)
        text = ensureDeferred(asked)
        while not server.requests:
            await pause(0.01)
        server.connections[0].transport.pauseProducing()
        self.assertIn("no whole answer", await text)
        server.connections[0].transport.resumeProducing()
        self.assertIsInstance(await lost, ConnectionLost)


def secured(case: TestCase, trusted: bool = True) -> DefaultOpenSSLContextFactory:
    """
    Make a certificate for 127.0.0.1, and trust it for the time of a test.
    """
    path = case.mktemp()
    writeSelfSigned(path)
    if trusted:
        os.environ["SSL_CERT_FILE"] = path
        case.addCleanup(os.environ.pop, "SSL_CERT_FILE")
    return DefaultOpenSSLContextFactory(path, path)


def clientSockets(port: int) -> list[Any]:
    """
    @return: The sockets of the reactor that are connected to a port of this machine.
    """
    found = []
    for reader in reactor.getReaders():
        handle = getattr(reader, "socket", None)
        with contextlib.suppress(OSError, AttributeError):
            if handle.getpeername()[1] == port:
                found.append(handle)
    return found


def writeSelfSigned(path: str) -> None:
    """
    Make a certificate of 127.0.0.1, and write it with its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with open(path, "wb") as file:
        file.write(private + public)
