"""
Passes what handlers log with the standard library's C{logging} on to Twisted's log.
"""

from __future__ import annotations

import logging
from typing import Any

from twisted.logger import Logger, LogLevel

_LEVELS = (
    (logging.CRITICAL, LogLevel.critical),
    (logging.ERROR, LogLevel.error),
    (logging.WARNING, LogLevel.warn),
    (logging.INFO, LogLevel.info),
)

# whose records come from Twisted's log, where twistd --logger sends that to logging
_TWISTEDS = "twisted"


class TwistedHandler(logging.Handler):
    """
    Passes records on to Twisted's log, with their level and the name of their logger.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Pass one record on.
        """
        if record.name == _TWISTEDS:
            return
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
        else:
            Logger(record.name).emit(levelOf(record.levelno), "{text}", text=text)


def levelOf(number: int) -> Any:
    """
    @param number: The number of a level of C{logging}.

    @return: The same level of Twisted's, or the next lower one.
    """
    for least, level in _LEVELS:
        if number >= least:
            return level
    return LogLevel.debug


def joinLogs() -> None:
    """
    Pass records of C{logging} on to Twisted's log, from the root logger's level on,
    unless the root logger has a handler already.
    """
    if not logging.root.handlers:
        logging.root.addHandler(TwistedHandler())
