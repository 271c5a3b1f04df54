"""
What callables that block have in common, whether they run in threads or in processes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from myconsumer.errors import TaskFailedError
from myconsumer.handlers.callables import bodyOf, requireWork
from myconsumer.jsontext import unfinished
from myconsumer.task import currentID


class BlockingTask:
    """
    The task that a callable gets which blocks: it has what an L{IRunningTask
    <myconsumer.interfaces.IRunningTask>} has, but C{extend} blocks, too.
    """

    __slots__ = ("_extend", "_task")

    def __init__(self, task: Any, extend: Callable[[float], object]) -> None:
        """
        @param task: What has the attributes of the task.
        @param extend: Extends the lease by some seconds, and returns when it has.
        """
        self._task = task
        self._extend = extend

    def __getattr__(self, name: str) -> Any:
        if name in BlockingTask.__slots__:
            # a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self._task, name)

    def __repr__(self) -> str:
        return f"<BlockingTask {self.id!r}, attempt {self.attempt}>"

    def extend(self, seconds: float) -> None:
        """
        Extend the lease; blocks until the endpoint has agreed.

        @param seconds: The new length of the lease, from now.
        """
        self._extend(seconds)


class StubbornDeferred(Deferred[Any]):
    """
    A C{Deferred} whose C{cancel} only requests the end of the work; its owner fires it
    once the work has really stopped.
    """

    def __init__(self, end: Callable[[], object]) -> None:
        """
        @param end: Requests the end of the work; may fire this at once, and may be
            called more than once.
        """
        super().__init__()
        self._end = end

    def cancel(self) -> None:
        """
        Request the end of the work.
        """
        if self.called:
            super().cancel()
        else:
            self._end()


def requireBlocking(function: Callable[..., Any], where: str) -> None:
    """
    Refuse a coroutine function, which only the reactor runs, and what nobody does.

    @param where: What C{--run-in} says.

    @raise ValueError: It is one.
    """
    requireWork(function)
    if inspect.iscoroutinefunction(bodyOf(function)):
        raise ValueError(
            f"--run-in {where} is for functions that block, and this is a coroutine "
            "function, which takes --run-in reactor"
        )


def call(function: Callable[[Any], Any], task: Any) -> Any:
    """
    Call a function that blocks.

    @return: What it returns.

    @raise TaskFailedError: It returned what is still to be done, or tried to exit.
    """
    token = currentID.set(task.id)
    try:
        result = function(task)
    except SystemExit as error:
        raise TaskFailedError(f"it called sys.exit({error.code!r})") from None
    finally:
        currentID.reset(token)
    if hasattr(result, "__await__"):
        if inspect.iscoroutine(result):
            result.close()
        raise TaskFailedError(
            f"it returned a {type(result).__name__}, which nobody waits for in a "
            "thread or process: that takes --run-in reactor"
        )
    if isinstance(result, Failure):
        result.raiseException()
    # to look into large values takes long, and is left to whoever finds no JSON there
    if not isinstance(result, list | dict) and (what := unfinished(result)):
        raise TaskFailedError(f"it returned {what}")
    return result
