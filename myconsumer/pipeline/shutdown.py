"""
The states of a service that drains when it is stopped.

Promise 5: a stop may be hurried, but what it has to do is done all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

#: Drains, and returns when nothing is left to be done.  The Deferred that it is given
#: fires when it should skip whatever waiting can be skipped.
DrainService = Callable[[Deferred[None]], Coroutine[Any, Any, None]]


class Shutdown:
    """
    Drains a service when it is stopped.  A service that is stopped again meanwhile is
    not drained twice: the drain is hurried.
    """

    def __init__(self, drain: DrainService) -> None:
        """
        @param drain: Called for each stop.
        """
        self._core = _Core(drain)
        self._machine = _newMachine(self._core)

    def start(self) -> None:
        """
        Note that the service runs.
        """
        self._machine.start()

    def stop(self) -> Deferred[None]:
        """
        Begin to drain, or, if that is under way, hurry.

        @return: Fires when the drain has ended; fails as that does.
        """
        stopped: Deferred[None] = Deferred()
        self._core.waiting.append(stopped)
        self._machine.stop()
        return stopped


@dataclass
class _Core:
    """
    What the states have in common.

    @ivar waiting: Fire when the drain has ended.
    @ivar hurry: Fires when the drain is to skip its waiting.
    """

    drain: DrainService
    waiting: list[Deferred[None]] = field(default_factory=list)
    hurry: Deferred[None] = field(default_factory=Deferred)


class _Inputs(Protocol):
    """
    What happens to the service.
    """

    def start(self) -> None:
        """The service is started."""

    def stop(self) -> None:
        """The service is stopped, for the first time or again."""

    def ended(self, result: Failure | None) -> None:
        """The drain has ended."""


def _drain(inputs: _Inputs, core: _Core) -> None:
    core.hurry = Deferred()
    Deferred.fromCoroutine(core.drain(core.hurry)).addBoth(inputs.ended)


def _hurry(_: _Inputs, core: _Core) -> None:
    core.hurry.callback(None)


def _tell(_: _Inputs, core: _Core, result: Failure | None) -> None:
    waiting, core.waiting = core.waiting, []
    for stopped in waiting:
        stopped.callback(result)


def _makeMachine() -> Callable[[_Core], _Inputs]:
    machine = TypeMachineBuilder(_Inputs, _Core)
    Stopped = machine.state("Stopped")
    Running = machine.state("Running")
    Draining = machine.state("Draining")
    Hurried = machine.state("Hurried")

    Stopped.upon(_Inputs.start).to(Running).returns(None)
    Stopped.upon(_Inputs.stop).to(Draining)(_drain)
    Running.upon(_Inputs.stop).to(Draining)(_drain)
    Draining.upon(_Inputs.stop).to(Hurried)(_hurry)
    Draining.upon(_Inputs.ended).to(Stopped)(_tell)
    Hurried.upon(_Inputs.stop).loop().returns(None)
    Hurried.upon(_Inputs.ended).to(Stopped)(_tell)
    for state in (Running, Draining, Hurried):
        state.upon(_Inputs.start).loop().returns(None)
    return machine.build()


_newMachine = _makeMachine()
