"""
Calls a Python callable with each task.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.handlers.bridge import createTask
from myconsumer.handlers.callables import NamedCallable
from myconsumer.handlers.processes import ProcessHandler
from myconsumer.handlers.threads import ThreadHandler
from myconsumer.interfaces import ITaskHandler
from myconsumer.task import Task


@implementer(ITaskHandler)
class PythonHandler:
    """
    Calls a callable with each task, on the reactor's thread.  It may return its
    result, or a L{Deferred}, a coroutine or another awaitable of it.

    A coroutine awaits L{Deferred}s; where the reactor runs on an C{asyncio} loop it
    is a task of that loop and awaits what C{asyncio} offers, too.
    """

    def __init__(self, function: Callable[[Task], Any]) -> None:
        """
        @param function: Is called with each task.
        """
        self._function = function
        # the loop itself does not keep them
        self._tasks: set[asyncio.Task[Any]] = set()

    def handle(self, task: Task) -> Any:
        """
        See L{ITaskHandler.handle}.
        """
        result = self._function(task)
        return self._begin(result) if hasattr(result, "__await__") else result

    def _begin(self, awaitable: Awaitable[Any]) -> Deferred[Any]:
        """
        @return: Fires with what C{awaitable} comes to; cancelling it cancels that.
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
            return Deferred.fromCoroutine(coroutine)
        task = createTask(coroutine, loop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Deferred.fromFuture(task).addErrback(_asTwisteds)


async def _awaiting(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _asTwisteds(reason: Failure) -> Failure:
    """
    Turn C{asyncio}'s kind of cancellation into Twisted's.
    """
    if isinstance(reason.value, asyncio.CancelledError):
        raise defer.CancelledError from None
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
    return PythonHandler(named.function)
