"""
Tests for L{myconsumer.check.command} and L{myconsumer.check.hangup}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from myconsumer.check import Options
from myconsumer.check.exceptions import Unanswered
from myconsumer.check.hangup import makeLeaving
from myconsumer.http.urls import FixedURL, parseURL


class OptionsTests(SynchronousTestCase):
    """
    Tests for L{Options}.
    """

    def test_takesURLAndChecks(self) -> None:
        """
        The URL is needed; checks may be chosen by parts of their lines.
        """
        options = Options()
        options.parseOptions(["http://h/q", "--only", "its limit", "--only=delay"])
        self.assertEqual(options["url"].to_text(), "http://h/q")
        self.assertEqual(options["only"], ["its limit", "delay"])
        self.assertIsNone(options["token-file"])
        self.assertRaises(SystemExit, Options().parseOptions, [])

    def test_refusesAnUnknownPart(self) -> None:
        """
        A part that is in no line of the report is refused.
        """
        with self.assertRaises(SystemExit) as caught:
            Options().parseOptions(["http://h/q", "--only", "nonsense"])
        self.assertEqual(
            str(caught.exception),
            "myconsumer check: --only takes a part of a line of the report, not "
            "'nonsense': no line contains it",
        )


class Listening(Protocol):
    """
    Keeps what it gets.
    """

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.received = b""
        self.gone: Deferred[type] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.transport.write(self.reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(reason.type)


class LeavingTests(TestCase):
    """
    Tests for L{makeLeaving}, over a real connection.
    """

    async def leave(self, reply: bytes = b"") -> tuple[Listening, bytes]:
        """
        Send a request to a server and go away.
        """
        from twisted.internet import reactor

        server = Listening(reply)
        listening: Any = Factory.forProtocol(lambda: server)
        port = reactor.listenTCP(0, listening, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.url = FixedURL.of(parseURL(f"http://127.0.0.1:{port.getHost().port}/q"))
        answered = await makeLeaving(reactor, b"s3cret")(self.url, b"{}", 0.05)
        self.assertIs(await server.gone, ConnectionDone)
        return server, answered

    async def test_leaves(self) -> None:
        """
        The request of a client that goes away is whole, and its connection is closed as
        that of a killed client is: in good order.
        """
        server, answered = await self.leave()
        head, _, body = server.received.partition(b"\r\n\r\n")
        first, *headers = head.split(b"\r\n")
        self.assertEqual((first, body), (b"POST /q HTTP/1.1", b"{}"))
        self.assertIn(b"Content-Length: 2", headers)
        self.assertIn(b"Authorization: Bearer s3cret", headers)
        self.assertEqual(answered, b"")

    async def test_returnsWhatWasAnswered(self) -> None:
        """
        What was answered before the client went away is returned.
        """
        _, answered = await self.leave(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertTrue(answered.startswith(b"HTTP/1.1 204"))

    async def test_failsWithoutAListener(self) -> None:
        """
        Where nobody listens there is no connection, and the report says so.
        """
        from twisted.internet import reactor

        port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        url = FixedURL.of(parseURL(f"http://127.0.0.1:{port.getHost().port}/q"))
        await port.stopListening()
        with self.assertRaises(Unanswered) as caught:
            await makeLeaving(reactor, None)(url, b"{}", 0)
        self.assertIn("goes away: cannot connect", str(caught.exception))
