"""
What handlers log: records of the standard library's C{logging} are passed on to
Twisted's log, and events bear the id of the task for which the handler runs.
"""

from __future__ import annotations

import logging
from typing import Any

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, globalLogPublisher
from zope.interface import implementer

from myconsumer.task import currentID
from myconsumer.text import encodable, printable, shownID

#: The most characters of a record that are logged, its traceback with it.
LONGEST_RECORD = 16_384

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
    Passes records on to Twisted's log, with their level, the name of their logger, and
    the id of the task for which they are logged.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Pass one record on.
        """
        if record.name == _TWISTEDS:
            return
        try:
            text = fit(self.format(record), LONGEST_RECORD)
        except Exception:
            self.handleError(record)
            return
        log, level, id = Logger(record.name), levelOf(record.levelno), currentID.get()
        if id is None:
            log.emit(level, "{text}", text=text)
        else:
            log.emit(level, "Task {id}: {text}", id=shownID(id), text=text)


def fit(text: str, longest: int) -> str:
    """
    @return: A record's text without control characters, but for the ends of its lines,
        and without what is longer than C{longest}: the beginning and the end are kept.
    """
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}\n...\n{text[-half:]}"
    return "\n".join(map(printable, encodable(text).splitlines()))


@implementer(ILogObserver)
def addID(event: LogEvent) -> None:
    """
    Add the id of the task for which an event was logged, as the field C{id}, unless the
    event has one.
    """
    id = currentID.get()
    if id is not None:
        event.setdefault("id", shownID(id))


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
    unless the root logger has a handler already; and have events of Twisted's log bear
    the id of their task.  To be called before anything else observes that log.
    """
    globalLogPublisher.addObserver(addID)
    if not logging.root.handlers:
        logging.root.addHandler(TwistedHandler())
