"""
The protocols that C{--protocol} can name, found as plugins.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from myconsumer.interfaces import ITaskQueue, ITaskQueueMaker


@implementer(IPlugin, ITaskQueueMaker)
class QueueMaker:
    """
    Names the module that makes a protocol's queues: nothing of it is imported
    before one is made.
    """

    def __init__(self, name: str, description: str, module: str) -> None:
        """
        @param name: See L{ITaskQueueMaker.name}.
        @param description: See L{ITaskQueueMaker.description}.
        @param module: The module, with a function C{makeQueue} as
            L{ITaskQueueMaker.makeQueue} has it.
        """
        self.name = name
        self.description = description
        self.module = module

    def makeQueue(self, reactor: Any, options: Mapping[str, Any]) -> ITaskQueue:
        """
        See L{ITaskQueueMaker.makeQueue}.
        """
        queue: ITaskQueue = import_module(self.module).makeQueue(reactor, options)
        return queue


def queueMakers() -> dict[str, ITaskQueueMaker]:
    """
    Find every protocol that is installed.

    @return: Their makers, by name.  Of two with one name the first found counts.
    """
    import myconsumer.plugins as plugins

    makers: dict[str, ITaskQueueMaker] = {}
    for maker in getPlugins(ITaskQueueMaker, plugins):
        makers.setdefault(maker.name, maker)
    return makers
