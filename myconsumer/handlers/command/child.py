"""
A command that runs in a session of its own, from its start until nothing is left of
it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from myconsumer.command.descriptors import restoreLimit
from myconsumer.handlers.command.output import Output
from myconsumer.handlers.command.stages import Session, newStages
from myconsumer.handlers.group import ProcessGroup

# of linux/memfd.h
_MFD_NOEXEC_SEAL = 0x8


class Child(ProcessProtocol):
    """
    One command, which leads a session.

    It is over once the command has ended, nothing of its session is left, and its
    output has been read.  What of the session outlives the command is killed, unless
    the command was sent SIGTERM and the time until SIGKILL is not over.  A process that
    has left the session is let go, and what it still writes is not read.

    The stages of its life are in L{myconsumer.handlers.command.stages}.
    """

    transport: Any

    def __init__(self, reactor: Any, output: Output, killAfter: float) -> None:
        """
        @param reactor: What runs processes and keeps the time.
        @param output: Is given what the command writes.
        @param killAfter: The seconds between SIGTERM and SIGKILL.
        """
        self._reactor = reactor
        self._output = output
        self._session = Session(reactor, killAfter)
        self._stages = newStages(self._session)
        self._waiting: list[Deferred[None]] = []
        self._session.over.addCallback(self._over)

    @property
    def wasStopped(self) -> bool:
        """
        Whether the command was cancelled while it ran.
        """
        return self._session.wasStopped

    @property
    def status(self) -> int:
        """
        How the command ended: an exit status, or the negative number of the signal that
        killed it.
        """
        return self._session.status

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
        if self._session.over.called:
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
        self._stages.terminate()

    def kill(self) -> None:
        """
        Send SIGKILL to the session.
        """
        self._stages.kill()

    def connectionMade(self) -> None:
        """
        The command has been started.
        """
        self._session.transport = self.transport
        self._session.group = ProcessGroup(self.transport.pid)
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
            self._session.status = -end.signal if end.signal else end.exitCode
        self._session.group.hasLeader = False
        self._stages.exited()

    def processEnded(self, reason: Failure) -> None:
        """
        The command has ended, and nobody can write to its output any more.
        """
        self._session.outputEnded.callback(None)

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        self.terminate()
        waiting.callback(None)

    def _over(self, _: None) -> None:
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
