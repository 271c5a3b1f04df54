"""
Tests for L{myconsumer.http.serving.request}.
"""

from __future__ import annotations

import json

from myconsumer.http.serving.request import LARGEST_BODY
from myconsumer.tokenfile import TokenFile
from tests.http.serving.test_site import PIECE, SiteCase


class SizeTests(SiteCase):
    """
    How large a body may be.
    """

    def test_takesLargestBody(self) -> None:
        """
        The largest body that is allowed is taken whole, however it is sent.
        """
        self.send("Host: h", f"Content-Length: {LARGEST_BODY}")
        for _ in range(16):
            self.channel.dataReceived(PIECE)
        self.assertTaken(LARGEST_BODY)
        self.send("Host: h", "Transfer-Encoding: chunked")
        for _ in range(16):
            self.channel.dataReceived(b"100000\r\n" + PIECE + b"\r\n")
        self.channel.dataReceived(b"0\r\n\r\n")
        self.assertTaken(LARGEST_BODY)

    def test_takesForm(self) -> None:
        """
        A body that calls itself a form, as curl's -d does, is taken as it is.
        """
        for kind in ("x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            self.send("Host: h", f"Content-Type: {kind}", "Content-Length: 3")
            self.channel.dataReceived(b"a=b")
            self.assertTaken(3)

    def test_keepsNothingOfAnnouncedExcess(self) -> None:
        """
        Nothing is kept of a body whose announced length is too large. The answer is
        sent once the body is over, so that a client that reads only then sees it; the
        connection can be used on.
        """
        self.send("Host: h", f"Content-Length: {LARGEST_BODY + 1}")
        for _ in range(16):
            self.channel.dataReceived(PIECE)
            self.assertEqual(self.kept(), 0)
        self.assertEqual(self.transport.value(), b"")
        self.channel.dataReceived(b"x")
        self.assertRefused(413)
        self.send("Host: h")
        self.assertTaken(0)

    def test_dropsBodyThatGrowsTooLarge(self) -> None:
        """
        A body of unknown length is thrown away as soon as it is too large.
        """
        self.send("Host: h", "Transfer-Encoding: chunked")
        for number in range(15):
            self.channel.dataReceived(b"100000\r\n" + PIECE + b"\r\n")
            self.assertEqual(self.kept(), (number + 1) * len(PIECE))
        for _ in range(5):
            self.channel.dataReceived(b"100000\r\n" + PIECE + b"\r\n")
        self.assertEqual(self.kept(), 0)
        self.channel.dataReceived(b"0\r\n\r\n")
        self.assertRefused(413)
        self.send("Host: h")
        self.assertTaken(0)

    def test_cutsEndlessBody(self) -> None:
        """
        A body that does not end is cut off after the answer; what comes later on the
        connection has no effect.
        """
        self.send("Host: h", f"Content-Length: {10**15}")
        for _ in range(64):
            self.channel.dataReceived(PIECE)
        self.assertTrue(self.transport.connected)
        self.channel.dataReceived(PIECE)
        self.assertFalse(self.transport.connected)
        self.assertEqual(self.assertRefused(413)["Connection"], "close")

    def test_boundsUnfinishedBodies(self) -> None:
        """
        Of unfinished bodies no more than 128 MiB are kept, all together; one that is
        complete, or whose connection is lost, makes room.
        """
        channels = []
        for _ in range(9):
            channels.append((self.channel, self.transport))
            self.send("Host: h", f"Content-Length: {LARGEST_BODY}")
            for _ in range(15):
                self.channel.dataReceived(PIECE)
            self.connect()
        self.transport.loseConnection()
        self.assertEqual(self.site.pending, 8 * 15 * len(PIECE))
        self.channel, self.transport = channels[8]
        self.channel.dataReceived(PIECE)
        self.assertEqual(self.assertRefused(503)["Retry-After"], "1")
        self.channel, self.transport = channels[0]
        self.channel.dataReceived(PIECE)
        self.assertTaken(LARGEST_BODY)
        for _, transport in channels:
            transport.loseConnection()
        self.assertEqual(self.site.pending, 0)

    def test_refusesAbsurdLength(self) -> None:
        """
        A length that no number can have is answered, and the connection closed.
        """
        for name in ("Content-Length", "content-length"):
            for last in ((), ("Host: h",)):
                self.send(f"{name}: {'1' * 5000}", *last)
                self.assertEqual(
                    self.transport.value(), b"HTTP/1.1 400 Bad Request\r\n\r\n"
                )
                self.assertFalse(self.transport.connected)
                self.connect()

    def test_answersOnceWhenCut(self) -> None:
        """
        Where a body ends in the very piece that makes it too large there is one answer.
        """
        self.send("Host: h", "Transfer-Encoding: chunked")
        piece = b"100000\r\n" + PIECE + b"\r\n"
        self.channel.dataReceived(piece * 66 + b"0\r\n\r\n")
        self.assertRefused(413)


class RefusedTests(SiteCase):
    """
    What becomes of requests that are not to be done.
    """

    def setUp(self) -> None:
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("s3cret")
        self.token = TokenFile(path)
        super().setUp()
        self.guard.hosts = frozenset({"localhost"})

    def test_keepsNothingWithoutToken(self) -> None:
        """
        Nothing is kept of a body that comes without a token.
        """
        self.send("Host: localhost", "Content-Length: 1048577")
        self.channel.dataReceived(PIECE)
        self.assertEqual(self.kept(), 0)
        self.channel.dataReceived(b"x")
        self.assertEqual(self.assertRefused(401)["WWW-Authenticate"], "Bearer")

    def test_checksHostBeforeToken(self) -> None:
        """
        A wrong Host is refused before the token is asked for.
        """
        self.send("Host: evil.example", line="GET /secret HTTP/1.1")
        status = self.transport.value().partition(b"\r\n")[0]
        self.assertEqual(status, b"HTTP/1.1 421 Misdirected Request")
        self.assertRefused(421)

    def test_judgesEachRequest(self) -> None:
        """
        A request with the token is served, and the next one on the same connection is
        judged anew.
        """
        self.send("Host: localhost", "Authorization: Bearer s3cret")
        self.assertTaken(0)
        self.send("Host: localhost")
        self.assertRefused(401)

    def test_answersHeadWithoutBody(self) -> None:
        """
        A refused HEAD is answered without a body.
        """
        self.send("Host: localhost", line="HEAD / HTTP/1.1")
        [(code, _, body)] = self.answers()
        self.assertEqual((code, body), (401, b""))


class ReadableTests(SiteCase):
    """
    What has to be there.
    """

    def test_requiresHost(self) -> None:
        """
        HTTP/1.1 requires a Host header; HTTP/1.0 does not know it.
        """
        self.send()
        self.assertRefused(400)
        self.send(line="POST / HTTP/1.0")
        self.assertTaken(0)

    def test_refusesPathThatIsNoUTF8(self) -> None:
        """
        A path that is no UTF-8 is refused.
        """
        for path in ("/%ff", "/q/tasks/%c3", "/\xa0"):
            self.send("Host: h", line=f"GET {path} HTTP/1.1")
            self.assertRefused(400)

    def test_takesHostThatIsNoName(self) -> None:
        """
        A Host header that is no name does no harm.
        """
        for host in ("", "a..b", "a" * 300, "\xff", "[", "http://x/", ":"):
            self.send(f"Host: {host}")
            self.assertTaken(0)

    def test_logsBugOnce(self) -> None:
        """
        A bug in a resource is logged with its traceback, once, and the answer shows
        nothing of it.
        """
        self.send("Host: h", line="GET /broken HTTP/1.1")
        [(code, _, body)] = self.answers()
        self.assertEqual(code, 500)
        self.assertNotIn(b"s3cret", body)
        self.assertIn("error", json.loads(body))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
