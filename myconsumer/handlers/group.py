"""
A process group: everything that a command has started, unless that has left it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from glob import glob


class ProcessGroup:
    """
    The group that a child of ours leads, or will: C{setsid} makes it a moment after
    its start.

    Its number stays taken for as long as anything of the group is left, and is soon
    free after that: then it is to be left alone.

    @ivar hasLeader: Whether the leader has not been reaped yet.
    """

    def __init__(self, leader: int) -> None:
        """
        @param leader: The process id of the leader.
        """
        self._leader = leader
        self.hasLeader = True
        # those that were seen last
        self._members: list[str] = []

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal to everything in it.  What runs as another user, by C{sudo} for
        example, does not get it.
        """
        with suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(self._leader, number)
            except ProcessLookupError:
                if self.hasLeader:
                    os.kill(self._leader, number)

    def lives(self) -> bool:
        """
        @return: Whether anything of it has not ended.  What has ended and is not reaped
            does not count: not every process 1 is quick with that.
        """
        try:
            os.killpg(self._leader, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        self._members = [pid for pid in self._members if self._has(pid)]
        if not self._members:
            names = (path[len("/proc/") :] for path in glob("/proc/[0-9]*"))
            self._members = [pid for pid in names if self._has(pid)]
        return bool(self._members)

    def reap(self) -> bool:
        """
        Reap what has become a child of ours by the end of its own parent, as it does
        where we are process 1.  To be called once the leader has been reaped.

        @return: Whether anything is left of it that is a child of ours.
        """
        try:
            while os.waitpid(-self._leader, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return False
        return True

    def _has(self, pid: str) -> bool:
        try:
            with open(f"/proc/{pid}/stat", "rb") as stream:
                # the name before the parenthesis may hold anything
                fields = stream.read().rpartition(b")")[2].split()
        except OSError:
            return False
        return int(fields[2]) == self._leader and fields[0] not in (b"Z", b"X")
