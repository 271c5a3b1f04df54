"""
A command that runs in a session of its own, from its start until nothing is left of
it.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from automat import TypeMachineBuilder
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

#: Into how many timers C{OUTPUT_GRACE} is divided.  A pipe is read in pieces, one in a
#: turn of the reactor, and a reactor that stood still for a second has had one turn.
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
    the command was told to end and the time until SIGKILL is not over.  A process that
    has left the session is let go, and what it still writes is not read.

    Its states are a table: see C{_makeMachine}.
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
        self._core = _Core(reactor, killAfter)
        self._machine = _newMachine(self._core)
        self._waiting: list[Deferred[None]] = []
        self._core.over.addCallback(self._over)

    @property
    def wasStopped(self) -> bool:
        """
        Whether the command was told to end while it ran.
        """
        return self._core.wasStopped

    @property
    def status(self) -> int:
        """
        How the command ended: an exit status, or the negative number of the signal that
        killed it.
        """
        return self._core.status

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
        if self._core.over.called:
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
        self._machine.terminate()

    def kill(self) -> None:
        """
        Send SIGKILL to the session.
        """
        self._machine.kill()

    def connectionMade(self) -> None:
        """
        The command has been started.
        """
        self._core.transport = self.transport
        self._core.group = ProcessGroup(self.transport.pid)
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
            self._core.status = -end.signal if end.signal else end.exitCode
        self._core.group.hasLeader = False
        self._machine.exited()

    def processEnded(self, reason: Failure) -> None:
        """
        The command has ended, and nobody can write to its output any more.
        """
        self._core.outputEnded.callback(None)

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        self.terminate()
        waiting.callback(None)

    def _over(self, _: None) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)


@dataclass
class _Core:
    """
    What the states of a command have in common.

    @ivar outputEnded: Fires when nobody can write to the command's output any more.
    @ivar over: Fires when the command is over.
    @ivar killing: Sends SIGKILL.
    @ivar looking: Looks whether anything is left of the session.
    @ivar closing: Ends the reading.
    """

    reactor: Any
    killAfter: float
    transport: Any = None
    group: ProcessGroup = field(init=False)
    wasStopped: bool = False
    status: int = 0
    outputEnded: Deferred[None] = field(default_factory=Deferred)
    over: Deferred[None] = field(default_factory=Deferred)
    killing: IDelayedCall | None = None
    looking: IDelayedCall | None = None
    closing: IDelayedCall | None = None

    def isLeft(self) -> bool:
        """
        Whether anything of the session is left.
        """
        try:
            lives = self.group.lives()
            # after that: what has ended in between is to be reaped, too
            return self.group.reap() or lives
        except OSError:
            # no descriptor is left to look with
            return True

    def closeLater(self, inputs: _Inputs, turns: int = OUTPUT_TURNS) -> None:
        """
        Close the output C{OUTPUT_GRACE} seconds from now.
        """
        if turns:
            self.closing = self.reactor.callLater(
                OUTPUT_GRACE / OUTPUT_TURNS, self.closeLater, inputs, turns - 1
            )
        else:
            inputs.close()


class _Inputs(Protocol):
    """
    What happens to a command.
    """

    def terminate(self) -> None:
        """Its task is cancelled."""

    def kill(self) -> None:
        """Its time to end is over."""

    def exited(self) -> None:
        """The command has ended; others of its session may not have."""

    def look(self) -> None:
        """It is time to look whether anything is left of the session."""

    def swept(self) -> None:
        """Nothing is left of the session."""

    def close(self) -> None:
        """The time for reading its output is over."""

    def ended(self) -> None:
        """All of its output has been read."""


def _terminate(inputs: _Inputs, core: _Core) -> None:
    core.wasStopped = True
    core.killing = core.reactor.callLater(core.killAfter, inputs.kill)
    core.group.signal(signal.SIGTERM)


def _killCommand(inputs: _Inputs, core: _Core) -> None:
    core.wasStopped = True
    _killSession(inputs, core)


def _killSession(_: _Inputs, core: _Core) -> None:
    _cancel(core.killing)
    core.group.signal(signal.SIGKILL)


def _lookSoon(inputs: _Inputs, core: _Core) -> None:
    # those that have ended in one turn of the reactor share a count of processes
    core.looking = core.reactor.callLater(0, inputs.look)


def _look(inputs: _Inputs, core: _Core) -> None:
    if core.isLeft():
        core.looking = core.reactor.callLater(LOOK_INTERVAL, inputs.look)
    else:
        inputs.swept()


def _sweep(inputs: _Inputs, core: _Core) -> None:
    if core.closing is None:
        core.closeLater(inputs)
    core.group.signal(signal.SIGKILL)
    _look(inputs, core)


def _read(inputs: _Inputs, core: _Core) -> None:
    _cancel(core.killing)
    if core.closing is None:
        core.closeLater(inputs)
    core.outputEnded.addCallback(lambda _: inputs.ended())


def _letGo(inputs: _Inputs, core: _Core) -> None:
    _cancel(core.looking)
    core.outputEnded.addCallback(lambda _: inputs.ended())
    core.transport.loseConnection()


def _close(_: _Inputs, core: _Core) -> None:
    core.transport.loseConnection()


def _end(_: _Inputs, core: _Core) -> None:
    _cancel(core.closing)
    core.over.callback(None)


def _cancel(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()


def _makeMachine() -> Callable[[_Core], _Inputs]:
    machine = TypeMachineBuilder(_Inputs, _Core)
    Running = machine.state("Running")
    Stopping = machine.state("Stopping")  # it has got SIGTERM, and has time to end
    Killed = machine.state("Killed")  # it has got SIGKILL
    Lingering = machine.state("Lingering")  # it ended in time, and others have time
    Sweeping = machine.state("Sweeping")  # it has ended: what is left is killed
    Reading = machine.state("Reading")  # nothing is left, but maybe of its output
    Over = machine.state("Over")

    Running.upon(_Inputs.terminate).to(Stopping)(_terminate)
    Running.upon(_Inputs.kill).to(Killed)(_killCommand)
    Running.upon(_Inputs.exited).to(Sweeping)(_lookSoon)

    Stopping.upon(_Inputs.kill).to(Killed)(_killCommand)
    Stopping.upon(_Inputs.exited).to(Lingering)(_lookSoon)

    Killed.upon(_Inputs.kill).loop()(_killCommand)
    Killed.upon(_Inputs.exited).to(Sweeping)(_lookSoon)

    Lingering.upon(_Inputs.look).loop()(_look)
    Lingering.upon(_Inputs.kill).to(Sweeping)(_killSession)
    Lingering.upon(_Inputs.swept).to(Reading)(_read)

    Sweeping.upon(_Inputs.look).loop()(_sweep)
    Sweeping.upon(_Inputs.kill).loop()(_killSession)
    Sweeping.upon(_Inputs.swept).to(Reading)(_read)
    # what has left the session, or cannot be killed, is let go
    Sweeping.upon(_Inputs.close).to(Reading)(_letGo)

    Reading.upon(_Inputs.close).loop()(_close)
    Reading.upon(_Inputs.ended).to(Over)(_end)

    for state in (Stopping, Killed, Lingering, Sweeping, Reading, Over):
        state.upon(_Inputs.terminate).loop().returns(None)
    for state in (Reading, Over):
        state.upon(_Inputs.kill).loop().returns(None)
    return machine.build()


_newMachine = _makeMachine()


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
