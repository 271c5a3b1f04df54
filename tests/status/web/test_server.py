"""
The server that shows a consumer, at real ports of this machine.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from myconsumer.status.health import Health
from myconsumer.status.metrics import Metrics
from myconsumer.status.state import Status
from myconsumer.status.web.api import REASON
from myconsumer.status.web.server import MOST_CONNECTIONS, StatusServer
from myconsumer.status.web.subject import ShownConsumer, Subject
from myconsumer.tokenfile import TokenFile
from tests.acceptance.embedded import Client
from tests.status.web.subjects import MadeUpConsumer

HERE = "tcp:0:interface=127.0.0.1"
EVERYWHERE = "tcp:0:interface=0.0.0.0"

PATHS = ("/pause", "/resume", "/limit", "/drain")


class ServerCase(TestCase):
    """
    Starts a server of a consumer that is made up.
    """

    timeout = 30

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.consumer = MadeUpConsumer(Status(limit=4, state="running", answered=1.0))
        self.stuck: str | None = None

    def make(self, endpoint: str = HERE, **more: Any) -> StatusServer:
        """
        @return: A server that was not started.
        """
        status = self.consumer.status
        health = Health(self.reactor, status, lambda: self.stuck, 60.0)
        shown = ShownConsumer(self.consumer, Metrics(), self.consumer.drain)
        return StatusServer(
            serverFromString(self.reactor, endpoint),
            Subject(health, shown),
            reactor=self.reactor,
            **more,
        )

    def serve(self, endpoint: str = HERE, **more: Any) -> Client:
        """
        @return: A client of a server that has started, and ends with the test.
        """
        server = self.make(endpoint, **more)
        with capturedLogs() as logs:
            server.privilegedStartService()
            server.startService()
        self.addCleanup(server.stopService)
        [url] = [
            event["url"]
            for event in logs
            if "Serving the status" in str(formatEvent(event))
        ]
        return Client(self.reactor, str(url).replace("0.0.0.0", "127.0.0.1"))

    def token(self) -> TokenFile:
        """
        @return: A token.
        """
        path = Path(self.mktemp())
        path.write_text("s3cret")
        return TokenFile(str(path))


class ProbeTests(ServerCase):
    """
    What is asked with GET.
    """

    async def test_answersProbes(self) -> None:
        """
        C{/healthz} and C{/readyz} are answered with 200, or with 503 and the reason.
        """
        client = self.serve()
        for path in ("/healthz", "/readyz"):
            self.assertEqual((await client.ask("GET", path)).status, 200)
        self.stuck = "A claim has hung"
        self.consumer.state = replace(self.consumer.state, answered=None)
        for path, said in (
            ("/healthz", "A claim has hung"),
            ("/readyz", "The endpoint has not answered yet"),
        ):
            answer = await client.ask("GET", path)
            self.assertEqual((answer.status, answer.json), (503, {"error": said}))

    async def test_showsStatusAndMetrics(self) -> None:
        """
        C{/status.json} is the state, and C{/metrics} has all metrics.
        """
        client = self.serve()
        answer = await client.ask("GET", "/status.json")
        self.assertEqual((answer.json["state"], answer.json["limit"]), ("running", 4))
        answer = await client.ask("GET", "/metrics")
        self.assertEqual(
            answer.headers.getRawHeaders("Content-Type"),
            ["text/plain; version=0.0.4; charset=utf-8"],
        )
        self.assertIn(b"\nmyconsumer_slots_limit 4.0\n", answer.body)

    async def test_refusesOtherPaths(self) -> None:
        """
        There is nothing at another path, and each path takes its own methods only.
        """
        client = self.serve()
        for method, path, code in (
            ("GET", "/", 404),
            ("GET", "/metrics/", 404),
            ("POST", "/metrics", 405),
            ("GET", "/pause", 405),
        ):
            answer = await client.ask(method, path)
            self.assertEqual((answer.status, list(answer.json)), (code, ["error"]))
        self.assertEqual(self.consumer.steps, [])


class SteeringTests(ServerCase):
    """
    What is asked with POST.
    """

    async def test_steers(self) -> None:
        """
        Each POST does what it is called, and shows the state; that to drain is answered
        although the process ends.
        """
        client = self.serve()
        for path, body, code, step in (
            ("/pause", b"", 200, ("pause", REASON)),
            ("/resume", b"", 200, ("resume", REASON)),
            ("/limit", b'{"limit": 7}', 200, ("limit", 7)),
            ("/drain", b"", 202, "drain"),
        ):
            answer = await client.ask("POST", path, body)
            self.assertEqual((answer.status, answer.json["limit"]), (code, 4))
            self.assertEqual(self.consumer.steps.pop(), step)

    async def test_refusesOtherLimits(self) -> None:
        """
        A limit that is none changes nothing, and the answer says what is taken.
        """
        client = self.serve()
        for body in (
            *(b"", b"7", b"{}", b"[]", b'{"limit": "7"}', b'{"limit": 7.5}'),
            *(b'{"limit": 7, "a": 1}', b"\xff", b"[" * 4000, b'{"limit": 0}'),
        ):
            answer = await client.ask("POST", "/limit", body)
            self.assertEqual((answer.status, list(answer.json)), (400, ["error"]), body)
        self.assertEqual(self.consumer.steps, [])

    async def test_keepsLittleOfABody(self) -> None:
        """
        A body of more than 4 kB is refused.
        """
        client = self.serve()
        answer = await client.ask("POST", "/limit", b" " * 4097)
        self.assertEqual(answer.status, 413)

    async def test_refusesPagesOfOthers(self) -> None:
        """
        On loopback nobody is answered who calls the server by another name, or comes
        from a page of another origin.
        """
        client = self.serve()
        for headers, code in (
            ({"Host": "evil.example"}, 421),
            ({"Origin": "http://evil.example"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
        ):
            for path in PATHS:
                answer = await client.ask("POST", path, b"{}", headers)
                self.assertEqual(answer.status, code)
        self.assertEqual(self.consumer.steps, [])

    async def test_wantsTheToken(self) -> None:
        """
        With a token each POST has to bring it, on loopback too; what is asked with GET
        needs none.
        """
        for endpoint in (HERE, EVERYWHERE):
            client = self.serve(endpoint, token=self.token())
            self.assertEqual((await client.ask("GET", "/metrics")).status, 200)
            for path in PATHS:
                answer = await client.ask("POST", path)
                self.assertEqual(answer.status, 401)
                self.assertNotIn(b"s3cret", answer.body)
            self.assertEqual(self.consumer.steps, [])
            client.token = "s3cret"
            self.assertEqual((await client.ask("POST", "/pause")).status, 200)
            self.assertEqual(self.consumer.steps.pop(), ("pause", REASON))

    async def test_isNotSteeredFromElsewhere(self) -> None:
        """
        Without a token a server for other machines answers GET, by any name, and no
        POST.
        """
        client = self.serve(EVERYWHERE)
        pod = {"Host": "10.0.0.7:8322"}
        answer = await client.ask("GET", "/healthz", None, pod)
        self.assertEqual(answer.status, 200)
        for path in PATHS:
            answer = await client.ask("POST", path, b"{}")
            self.assertEqual(answer.status, 403)
            self.assertIn("--status-token-file", answer.json["error"])
        self.assertEqual(self.consumer.steps, [])


class ServiceTests(ServerCase):
    """
    The service.
    """

    async def test_takesNoCrowd(self) -> None:
        """
        Of many connections a hundred are taken, and the others are closed; when some of
        these are gone, it answers again.
        """
        client = self.serve()
        host, _, port = client.url.removeprefix("http://").partition(":")
        crowd: list[socket.socket] = []
        with capturedLogs() as logs:
            # no more at once than wait to be accepted
            for _ in range(7):
                await deferLater(self.reactor, 0.01)
                for _ in range(20):
                    crowd.append(socket.create_connection((host, int(port)), 5))
                    self.addCleanup(crowd[-1].close)
            for each in crowd[MOST_CONNECTIONS:]:
                each.setblocking(False)
                await self.untilClosed(each)
        [event] = logs
        self.assertIn("100 connections, and no more are taken", str(formatEvent(event)))
        for each in crowd[:MOST_CONNECTIONS]:
            each.close()
        await deferLater(self.reactor, 0.1)
        self.assertEqual((await client.ask("GET", "/healthz")).status, 200)

    async def untilClosed(self, connection: socket.socket) -> None:
        """
        Wait until the server has closed a connection.
        """
        while True:
            try:
                self.assertEqual(connection.recv(1), b"")
            except BlockingIOError:
                await deferLater(self.reactor, 0.01)
            except ConnectionResetError:
                return
            else:
                return

    def test_isAService(self) -> None:
        """
        It provides C{IService}.
        """
        verifyObject(IService, self.make())

    def test_refusesAPortInUse(self) -> None:
        """
        A port that is taken is refused with one line.
        """
        client = self.serve()
        port = client.url.rpartition(":")[2]
        server = self.make(f"tcp:{port}:interface=127.0.0.1")
        error = self.assertRaises(ValueError, server.privilegedStartService)
        self.assertRegex(str(error), "^the status cannot be served: .* in use")

    async def test_startsAgain(self) -> None:
        """
        It can be stopped and started again, without a timer or a port that is left.
        """
        server = self.make()
        for _ in range(2):
            server.startService()
            await server.stopService()

    def test_statusCanBeEncoded(self) -> None:
        """
        A state is JSON as it is.
        """
        from msgspec.json import encode

        self.assertIn("totals", json.loads(encode(self.consumer.status())))
