"""
Tests for L{myconsumer.http.serving.site}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from myconsumer.http.serving.guard import Guard
from myconsumer.http.serving.request import LARGEST_BODY, GuardedRequest
from myconsumer.http.serving.site import GuardedSite
from myconsumer.tokenfile import TokenFile

PIECE = b"x" * (1024 * 1024)


class Content(Resource):
    """
    Answers how much was sent; breaks; or does not answer.
    """

    isLeaf = True

    def render(self, request: Request) -> Any:
        """
        See L{Resource.render}.
        """
        if request.path == b"/broken":
            raise RuntimeError("s3cret detail")
        if request.path == b"/open":
            self.open = request
            return NOT_DONE_YET
        return b"%d" % len(request.content.read())


class SiteCase(SynchronousTestCase):
    """
    Has a site, and a connection to it.
    """

    token: TokenFile | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.requests: list[GuardedRequest] = []
        self.guard = Guard(self.token)
        self.resource = Content()
        self.site = GuardedSite(self.resource, self.guard, self.clock)
        self.site.requestFactory = self.makeRequest
        self.site.doStart()
        self.addCleanup(self.settleDown)
        self.connect()

    def settleDown(self) -> None:
        self.site.doStop()
        self.transport.loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def makeRequest(self, *given: Any) -> GuardedRequest:
        self.requests.append(GuardedRequest(*given))
        return self.requests[-1]

    def connect(self) -> None:
        self.transport = StringTransportWithDisconnection()
        self.channel = self.site.buildProtocol(None)
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    def send(self, *lines: str, line: str = "POST / HTTP/1.1") -> None:
        head = "\r\n".join((line, *lines, "", ""))
        self.channel.dataReceived(head.encode("latin-1"))

    def answers(self) -> Iterator[tuple[int, dict[str, str], bytes]]:
        """
        Take apart what came: codes, headers, bodies.
        """
        rest = self.transport.value()
        self.transport.clear()
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            length = int(headers.get("Content-Length", 0))
            yield int(status.split()[1]), headers, rest[:length]
            rest = rest[length:]

    def assertRefused(self, code: int) -> dict[str, str]:
        """
        Fail unless there is one answer, with this code and a sentence in JSON.

        @return: Its headers.
        """
        [(found, headers, body)] = self.answers()
        self.assertEqual(found, code)
        self.assertEqual(list(json.loads(body)), ["error"])
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertNotIn("Server", headers)
        self.assertFalse([name for name in headers if name.startswith("Access-")])
        return headers

    def assertTaken(self, size: int) -> None:
        """
        Fail unless there is one answer, to a body of so many bytes.
        """
        [(code, _, body)] = self.answers()
        self.assertEqual((code, int(body)), (200, size))

    def kept(self) -> int:
        """
        @return: How many bytes of the last request's body there are.
        """
        content: Any = self.requests[-1].content
        return len(content.getvalue())


class TimeTests(SiteCase):
    """
    How long connections live.
    """

    def test_keepsOpenRequest(self) -> None:
        """
        A request that is open for an hour is not cut; a connection without one is,
        after a minute.
        """
        self.send("Host: h", line="POST /open HTTP/1.1")
        self.clock.pump([10.0] * 360)
        self.assertTrue(self.transport.connected)
        self.resource.open.finish()
        self.clock.advance(59)
        self.assertTrue(self.transport.connected)
        self.clock.advance(1)
        self.assertFalse(self.transport.connected)

    def test_cutsStalledRequest(self) -> None:
        """
        A request whose body does not go on is cut after a minute.
        """
        self.send("Host: h", "Content-Length: 5")
        self.clock.advance(60)
        self.assertFalse(self.transport.connected)

    def test_cutsSlowHead(self) -> None:
        """
        The head of a request may take ten seconds, however it comes, and so may the
        first one to begin. A connection that has had a request may be idle for a
        minute.
        """
        self.clock.advance(10)
        self.assertFalse(self.transport.connected)
        self.connect()
        self.send("Host: h")
        self.clock.advance(50)
        for byte in b"POST / HTT":
            self.assertTrue(self.transport.connected)
            self.channel.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.assertFalse(self.transport.connected)

    def test_ticksNotWhileIdle(self) -> None:
        """
        No timer runs while nobody is connected.
        """
        self.transport.loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CrowdTests(SiteCase):
    """
    How many connections there may be.
    """

    def test_boundsConnections(self) -> None:
        """
        One connection too many is closed, with one line in the log, until another is
        lost.
        """
        site = GuardedSite(self.resource, self.guard, self.clock, 2)
        transports = []
        for _ in range(2):
            channel = site.buildProtocol(None)
            transports.append(StringTransportWithDisconnection())
            transports[-1].protocol = channel
            channel.makeConnection(transports[-1])
        with capturedLogs() as events:
            self.assertIsNone(site.buildProtocol(None))
            self.assertIsNone(site.buildProtocol(None))
        self.assertEqual(len(events), 1)
        transports[0].loseConnection()
        self.assertIsNotNone(site.buildProtocol(None))
        transports[1].loseConnection()


class WireTests(TestCase):
    """
    What a client sees through a socket.
    """

    @inlineCallbacks
    def test_answersTooLargeBody(self) -> Iterator[Deferred[Any]]:
        """
        A client that sends more than is taken gets its answer.
        """
        site = GuardedSite(Content(), Guard(None))
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = treq.client.HTTPClient(Agent(reactor))
        url = f"http://127.0.0.1:{port.getHost().port}/"
        response = yield client.post(url, data=b"x" * (LARGEST_BODY + 1))
        self.assertEqual(response.code, 413)
        content = yield treq.json_content(response)
        self.assertIn("16777216", content["error"])
