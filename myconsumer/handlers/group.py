"""
A session of processes: everything that a command has started, unless that has made a
session of its own.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from myconsumer.handlers.census import Census

_census = Census()


class ProcessGroup:
    """
    The session that a child of ours leads, or will: C{setsid} makes it a moment after
    its start.  What makes a process group of its own, as C{timeout} and the jobs of an
    interactive shell do, stays in the session.

    The number of a session is not given to another while any process of it is left, and
    may be soon after: from then on no signal must be sent to it.
    """

    def __init__(self, leader: int) -> None:
        """
        @param leader: The process id of the leader.
        """
        self._leader = leader
        self._hasLeader = True
        # counts of processes from before may be out of date
        self._changed = monotonic()

    @property
    def hasLeader(self) -> bool:
        """
        Whether the leader has not been reaped yet.
        """
        return self._hasLeader

    @hasLeader.setter
    def hasLeader(self, hasIt: bool) -> None:
        self._hasLeader = hasIt
        self._changed = monotonic()

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal to every process of the session, except to those that run as
        another user, by C{sudo} for example.
        """
        with suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(self._leader, number)
            except ProcessLookupError:
                if self.hasLeader:
                    os.kill(self._leader, number)
        with suppress(OSError):
            # without a descriptor to look with, only the leader's group gets it
            self._signalOthers(number)

    def _signalOthers(self, number: int) -> None:
        for pid in self._members():
            process = _Process.read(pid)
            # the leader's group has got it already
            if process.session == self._leader != process.group:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)

    def lives(self) -> bool:
        """
        @return: Whether any process of the session has not ended.  A zombie has: not
            every process 1 reaps quickly.
        """
        members = self._members()
        if members and not any(map(self._has, members)):
            # they may have had children in between
            self._changed = monotonic()
            members = self._members()
        return any(map(self._has, members))

    def reap(self) -> bool:
        """
        Reap processes of the session that have become children of ours because their
        own parents ended, as they do if we are process 1.  To be called once the leader
        has been reaped.

        @return: Whether any process of the session is a child of ours, and lives.
        """
        members = self._members()
        ours = [pid for pid in members if _Process.read(pid).session == self._leader]
        left = [_reap(number) for number in (-self._leader, *ours)]
        return any(left)

    def _members(self) -> list[int]:
        return _census.members(self._leader, self._changed)

    def _has(self, pid: int) -> bool:
        process = _Process.read(pid)
        return process.session == self._leader and process.state not in (b"Z", b"X")


class _Process(NamedTuple):
    """
    What C{/proc} says of a process.
    """

    state: bytes
    group: int
    session: int

    @classmethod
    def read(cls, pid: int) -> _Process:
        """
        Read the state of C{pid}; a process that is gone counts as dead.
        """
        try:
            with open(f"/proc/{pid}/stat", "rb") as stream:
                # the name before the parenthesis may hold anything
                fields = stream.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return cls(b"X", 0, 0)
        return cls(fields[0], int(fields[2]), int(fields[3]))


def _reap(number: int) -> bool:
    """
    Reap those children of ours that have ended.

    @param number: A process id, or the negative number of a process group.

    @return: Whether any has not ended.
    """
    try:
        while os.waitpid(number, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
