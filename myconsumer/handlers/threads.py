"""
Calls a Python callable that blocks with each task, in threads of its own.

The threads are daemons and known to nobody else: the pools of Twisted and of
C{concurrent.futures} are joined when the process ends, so that one thread that
blocks for ever would keep it alive for ever.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from itertools import count
from queue import SimpleQueue
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import blockingCallFromThread
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import NotBegunError
from myconsumer.handlers.blocking import (
    BlockingTask,
    StubbornDeferred,
    call,
    requireBlocking,
)
from myconsumer.interfaces import IRunningTask, IScalableTaskHandler


class _Job:
    """
    One call, from the reactor's thread to another and back.

    @ivar done: Fires with the outcome of the call.
    """

    __slots__ = ("_cancelled", "_function", "_outcome", "_task", "done")

    def __init__(self, function: Callable[[Any], Any], task: BlockingTask) -> None:
        self._function = function
        self._task = task
        self._cancelled = False
        self._outcome: Any = None
        self.done = StubbornDeferred(self._cancel)

    def _cancel(self) -> None:
        """
        Keep the call from beginning; one that has begun goes on.
        """
        self._cancelled = True

    def run(self) -> None:
        """
        Make the call.  Runs in any thread.
        """
        try:
            if self._cancelled:
                raise CancelledError
            # the next task of this thread is not to see what this one sets
            self._outcome = copy_context().run(call, self._function, self._task)
        except BaseException:
            self._outcome = Failure()

    def end(self) -> None:
        """
        Fire L{done} with the outcome of the call, on the reactor's thread.
        """
        self.done.callback(self._outcome)


class _Threads:
    """
    Up to C{limit} threads, made when they are needed.

    @ivar busy: How many jobs have not ended.
    """

    def __init__(self, limit: int, reactor: Any) -> None:
        self._limit = limit
        self._reactor = reactor
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._ended: deque[_Job] = deque()
        self._told = False
        # how many there are, but for those that are to end
        self._count = 0
        self._numbers = count()
        self.busy = 0

    def add(self, job: _Job) -> None:
        """
        Have a job done by the next thread that is free.

        @raise NotBegunError: It needs a thread, and none can be started.
        """
        if self._count <= self.busy and self._count < self._limit:
            self._startThread()
        self.busy += 1
        self._jobs.put(job)

    def _startThread(self) -> None:
        name = f"task-{next(self._numbers)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise NotBegunError(f"no thread for it: {error}") from None
        self._count += 1

    def setLimit(self, limit: int) -> None:
        """
        Change how many threads there may be: those beyond C{limit} end as soon as they
        are free.
        """
        self._limit = limit
        while self._count > limit:
            self._count -= 1
            self._jobs.put(None)

    def stop(self) -> None:
        """
        End each thread that is free, and the others as soon as they are.
        """
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        """
        What each thread does.
        """
        while (job := self._jobs.get()) is not None:
            job.run()
            self._ended.append(job)
            # nothing is held while there is nothing to do
            del job
            # many that end together wake the reactor once
            if not self._told:
                self._told = True
                self._reactor.callFromThread(self._tell)

    def _tell(self) -> None:
        # reset first: a thread that still found it set has appended its job already
        self._told = False
        while self._ended:
            job = self._ended.popleft()
            self.busy -= 1
            job.end()


@implementer(IScalableTaskHandler)
class ThreadHandler(Service):
    """
    Calls a callable with each task, each call in a thread, and takes what it
    returns for the result.

    A thread cannot be cancelled: the callable of a cancelled task looks at the task's
    C{cancelled}, or goes on to its end, and keeps its thread until then.
    """

    _log = Logger()

    def __init__(
        self, function: Callable[[Any], Any], limit: int, reactor: Any
    ) -> None:
        """
        @param function: Is called with each task, whose C{extend} blocks.
        @param limit: The most threads.
        @param reactor: Where tasks come from and results go to.

        @raise ValueError: It is a coroutine function, or calling it runs nothing.
        """
        requireBlocking(function, "thread")
        self._function = function
        self._limit = limit
        self._reactor = reactor
        self._threads = _Threads(limit, reactor)

    def handle(self, task: IRunningTask) -> Deferred[Any]:
        """
        See L{ITaskHandler.handle}.

        @return: Fires when the call has ended, not before, cancelled or not.

        @raise NotBegunError: The machine has no thread for it.
        """

        def extend(seconds: float) -> None:
            extending: Callable[[float], Deferred[Any]] = task.extend
            blockingCallFromThread(self._reactor, extending, seconds)

        job = _Job(self._function, BlockingTask(task, extend))
        self._threads.add(job)
        return job.done

    def setLimit(self, limit: int) -> None:
        """
        See L{IScalableTaskHandler.setLimit}.
        """
        self._limit = limit
        self._threads.setLimit(limit)

    def stopService(self) -> None:
        """
        End the threads.  One that still runs a task is left behind: it ends with it,
        or with the process.
        """
        super().stopService()
        threads, self._threads = self._threads, _Threads(self._limit, self._reactor)
        threads.stop()
        if threads.busy:
            self._log.warn(
                "{busy} threads that do not end are left behind", busy=threads.busy
            )
