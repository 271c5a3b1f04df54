"""
Handlers with the usual mistakes in them, for L{tests.acceptance.test_careless}.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred

from myconsumer import Release, Task
from tests.acceptance.handlers import note


class Busy(Release):
    """
    Does not call C{__init__} of what it is a kind of.
    """

    def __init__(self, what: str) -> None:
        self.what = what


def forgotten(task: Task) -> Iterator[Deferred[None]]:
    """
    Lacks C{@inlineCallbacks}.
    """
    note("start", task)
    yield Deferred()


def work(task: Task) -> Any:
    """
    Do what the payload names.
    """
    return _DEEDS[task.payload](task)


async def asyncWork(task: Task) -> Any:
    """
    Do what the payload names, as a coroutine.
    """
    deed = _DEEDS[task.payload](task)
    return await deed if asyncio.iscoroutine(deed) else deed


def _raiseText(task: Task) -> None:
    raise ValueError(f"cannot read {os.fsdecode(b'caf' + bytes([0xE9]))}")


def _raiseBusy(task: Task) -> None:
    raise Busy("the mail server")


def _submit(task: Task) -> Any:
    executor = ThreadPoolExecutor(1)
    future = executor.submit(time.sleep, 0.2)
    future.add_done_callback(lambda _: note("end", task))
    executor.shutdown(wait=False)
    return future


async def _cleanUpForLong(task: Task) -> str:
    """
    Go on for a second once cancelled, whatever comes.
    """
    note("start", task)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    note("cancelled", task)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
    note("end", task)
    return "too late"


def _interrupt(task: Task) -> None:
    raise KeyboardInterrupt


_DEEDS: dict[str, Callable[[Task], Any]] = {
    "generate": forgotten,
    "submit": _submit,
    "raiseText": _raiseText,
    "raiseBusy": _raiseBusy,
    "cleanUp": _cleanUpForLong,
    "sleep": lambda task: asyncio.sleep(0.1),
    "exit": lambda task: sys.exit(3),
    "interrupt": _interrupt,
    "return": lambda task: task.id,
}
