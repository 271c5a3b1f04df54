"""
A handler that blocks, for threads and processes of the consumers of these tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from myconsumer.handlers.blocking import BlockingTask
from tests.acceptance.handlers import note


def work(task: BlockingTask) -> Any:
    """
    Do what the payload says, and note the beginning and the end.
    """
    note("start", task)
    try:
        return _DEEDS[task.payload["do"]](task)
    finally:
        note("end", task)


async def coroutine(task: BlockingTask) -> None:
    """
    Do nothing.
    """


def _sleep(task: BlockingTask) -> int:
    time.sleep(task.payload["seconds"])
    return os.getpid()


def _untilCancelled(task: BlockingTask) -> None:
    while not task.cancelled:
        time.sleep(0.01)
    note("cancelled", task)
    time.sleep(task.payload["seconds"])


def _compute(task: BlockingTask) -> int:
    """
    Use so many seconds of the processor.
    """
    end = time.process_time() + task.payload["seconds"]
    while time.process_time() < end:
        pass
    return os.getpid()


def _print(task: BlockingTask) -> None:
    print("a line of", task.id)


def _unlessFirst(task: BlockingTask) -> str:
    """
    End the process in the first attempt.
    """
    if task.attempt == 1:
        os._exit(3)
    return "done"


def _fork(task: BlockingTask) -> str:
    """
    Return twice: here at once, and in a copy of this process later.
    """
    if os.fork():
        return "mine"
    time.sleep(0.5)
    return "the copy's"


def _untilCopyEnds(task: BlockingTask) -> str:
    """
    Wait until the copy of this process has ended that the task before has made.
    """
    os.wait()
    return "mine"


_DEEDS: dict[str, Callable[[BlockingTask], Any]] = {
    "sleep": _sleep,
    "untilCancelled": _untilCancelled,
    "compute": _compute,
    "print": _print,
    "fork": _fork,
    "untilCopyEnds": _untilCopyEnds,
    "run": lambda task: subprocess.run(task.payload["words"], check=True),
    "extend": lambda task: task.extend(task.payload["seconds"]),
    "die": lambda task: os._exit(3),
    "dieAtFirst": _unlessFirst,
    "exit": lambda task: sys.exit(4),
    "object": lambda task: object(),
    "echo": lambda task: task.payload["text"],
}
