"""
The protocols and handlers that can be named, found as plugins.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from myconsumer.interfaces import (
    ITaskHandler,
    ITaskHandlerMaker,
    ITaskQueue,
    ITaskQueueMaker,
)


class _Maker:
    """
    Names the module that makes something: nothing of it is imported before it does.
    """

    def __init__(self, name: str, description: str, module: str) -> None:
        """
        @param name: What it is chosen by.
        @param description: A few words for the help, in lower case.
        @param module: The module, with a function named as the method here.
        """
        self.name = name
        self.description = description
        self.module = module


@implementer(IPlugin, ITaskQueueMaker)
class QueueMaker(_Maker):
    """
    A protocol, whose module has a function C{makeQueue}.
    """

    def makeQueue(self, reactor: Any, options: Mapping[str, Any]) -> ITaskQueue:
        """
        See L{ITaskQueueMaker.makeQueue}.
        """
        queue: ITaskQueue = import_module(self.module).makeQueue(reactor, options)
        return queue


@implementer(IPlugin, ITaskHandlerMaker)
class HandlerMaker(_Maker):
    """
    A kind of handler, whose module has a function C{makeHandler}.
    """

    def makeHandler(self, reactor: Any, options: Mapping[str, Any]) -> ITaskHandler:
        """
        See L{ITaskHandlerMaker.makeHandler}.
        """
        handler: ITaskHandler = import_module(self.module).makeHandler(reactor, options)
        return handler


def queueMakers() -> dict[str, ITaskQueueMaker]:
    """
    @return: Every protocol that is installed, by name.
    """
    return _installed(ITaskQueueMaker)


def handlerMakers() -> dict[str, ITaskHandlerMaker]:
    """
    @return: Every kind of handler that is installed, by name.
    """
    return _installed(ITaskHandlerMaker)


def _installed(interface: Any) -> dict[str, Any]:
    """
    @return: The plugins, by name.  Of two with one name the first found counts.
    """
    import myconsumer.plugins as plugins

    makers: dict[str, Any] = {}
    for maker in getPlugins(interface, plugins):
        makers.setdefault(maker.name, maker)
    return makers
