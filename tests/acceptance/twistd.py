"""
A real C{twistd} process: started, signalled, watched, and gone in the end.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

CHECKOUT = Path(__file__).parents[2]
TWISTD = Path(sys.executable).with_name("twistd")


@dataclass(frozen=True)
class Ending:
    """
    How a process ended.

    @ivar at: When, in seconds since the epoch.
    @ivar status: Its exit status, unless it died of a signal.
    @ivar signal: The signal that it died of.
    """

    at: float
    status: int | None
    signal: int | None


class Twistd(ProcessProtocol):
    """
    One C{twistd} process.

    @ivar directory: Its working directory, of its own.
    @ivar output: What it wrote so far, standard output and standard error.
    @ivar errors: What it wrote to standard error.
    @ivar ending: How it ended; L{None} while it runs.
    @ivar signalledAt: When it was last sent a signal, in seconds since the epoch.
    """

    def __init__(self, reactor: Any, directory: Path) -> None:
        self._reactor = reactor
        self.directory = directory
        self.output = ""
        self.errors = ""
        self.ending: Ending | None = None
        self.signalledAt = 0.0
        self._ended: Deferred[None] = Deferred()

    def spawn(
        self,
        arguments: list[str],
        environment: dict[str, str],
        onTerminal: bool = False,
    ) -> None:
        """
        Start it.

        @param arguments: Those after C{twistd} itself.
        @param environment: What it gets beside C{PATH} and C{PYTHONPATH}.
        @param onTerminal: Whether it gets a terminal, which controls it.
        """
        surroundings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONUNBUFFERED": "1",
        }
        # given a path spawnProcess forks, which is deprecated beside threads
        enter = ["sh", "-c", 'cd "$0" && exec "$@"', str(self.directory)]
        self._reactor.spawnProcess(
            self,
            enter[0],
            [*enter, str(TWISTD), *arguments],
            env=surroundings | environment,
            usePTY=onTerminal,
        )

    def hangUp(self) -> None:
        """
        Close its terminal.
        """
        self.signalledAt = self._reactor.seconds()
        self.transport.loseConnection()

    @property
    def pid(self) -> int:
        return int(self.transport.pid)

    def signal(self, name: str) -> None:
        """
        Send it a signal, C{TERM} for example.
        """
        self.signalledAt = self._reactor.seconds()
        # Twisted knows the names of some
        self.transport.signalProcess(signal.Signals[f"SIG{name}"])

    @property
    def stopSeconds(self) -> float:
        """
        The seconds from its last signal to its end.
        """
        assert self.ending is not None
        return self.ending.at - self.signalledAt

    def kilobytes(self, figure: str) -> int:
        """
        A memory figure of the running process, such as C{VmRSS}.
        """
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{figure}:"):
                return int(line.split()[1])
        raise LookupError(figure)

    def kill(self) -> Deferred[None]:
        with suppress(ProcessExitedAlready):
            self.signal("KILL")
        return self._ended

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode(errors="replace")

    def errReceived(self, data: bytes) -> None:
        self.errors += data.decode(errors="replace")
        self.output += data.decode(errors="replace")

    def processEnded(self, reason: Failure) -> None:
        """
        It is gone, and all that it wrote has been read.
        """
        value: Any = reason.value
        self.ending = Ending(self._reactor.seconds(), value.exitCode, value.signal)
        self._ended.callback(None)
