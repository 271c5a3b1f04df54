"""
The consumer's end of one worker process: how it begins, is talked to, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import Interface

from myconsumer.handlers.worker.messages import (
    ANSWERS,
    ORDERS,
    FromWorker,
    Path,
    encode,
    readFromWorker,
)
from myconsumer.handlers.worker.printed import Printed

#: The seconds between SIGTERM and SIGKILL.
KILL_AFTER = 5.0

#: The seconds that a worker gets to exit once there is nothing more to do.
EXIT_GRACE = 1.0

#: The seconds for which is read what a worker has written that is gone: a process that
#: it has started may hold the other end for longer.
OUTPUT_GRACE = 1.0


class IWorkerOwner(Interface):
    """
    Who is told of a worker process.
    """

    def heard(message: FromWorker) -> None:
        """
        It has said something.
        """

    def unusable() -> None:
        """
        It will not take anything any more; most likely it has ended, but that is
        still to be found out.
        """

    def ended(problem: str) -> None:
        """
        It is gone, and all that it had to say was heard.

        @param problem: How it ended.
        """


class WorkerProcess(ProcessProtocol):
    """
    A worker process.

    @ivar printed: What it prints.
    @ivar ended: Fires when it is gone.
    """

    transport: Any

    def __init__(self, owner: IWorkerOwner, reactor: Any) -> None:
        """
        @param reactor: Runs processes, and keeps the time.
        """
        self._owner = owner
        self._reactor = reactor
        self._heard: list[bytes] = []
        self.printed = Printed()
        self.ended: Deferred[None] = Deferred()
        # what happens to it next: SIGKILL, or the end of being listened to
        self._timer: IDelayedCall | None = None
        self._listens = True
        self._hasExited = False
        self._wroteRubbish = False

    def spawn(self, name: str) -> None:
        """
        Start it.

        @param name: The callable.

        @raise OSError: It cannot be started.
        """
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("CONSUMER_")
        }
        # Ctrl-C reaches it, too; it minds that only once it runs
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._reactor.spawnProcess(
                self,
                sys.executable,
                [sys.executable, "-m", "myconsumer.handlers.worker", name],
                env=environment,
                childFDs={0: "w", 1: "r", 2: "r", ORDERS: "w", ANSWERS: "r"},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def write(self, line: bytes) -> None:
        """
        Tell it something, unless it does not listen any more.
        """
        if self._listens:
            self.transport.writeToChild(ORDERS, line)

    def terminate(self) -> None:
        """
        End it: by SIGTERM, and by SIGKILL if that is not enough.
        """
        self._signal("TERM")
        self._killAfter(KILL_AFTER)

    def leave(self) -> None:
        """
        Let it exit, and end it if it does not.
        """
        self._listens = False
        self.transport.closeChildFD(ORDERS)
        self._killAfter(EXIT_GRACE)

    def kill(self) -> None:
        """
        End it by SIGKILL.
        """
        self._signal("KILL")

    def connectionMade(self) -> None:
        """
        It has been started.
        """
        self.transport.closeChildFD(0)
        path = [os.fsencode(entry) for entry in sys.path if isinstance(entry, str)]
        self.write(encode(Path(path)))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        It has written something.
        """
        if childFD != ANSWERS:
            self.printed.write(childFD, data)
            return
        self._heard.append(data)
        # what ends in the midst of a line is followed by the rest
        if data.endswith(b"\n"):
            lines = b"".join(self._heard).splitlines()
            self._heard.clear()
            for line in lines:
                self._read(line)

    def _read(self, line: bytes) -> None:
        try:
            message = readFromWorker(line)
        except ValueError:
            self._wroteRubbish = True
            self.kill()
        else:
            self._owner.heard(message)

    def childConnectionLost(self, childFD: int) -> None:
        """
        A descriptor of it is closed.
        """
        if childFD in (ORDERS, ANSWERS):
            self._listens = False
            self._owner.unusable()
            if self._timer is None:
                self._killAfter(EXIT_GRACE)

    def processExited(self, reason: Failure) -> None:
        """
        It has ended.
        """
        self._hasExited = True
        self._cancelTimer()
        self._timer = self._reactor.callLater(OUTPUT_GRACE, self._closeAll)

    def processEnded(self, reason: Failure) -> None:
        """
        It is gone, and so is all that it wrote.
        """
        self._cancelTimer()
        self.printed.end()
        how = _ending(reason.value)
        if self._wroteRubbish:
            how = f"wrote to descriptor {ANSWERS}, which was not its own, and {how}"
        self._owner.ended(f"the worker process {how}")
        self.ended.callback(None)

    def _closeAll(self) -> None:
        for descriptor in (0, 1, 2, ORDERS, ANSWERS):
            self.transport.closeChildFD(descriptor)

    def _signal(self, name: str) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)

    def _killAfter(self, seconds: float) -> None:
        if not self._hasExited:
            self._cancelTimer()
            self._timer = self._reactor.callLater(seconds, self.kill)

    def _cancelTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _ending(error: Any) -> str:
    if getattr(error, "signal", None):
        return f"was killed by {signal.Signals(error.signal).name}"
    return f"exited with status {error.exitCode}"
