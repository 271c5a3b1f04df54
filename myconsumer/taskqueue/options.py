"""
The options of the embedded queue, which two commands have.
"""

from __future__ import annotations

import re
from os.path import abspath

from myconsumer.command.help import EMBEDDED
from myconsumer.command.option import Option, Unavailable, asEndpoint, text
from myconsumer.fields import YEAR
from myconsumer.taskqueue.store.lock import FileLock, InUseError
from myconsumer.taskqueue.store.schema import Sync, check

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def queueFile(path: str) -> str:
    """
    Check the file of an embedded queue.

    @param path: The file, which need not be there yet.

    @return: Its absolute path: C{twistd} may change the directory.

    @raise ValueError: It is not fit; the text says why.
    @raise Unavailable: Another process uses it.
    """
    path = abspath(path)
    check(path)
    try:
        FileLock(path).check()
    except InUseError as error:
        raise Unavailable(error.words) from None
    return path


def _seconds(time: str) -> float:
    matched = _DURATION.fullmatch(time)
    if matched is None or (seconds := float(matched[1]) * _UNITS[matched[2]]) > YEAR:
        raise ValueError("it is a number of s, m, h or d, up to 365d")
    return seconds


LOCAL = Option(
    "local",
    text("the path of a file for the embedded queue"),
    None,
    "serves the queues of this SQLite file, and consumes the queue called tasks",
    convert=queueFile,
    metavar="FILE",
)

LISTEN = Option(
    "listen",
    text("a server endpoint, such as tcp:8321:interface=127.0.0.1"),
    "tcp:8321:interface=127.0.0.1",
    "where the embedded queue listens",
    convert=asEndpoint,
    group=EMBEDDED,
    metavar="ENDPOINT",
)

KEEP = Option(
    "keep",
    text("a time, such as 12h or 7d"),
    "7d",
    "how long completed and failed tasks are kept: 12h, 7d",
    convert=_seconds,
    group=EMBEDDED,
    metavar="TIME",
)

SYNC = Option(
    "sync",
    Sync,
    "normal",
    "what queued tasks survive: a crash of the process (normal), or a power failure "
    "too (full)",
    group=EMBEDDED,
)
