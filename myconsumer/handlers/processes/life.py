"""
The life of a worker as a table, and what becomes of its task when its process ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from myconsumer.handlers.processes.contracts import IWorker, IWorkerPool
from myconsumer.handlers.processes.session import WorkerSession
from myconsumer.handlers.processes.work import Work


@dataclass
class Core:
    """
    What the states of a worker have in common.

    @ivar work: The worker's task, until that is answered or cancelled.
    @ivar broken: Why the process cannot begin, if it said so or is late.
    @ivar starting: Fires when the process is late.
    @ivar finishing: Fires when what the last task printed has been read, or, cancelled,
        at once.
    """

    worker: IWorker
    pool: IWorkerPool
    session: WorkerSession
    work: Work | None = None
    broken: str | None = None
    starting: IDelayedCall | None = None
    finishing: Deferred[None] = field(default_factory=partial(succeed, None))

    def give(self, work: Work) -> None:
        """
        Give the process a task.
        """
        self.work = work
        self.session.lines.begin(work.task.id)
        self.session.write(work.job)

    def stopWaiting(self) -> None:
        """
        The process is ready, or gone: it cannot be late any more.
        """
        if self.starting is not None and self.starting.active():
            self.starting.cancel()


class Life(Protocol):
    """
    What happens to a worker.
    """

    def ready(self) -> None:
        """The process says that it takes tasks."""

    def finished(self) -> None:
        """The process has done its task, and its answer is known."""

    def cancel(self) -> None:
        """The task, which is not answered, is cancelled."""

    def leave(self) -> None:
        """The pool is stopped, and there is no task."""

    def kill(self) -> None:
        """The pool is stopped, and there is a task."""

    def closed(self) -> None:
        """The process has closed a pipe: it cannot do another task."""

    def gone(self, problem: str) -> None:
        """Nothing is left of the process; C{problem} says how it ended."""


def _beginFirst(_: Life, core: Core) -> None:
    core.stopWaiting()
    core.pool.ready(core.worker)
    if core.work is not None:
        core.give(core.work)


def _beginIdle(_: Life, core: Core) -> None:
    core.stopWaiting()
    core.pool.ready(core.worker)
    core.pool.free(core.worker)


def _giveBack(_: Life, core: Core) -> None:
    work, core.work = core.work, None
    if work is not None:
        work.notBegun("it was cancelled while its worker process began")


def _free(_: Life, core: Core) -> None:
    core.pool.free(core.worker)


def _misuse(_: Life, core: Core) -> None:
    core.session.misused()


def _terminate(_: Life, core: Core) -> None:
    core.session.terminate()


def _kill(_: Life, core: Core) -> None:
    core.session.kill()


def _leave(_: Life, core: Core) -> None:
    core.session.leave()


def _expectExit(_: Life, core: Core) -> None:
    core.session.expectExit()


def _discard(_: Life, core: Core) -> None:
    core.pool.discard(core.worker)
    core.session.expectExit()


def _neverBegan(_: Life, core: Core, problem: str) -> None:
    core.stopWaiting()
    problem = f"{problem} before it had begun"
    if core.broken is not None:
        problem = f"the worker process cannot begin: {core.broken}"
    core.pool.couldNotBegin(core.worker, problem, core.work)


def _endByItself(_: Life, core: Core, problem: str) -> None:
    core.stopWaiting()
    core.pool.gone(core.worker)
    if core.work is None:
        return
    if core.work.mayMove:
        core.work.mayMove = False
        core.pool.returned(core.work)
    else:
        core.work.failed(problem)


def _endKilled(_: Life, core: Core, problem: str) -> None:
    core.stopWaiting()
    core.pool.gone(core.worker)
    if core.work is not None:
        core.work.cancelled()


def _makeMachine() -> Callable[[Core], Life]:
    machine = TypeMachineBuilder(Life, Core)
    Starting = machine.state("Starting")  # its first task waits for it
    Warming = machine.state("Warming")  # it is starting, and no task waits for it
    Serving = machine.state("Serving")  # it does one task after the other, or is idle
    Leaving = machine.state("Leaving")  # it takes no task after the one that it has
    Killed = machine.state("Killed")  # it takes none, and the one it has is cancelled
    Gone = machine.state("Gone")

    Starting.upon(Life.ready).to(Serving)(_beginFirst)
    # an answer before it is ready
    Starting.upon(Life.finished).to(Warming).returns(None)
    Starting.upon(Life.cancel).to(Warming)(_giveBack)
    Starting.upon(Life.kill).to(Killed)(_kill)
    Warming.upon(Life.ready).to(Serving)(_beginIdle)
    for state in (Starting, Warming):
        state.upon(Life.leave).to(Leaving)(_kill)
        state.upon(Life.closed).loop()(_expectExit)
        state.upon(Life.gone).to(Gone)(_neverBegan)

    # whatever writes this to the descriptor of the messages may write an answer, too
    Serving.upon(Life.ready).loop()(_misuse)
    Serving.upon(Life.finished).loop()(_free)
    Serving.upon(Life.cancel).to(Killed)(_terminate)
    Serving.upon(Life.kill).to(Killed)(_kill)
    Serving.upon(Life.leave).to(Leaving)(_leave)
    Serving.upon(Life.closed).to(Leaving)(_discard)
    Serving.upon(Life.gone).to(Gone)(_endByItself)

    Leaving.upon(Life.cancel).to(Killed)(_terminate)
    Leaving.upon(Life.gone).to(Gone)(_endByItself)
    Killed.upon(Life.cancel).loop().returns(None)
    Killed.upon(Life.gone).to(Gone)(_endKilled)
    for state in (Leaving, Killed):
        state.upon(Life.kill).to(Killed)(_kill)
        state.upon(Life.leave).loop()(_leave)
        for late in (Life.ready, Life.finished, Life.closed):
            state.upon(late).loop().returns(None)
    return machine.build()


#: Makes the machine of a worker whose process is being started.
newLife = _makeMachine()
