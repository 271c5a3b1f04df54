"""
The options of C{twistd consumer}: its own, those that the plugins for queues and
handlers bring, and which do not go well together.
"""

from myconsumer.options.table import (
    COMMAND,
    DESCRIPTIONS,
    HANDLERS,
    OPTIONS,
    PROTOCOLS,
    QUEUES,
)

__all__ = ["COMMAND", "DESCRIPTIONS", "HANDLERS", "OPTIONS", "PROTOCOLS", "QUEUES"]
