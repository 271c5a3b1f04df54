"""
Real C{myconsumer} processes.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from termios import tcsetwinsize
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.cli.memory import serve

CHECKOUT = Path(__file__).parents[2]


class Console(ProcessProtocol):
    """
    One process.

    @ivar output: What it wrote to standard output so far; on a terminal, all.
    @ivar errors: What it wrote to standard error so far.
    @ivar status: Its exit status; L{None} while it runs, or if a signal ended it.
    @ivar ended: Fires when it is gone.
    """

    def __init__(self) -> None:
        self.output = ""
        self.errors = ""
        self.status: int | None = None
        self.ended: Deferred[None] = Deferred()

    def spawn(self, arguments: list[str], terminal: bool, variables: Any) -> None:
        from twisted.internet import reactor

        net: Any = reactor
        words = [sys.executable, "-m", "myconsumer.cli.main", *arguments]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), **variables}
        net.spawnProcess(self, words[0], words, env=env, usePTY=terminal)
        if terminal:
            tcsetwinsize(self.transport.fileno(), (24, 80))

    @property
    def lines(self) -> tuple[list[str], list[str]]:
        """
        The lines of standard output, and those of standard error.
        """
        return self.output.splitlines(), self.errors.splitlines()

    def write(self, text: str) -> None:
        self.transport.write(text.encode())

    def signal(self, name: str) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode()

    def errReceived(self, data: bytes) -> None:
        self.errors += data.decode()

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self.status = value.exitCode
        self.ended.callback(None)


class ConsoleCase(TestCase):
    """
    A queue, and commands that speak to it.
    """

    timeout = 60

    def setUp(self) -> None:
        self.queue, self.url = serve(self)

    def start(
        self, *arguments: str, terminal: bool = False, **variables: str
    ) -> Console:
        console = Console()
        console.spawn(list(arguments), terminal, variables)

        async def finish() -> None:
            console.signal("KILL")
            if not console.ended.called:
                await console.ended

        self.addCleanup(finish)
        return console

    async def finished(
        self, *arguments: str, typed: str = "", **variables: str
    ) -> Console:
        """
        Run a command to its end.

        @param typed: Its standard input.
        """
        console = self.start(*arguments, **variables)
        console.write(typed)
        console.transport.closeStdin()
        await console.ended
        return console

    async def until(self, condition: Any, what: str) -> None:
        from twisted.internet import reactor

        net: Any = reactor
        deadline = net.seconds() + 30
        while not condition():
            if net.seconds() > deadline:
                self.fail(f"not within 30 seconds: {what}")
            await deferLater(net, 0.01)

    def written(self, text: str) -> str:
        """
        Write a file.

        @return: Its path.
        """
        path = Path(self.mktemp())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)
