"""
A queue in memory to send commands to: the embedded queue's HTTP API, in front of which
a test may answer otherwise.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, execute, gatherResults
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.schema import CONNECTION, prepare
from myconsumer.taskqueue.store.sqlite import SQLiteStore
from myconsumer.taskqueue.store.writer import Writer
from myconsumer.taskqueue.web.api import QueueAPI

#: When everything happens in the queue, where the clock stands still.
NOW = 1_700_000_001.5

Respond = Callable[[Request], Any]


class _API:
    """
    The embedded queue's HTTP API, over a store in memory.

    @ivar resource: What is to be served.
    """

    def __init__(self) -> None:
        clock = Clock()
        clock.advance(NOW)
        self._connection = sqlite3.connect(":memory:", **CONNECTION)
        prepare(self._connection, "normal")
        epoch = EpochClock(clock, clock.seconds)
        store = SQLiteStore(Writer(self._run, epoch), epoch)
        self._broker = Broker(store, clock, 3600.0)
        self._broker.open()
        self.resource = QueueAPI(self._broker).app.resource()

    def _run(self, function: Any, *args: Any) -> Deferred[Any]:
        return execute(function, self._connection, *args)

    def close(self) -> Deferred[None]:
        closed = self._broker.close()
        return closed.addCallback(lambda _: self._connection.close())


class MemoryQueue(Resource):
    """
    The queue C{q}.

    @ivar page: How many failed tasks go into one answer, at most; C{None}: as many as
        are asked for.
    @ivar plan: What answers the next requests instead.  C{None}, or what returns
        C{None}, leaves a request to the queue.
    @ivar token: The token that it wants.
    @ivar seen: The method and path of every request, and its body.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self._api = _API()
        self._treq = StubTreq(self._api.resource)
        self.page: int | None = None
        self.plan: list[Respond | None] = []
        self.token: str | None = None
        self.seen: list[tuple[str, str, Any]] = []

    def close(self) -> Deferred[None]:
        return self._api.close()

    def render(self, request: Request) -> Any:
        """
        See L{Resource.render}.
        """
        content = request.content.read()
        request.content.seek(0)
        method, path = request.method.decode(), request.uri.decode()
        self.seen.append((method, path, json.loads(content) if content else None))
        instead = self.plan.pop(0) if self.plan else None
        answer = None if instead is None else instead(request)
        return self._answer(request) if answer is None else answer

    def _answer(self, request: Request) -> Any:
        wanted = self.token and f"Bearer {self.token}"
        if wanted and request.getHeader("authorization") != wanted:
            return answers(401, {"error": "a token is needed"})(request)
        if self.page is not None:
            request.args[b"limit"] = [b"%d" % self.page]
        return self._api.resource.render(request)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """
        The tasks of all requests that queue some, in order.
        """
        bodies = [body for method, _, body in self.seen if method == "POST"]
        return [task for body in bodies for task in body]

    @property
    def payloads(self) -> list[Any]:
        return [task["payload"] for task in self.sent]

    @property
    def batches(self) -> list[int]:
        """
        How many tasks were sent with each request.
        """
        return [len(body) for method, _, body in self.seen if method == "POST"]

    def count(self, state: str) -> int:
        counts: dict[str, int] = self.ask("GET", "/q")
        return counts[state]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """
        The tasks that have failed, the oldest first.
        """
        failed: list[dict[str, Any]] = self.ask("GET", "/q/failed?limit=1000")["failed"]
        return failed

    def fail(
        self, ids: Sequence[str], error: str | None = None, attempts: int = 1
    ) -> None:
        """
        Queue tasks that have failed.

        @param ids: Their ids.
        @param error: Why each has failed.
        @param attempts: In which attempt.
        """
        self.ask("POST", "/q", [{"id": id, "payload": {"n": 1.0}} for id in ids])
        claim = {"limit": len(ids), "wait": 0, "lease": 60, "consumer": "test"}
        why = {} if error is None else {"error": error}
        for attempt in range(1, attempts + 1):
            outcome = {"outcome": "fail" if attempt == attempts else "release", **why}
            tasks = self.ask("POST", "/q/claim", claim)["tasks"]
            settlements = [{"receipt": task["receipt"], **outcome} for task in tasks]
            self.ask("POST", "/q/settle", {"consumer": "test", "settle": settlements})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """
        Make a request that is not seen.

        @return: What is answered.
        """
        data = None if body is None else json.dumps(body).encode()
        sent = self._treq.request(method, f"http://h{path}", data=data)
        sent.addCallback(self._treq.json_content)
        answered: list[Any] = []
        sent.addCallback(answered.append)
        self._treq.flush()
        [answer] = answered
        return answer


def answers(code: int, content: Any = None, **headers: str) -> Respond:
    """
    Make what answers with a code and JSON, or bytes.
    """

    def respond(request: Request) -> bytes:
        request.setResponseCode(code)
        for name, value in headers.items():
            request.setHeader(name.replace("_", "-"), value)
        return content if isinstance(content, bytes) else json.dumps(content).encode()

    return respond


def stalls(request: Request) -> int:
    """
    Never answer.
    """
    request.notifyFinish().addErrback(lambda gone: None)
    return NOT_DONE_YET


def drops(request: Request) -> int:
    """
    Close the connection instead of answering.
    """
    request.channel.forceAbortClient()
    return NOT_DONE_YET


class _Channel(HTTPChannel):
    """
    One connection, known for as long as it is open.
    """

    def __init__(self, channels: dict[_Channel, Deferred[None]]) -> None:
        super().__init__()
        self._channels = channels

    def connectionMade(self) -> None:
        super().connectionMade()
        self._channels[self] = Deferred()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self._channels.pop(self).callback(None)


def serve(case: Any) -> tuple[MemoryQueue, str]:
    """
    Serve a queue on a free port until the end of a test.

    @return: The queue and its URL.
    """
    from twisted.internet import reactor

    net: Any = reactor
    queue = MemoryQueue()
    channels: dict[_Channel, Deferred[None]] = {}
    site = Site(queue)
    site.protocol = lambda: _Channel(channels)
    site.log = lambda request: None
    site.noisy = False
    port = net.listenTCP(0, site, interface="127.0.0.1")

    async def stop() -> None:
        await port.stopListening()
        closed = gatherResults(list(channels.values()))
        for channel in list(channels):
            channel.forceAbortClient()
        await closed
        await queue.close()

    case.addCleanup(stop)
    return queue, f"http://127.0.0.1:{port.getHost().port}/q"
