"""
A command that runs in a session of its own, from its start until nothing is left of
it.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from myconsumer.command.descriptors import restoreLimit
from myconsumer.handlers.command.output import Output
from myconsumer.handlers.group import ProcessGroup

#: The seconds in which the output of a command that has ended is to end, too.
OUTPUT_GRACE = 1.0

#: Into how many timers that is divided.  A pipe is read in pieces, one in a turn of the
#: reactor, and one that stands still for a second has had one turn.
OUTPUT_TURNS = 20

#: The seconds between two looks at a session.
LOOK_INTERVAL = 0.05

# of linux/memfd.h
_MFD_NOEXEC_SEAL = 0x8


class Child(ProcessProtocol):
    """
    One command, which leads a session.

    It is over once the command has ended, nothing of its session is left, and its
    output has been read.  What of the session outlives the command is killed, unless
    it was told to end and still has time.  What has left the session is let go, and
    what it still writes is not read.

    @ivar wasStopped: Whether it was told to end.
    @ivar status: How the command ended: an exit status, or the negative number of the
        signal that killed it.
    """

    transport: Any
    _group: ProcessGroup

    wasStopped = False
    status = 0

    _groupIsGone = False
    _outputHasEnded = False
    _killing: IDelayedCall | None = None
    _looking: IDelayedCall | None = None
    _closing: IDelayedCall | None = None

    def __init__(self, reactor: Any, output: Output, killAfter: float) -> None:
        """
        @param reactor: What runs processes and keeps the time.
        @param output: Is given what the command writes.
        @param killAfter: The seconds between SIGTERM and SIGKILL.
        """
        self._reactor = reactor
        self._output = output
        self._killAfter = killAfter
        self._waiting: list[Deferred[None]] = []

    def spawn(
        self, words: Sequence[str], environment: Mapping[str, str], stdin: bytes
    ) -> None:
        """
        Start it.

        @param words: The command, of which the first is the path of C{setsid}.
        @param environment: The whole environment.
        @param stdin: What it can read from its standard input, which is a file in
            memory: whether and when it reads or closes it is its own affair.

        @raise OSError: It cannot be started.
        @raise ValueError: The environment holds what cannot be there.
        """
        payload = _memoryFile()
        try:
            view = memoryview(stdin)
            while view:
                view = view[os.write(payload, view) :]
            os.lseek(payload, 0, os.SEEK_SET)
            self._reactor.spawnProcess(
                self,
                words[0],
                words,
                env=environment,
                childFDs={0: payload, 1: "r", 2: "r"},
            )
        finally:
            os.close(payload)

    def whenOver(self) -> Deferred[None]:
        """
        @return: Fires once it is over.  Cancelling that terminates it, and still waits
            for it to be over.
        """
        if self._groupIsGone and self._outputHasEnded:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._cancelled)
        self._waiting.append(waiting)
        # once cancelled, a Deferred waits on only where it waits for another one
        return waiting.addCallback(lambda _: self.whenOver())

    def terminate(self) -> None:
        """
        Send SIGTERM to the session, and SIGKILL if it has not ended in time.  Called
        again it does nothing.
        """
        if self.wasStopped or not self._group.hasLeader:
            return
        self.wasStopped = True
        self._killing = self._reactor.callLater(self._killAfter, self._kill)
        self._group.signal(signal.SIGTERM)

    def kill(self) -> None:
        """
        Send SIGKILL to the session.
        """
        self.wasStopped = self.wasStopped or self._group.hasLeader
        if self._killing is not None:
            self._killing.cancel()
        if not self._groupIsGone:
            self._kill()

    def connectionMade(self) -> None:
        """
        The command has been started.
        """
        self._group = ProcessGroup(self.transport.pid)
        restoreLimit(self.transport.pid)

    def outReceived(self, data: bytes) -> None:
        """
        The command, or another of its session, wrote to standard output.
        """
        self._output.outReceived(data)

    def errReceived(self, data: bytes) -> None:
        """
        The command, or another of its session, wrote to standard error.
        """
        self._output.errReceived(data)

    def processExited(self, reason: Failure) -> None:
        """
        The command has ended.
        """
        end = reason.value
        if isinstance(end, ProcessTerminated):
            self.status = -end.signal if end.signal else end.exitCode
        self._group.hasLeader = False
        # those that have ended in one turn of the reactor share a count of processes
        self._looking = self._reactor.callLater(0, self._look)

    def processEnded(self, reason: Failure) -> None:
        """
        The command has ended, and nobody can write to its output any more.
        """
        self._outputHasEnded = True
        self._endIfOver()

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        self.terminate()
        waiting.callback(None)

    def _kill(self) -> None:
        self._killing = None
        self._group.signal(signal.SIGKILL)

    def _look(self) -> None:
        """
        Look whether anything is left of the session of a command that has ended, and
        kill it unless it has time.
        """
        self._looking = None
        if self._killing is None:
            self._waitNoLonger()
            self._group.signal(signal.SIGKILL)
        if self._isLeft():
            self._looking = self._reactor.callLater(LOOK_INTERVAL, self._look)
            return
        self._groupIsGone = True
        if self._killing is not None:
            self._killing.cancel()
            self._killing = None
        self._waitNoLonger()
        self._endIfOver()

    def _isLeft(self) -> bool:
        try:
            lives = self._group.lives()
            # after that: what has ended in between is to be reaped, too
            return self._group.reap() or lives
        except OSError:
            # no descriptor is left to look with
            return True

    def _waitNoLonger(self) -> None:
        """
        Everything has been done to end it: from now on it has a bounded time.
        """
        if self._closing is None:
            self._closeAfter(OUTPUT_TURNS)

    def _closeAfter(self, turns: int) -> None:
        if turns:
            self._closing = self._reactor.callLater(
                OUTPUT_GRACE / OUTPUT_TURNS, self._closeAfter, turns - 1
            )
        else:
            self._close()

    def _close(self) -> None:
        """
        Let go of what has left the session, or cannot be killed.
        """
        self._groupIsGone = True
        self.transport.loseConnection()
        self._endIfOver()

    def _endIfOver(self) -> None:
        if not (self._groupIsGone and self._outputHasEnded):
            return
        for timer in (self._looking, self._closing):
            if timer is not None and timer.active():
                timer.cancel()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)


def _memoryFile() -> int:
    """
    @return: The descriptor of a new file in memory, which cannot be executed: without
        that a system may refuse it.
    """
    try:
        return os.memfd_create("payload", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
    except OSError as error:
        # so says a Linux before 6.3, which does not know it
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create("payload")
