"""
How many file descriptors the process may have open at once.
"""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from typing import Any

from twisted.internet.selectreactor import SelectReactor

#: How many descriptors are needed beside those for tasks: files of the log and of
#: Python, and connections to the endpoint.
RESERVE = 50

# The limits that the process was started with, if the soft one was raised.
_usual: tuple[int, int] | None = None


def raiseLimit(reactor: Any) -> None:
    """
    Raise the soft limit of descriptors to the hard one.  The soft one is usually 1024,
    for the sake of C{select}, which takes no higher descriptor.

    @param reactor: The reactor, which waits for the descriptors.
    """
    global _usual
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard or isinstance(reactor, SelectReactor):
        return
    # macOS has a limit below the infinity that it reports
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        _usual = (soft, hard)


def restoreLimit(pid: int) -> None:
    """
    Set the limit of a process that was just started to the one that this process was
    started with, since the new process may use C{select}.

    @param pid: The new process's id.
    """
    if _usual is None or not hasattr(resource, "prlimit"):
        return
    with suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, _usual)


def checkLimit(limit: int, each: int) -> None:
    """
    Check that there are enough descriptors for all tasks.

    @param limit: The most tasks at once.
    @param each: How many descriptors each task has open in this process.

    @raise ValueError: There are not enough; the text says what to do.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = limit * each + RESERVE
    if each and most != resource.RLIM_INFINITY and needed > most:
        raise ValueError(
            f"--limit {limit} needs {needed} file descriptors, and this process may "
            f"have {most}: lower it, or raise the hard limit (LimitNOFILE= of systemd, "
            "ulimit -Hn)"
        )


def areLacking() -> bool:
    """
    @return: Whether this process can open no descriptor now.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
