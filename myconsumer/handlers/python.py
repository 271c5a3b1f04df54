"""
Calls a Python callable with each task.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.handlers.bridge import createTask
from myconsumer.interfaces import ITaskHandler
from myconsumer.task import Task


def loadCallable(name: str) -> Callable[[Task], Any]:
    """
    Find what a dotted name stands for, importing what it takes.

    @param name: Such as C{package.module.callable}.

    @return: What is called that.

    @raise ValueError: There is no such callable; the text says what is missing.
    """
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError("it is not a dotted name, such as package.module.function")
    found, depth = _importLongest(parts)
    for index, part in enumerate(parts[depth:], depth):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ValueError(f"{'.'.join(parts[:index])} has no {part}") from None
    if not callable(found):
        raise ValueError(f"it is of type {type(found).__name__}, and not callable")
    return found  # type: ignore[no-any-return]


def _importLongest(parts: list[str]) -> tuple[Any, int]:
    """
    Import the longest beginning of a dotted name that is a module, short of the
    whole: a module cannot be called.

    @return: The module, and how many of the parts make its name.
    """
    found = None
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        try:
            found = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise ValueError(_importFailed(name, error)) from None
            if found is None:
                raise ValueError(f"there is no module {name}") from None
            return found, depth - 1
        except (Exception, SystemExit) as error:
            raise ValueError(_importFailed(name, error)) from None
    return found, len(parts) - 1


def _importFailed(name: str, error: BaseException) -> str:
    return f"importing {name} failed with {type(error).__name__}: {error}"


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
