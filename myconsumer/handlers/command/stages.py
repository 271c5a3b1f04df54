"""
The stages of a command's life, from its start until nothing is left of it, as a table.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from myconsumer.handlers.group import ProcessGroup

#: The seconds in which the output of a command that has ended is to end, too.
OUTPUT_GRACE = 1.0

#: Into how many timers C{OUTPUT_GRACE} is divided.  A pipe is read in pieces, one in a
#: turn of the reactor, and a reactor that stood still for a second has had one turn.
OUTPUT_TURNS = 20

#: The seconds between two looks at a session.
LOOK_INTERVAL = 0.05


@dataclass
class Session:
    """
    The session of a command: what it has, whatever stage it is in.

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

    def closeLater(self, stages: Stages, turns: int = OUTPUT_TURNS) -> None:
        """
        Close the output C{OUTPUT_GRACE} seconds from now.
        """
        if turns:
            self.closing = self.reactor.callLater(
                OUTPUT_GRACE / OUTPUT_TURNS, self.closeLater, stages, turns - 1
            )
        else:
            stages.close()


class Stages(Protocol):
    """
    What happens to a command: the inputs of its machine.
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


def _terminate(stages: Stages, session: Session) -> None:
    session.wasStopped = True
    session.killing = session.reactor.callLater(session.killAfter, stages.kill)
    session.group.signal(signal.SIGTERM)


def _killCommand(stages: Stages, session: Session) -> None:
    session.wasStopped = True
    _killSession(stages, session)


def _killSession(_: Stages, session: Session) -> None:
    _cancel(session.killing)
    session.group.signal(signal.SIGKILL)


def _lookSoon(stages: Stages, session: Session) -> None:
    # those that have ended in one turn of the reactor share a count of processes
    session.looking = session.reactor.callLater(0, stages.look)


def _look(stages: Stages, session: Session) -> None:
    if session.isLeft():
        session.looking = session.reactor.callLater(LOOK_INTERVAL, stages.look)
    else:
        stages.swept()


def _sweep(stages: Stages, session: Session) -> None:
    if session.closing is None:
        session.closeLater(stages)
    session.group.signal(signal.SIGKILL)
    _look(stages, session)


def _read(stages: Stages, session: Session) -> None:
    _cancel(session.killing)
    if session.closing is None:
        session.closeLater(stages)
    session.outputEnded.addCallback(lambda _: stages.ended())


def _letGo(stages: Stages, session: Session) -> None:
    _cancel(session.looking)
    session.outputEnded.addCallback(lambda _: stages.ended())
    session.transport.loseConnection()


def _close(_: Stages, session: Session) -> None:
    session.transport.loseConnection()


def _end(_: Stages, session: Session) -> None:
    _cancel(session.closing)
    session.over.callback(None)


def _cancel(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()


def _makeMachine() -> Callable[[Session], Stages]:
    machine = TypeMachineBuilder(Stages, Session)
    Running = machine.state("Running")
    Stopping = machine.state("Stopping")  # it has got SIGTERM, and has time to end
    Killed = machine.state("Killed")  # it has got SIGKILL
    Lingering = machine.state("Lingering")  # it ended in time, and others have time
    Sweeping = machine.state("Sweeping")  # it has ended: what is left is killed
    Reading = machine.state("Reading")  # nothing is left, but maybe of its output
    Over = machine.state("Over")

    Running.upon(Stages.terminate).to(Stopping)(_terminate)
    Running.upon(Stages.kill).to(Killed)(_killCommand)
    Running.upon(Stages.exited).to(Sweeping)(_lookSoon)

    Stopping.upon(Stages.kill).to(Killed)(_killCommand)
    Stopping.upon(Stages.exited).to(Lingering)(_lookSoon)

    Killed.upon(Stages.kill).loop()(_killCommand)
    Killed.upon(Stages.exited).to(Sweeping)(_lookSoon)

    Lingering.upon(Stages.look).loop()(_look)
    Lingering.upon(Stages.kill).to(Sweeping)(_killSession)
    Lingering.upon(Stages.swept).to(Reading)(_read)

    Sweeping.upon(Stages.look).loop()(_sweep)
    Sweeping.upon(Stages.kill).loop()(_killSession)
    Sweeping.upon(Stages.swept).to(Reading)(_read)
    # what has left the session, or cannot be killed, is let go
    Sweeping.upon(Stages.close).to(Reading)(_letGo)

    Reading.upon(Stages.close).loop()(_close)
    Reading.upon(Stages.ended).to(Over)(_end)

    for state in (Stopping, Killed, Lingering, Sweeping, Reading, Over):
        state.upon(Stages.terminate).loop().returns(None)
    for state in (Reading, Over):
        state.upon(Stages.kill).loop().returns(None)
    return machine.build()


#: Makes the machine of a session that has just begun.
newStages = _makeMachine()
