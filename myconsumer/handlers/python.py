"""
Calls a Python callable with each task.
"""

from __future__ import annotations

import asyncio
import re
import types
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.handlers.awaiting import createTask
from myconsumer.handlers.callables import NamedCallable, requireWork
from myconsumer.handlers.futures import whenDone, whenDoneElsewhere
from myconsumer.handlers.processes.pool import ProcessHandler
from myconsumer.handlers.threads import ThreadHandler
from myconsumer.interfaces import IRunningTask, ITaskHandler
from myconsumer.task import currentID

# what asyncio, anyio and sniffio say where the reactor runs on no asyncio loop
_NO_LOOP = re.compile("event loop|async library|await wasn't used with future")


@implementer(ITaskHandler)
class PythonHandler:
    """
    Calls a callable with each task, on the reactor's thread.  It may return its
    result, or a C{Deferred}, a coroutine, another awaitable or a
    C{concurrent.futures.Future} of it.

    A coroutine awaits C{Deferred}s; where the reactor runs on an C{asyncio} loop it
    is a task of that loop and awaits what C{asyncio} offers, too.
    """

    def __init__(self, function: Callable[[Any], Any], reactor: Any = None) -> None:
        """
        @param function: Is called with each task, in a context of its own.
        @param reactor: Runs what other threads call when a future is done; the global
            reactor by default.

        @raise ValueError: Calling it runs nothing.
        """
        requireWork(function)
        self._function = function
        self._reactor = reactor
        # the loop itself does not keep them
        self._tasks: set[asyncio.Task[Any]] = set()

    def handle(self, task: IRunningTask) -> Any:
        """
        See L{ITaskHandler.handle}.
        """
        # the next task is not to see what this one sets
        context = copy_context()
        result = context.run(_call, self._function, task)
        if result is None:
            return None
        if hasattr(result, "__await__"):
            return context.run(self._begin, result)
        return self._await(result) if isinstance(result, Future) else result

    def _begin(self, awaitable: Awaitable[Any]) -> Deferred[Any]:
        """
        @return: Fires with the result of C{awaitable}; cancelling the C{Deferred}
            cancels C{awaitable}.
        """
        if isinstance(awaitable, Deferred):
            return awaitable
        coroutine = (
            awaitable
            if isinstance(awaitable, types.CoroutineType)
            else _awaiting(awaitable)
        )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return Deferred.fromCoroutine(coroutine).addErrback(_hinted)
        task = createTask(coroutine, loop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return whenDone(task)

    def _await(self, future: Future[Any]) -> Deferred[Any]:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return whenDoneElsewhere(future, self._reactor)


async def _awaiting(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _call(function: Callable[[Any], Any], task: IRunningTask) -> Any:
    currentID.set(task.id)
    return function(task)


def _hinted(reason: Failure) -> Failure:
    """
    Say what is missing where C{asyncio} has said that it has no loop.
    """
    error = reason.value
    if isinstance(error, RuntimeError) and _NO_LOOP.search(str(error)):
        hint = "what asyncio offers is for twistd --reactor=asyncio"
        error.args = (f"{error} ({hint})",)
    return reason


def makeHandler(reactor: Any, options: Mapping[str, Any]) -> ITaskHandler:
    """
    See L{ITaskHandlerMaker.makeHandler
    <myconsumer.interfaces.ITaskHandlerMaker.makeHandler>}.
    """
    named: NamedCallable = options["python"]
    if options["run-in"] == "thread":
        return ThreadHandler(named.function, options["limit"], reactor)
    if options["run-in"] == "process":
        return ProcessHandler(named.name, options["limit"], reactor)
    return PythonHandler(named.function, reactor)
