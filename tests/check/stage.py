"""
Where the checks play: an endpoint in memory, and a clock that a test moves on.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from myconsumer.check.player import Player
from myconsumer.check.report import Report
from myconsumer.check.runner import run
from myconsumer.check.table import named
from myconsumer.check.wire import Wire, encoded
from myconsumer.http import Client, parseURL
from myconsumer.http.urls import FixedURL
from myconsumer.tokenfile import TokenFile

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "endpoint.py"

Answering = Callable[[Request], Any]


class Stage(Resource):
    """
    The example endpoint, or what stands before it.

    @ivar clock: The time.
    @ivar endpoint: The example endpoint.
    @ivar before: Answers a request, or gives L{None} where the endpoint is to.
    @ivar lines: What was reported.
    """

    isLeaf = True

    def __init__(self, tokenFile: str | None = None) -> None:
        super().__init__()
        self.clock = Clock()
        self.endpoint = runpy.run_path(str(EXAMPLE))["Endpoint"](self.clock)
        self.before: Answering = lambda request: None
        self.lines: list[str] = []
        self.treq = StubTreq(self)
        token = None if tokenFile is None else TokenFile(tokenFile)
        self.wire = Wire(
            self.clock,
            Client(self.treq, self.clock, token),
            parseURL("http://host"),
            self._leave,
            None if token is None else token.read(),
            Client(self.treq, self.clock),
        )
        self.player = Player(self.clock, self.wire)

    def render(self, request: Request) -> Any:
        """
        See L{Resource.render}.
        """
        answer = self.before(request)
        return self.endpoint.render(request) if answer is None else answer

    async def _leave(self, url: FixedURL, body: bytes, after: float) -> bytes:
        sent = self.treq.request("POST", url.to_text(), data=body)
        received = []
        sent.addCallbacks(received.append, lambda reason: None)
        await deferLater(self.clock, after)
        if not received:
            sent.cancel()
        return b"an answer" if received else b""

    def play(self, played: Deferred[Any]) -> None:
        """
        Let time pass until C{played} has fired.
        """
        ended: list[Any] = []

        def end(result: Any) -> Any:
            ended.append(result)
            return result

        # one that was cancelled says that it was called, and goes on
        played.addBoth(end)
        for _ in range(20_000):
            self.treq.flush()
            if ended:
                return
            self.clock.advance(0.01)
        raise AssertionError("it does not end")

    def begin(self, *only: str) -> Deferred[int]:
        """
        Begin to make the checks, or those that C{only} names.
        """
        report = Report(self.lines.append)
        return Deferred.fromCoroutine(run(self.player, named(only), report))

    def run(self, *only: str) -> Any:
        """
        Make the checks, or those that C{only} names.

        @return: The exit status.

        @raise CommandError: Nothing could be checked.
        """
        running = self.begin(*only)
        self.play(running)
        results: list[Any] = []
        running.addBoth(results.append)
        if isinstance(results[0], int):
            return results[0]
        return results[0].raiseException()


class StageCase(SynchronousTestCase):
    """
    Has a stage.
    """

    def setUp(self) -> None:
        self.stage = Stage()

    def told(self, kind: str) -> Sequence[str]:
        """
        @return: The lines of one kind.
        """
        return [line for line in self.stage.lines if line.split()[0] == kind]

    def queued(self) -> int:
        return len(self.stage.endpoint.tasks)


def says(request: Request, code: int, value: Any = None) -> bytes:
    """
    Answer with a code, and a value as JSON.
    """
    request.setResponseCode(code)
    request.setHeader("Content-Type", "application/json")
    return encoded(value) or b""
