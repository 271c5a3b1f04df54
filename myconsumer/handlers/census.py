"""
The processes of the machine, by their sessions.
"""

from __future__ import annotations

import os
from contextlib import suppress
from math import inf
from time import monotonic

#: The seconds for which a count is reused.
FRESH = 0.02


class Census:
    """
    Counts all processes, once for all questions within C{FRESH} seconds: a count takes
    about a microsecond for each process of the machine.
    """

    def __init__(self) -> None:
        self._at = -inf
        self._sessions: dict[int, list[int]] = {}

    def members(self, session: int, after: float = -inf) -> list[int]:
        """
        Find what is in a session.

        @param session: Its number: the process id of its leader.
        @param after: The count has to be later than this, by C{monotonic}.

        @return: Process ids, those of zombies with them.
        """
        if self._at <= max(after, monotonic() - FRESH):
            self._count()
        return self._sessions.get(session, [])

    def _count(self) -> None:
        self._at = monotonic()
        self._sessions = {}
        with suppress(FileNotFoundError):
            for name in os.listdir("/proc"):
                if name.isdigit():
                    self._add(int(name))

    def _add(self, pid: int) -> None:
        # reading /proc/PID/stat takes twenty times as long
        with suppress(ProcessLookupError, PermissionError):
            self._sessions.setdefault(os.getsid(pid), []).append(pid)
