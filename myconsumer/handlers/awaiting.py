"""
Runs a coroutine on an C{asyncio} loop that may await C{Deferred}s, too.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

from twisted.internet.defer import Deferred


def createTask(
    coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
) -> asyncio.Task[Any]:
    """
    Make a coroutine a task of an C{asyncio} loop.

    @param coroutine: Awaits C{Deferred}s and what C{asyncio} offers.  Tasks that it
        makes itself cannot await C{Deferred}s: these need
        C{asFuture} there.
    @param loop: The loop, which runs the reactor, too.

    @return: The task.  The loop holds it by a weak reference only.
    """
    task = loop.create_task(_body(coroutine, loop))
    # a task cancelled before its first step never begins the coroutine
    task.add_done_callback(lambda task: coroutine.close())
    return task


async def _body(
    coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
) -> Any:
    try:
        return await _bridge(coroutine, loop)
    except SystemExit as error:
        # a task that ends with it ends its loop, and that the process
        raise RuntimeError(f"the coroutine called sys.exit({error.code!r})") from error
    except KeyboardInterrupt as error:
        raise RuntimeError("the coroutine raised KeyboardInterrupt") from error


@types.coroutine
def _bridge(
    coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
) -> Generator[Any, Any, Any]:
    """
    Wait for each C{Deferred} that C{coroutine} awaits, and hand anything else that it
    awaits on to the task.
    """
    error: BaseException | None = None
    while True:
        try:
            awaited = coroutine.throw(error) if error else coroutine.send(None)
        except StopIteration as end:
            return end.value
        error = None
        try:
            if isinstance(awaited, Deferred):
                yield from _fired(awaited, loop)
            else:
                yield awaited
        except BaseException as thrown:
            error = thrown


def _fired(
    deferred: Deferred[Any], loop: asyncio.AbstractEventLoop
) -> Generator[Any, Any, None]:
    """
    Wait until C{deferred} has fired, and leave its result to whoever awaits it.
    """
    future = loop.create_future()

    def wake(result: Any) -> Any:
        if not future.done():
            future.set_result(None)
        return result

    deferred.addBoth(wake)
    try:
        yield from future
    except BaseException:
        deferred.cancel()
        # nobody awaits it any more, so that its failure is no unhandled one
        deferred.addErrback(lambda reason: None)
        raise
