"""
A worker process, and the task that it does.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from zope.interface import Interface, implementer

from myconsumer.handlers.processes.messages import (
    Begun,
    Broken,
    Done,
    Extend,
    Extended,
    FromWorker,
    Raised,
    Ready,
    encode,
)
from myconsumer.handlers.processes.process import IWorkerOwner, MakeGroup, WorkerProcess
from myconsumer.handlers.processes.work import Work


class IWorkerPool(Interface):
    """
    Who gives workers what they do.
    """

    def ready() -> None:
        """
        A worker has begun: others can, too.
        """

    def free(worker: Worker) -> None:
        """
        C{worker} has done its task, and takes another.
        """

    def discard(worker: Worker) -> None:
        """
        C{worker} takes no more tasks.  Harmless when repeated.
        """

    def ended(worker: Worker, problem: str) -> None:
        """
        C{worker} is gone.  If it was not ready yet, and was not killed, its task is to
        be done by another, or not at all.

        @param problem: How it ended, in words.
        """

    def returned(work: Work) -> None:
        """
        A worker that was ready is gone, and did not begin C{work}, which it was given.
        """


@implementer(IWorkerOwner)
class Worker:
    """
    One worker process, and the task that it does.

    @ivar isReady: Whether it has found its callable.
    @ivar wasKilled: Whether it was told to end in the midst of a task.
    @ivar work: What it does, if anything.
    """

    def __init__(self, pool: IWorkerPool, reactor: Any, makeGroup: MakeGroup) -> None:
        self._pool = pool
        self._reactor = reactor
        self._process = WorkerProcess(self, reactor, makeGroup)
        self.isReady = False
        self.wasKilled = False
        self._usable = True
        self.work: Work | None = None
        self._hasBegun = False
        self._broken: str | None = None
        self._answer: Done | Raised | None = None
        self._finishing: IDelayedCall | None = None
        self._starting: IDelayedCall | None = None

    def begin(self, name: str, work: Work, deadline: float) -> None:
        """
        Start the process, and have it do its first task once it is ready.

        @param name: The callable.
        @param deadline: The seconds that it gets to be ready.

        @raise OSError: It cannot be started.
        """
        self.work = work
        self._process.spawn(name)
        self._starting = self._reactor.callLater(deadline, self._isLate, deadline)

    def do(self, work: Work) -> None:
        """
        Have it do its next task.
        """
        self.work = work
        self._hasBegun = False
        self._process.printed.begin(work.task.id)
        self._process.write(work.job)

    def end(self) -> None:
        """
        Give up its task, and with it the process, unless that is not ready yet or has
        done the task.
        """
        if not self.isReady and self.work is not None:
            work, self.work = self.work, None
            work.notBegun("it was cancelled while its worker process began")
        elif self._answer is None and not self.wasKilled:
            self.wasKilled = True
            self._usable = False
            self._process.terminate()

    def stop(self) -> Deferred[None]:
        """
        End it: at once if it is not idle.

        @return: Fires when it is gone.
        """
        if self.work is not None or not self.isReady:
            self.wasKilled = True
            self._process.kill()
        else:
            self._process.leave()
        return self._process.ended

    def heard(self, message: FromWorker) -> None:
        """
        See L{IWorkerOwner.heard}.
        """
        if isinstance(message, Ready):
            self._ready()
        elif isinstance(message, Broken):
            self._broken = message.error
        elif isinstance(message, Extend):
            self._extend(message)
        elif self._isDoing(message.number):
            if isinstance(message, Begun):
                self._hasBegun = True
                return
            self._answer = message
            # what it has printed is there, too, and is read before that
            self._finishing = self._reactor.callLater(0, self._finish)

    def unusable(self) -> None:
        """
        See L{IWorkerOwner.unusable}.
        """
        self._usable = False
        self._pool.discard(self)

    def ended(self, problem: str) -> None:
        """
        See L{IWorkerOwner.ended}.
        """
        self._usable = False
        self._stopWaiting()
        if not self.isReady:
            problem = f"{problem} before it had begun"
        if self._broken is not None:
            problem = f"the worker process cannot begin: {self._broken}"
        if self._finishing is not None:
            self._finishing.cancel()
            self._finish()
        self._pool.ended(self, problem)
        if self.work is not None and (self.isReady or self.wasKilled):
            self._leave(self.work, problem)

    def _leave(self, work: Work, problem: str) -> None:
        """
        Say what becomes of a task whose process has ended before it was done.
        """
        if self.wasKilled:
            work.cancelled()
        elif self._hasBegun or work.wasReturned:
            # the latter, since a task that ends each of them is to fail
            work.failed(problem)
        else:
            work.wasReturned = True
            self._pool.returned(work)

    def _ready(self) -> None:
        self.isReady = True
        self._stopWaiting()
        self._pool.ready()
        if self.work is not None:
            self.do(self.work)
        else:
            self._pool.free(self)

    def _isLate(self, seconds: float) -> None:
        self._starting = None
        self._broken = f"it was not ready after {seconds:g} s"
        self._process.kill()

    def _stopWaiting(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None

    def _isDoing(self, number: int) -> bool:
        if self.work is None or self._answer is not None:
            return False
        return self.work.number == number

    def _extend(self, message: Extend) -> None:
        if self.work is None or not self._isDoing(message.number):
            self._process.write(encode(Extended("the task has ended", "lost")))
            return
        extended = self.work.extend(message.seconds)
        extended.addCallback(lambda answer: self._process.write(encode(answer)))

    def _finish(self) -> None:
        work, answer = self.work, self._answer
        assert work is not None and answer is not None  # noqa: S101, PT018 - for mypy
        self.work = self._answer = self._finishing = None
        self._process.printed.end()
        if self._usable:
            self._pool.free(self)
        work.answered(answer)
