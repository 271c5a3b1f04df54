"""
What the tests of the embedded queue have in common: processes that serve one, a client
that speaks to them, and a look into the file.
"""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from treq import content
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.task import deferLater
from twisted.web.client import (
    Agent,
    FileBodyProducer,
    HTTPConnectionPool,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers

from tests.acceptance.case import ProcessCase
from tests.acceptance.twistd import Twistd

T = TypeVar("T")

LOOPBACK = "tcp:{}:interface=127.0.0.1"

#: What is met where the queue is killed in the midst of a request.
GONE = (
    ConnectError,
    ConnectionLost,
    ResponseFailed,
    ResponseNeverReceived,
)

_SERVING = re.compile(r"Serving queues at (http://\S+)/NAME from (\S+)")


def freePort() -> int:
    """
    A port for a queue that is to come back on it: one that the system gives to nobody
    meanwhile, neither to a listener nor to a client.
    """
    random = Random()
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def look(file: Path, query: str) -> list[tuple[Any, ...]]:
    """
    Ask the file itself.
    """
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def states(file: Path) -> dict[str, int]:
    """
    The number of tasks in each state, by the file itself.
    """
    return dict(look(file, "SELECT state, count(*) FROM tasks GROUP BY state"))


@dataclass(frozen=True)
class Answer:
    """
    What came back.
    """

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """
    Speaks to one queue, on a new connection for each request.

    @ivar url: The URL of the queue.
    @ivar token: The token that it sends.
    """

    def __init__(self, reactor: Any, url: str, token: str | None = None) -> None:
        self._reactor = reactor
        self._agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        self.url = url
        self.token = token

    def ask(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        headers: dict[str, str] | None = None,
        seconds: float = 30,
    ) -> Deferred[Answer]:
        """
        Send a request.

        @param path: What follows the queue's URL, as it is to be sent.
        @param body: Bytes, or what is to be sent as JSON; L{None}: nothing.
        @param headers: Further headers.
        @param seconds: When to give up.
        """
        return Deferred.fromCoroutine(
            self._ask(method, path, body, headers or {})
        ).addTimeout(seconds, self._reactor)

    async def _ask(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> Answer:
        if self.token is not None:
            headers = {"Authorization": f"Bearer {self.token}"} | headers
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        response = await self._agent.request(
            method.encode(),
            (self.url + path).encode(),
            Headers({name: [value] for name, value in headers.items()}),
            None if body is None else FileBodyProducer(BytesIO(body)),
        )
        return Answer(response.code, response.headers, await content(response))

    async def enqueue(self, *tasks: Any) -> list[str]:
        answer = await self.ask("POST", body=list(tasks))
        assert answer.status == 201, answer
        ids: list[str] = answer.json["ids"]
        return ids

    async def claim(self, limit: int = 1, **more: Any) -> list[Any]:
        answer = await self.ask("POST", "/claim", {"limit": limit, **more})
        assert answer.status == 200, answer
        tasks: list[Any] = answer.json["tasks"]
        return tasks

    async def settle(self, receipt: str, outcome: str, **more: Any) -> bool:
        """
        Settle a task, and tell whether its lease was still there.
        """
        settlement = {"receipt": receipt, "outcome": outcome, **more}
        answer = await self.ask("POST", "/settle", {"settle": [settlement]})
        assert answer.status == 200, answer
        return answer.json == {"lost": []}

    async def counts(self) -> dict[str, int]:
        counts: dict[str, int] = (await self.ask("GET")).json
        return counts

    async def task(self, id: str) -> Any:
        answer = await self.ask("GET", f"/tasks/{id}")
        assert answer.status == 200, answer
        return answer.json


class QueueCase(ProcessCase):
    """
    Queues that are served by processes of their own, from one file.

    @ivar file: That file.
    """

    def setUp(self) -> None:
        super().setUp()
        self.file = self.directory / "queue.sqlite"

    async def serve(self, port: int = 0, **options: Any) -> Twistd:
        """
        Start a C{taskqueue} on loopback, and wait until it serves.

        @param port: The port; 0: a free one.
        @param options: Further options.
        """
        given = {"db": self.file, "listen": LOOPBACK.format(port), **options}
        process = self.taskqueue(**given)
        await self.untilServing(process)
        return process

    def taskqueue(self, **options: Any) -> Twistd:
        """
        Start a C{taskqueue} with just these options, with C{_} for C{-}.
        """
        words = ["-n", "--pidfile=", "taskqueue"]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        return self.spawn(words, {}, {})

    async def consumeLocal(self, *twistd: str, **options: Any) -> Twistd:
        """
        Start a consumer that has its queue with it, and wait until that is served.
        """
        given = {"local": self.file, "listen": LOOPBACK.format(0), **options}
        process = self.start(*twistd, **given)
        await self.untilServing(process)
        return process

    async def untilServing(self, process: Twistd) -> None:
        """
        Wait until a process tells where it serves a queue.
        """
        await self.until(
            lambda: process.ending or _SERVING.search(process.output),
            "it tells where it serves",
        )
        self.assertIsNone(process.ending, process.output)

    def client(
        self, process: Twistd, name: str = "tasks", token: str | None = None
    ) -> Client:
        """
        A client of one of the queues that a process serves.
        """
        matched = _SERVING.search(process.output)
        assert matched is not None
        return Client(self.reactor, f"{matched[1]}/{name}", token)

    async def openClaim(self, client: Client, **claim: Any) -> Deferred[list[Any]]:
        """
        Begin a claim that is to wait, and give it once it is there.

        @return: Fires with its tasks.
        """
        claimed = Deferred.fromCoroutine(client.claim(**({"wait": 30} | claim)))
        # nobody shows it; but what was sent before is read before
        for _ in range(2):
            await client.counts()
        return claimed

    async def untilCounts(
        self, client: Client, seconds: float = 30, **wanted: int
    ) -> None:
        """
        Wait until a queue has just these numbers of tasks in these states.
        """
        seen: dict[str, int] = {}

        async def isSo() -> bool:
            seen.update(await client.counts())
            return wanted.items() <= seen.items()

        await self.eventually(isSo, f"{wanted} of {seen}", seconds)

    async def eventually(
        self,
        condition: Callable[[], Awaitable[T]],
        what: str,
        seconds: float = 30,
    ) -> T:
        """
        Wait for what has to be asked for, also while nobody answers.

        @param what: The condition in words.
        """
        deadline = self.reactor.seconds() + seconds
        while True:
            try:
                value = await condition()
            except GONE:
                pass
            else:
                if value:
                    return value
            if self.reactor.seconds() > deadline:
                self.fail(f"not within {seconds} seconds: {what}")
            await deferLater(self.reactor, 0.05)

    async def stop(self, process: Twistd, seconds: float = 10) -> None:
        process.signal("TERM")
        await self.untilEnded(process, seconds)

    def assertNoTraceback(self, *processes: Twistd) -> None:
        """
        Nothing of ours has broken in a process.
        """
        for process in processes:
            self.assertNotIn("Traceback", process.output)
