"""
A worker process as the system has it: descriptors, signals, and what is left of it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.handlers.group import ProcessGroup
from myconsumer.handlers.lines import Lines, Outlet
from myconsumer.handlers.processes.launch import launch
from myconsumer.handlers.processes.messages import (
    ANSWERS,
    ORDERS,
    FromWorker,
    Path,
    ToWorker,
    encode,
    readFromWorker,
)

#: The seconds between SIGTERM and SIGKILL.
KILL_AFTER = 5.0

#: The seconds that a worker gets to exit once there is nothing more to do.
EXIT_GRACE = 1.0

#: The seconds for which the output of an exited worker is still read: a process that
#: the worker has started, and that has left its session, may hold the pipes for longer.
OUTPUT_GRACE = 1.0

#: The seconds between two attempts to reap what an exited worker has left to us.
REAP_INTERVAL = 0.05

_STREAMS = {1: "stdout", 2: "stderr"}

#: Makes the group of a process from its id.
MakeGroup = Callable[[int], ProcessGroup]


class WorkerSession(ProcessProtocol):
    """
    A worker process and whatever else runs in its session: signals reach all of that,
    and nothing of it outlives the worker, unless it has left the session.

    @ivar lines: Logs what they print.
    @ivar over: Fires with how the worker ended, in words, once nothing of the session
        is left and the worker's output has been read.
    """

    _log = Logger()

    transport: Any
    _group: ProcessGroup

    def __init__(
        self,
        reactor: Any,
        makeGroup: MakeGroup,
        outlet: Outlet,
        heard: Callable[[FromWorker], object],
        closed: Callable[[], object],
    ) -> None:
        """
        @param reactor: Runs processes, and keeps the time.
        @param makeGroup: Makes what signals are sent to from the worker's process id.
        @param outlet: Where what it writes is logged.
        @param heard: Called with each message of the worker.
        @param closed: Called when a pipe for messages is closed: most likely the worker
            has exited, but its exit has not been noticed yet.
        """
        self._reactor = reactor
        self._makeGroup = makeGroup
        self._heard = heard
        self._closed = closed
        self.lines = Lines(outlet)
        self.over: Deferred[Any] = Deferred()
        self._unended: list[bytes] = []
        self._canBeTold = True
        self._misuse = ""
        # the next SIGKILL, or the end of reading
        self._timer: IDelayedCall | None = None
        self._reaping: IDelayedCall | None = None
        self._reason: Failure | None = None

    def launch(self, name: str) -> None:
        """
        Start the worker.

        @param name: The callable.

        @raise OSError: It cannot be started.
        """
        launch(self, self._reactor, name)

    def tell(self, message: ToWorker) -> None:
        """
        Send C{message} to the worker.
        """
        self.write(encode(message))

    def write(self, line: bytes) -> None:
        """
        Send a message, encoded already, unless the worker reads no more.
        """
        if self._canBeTold:
            self.transport.writeToChild(ORDERS, line)

    def misused(self) -> None:
        """
        Kill the worker: the callable wrote to the descriptor of the messages, and from
        now on none of them can be trusted.
        """
        if not self._misuse:
            self._misuse = f"wrote to descriptor {ANSWERS}, which was not its own, and "
            self._log.warn(
                "A worker process is killed: it wrote to descriptor {descriptor}, "
                "which was not its own",
                descriptor=ANSWERS,
            )
        self.kill()

    def terminate(self) -> None:
        """
        Send SIGTERM, and SIGKILL after C{KILL_AFTER} seconds.
        """
        self._signal(signal.SIGTERM)
        self._killAfter(KILL_AFTER)

    def kill(self) -> None:
        """
        Send SIGKILL.
        """
        self._signal(signal.SIGKILL)

    def leave(self) -> None:
        """
        Let the worker exit: it has no more to do.
        """
        self._canBeTold = False
        self.transport.closeChildFD(ORDERS)
        self.expectExit()

    def expectExit(self) -> None:
        """
        Send SIGKILL unless the worker exits within C{EXIT_GRACE} seconds.
        """
        self._killAfter(EXIT_GRACE)

    def connectionMade(self) -> None:
        """
        The worker has been started.
        """
        self._group = self._makeGroup(self.transport.pid)
        self.transport.closeChildFD(0)
        path = [os.fsencode(entry) for entry in sys.path if isinstance(entry, str)]
        self.tell(Path(path))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        Take what the worker wrote: messages, or what the callable prints.
        """
        if childFD != ANSWERS:
            self.lines.write(_STREAMS[childFD], data)
            return
        self._unended.append(data)
        # a message of many pieces is put together once, after its last piece
        if data.endswith(b"\n"):
            lines = b"".join(self._unended).splitlines()
            self._unended.clear()
            for line in lines:
                self._read(line)

    def _read(self, line: bytes) -> None:
        if self._misuse:
            return
        try:
            message = readFromWorker(line)
        except ValueError:
            self.misused()
        else:
            self._heard(message)

    def childConnectionLost(self, childFD: int) -> None:
        """
        A pipe is closed.
        """
        if childFD in (ORDERS, ANSWERS):
            self._canBeTold = False
            self._closed()

    def processExited(self, reason: Failure) -> None:
        """
        The worker has exited: kill and reap what it has left behind.
        """
        self._group.hasLeader = False
        self._group.signal(signal.SIGKILL)
        self._cancelTimer()
        self._timer = self._reactor.callLater(OUTPUT_GRACE, self._waitNoLonger)
        self._reap()

    def processEnded(self, reason: Failure) -> None:
        """
        The worker has exited, and all that it wrote has been read.
        """
        self._reason = reason
        self._endIfOver()

    def _reap(self) -> None:
        self._reaping = None
        if self._group.reap():
            self._reaping = self._reactor.callLater(REAP_INTERVAL, self._reap)
        self._endIfOver()

    def _waitNoLonger(self) -> None:
        """
        Let go of processes that have left the session, or cannot be killed.
        """
        if self._reaping is not None:
            self._reaping.cancel()
            self._reaping = None
        for descriptor in (0, 1, 2, ORDERS, ANSWERS):
            self.transport.closeChildFD(descriptor)
        self._endIfOver()

    def _endIfOver(self) -> None:
        if self._reason is None or self._reaping is not None or self.over.called:
            return
        self._cancelTimer()
        self.lines.end()
        how = _ending(self._reason.value)
        self.over.callback(f"the worker process {self._misuse}{how}")

    def _signal(self, number: signal.Signals) -> None:
        if self._group.hasLeader:
            self._group.signal(number)

    def _killAfter(self, seconds: float) -> None:
        if self._group.hasLeader:
            self._cancelTimer()
            self._timer = self._reactor.callLater(seconds, self.kill)

    def _cancelTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _ending(error: Any) -> str:
    if getattr(error, "signal", None):
        return f"was killed by {signal.Signals(error.signal).name}"
    return f"exited with status {error.exitCode}"
