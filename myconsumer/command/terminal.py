"""
Whether the terminal is still there, in which a process was started.
"""

from __future__ import annotations

import os
import signal
from errno import EIO, ENODEV, ENOENT, ENOTTY, ENXIO

_GONE = frozenset([EIO, ENODEV, ENOENT, ENOTTY, ENXIO])


class Terminal:
    """
    The controlling terminal of a process.
    """

    def __init__(self, isDaemon: bool, path: str = "/dev/tty") -> None:
        """
        @param isDaemon: Whether the process is about to leave its terminal.
        @param path: Leads to the terminal.
        """
        self._path = path
        # nohup(1) has it ignored: the process is to outlive its terminal
        isMeant = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        self._isNeeded = isMeant and not isDaemon and not self._isMissing()

    @property
    def isNeeded(self) -> bool:
        """
        Whether the process is to end with its terminal.
        """
        return self._isNeeded

    @property
    def isGone(self) -> bool:
        """
        Whether the process is to end, since its terminal has gone.
        """
        return self._isNeeded and self._isMissing()

    def _isMissing(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            # for others, such as too few descriptors, the terminal may be there
            return error.errno in _GONE
        os.close(descriptor)
        return False
