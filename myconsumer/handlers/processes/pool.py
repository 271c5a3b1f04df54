"""
Calls a Python callable with each task, in processes of its own.

There is a process for each slot, and each has pipes of its own, so that one that dies
takes nothing with it but its task.  C{concurrent.futures} has one queue for all of
them, and gives up all processes when one dies.  C{ampoule}, which keeps a process for
each slot, too, speaks AMP, in which no value is longer than 64 KiB; what is spoken here
are lines of JSON, of any length.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from myconsumer.handlers.blocking import requireBlocking
from myconsumer.handlers.callables import loadCallable
from myconsumer.handlers.group import ProcessGroup
from myconsumer.handlers.lines import Outlet
from myconsumer.handlers.processes.contracts import IWorker, IWorkerPool
from myconsumer.handlers.processes.reports import Reports
from myconsumer.handlers.processes.session import MakeGroup
from myconsumer.handlers.processes.work import Work
from myconsumer.handlers.processes.worker import Worker
from myconsumer.interfaces import IRunningTask, IScalableTaskHandler
from myconsumer.retrying import Policy

#: The seconds for which no worker is started after one could not begin while others
#: work: 1 and doubling, up to 30.
startPolicy: Policy = backoffPolicy(1.0, 29.0, 2.0)

#: The seconds that a process gets to import the callable.
START_DEADLINE = 60.0


@implementer(IScalableTaskHandler, IWorkerPool)
class ProcessHandler(Service):
    """
    Calls a callable with each task, each call in a process that does nothing else
    meanwhile, and takes what it returns for the result.

    Processes are started when they are needed, import the callable by themselves, and
    are used again.  Cancelling a task ends its process, and what that has started.

    If a process cannot begin, its task waits for another process; if there is no other,
    all waiting tasks fail with L{NotBegunError <myconsumer.errors.NotBegunError>}, and
    the caller is to wait before the next.
    """

    descriptorsEach = 4

    _log = Logger()

    def __init__(
        self,
        name: str,
        limit: int,
        reactor: Any,
        startDelay: Policy = startPolicy,
        startDeadline: float = START_DEADLINE,
        makeGroup: MakeGroup = ProcessGroup,
    ) -> None:
        """
        @param name: The dotted name of the callable, which is called with a
            L{BlockingTask <myconsumer.handlers.blocking.BlockingTask>}.
        @param limit: The most processes.
        @param reactor: Runs them.
        @param startDelay: The failures before this one -> the seconds, more than 0,
            for which no process is started after one could not begin and others work.
        @param startDeadline: The seconds that a process gets to import the callable.
        @param makeGroup: Makes what signals are sent to from the id of a process.

        @raise ValueError: There is no such callable, or it is a coroutine function.
        """
        requireBlocking(loadCallable(name), "process")
        self._name = name
        self._limit = limit
        self._reactor = reactor
        self._startDelay = startDelay
        self._startDeadline = startDeadline
        self._makeGroup = makeGroup
        self._outlet = Outlet(reactor)
        self._reports = Reports(reactor, self._outlet)
        self._workers: set[IWorker] = set()
        self._starting: set[IWorker] = set()
        self._idle: list[IWorker] = []
        # those too many, once the limit was lowered
        self._ending: set[IWorker] = set()
        self._waiting: deque[Work] = deque()
        self._numbers = count(1)
        self._failures = 0
        self._notBefore = 0.0
        self._serving: IDelayedCall | None = None

    def handle(self, task: IRunningTask) -> Deferred[Any]:
        """
        See L{ITaskHandler.handle}.

        @return: Fires with the result, a C{msgspec.Raw}.  Fails once the process is
            gone if that did not answer, and with L{NotBegunError
            <myconsumer.errors.NotBegunError>} if no process has begun the task.
        """
        work = Work(task, next(self._numbers), self._end, self._reports)
        self._waiting.append(work)
        self._serve()
        return work.done

    def setLimit(self, limit: int) -> None:
        """
        See L{IScalableTaskHandler.setLimit}.
        """
        self._limit = limit
        while self._idle and self._isSurplus():
            self._endIdle(self._idle.pop(0))
        self._serve()

    def stopService(self) -> Deferred[None]:
        """
        End all processes.

        @return: Fires when they are gone.
        """
        super().stopService()
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None
        for work in list(self._waiting):
            self._end(work)
        gone = gatherResults([worker.stop() for worker in list(self._workers)])
        return gone.addCallback(lambda _: self._outlet.countOmitted())

    def ready(self, worker: IWorker) -> None:
        """
        See L{IWorkerPool.ready}.
        """
        self._starting.discard(worker)
        self._failures = 0
        # the next failure is not of those before: it asks for a delay of its own
        self._notBefore = 0.0
        self._serve()

    def free(self, worker: IWorker) -> None:
        """
        See L{IWorkerPool.free}.
        """
        if self._isSurplus():
            self._endIdle(worker)
            return
        self._idle.append(worker)
        self._serve()

    def discard(self, worker: IWorker) -> None:
        """
        See L{IWorkerPool.discard}.
        """
        if worker in self._idle:
            self._idle.remove(worker)

    def couldNotBegin(self, worker: IWorker, problem: str, work: Work | None) -> None:
        """
        See L{IWorkerPool.couldNotBegin}.
        """
        self._forget(worker)
        if work is not None:
            self._waiting.appendleft(work)
        if self._workers:
            self._startLater(problem)
            self._serve()
            return
        self._failures += 1
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.notBegun(problem)

    def gone(self, worker: IWorker) -> None:
        """
        See L{IWorkerPool.gone}.
        """
        self._forget(worker)
        self._serve()

    def returned(self, work: Work) -> None:
        """
        See L{IWorkerPool.returned}.
        """
        self._waiting.appendleft(work)
        self._serve()

    def _isSurplus(self) -> bool:
        """
        Whether there is a process too many, beside those that are ending.
        """
        return len(self._workers) - len(self._ending) > self._limit

    def _endIdle(self, worker: IWorker) -> None:
        self._ending.add(worker)
        worker.stop()

    def _end(self, work: Work) -> None:
        """
        Cancel C{work}, wherever it is.
        """
        if work in self._waiting:
            self._waiting.remove(work)
            work.notBegun("it was cancelled while it waited for a worker process")
        for worker in list(self._workers):
            worker.cancel(work)

    def _serve(self) -> None:
        """
        Give waiting tasks to idle processes, or to new ones.
        """
        while self._waiting and (self._idle or self._mayStart()):
            work = self._waiting.popleft()
            if self._idle:
                self._idle.pop().do(work)
            else:
                self._start(work)
        delay = self._notBefore - self._reactor.seconds()
        if self._waiting and self._serving is None and delay > 0:
            self._serving = self._reactor.callLater(delay, self._serveAgain)

    def _serveAgain(self) -> None:
        self._serving = None
        self._serve()

    def _mayStart(self) -> bool:
        if not self._workers:
            return True
        if len(self._workers) >= self._limit:
            return False
        # after a failure one at a time, until one is ready
        return not self._failures or (
            self._reactor.seconds() >= self._notBefore and not self._starting
        )

    def _start(self, work: Work) -> None:
        worker = Worker(self, self._reactor, self._makeGroup, self._outlet)
        self._workers.add(worker)
        self._starting.add(worker)
        try:
            worker.begin(self._name, work, self._startDeadline)
        except OSError as error:
            problem = f"no worker process can be started: {error}"
            self.couldNotBegin(worker, problem, work)

    def _forget(self, worker: IWorker) -> None:
        self.discard(worker)
        self._starting.discard(worker)
        self._ending.discard(worker)
        self._workers.discard(worker)

    def _startLater(self, problem: str) -> None:
        """
        Start no process for some time: others can do the waiting tasks.
        """
        if self._reactor.seconds() < self._notBefore:
            # this process was started together with one that could not begin either
            return
        delay = self._startDelay(self._failures)
        self._failures += 1
        self._notBefore = self._reactor.seconds() + delay
        self._log.error(
            "No worker process is started for {delay:.1f} s: {problem}",
            problem=problem,
            delay=delay,
        )
