"""
File descriptors that are kept free for connections that have to be had.
"""

from __future__ import annotations

import os


class Reserve:
    """
    Holds some descriptors, so that there are some where the process has run out of
    them otherwise.
    """

    def __init__(self, size: int) -> None:
        """
        @param size: How many to hold.  None is taken yet.
        """
        self._size = size
        self._held: list[int] = []

    def fill(self) -> None:
        """
        Take as many as are missing, or as can be had.
        """
        while len(self._held) < self._size:
            try:
                self._held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                return

    def isNeeded(self) -> bool:
        """
        @return: Whether some are held, and no other is to be had.
        """
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return bool(self._held)
        return False

    def free(self) -> None:
        """
        Let go of all.
        """
        while self._held:
            os.close(self._held.pop())
