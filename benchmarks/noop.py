"""
Callables that do no work, for the benchmarks to have called with each task.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from myconsumer import Task


def nothing(task: Task) -> None:
    """
    Do nothing.
    """


def wait(task: Task) -> Deferred[None]:
    """
    Take as many seconds as the payload says, and no CPU.
    """
    from twisted.internet import reactor

    return deferLater(reactor, task.payload["seconds"])
