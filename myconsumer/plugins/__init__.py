"""
What C{--protocol} and the options of handlers can name, and how it is found.  (The
package C{twisted.plugins}, in which C{twistd} looks for commands, is another.)

Another package adds its own with a module in a directory C{myconsumer/plugins} on the
path, one without an C{__init__.py}.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.plugin import getPlugins, pluginPackagePaths

from myconsumer.interfaces import ITaskHandlerMaker, ITaskQueueMaker

__path__.extend(pluginPackagePaths(__name__))
__all__ = ["handlerMakers", "queueMakers"]


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
    makers: dict[str, Any] = {}
    for maker in getPlugins(interface, sys.modules[__name__]):
        makers.setdefault(maker.name, maker)
    return makers
