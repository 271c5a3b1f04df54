"""
A worker: a process that does one task after the other, and what becomes of its task
when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from zope.interface import Interface

from myconsumer.handlers.processes.messages import (
    Begun,
    Broken,
    Done,
    Extend,
    Extended,
    FromWorker,
    Raised,
    Ready,
)
from myconsumer.handlers.processes.session import MakeGroup, WorkerSession
from myconsumer.handlers.processes.work import Work


class IWorkerPool(Interface):
    """
    What gives workers their tasks.
    """

    def ready(worker: Worker) -> None:
        """
        C{worker} has begun.  If it has a task it does that, else L{free} follows.
        """

    def free(worker: Worker) -> None:
        """
        C{worker} has nothing to do.
        """

    def discard(worker: Worker) -> None:
        """
        C{worker}, which was free, takes no more tasks.
        """

    def couldNotBegin(worker: Worker, problem: str, work: Work | None) -> None:
        """
        C{worker} is gone, without having been ready or stopped.

        @param problem: How it ended, in words.
        @param work: The task that waited for it, if any.
        """

    def gone(worker: Worker) -> None:
        """
        C{worker} is gone, after it was ready or because it was stopped.
        """

    def returned(work: Work) -> None:
        """
        A worker is gone that was ready, was given C{work}, and did not begin it.
        """


class Worker:
    """
    A worker process, and the task that it does.

    The states of its life are a table: see C{_makeMachine}.  What happens once a task
    is kept out of that, since an input of a machine costs some microseconds.
    """

    def __init__(self, pool: IWorkerPool, reactor: Any, makeGroup: MakeGroup) -> None:
        """
        @param pool: Gives it its tasks.
        @param reactor: Runs its process.
        @param makeGroup: Makes what signals are sent to from the id of a process.
        """
        self._reactor = reactor
        self._session = WorkerSession(reactor, makeGroup, self._heard, self._closed)
        self._core = _Core(self, pool, self._session)
        self._machine = _newMachine(self._core)
        self._gone = self._session.over.addCallback(self._over)

    def begin(self, name: str, work: Work, deadline: float) -> None:
        """
        Start the process, and have it do C{work} once it is ready.

        @param name: The callable.
        @param deadline: The seconds that the process gets to be ready.

        @raise OSError: The process cannot be started.
        """
        self._core.work = work
        self._session.launch(name)
        self._core.starting = self._reactor.callLater(deadline, self._late, deadline)

    def do(self, work: Work) -> None:
        """
        Do C{work}.  Only after L{IWorkerPool.free}.
        """
        self._core.give(work)

    def cancel(self, work: Work) -> None:
        """
        Cancel C{work} if it is the worker's task.  The process is terminated, unless it
        is not ready yet or has already answered.
        """
        if self._core.work is work:
            self._machine.cancel()

    def stop(self) -> Deferred[None]:
        """
        End the process: by SIGKILL if it has a task.

        @return: Fires when it is gone.
        """
        if self._core.work is None:
            self._machine.leave()
        else:
            self._machine.kill()
        return self._gone

    def _late(self, deadline: float) -> None:
        self._core.broken = f"it was not ready after {deadline:g} s"
        self._session.kill()

    def _closed(self) -> None:
        self._machine.closed()

    def _heard(self, message: FromWorker) -> None:
        work = self._core.work
        if isinstance(message, Ready):
            self._machine.ready()
        elif isinstance(message, Broken):
            self._core.broken = message.error
        elif work is None or message.number != work.number:
            # of a task that has ended
            if isinstance(message, Extend):
                self._session.tell(Extended("the task has ended", "lost"))
        elif isinstance(message, Begun):
            work.begun()
        elif isinstance(message, Extend):
            work.extend(message.seconds).addCallback(self._session.tell)
        else:
            self._answered(work, message)

    def _answered(self, work: Work, answer: Done | Raised) -> None:
        self._core.work = None
        # what the task has printed is in other pipes, which are read before that
        self._core.finishing = deferLater(self._reactor, 0)
        self._core.finishing.addBoth(lambda _: self._finish(work, answer))

    def _finish(self, work: Work, answer: Done | Raised) -> None:
        self._session.lines.end()
        self._machine.finished()
        work.answered(answer)

    def _over(self, problem: str) -> None:
        # an answer that has arrived counts: its time to wait is over
        self._core.finishing.cancel()
        self._machine.gone(problem)


@dataclass
class _Core:
    """
    What the states of a worker have in common.

    @ivar work: The worker's task, until that is answered or cancelled.
    @ivar broken: Why the process cannot begin, if it said so or is late.
    @ivar starting: Fires when the process is late.
    @ivar finishing: Fires when what the last task printed has been read, or, cancelled,
        at once.
    """

    worker: Worker
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


class _Inputs(Protocol):
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


def _beginFirst(_: _Inputs, core: _Core) -> None:
    core.stopWaiting()
    core.pool.ready(core.worker)
    if core.work is not None:
        core.give(core.work)


def _beginIdle(_: _Inputs, core: _Core) -> None:
    core.stopWaiting()
    core.pool.ready(core.worker)
    core.pool.free(core.worker)


def _giveBack(_: _Inputs, core: _Core) -> None:
    work, core.work = core.work, None
    if work is not None:
        work.notBegun("it was cancelled while its worker process began")


def _free(_: _Inputs, core: _Core) -> None:
    core.pool.free(core.worker)


def _misuse(_: _Inputs, core: _Core) -> None:
    core.session.misused()


def _terminate(_: _Inputs, core: _Core) -> None:
    core.session.terminate()


def _kill(_: _Inputs, core: _Core) -> None:
    core.session.kill()


def _leave(_: _Inputs, core: _Core) -> None:
    core.session.leave()


def _expectExit(_: _Inputs, core: _Core) -> None:
    core.session.expectExit()


def _discard(_: _Inputs, core: _Core) -> None:
    core.pool.discard(core.worker)
    core.session.expectExit()


def _neverBegan(_: _Inputs, core: _Core, problem: str) -> None:
    core.stopWaiting()
    problem = f"{problem} before it had begun"
    if core.broken is not None:
        problem = f"the worker process cannot begin: {core.broken}"
    core.pool.couldNotBegin(core.worker, problem, core.work)


def _endByItself(_: _Inputs, core: _Core, problem: str) -> None:
    core.stopWaiting()
    core.pool.gone(core.worker)
    if core.work is None:
        return
    if core.work.mayMove:
        core.work.mayMove = False
        core.pool.returned(core.work)
    else:
        core.work.failed(problem)


def _endKilled(_: _Inputs, core: _Core, problem: str) -> None:
    core.stopWaiting()
    core.pool.gone(core.worker)
    if core.work is not None:
        core.work.cancelled()


def _makeMachine() -> Callable[[_Core], _Inputs]:
    machine = TypeMachineBuilder(_Inputs, _Core)
    Starting = machine.state("Starting")  # its first task waits for it
    Warming = machine.state("Warming")  # it is starting, and no task waits for it
    Serving = machine.state("Serving")  # it does one task after the other, or is idle
    Leaving = machine.state("Leaving")  # it takes no task after the one that it has
    Killed = machine.state("Killed")  # it takes none, and the one it has is cancelled
    Gone = machine.state("Gone")

    Starting.upon(_Inputs.ready).to(Serving)(_beginFirst)
    # an answer before it is ready
    Starting.upon(_Inputs.finished).to(Warming).returns(None)
    Starting.upon(_Inputs.leave).to(Leaving)(_kill)
    Starting.upon(_Inputs.cancel).to(Warming)(_giveBack)
    Starting.upon(_Inputs.kill).to(Killed)(_kill)
    Starting.upon(_Inputs.closed).loop()(_expectExit)
    Starting.upon(_Inputs.gone).to(Gone)(_neverBegan)

    Warming.upon(_Inputs.ready).to(Serving)(_beginIdle)
    Warming.upon(_Inputs.leave).to(Leaving)(_kill)
    Warming.upon(_Inputs.closed).loop()(_expectExit)
    Warming.upon(_Inputs.gone).to(Gone)(_neverBegan)

    # whatever writes this to the descriptor of the messages may write an answer, too
    Serving.upon(_Inputs.ready).loop()(_misuse)
    Serving.upon(_Inputs.finished).loop()(_free)
    Serving.upon(_Inputs.cancel).to(Killed)(_terminate)
    Serving.upon(_Inputs.kill).to(Killed)(_kill)
    Serving.upon(_Inputs.leave).to(Leaving)(_leave)
    Serving.upon(_Inputs.closed).to(Leaving)(_discard)
    Serving.upon(_Inputs.gone).to(Gone)(_endByItself)

    Leaving.upon(_Inputs.cancel).to(Killed)(_terminate)
    Leaving.upon(_Inputs.kill).to(Killed)(_kill)
    Leaving.upon(_Inputs.leave).loop()(_leave)
    Leaving.upon(_Inputs.gone).to(Gone)(_endByItself)

    Killed.upon(_Inputs.cancel).loop().returns(None)
    Killed.upon(_Inputs.kill).loop()(_kill)
    Killed.upon(_Inputs.leave).loop()(_leave)
    Killed.upon(_Inputs.gone).to(Gone)(_endKilled)

    for state in (Leaving, Killed):
        for late in (_Inputs.ready, _Inputs.finished, _Inputs.closed):
            state.upon(late).loop().returns(None)
    return machine.build()


_newMachine = _makeMachine()
