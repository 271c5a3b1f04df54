"""
The handlers that the consumers of these tests run, and the journal in which they
note what they did: a line in a file, which outlives any way to die.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from myconsumer import Reject, Release, Task

NEVER = {"do": "never"}
STUBBORN = {"do": "stubborn"}
OBLIGING = {"do": "obliging"}
FAILING = {"do": "fail"}


def sleeping(seconds: float, **more: Any) -> dict[str, Any]:
    """
    The payload of a task that sleeps, then returns its own id.
    """
    return {"do": "sleep", "seconds": seconds, **more}


def returning(value: Any) -> dict[str, Any]:
    """
    The payload of a task that returns C{value} at once.
    """
    return {"do": "return", "value": value}


def note(event: str, task: Task) -> None:
    entry = {
        "event": event,
        "id": task.id,
        "attempt": task.attempt,
        "pid": os.getpid(),
        "at": time.time(),
    }
    journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(journal, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(journal)


async def work(task: Task) -> Any:
    """
    Do what the payload says, and note the beginning and the end.
    """
    note("start", task)
    try:
        result = await _DEEDS[task.payload["do"]](task)
    except Exception as error:
        note(type(error).__name__, task)
        raise
    note("end", task)
    return result


def plain(task: Task) -> Any:
    """
    A handler that is no coroutine: its result is there when it returns.
    """
    note("start", task)
    note("end", task)
    return task.payload


def blocking(task: Task) -> None:
    """
    A handler that blocks the reactor.
    """
    note("start", task)
    time.sleep(task.payload["seconds"])
    note("end", task)


def deferred(task: Task) -> Deferred[Any]:
    """
    A handler that returns a L{Deferred}.
    """
    return Deferred.fromCoroutine(work(task))


async def onAsyncio(task: Task) -> list[str]:
    """
    A handler that awaits asyncio's futures and Deferreds.
    """
    from twisted.internet import reactor

    note("start", task)
    await asyncio.sleep(0.01)
    await deferLater(reactor, 0.01)
    loop = type(asyncio.get_running_loop()).__name__
    await asyncio.sleep(0.01)
    note("end", task)
    return [loop, type(reactor).__name__]


async def asyncioSleep(task: Task) -> None:
    """
    A handler that awaits asyncio's futures alone.
    """
    note("start", task)
    try:
        await asyncio.sleep(task.payload["seconds"])
    except asyncio.CancelledError:
        note("CancelledError", task)
        raise


async def _sleep(task: Task) -> Any:
    from twisted.internet import reactor

    await deferLater(reactor, task.payload["seconds"])
    return task.id


async def _never(task: Task) -> None:
    await Deferred()


async def _stubborn(task: Task) -> None:
    while True:
        with suppress(CancelledError):
            await Deferred()


async def _obliging(task: Task) -> str:
    return await Deferred(lambda cancelled: cancelled.callback("just in time"))


async def _fail(task: Task) -> None:
    raise ZeroDivisionError("one too many")


async def _release(task: Task) -> None:
    raise Release("not now", delay=task.payload.get("delay"))


async def _reject(task: Task) -> None:
    raise Reject("no such thing")


async def _return(task: Task) -> Any:
    return task.payload["value"]


async def _returnUnsendable(task: Task) -> object:
    return object()


_DEEDS: dict[str, Callable[[Task], Any]] = {
    "sleep": _sleep,
    "never": _never,
    "stubborn": _stubborn,
    "obliging": _obliging,
    "fail": _fail,
    "release": _release,
    "reject": _reject,
    "return": _return,
    "returnUnsendable": _returnUnsendable,
}
