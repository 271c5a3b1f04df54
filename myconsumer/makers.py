"""
Plugins for C{twistd consumer}: what makes the queue of a protocol, or a handler.  They
are names and options; nothing of what they make is imported before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from myconsumer.command.option import Option
from myconsumer.interfaces import (
    ITaskHandler,
    ITaskHandlerMaker,
    ITaskQueue,
    ITaskQueueMaker,
)

__all__ = ["HandlerMaker", "Option", "QueueMaker"]


class _Maker:
    """
    Names the module that makes something.
    """

    def __init__(
        self, name: str, description: str, module: str, *options: Option
    ) -> None:
        """
        @param name: What it is chosen by.
        @param description: A few words for the help, in lower case.
        @param module: The module, with a function named as the method here.
        @param options: The options that it brings.
        """
        self.name = name
        self.description = description
        self.module = module
        self.options: Sequence[Option] = options


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
