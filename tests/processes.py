"""
What the system knows of processes.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any


def isAlive(pid: int | str) -> bool:
    """
    Whether there is such a process, and it has not ended.
    """
    return _state(pid) not in ("", "Z", "X")


def children(pid: int) -> list[str]:
    """
    The children of a process, those that have ended and were not reaped with them.
    """
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [
        child
        for thread in threads
        for child in (thread / "children").read_text().split()
    ]


def zombies(pid: int) -> list[str]:
    """
    The children of a process that have ended and were not reaped.
    """
    return [child for child in children(pid) if _state(child) == "Z"]


def session(leader: int) -> list[str]:
    """
    The processes of a session that have not ended.
    """
    return [
        path.name
        for path in Path("/proc").iterdir()
        if path.name.isdigit()
        and _stat(path.name)[3:4] == [str(leader)]
        and isAlive(path.name)
    ]


def descriptors(pid: int) -> list[str]:
    """
    What the open descriptors of a process lead to.
    """
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(link))
        except FileNotFoundError:
            # it was the one for reading the folder
            continue
    return sorted(found)


def withDescriptors(test: Any, spare: int) -> None:
    """
    Leave C{spare} descriptors to this process until C{test} ends.
    """
    lowest = os.dup(0)
    os.close(lowest)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    test.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, limits[1]))


def _state(pid: int | str) -> str:
    return _stat(pid)[0]


def _stat(pid: int | str) -> list[str]:
    """
    What the system says of a process: its state, parent, group, session, and so on.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return [""]
    # the name before the parenthesis may hold anything
    return text.rpartition(")")[2].split()
