"""
File descriptors held in reserve for connections.
"""

from __future__ import annotations

import os

#: The descriptors that looking up a host's name may take.
LOOKUP = 4


class Reserve:
    """
    Holds descriptors open, to be closed when the process has run out of descriptors and
    needs a connection.
    """

    def __init__(self, size: int) -> None:
        """
        @param size: The number of descriptors to hold.  None is opened yet.
        """
        self._size = size
        self._held: list[int] = []

    def resize(self, size: int) -> None:
        """
        Hold another number of descriptors: those that are too many are closed now, and
        those that are missing are opened when the reserve is filled next.

        @param size: The number of descriptors to hold.
        """
        self._size = size
        while len(self._held) > size:
            os.close(self._held.pop())

    def fill(self) -> None:
        """
        Open as many descriptors as are missing, or as the process can.
        """
        while len(self._held) < self._size:
            try:
                self._held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                return

    def isNeeded(self) -> bool:
        """
        @return: Whether some are held, and the process can open no other.
        """
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return bool(self._held)
        return False

    def free(self) -> None:
        """
        Close all that are held.
        """
        while self._held:
            os.close(self._held.pop())
