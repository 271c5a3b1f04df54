"""
What makes queues and handlers for C{twistd consumer}, how it is found, and which of it
the options choose.  (The package C{twisted.plugins}, in which C{twistd} looks for
commands, is another.)

Another package adds its own with a module in a directory C{myconsumer/plugins} on the
path, one without an C{__init__.py}.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from twisted.plugin import getPlugins, pluginPackagePaths

from myconsumer.interfaces import ITaskHandlerMaker, ITaskQueueMaker
from myconsumer.makers import Option

__path__.extend(pluginPackagePaths(__name__))
__all__ = ["choosers", "chosen", "handlerMakers", "optionsOf", "queueMakers"]

Maker = TypeVar("Maker", ITaskQueueMaker, ITaskHandlerMaker)


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


def choosers(makers: Mapping[str, Maker]) -> Mapping[str, Option]:
    """
    @return: The options that choose a maker, by name: those called as the maker is
        that brings them.
    """
    return {
        name: option
        for name, maker in makers.items()
        for option in _broughtBy(maker)
        if option.name == name
    }


def optionsOf(makers: Mapping[str, Maker], group: str = "") -> list[Option]:
    """
    @param makers: The makers, by name.
    @param group: The group of the help for those that name none.

    @return: All options that makers bring.  Those of a maker that an option chooses
        require that one.
    """
    known = choosers(makers)
    return [
        option._replace(
            requires=name if name in known and option.name != name else option.requires,
            group=option.group or group,
        )
        for name, maker in makers.items()
        for option in _broughtBy(maker)
    ]


def chosen(
    makers: Mapping[str, Maker], options: Mapping[str, Any], default: str = ""
) -> Maker:
    """
    @param makers: The makers.
    @param options: All options, resolved.
    @param default: The name of the maker if no option chooses one.

    @return: The maker that the options choose.
    """
    names = (name for name in choosers(makers) if options[name] not in (None, False))
    return makers[next(names, default)]


def _broughtBy(maker: Any) -> Sequence[Option]:
    # plugins had none before
    options: Sequence[Option] = getattr(maker, "options", ())
    return options


def _installed(interface: Any) -> dict[str, Any]:
    """
    @return: The plugins, by name.  Of two with one name the first found counts; one
        without a name cannot be chosen.
    """
    makers: dict[str, Any] = {}
    for maker in getPlugins(interface, sys.modules[__name__]):
        if isinstance(name := getattr(maker, "name", None), str):
            makers.setdefault(name, maker)
    return makers
