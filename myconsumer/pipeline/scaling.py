"""
What handler and queue keep for each task at once, or for each claim, grows and shrinks
with the settings.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from myconsumer.command.descriptors import checkLimit
from myconsumer.interfaces import (
    IScalableTaskHandler,
    IScalableTaskQueue,
    ITaskHandler,
    ITaskQueue,
)
from myconsumer.pipeline.terms import Terms

_log = Logger()


def makeRoom(queue: ITaskQueue, handler: ITaskHandler, old: Terms, new: Terms) -> None:
    """
    Have handler and queue keep what more tasks or claims at once will need: to be done
    before C{new} is in force.

    @raise ValueError: They cannot, or the process has not enough file descriptors.
    """
    if new.limit > old.limit:
        checkLimit(new.limit, getattr(handler, "descriptorsEach", 0))
        if IScalableTaskHandler.providedBy(handler):
            handler.setLimit(new.limit)
    pollers = new.claiming.pollers
    if pollers > old.claiming.pollers and IScalableTaskQueue.providedBy(queue):
        try:
            queue.setPollers(pollers)
        except BaseException:
            leaveRoom(queue, handler, new, old)
            raise


def leaveRoom(queue: ITaskQueue, handler: ITaskHandler, old: Terms, new: Terms) -> None:
    """
    Have handler and queue let go what fewer tasks or claims at once do not need: to be
    done once C{new} is in force.
    """
    if new.limit < old.limit and IScalableTaskHandler.providedBy(handler):
        _shrink(handler.setLimit, new.limit)
    pollers = new.claiming.pollers
    if pollers < old.claiming.pollers and IScalableTaskQueue.providedBy(queue):
        _shrink(queue.setPollers, pollers)


def _shrink(set: Callable[[int], object], number: int) -> None:
    try:
        set(number)
    except Exception:
        _log.failure("{set} failed", set=repr(set))
