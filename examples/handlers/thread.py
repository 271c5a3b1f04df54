"""
A function that blocks, in a thread: for libraries that wait for files, databases or
the network by themselves.

    twistd -n --pidfile= consumer --url URL --limit 8 --python thread.checksum \\
        --run-in thread

Payload: {"path": "/some/file"}
"""

from __future__ import annotations

import hashlib

from myconsumer import IRunningTask, Reject, Release

PIECE = 1024 * 1024


def checksum(task: IRunningTask) -> dict[str, str]:
    """
    Read a file.  A thread cannot be ended from outside, so it checks now and then
    whether its task is cancelled.
    """
    digest = hashlib.sha256()
    try:
        with open(task.payload["path"], "rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                if task.cancelled:
                    raise Release("it was cut short")
    except FileNotFoundError:
        raise Reject("there is no such file") from None
    return {"sha256": digest.hexdigest()}
