"""
The consumer's end of one worker process: how it begins, is talked to, and ends.
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
from twisted.python.failure import Failure
from zope.interface import Interface

from myconsumer.handlers.group import ProcessGroup
from myconsumer.handlers.lines import Lines
from myconsumer.handlers.processes.launch import launch
from myconsumer.handlers.processes.messages import (
    ANSWERS,
    ORDERS,
    FromWorker,
    Path,
    encode,
    readFromWorker,
)

#: The seconds between SIGTERM and SIGKILL.
KILL_AFTER = 5.0

#: The seconds that a worker gets to exit once there is nothing more to do.
EXIT_GRACE = 1.0

#: The seconds for which is read what a worker has written that is gone: a process that
#: it has started, and that has left its session, may hold the other end for longer.
OUTPUT_GRACE = 1.0

#: The seconds between two attempts to reap what a worker has left to us.
REAP_INTERVAL = 0.05

_STREAMS = {1: "stdout", 2: "stderr"}

#: Makes the group of a process from its id.
MakeGroup = Callable[[int], ProcessGroup]


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
    A worker process, and what it has started: signals go to all of that, and nothing
    of it outlives the worker, unless it has left the worker's session.

    @ivar printed: What it prints.
    @ivar ended: Fires when it is gone.
    """

    transport: Any
    _group: ProcessGroup

    def __init__(
        self, owner: IWorkerOwner, reactor: Any, makeGroup: MakeGroup = ProcessGroup
    ) -> None:
        """
        @param reactor: Runs processes, and keeps the time.
        """
        self._owner = owner
        self._reactor = reactor
        self._makeGroup = makeGroup
        self._heard: list[bytes] = []
        self.printed = Lines()
        self.ended: Deferred[None] = Deferred()
        # what happens to it next: SIGKILL, or the end of being listened to
        self._timer: IDelayedCall | None = None
        self._reaping: IDelayedCall | None = None
        self._reason: Failure | None = None
        self._listens = True
        self._hasExited = False
        self._wroteRubbish = False

    def spawn(self, name: str) -> None:
        """
        Start it.

        @param name: The callable.

        @raise OSError: It cannot be started.
        """
        launch(self, self._reactor, name)

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
        self._signal(signal.SIGTERM)
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
        self._signal(signal.SIGKILL)

    def connectionMade(self) -> None:
        """
        It has been started.
        """
        self._group = self._makeGroup(self.transport.pid)
        self.transport.closeChildFD(0)
        path = [os.fsencode(entry) for entry in sys.path if isinstance(entry, str)]
        self.write(encode(Path(path)))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        It has written something.
        """
        if childFD != ANSWERS:
            self.printed.write(_STREAMS[childFD], data)
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
        It has ended, and so does what it has left behind.
        """
        self._hasExited = True
        self._group.hasLeader = False
        self._group.signal(signal.SIGKILL)
        self._cancelTimer()
        self._timer = self._reactor.callLater(OUTPUT_GRACE, self._waitNoLonger)
        self._reap()

    def processEnded(self, reason: Failure) -> None:
        """
        It has ended, and all that it wrote has been read.
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
        Let go of what has left the session, or cannot be killed.
        """
        if self._reaping is not None:
            self._reaping.cancel()
            self._reaping = None
        for descriptor in (0, 1, 2, ORDERS, ANSWERS):
            self.transport.closeChildFD(descriptor)
        self._endIfOver()

    def _endIfOver(self) -> None:
        if self._reason is None or self._reaping is not None or self.ended.called:
            return
        self._cancelTimer()
        self.printed.end()
        how = _ending(self._reason.value)
        if self._wroteRubbish:
            how = f"wrote to descriptor {ANSWERS}, which was not its own, and {how}"
        self._owner.ended(f"the worker process {how}")
        self.ended.callback(None)

    def _signal(self, number: signal.Signals) -> None:
        if not self._hasExited:
            self._group.signal(number)

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
