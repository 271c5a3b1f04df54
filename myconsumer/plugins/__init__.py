"""
Plugins of the consumer.  Another package adds its own with a module in a directory
C{myconsumer/plugins} on the path, one without an C{__init__.py}.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))  # type: ignore[no-untyped-call]
__all__: list[str] = []
