"""
The lock that keeps two processes from working on one file: neither would wake the
claims that wait in the other.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress


class InUseError(ValueError):
    """
    Another process has the lock.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: The file that is locked.
        """
        pid = holderOf(path)
        shown = "" if pid is None else f" (pid {pid})"
        #: What follows the file's name.
        self.words = f"is in use by another process{shown}"
        super().__init__(f"it {self.words}")


def holderOf(path: str) -> int | None:
    """
    Find out who has locked a file.

    @param path: The file.

    @return: The process's id; C{None} where the system does not tell, or the process is
        in another container.
    """
    with suppress(OSError, ValueError):
        found = os.stat(path)
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
        locked = f"{device}:{found.st_ino}"
        with open("/proc/locks", encoding="ascii") as locks:
            for words in map(str.split, locks):
                if words[1] == "FLOCK" and words[-3] == locked and int(words[-4]) > 0:
                    return int(words[-4])
    return None


class FileLock:
    """
    A lock that ends with its process, however that ends.

    It is taken on a file beside the other.  On the other itself, to close it once more
    would end SQLite's own locks (U{https://sqlite.org/howtocorrupt.html}, 2.2).
    """

    _file: int | None = None

    def __init__(self, path: str) -> None:
        """
        @param path: The file that is to be ours alone.
        """
        # whatever it is called: links lead to the same file
        self._path = f"{os.path.realpath(path)}.lock"

    def check(self) -> None:
        """
        Make sure that the lock can be taken.  Nothing is made: whoever looks may be
        another user than who takes it later.

        @raise ValueError: See L{acquire}.
        """
        if os.path.exists(self._path):
            os.close(self._locked(os.O_RDWR))

    def acquire(self) -> None:
        """
        Take the lock.

        @raise ValueError: Some other process has it, or it cannot be had; the text
            says why.
        """
        self._file = self._locked(os.O_RDWR | os.O_CREAT)

    def _locked(self, flags: int) -> int:
        try:
            file = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise ValueError(
                f"{self._path!r} cannot be opened: {error.strerror}"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                raise InUseError(self._path) from None
            raise ValueError(f"it cannot be locked: {error.strerror}") from None
        return file

    def release(self) -> None:
        """
        Give the lock back, if it is ours.
        """
        if self._file is not None:
            os.close(self._file)
            self._file = None
