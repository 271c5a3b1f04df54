"""
Tests for L{myconsumer.taskqueue.service}: a real file, and real ports of this machine.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from msgspec import Raw
from treq import content
from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionRefusedError
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SkipTest, TestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError, RefusalError
from myconsumer.interfaces import IProbed
from myconsumer.task import Settlement
from myconsumer.taskqueue.service import LocalQueueService, RefusedToStart
from myconsumer.taskqueue.store.lock import FileLock
from myconsumer.tokenfile import TokenFile
from tests.acceptance.embedded import Client

HERE = "tcp:0:interface=127.0.0.1"


def served(logs: list[dict[str, Any]]) -> str:
    """
    Give the address at which the log says that queues are served.
    """
    lines = [formatEvent(event) for event in logs]
    [address] = re.findall("Serving queues at (.*) from ", "\n".join(lines))
    return str(address).removesuffix("/NAME")


class LocalQueueServiceTests(TestCase):
    """
    Tests for L{LocalQueueService}.
    """

    timeout = 30

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "queue.sqlite"
        self.agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))

    async def test_probes(self) -> None:
        """
        The probe listens for a moment, makes no file, and fails where the service
        would be refused; afterwards the service can be started.
        """
        service = self.make()
        verifyObject(IProbed, service)
        self.assertEqual(await service.probe(), "can be served")
        self.assertEqual(list(self.directory.iterdir()), [])
        open = await self.assertFailure(self.make("tcp:0").probe(), RefusalError)
        self.assertIn("without a token", str(open))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            other = self.make(f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1")
            error = await self.assertFailure(other.probe(), RefusalError)
        self.assertIn("in use", str(error))
        service.startService()
        self.assertTrue(self.path.exists())

    def make(self, endpoint: str = HERE, **more: Any) -> LocalQueueService:
        """
        Make a service that is stopped with the test.
        """
        service = LocalQueueService(
            str(self.path),
            serverFromString(self.reactor, endpoint),
            reactor=self.reactor,
            **more,
        )
        self.addCleanup(service.stopService)
        return service

    def start(self, service: LocalQueueService) -> str:
        """
        Start it, and give the address that it tells of.
        """
        with capturedLogs() as logs:
            service.privilegedStartService()
            service.startService()
        return served(logs)

    async def get(self, url: str, **headers: str) -> tuple[int, bytes]:
        sent = Headers({name: [value] for name, value in headers.items()})
        response = await self.agent.request(b"GET", url.encode(), sent)
        return response.code, await content(response)

    def assertRefuses(self, service: LocalQueueService, said: str) -> None:
        """
        It does not start, and says why in one line.
        """
        with self.assertRaises(RefusedToStart) as caught:
            self.start(service)
        line = str(caught.exception)
        self.assertIn(said, line)
        self.assertEqual(len(line.splitlines()), 1)

    def test_providesService(self) -> None:
        """
        The service provides IService, and does nothing before it is started.
        """
        verifyObject(IService, self.make())
        self.assertEqual(list(self.directory.iterdir()), [])

    async def test_serves(self) -> None:
        """
        The service serves at the address that it logs, from its file.
        """
        service = self.make()
        with capturedLogs() as logs:
            url = self.start(service)
        self.assertRegex(url, r"^http://127\.0\.0\.1:[0-9]+$")
        line = f"Serving queues at {url}/NAME from {self.path}"
        self.assertIn(line, [formatEvent(event) for event in logs])
        self.assertEqual(await self.get(url), (200, b'{"queues":{}}'))
        await service.stopService()
        with self.assertRaises(ConnectionRefusedError):
            await self.get(url)

    async def test_startsWithoutPrivileges(self) -> None:
        """
        Started without C{privilegedStartService}, as by a parent that runs already, the
        service listens all the same.
        """
        service = self.make()
        with capturedLogs() as logs:
            service.startService()
        status, _ = await self.get(served(logs))
        self.assertEqual(status, 200)

    def test_listensFirst(self) -> None:
        """
        The service listens while it has the privileges to, and touches the file without
        them.
        """
        service = self.make()
        with capturedLogs() as logs:
            service.privilegedStartService()
        port = served(logs).rpartition(":")[2]
        socket.create_connection(("127.0.0.1", int(port))).close()
        self.assertEqual(list(self.directory.iterdir()), [])

    async def test_startsAgain(self) -> None:
        """
        Stopped and started again, the service goes on with what is in the file.
        """
        service = self.make()
        queue = service.queue("tasks")
        for number in range(3):
            url = self.start(service)
            client = Client(self.reactor, f"{url}/tasks")
            await client.enqueue({"id": str(number), "payload": number})
            counts = await client.counts()
            self.assertEqual((counts["ready"], counts["completed"]), (1, number))
            [task] = (await queue.claim("c", 1, 0, 60)).tasks
            self.assertEqual(task.payload, number)
            done = Settlement(task.receipt, "complete", result=Raw(b"1"))
            self.assertEqual(list(await queue.settle([done], 5)), [])
            await service.stopService()
            self.assertFalse(Path(f"{self.path}-wal").exists())

    async def test_stopAnswers(self) -> None:
        """
        A stop answers the claims that wait, and closes idle connections.
        """
        service = self.make()
        url = self.start(service)
        client = Client(self.reactor, f"{url}/tasks")
        claims = [
            Deferred.fromCoroutine(client.claim(wait=20, claim=str(number)))
            for number in range(3)
        ]
        await client.counts()
        await client.counts()
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as idle:
            await client.counts()
            begun = self.reactor.seconds()
            await service.stopService()
            self.assertLess(self.reactor.seconds() - begun, 2)
            self.assertEqual(idle.recv(1), b"")
        for claim in claims:
            self.assertEqual(await claim, [])

    async def test_failsWhileStopped(self) -> None:
        """
        A queue in the same process fails with FaultError while the service does not
        run.
        """
        service = self.make()
        queue = service.queue("tasks")
        self.failureResultOf(queue.claim("c", 1, 0, 60), FaultError)
        self.start(service)
        self.assertEqual((await queue.claim("c", 1, 0, 60)).tasks, [])
        await service.stopService()
        self.failureResultOf(queue.claim("c", 1, 0, 60), FaultError)

    async def test_servesByName(self) -> None:
        """
        A queue of one name is the same over HTTP and in the process.
        """
        service = self.make()
        url = self.start(service)
        client = Client(self.reactor, f"{url}/other")
        [id] = await client.enqueue({"payload": 1})
        self.assertEqual((await service.queue("tasks").claim("c", 1, 0, 9)).tasks, [])
        [task] = (await service.queue("other").claim("c", 1, 0, 9)).tasks
        self.assertEqual(task.id, id)

    def test_makesFileForOwner(self) -> None:
        """
        The file is made for its owner only, whatever the umask.
        """
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.start(self.make())
        for path in self.directory.iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)

    async def test_keepsAtStart(self) -> None:
        """
        A task that ended longer ago than it is kept is not forgotten at the start, when
        the clock may be wrong.
        """
        service = self.make()
        url = self.start(service)
        queue = service.queue("tasks")
        client = Client(self.reactor, f"{url}/tasks")
        await client.enqueue(*({"id": id, "payload": 1} for id in ("kept", "old")))
        claimed = (await queue.claim("c", 2, 0, 60)).tasks
        await queue.settle([Settlement(t.receipt, "complete") for t in claimed], 5)
        await service.stopService()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE tasks SET ended = ended - 1000 WHERE id = 'old'")
        service = self.make(keep=500)
        url = self.start(service)
        client = Client(self.reactor, f"{url}/tasks")
        # all before it in the writer's queue is done by then
        await client.enqueue({"id": "new", "payload": 1})
        self.assertEqual((await client.counts())["completed"], 2)
        self.assertEqual((await client.task("old"))["state"], "completed")

    def test_refusesOthersWithoutToken(self) -> None:
        """
        Where other machines could connect the service does not start without a token,
        and nothing listens.
        """
        for endpoint in ("tcp:0", "tcp:0:interface=0.0.0.0", r"tcp6:0:interface=\:\:"):
            with capturedLogs() as logs:
                self.assertRefuses(self.make(endpoint), "--token-file")
            self.assertNotIn("Serving", "".join(map(str, map(formatEvent, logs))))
        self.assertEqual(list(self.directory.iterdir()), [])
        self.assertEqual(self.reactor.getReaders(), self.internalReaders())

    def internalReaders(self) -> list[Any]:
        """
        What the reactor reads from, besides what a test has opened.
        """
        ports = re.compile("Port|Server")
        found: list[Any] = self.reactor.getReaders()
        return [each for each in found if not ports.search(type(each).__name__)]

    async def test_servesOthersWithToken(self) -> None:
        """
        With a token the service serves other machines, by any name.
        """
        token = self.directory / "token"
        token.write_text("let-me-in")
        service = self.make("tcp:0:interface=0.0.0.0", token=TokenFile(str(token)))
        url = self.start(service).replace("0.0.0.0", "127.0.0.1")
        status, _ = await self.get(f"{url}/tasks")
        self.assertEqual(status, 401)
        status, _ = await self.get(
            f"{url}/tasks", Host="queue.example", Authorization="Bearer let-me-in"
        )
        self.assertEqual(status, 200)

    async def test_takesOwnNames(self) -> None:
        """
        On loopback the service takes names of this machine only, its own address among
        them.
        """
        url = self.start(self.make("tcp:0:interface=127.0.0.7"))
        for host in ("localhost", "127.0.0.1:99", "127.0.0.7", "[::1]"):
            self.assertEqual((await self.get(url, Host=host))[0], 200, host)
        for host in ("queue.example", "127.0.0.8"):
            self.assertEqual((await self.get(url, Host=host))[0], 421, host)

    async def test_servesOnVersion6(self) -> None:
        """
        On IPv6's loopback the URL has brackets, and works.
        """
        with socket.socket(socket.AF_INET6) as tried:
            try:
                tried.bind(("::1", 0))
            except OSError:
                raise SkipTest("this machine has no IPv6") from None
        url = self.start(self.make(r"tcp6:0:interface=\:\:1"))
        self.assertTrue(url.startswith("http://[::1]:"), url)
        self.assertEqual((await self.get(url))[0], 200)

    async def test_servesSocketInFileSystem(self) -> None:
        """
        A socket in the file system needs no token.
        """
        # such paths are short
        folder = Path(mkdtemp())
        self.addCleanup(folder.rmdir)
        path = folder / "socket"
        told = self.start(self.make(f"unix:{path}:mode=600"))
        self.assertIn(str(path), told)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))

    def test_refusesPortInUse(self) -> None:
        """
        A port that another program has is refused in one line, and the file is left
        alone.
        """
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            service = self.make(f"tcp:{port}:interface=127.0.0.1")
            self.assertRefuses(service, "in use")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_refusesFileInUse(self) -> None:
        """
        A file that another process works on is refused.
        """
        lock = FileLock(str(self.path))
        lock.acquire()
        self.addCleanup(lock.release)
        self.assertRefuses(self.make(), "in use by another process")
        self.assertFalse(self.path.exists())

    async def test_startsAfterRefusal(self) -> None:
        """
        After a refusal the service can be stopped and, the reason gone, started.
        """
        lock = FileLock(str(self.path))
        lock.acquire()
        service = self.make()
        self.assertRefuses(service, "in use by another process")
        await service.stopService()
        lock.release()
        url = self.start(service)
        self.assertEqual((await self.get(url))[0], 200)

    def test_refusesByFunction(self) -> None:
        """
        A refusal is passed to the function that the service was given for it.
        """

        def refuse(line: str) -> Any:
            raise SystemExit(line)

        service = self.make("tcp:0", refuse=refuse)
        with self.assertRaises(SystemExit) as caught:
            service.privilegedStartService()
        self.assertIn("--token-file", str(caught.exception.code))
