"""
A worker: a process that does one task after the other.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from myconsumer.handlers.lines import Outlet
from myconsumer.handlers.processes.contracts import IWorker, IWorkerPool
from myconsumer.handlers.processes.life import Core, newLife
from myconsumer.handlers.processes.messages import (
    Begun,
    Broken,
    Done,
    Extend,
    Extended,
    FromWorker,
    Logged,
    Raised,
    Ready,
    Unlogged,
)
from myconsumer.handlers.processes.session import MakeGroup, WorkerSession
from myconsumer.handlers.processes.work import Work


@implementer(IWorker)
class Worker:
    """
    A worker process, and the task that it does.

    The states of its life are a table: see L{myconsumer.handlers.processes.life}.  What
    happens to each task is kept out of the table, since an input of a machine costs
    some microseconds.
    """

    def __init__(
        self, pool: IWorkerPool, reactor: Any, makeGroup: MakeGroup, outlet: Outlet
    ) -> None:
        """
        @param pool: Gives it its tasks.
        @param reactor: Runs its process.
        @param makeGroup: Makes what signals are sent to from the id of a process.
        @param outlet: Where what the process writes is logged.
        """
        self._reactor = reactor
        self._session = WorkerSession(
            reactor, makeGroup, outlet, self._heard, self._closed
        )
        self._core = Core(self, pool, self._session)
        self._life = newLife(self._core)
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
        See L{IWorker.do}.
        """
        self._core.give(work)

    def cancel(self, work: Work) -> None:
        """
        See L{IWorker.cancel}.
        """
        if self._core.work is work:
            self._life.cancel()

    def stop(self) -> Deferred[None]:
        """
        See L{IWorker.stop}.
        """
        if self._core.work is None:
            self._life.leave()
        else:
            self._life.kill()
        return self._gone

    def _late(self, deadline: float) -> None:
        self._core.broken = f"it was not ready after {deadline:g} s"
        self._session.kill()

    def _closed(self) -> None:
        self._life.closed()

    def _heard(self, message: FromWorker) -> None:
        work = self._core.work
        if isinstance(message, Ready):
            self._life.ready()
        elif isinstance(message, Broken):
            self._core.broken = message.error
        elif isinstance(message, Logged):
            self._logged(message)
        elif isinstance(message, Unlogged):
            self._session.lines.omit(message.count)
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

    def _logged(self, message: Logged) -> None:
        work = self._core.work
        isOfTask = work is not None and message.number == work.number
        self._session.lines.record(
            message.level, message.logger, message.text, isOfTask
        )

    def _answered(self, work: Work, answer: Done | Raised) -> None:
        self._core.work = None
        # what the task has printed is in other pipes, which are read before that
        self._core.finishing = deferLater(self._reactor, 0)
        self._core.finishing.addBoth(lambda _: self._finish(work, answer))

    def _finish(self, work: Work, answer: Done | Raised) -> None:
        self._session.lines.end()
        self._life.finished()
        work.answered(answer)

    def _over(self, problem: str) -> None:
        # an answer that has arrived counts: its time to wait is over
        self._core.finishing.cancel()
        self._life.gone(problem)
