"""
A queue in memory that keeps the producers' and operators' part of the HTTP API.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

Respond = Callable[[Request], Any]


class MemoryQueue(Resource):
    """
    The queue.

    @ivar tasks: What was queued, in order.
    @ivar failures: The tasks that have failed, the oldest first.
    @ivar page: How many of them go into one answer, at most.
    @ivar plan: What answers the next requests instead; L{None} leaves one alone.
    @ivar token: The token that it wants.
    @ivar seen: The method and path of every request, and its body.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.page = 100
        self.plan: list[Respond | None] = []
        self.token: str | None = None
        self.seen: list[tuple[str, str, Any]] = []

    @property
    def payloads(self) -> list[Any]:
        """
        The payloads of what was queued.
        """
        return [task["payload"] for task in self.tasks]

    @property
    def batches(self) -> list[int]:
        """
        How many tasks were sent with each request.
        """
        return [len(body) for method, _, body in self.seen if method == "POST"]

    def render(self, request: Request) -> Any:
        """
        See L{Resource.render}.
        """
        content = request.content.read()
        method, path = request.method.decode(), request.uri.decode()
        self.seen.append((method, path, json.loads(content) if content else None))
        instead = self.plan.pop(0) if self.plan else None
        if instead is not None:
            return instead(request)
        wanted = self.token and f"Bearer {self.token}"
        if wanted and request.getHeader("authorization") != wanted:
            return answers(401, {"error": "a token is needed"})(request)
        return answers(*self.answer(method, request))(request)

    def answer(self, method: str, request: Request) -> tuple[int, Any]:
        """
        Do what a request asks for.
        """
        body = self.seen[-1][2]
        match method, request.path.decode().removeprefix("/q"):
            case "POST", "":
                return 201, self.enqueue(body)
            case "GET", "":
                return 200, {"ready": len(self.tasks), "failed": len(self.failures)}
            case "GET", "/failed":
                return 200, self.failed(int(request.args.get(b"after", [b"0"])[0]))
            case "POST", "/failed/retry":
                return 200, self.retry(body)
        return 404, {"error": f"there is no {request.path.decode()!r}"}

    def enqueue(self, new: list[dict[str, Any]]) -> dict[str, Any]:
        """
        Take tasks.
        """
        there = {task["id"] for task in self.tasks}
        known = [task["id"] for task in new if task["id"] in there]
        self.tasks += [task for task in new if task["id"] not in there]
        answer = {"ids": [task["id"] for task in new]}
        return answer | ({"known": known} if known else {})

    def failed(self, after: int) -> dict[str, Any]:
        """
        Give a page of the failed tasks.
        """
        end = after + self.page
        answer: dict[str, Any] = {"failed": self.failures[after:end]}
        return answer | ({"next": end} if end < len(self.failures) else {})

    def retry(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        Take back failed tasks.
        """
        known = [task["id"] for task in self.failures]
        ids = known if body.get("all") else body["ids"]
        self.failures = [task for task in self.failures if task["id"] not in ids]
        unknown = [id for id in ids if id not in known]
        answer: dict[str, Any] = {"retried": len(ids) - len(unknown)}
        return answer | ({"unknown": unknown} if unknown else {})


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
    Close the connection instead.
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
        """
        Be known.
        """
        super().connectionMade()
        self._channels[self] = Deferred()

    def connectionLost(self, reason: Failure) -> None:
        """
        Be forgotten.
        """
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

    case.addCleanup(stop)
    return queue, f"http://127.0.0.1:{port.getHost().port}/q"
