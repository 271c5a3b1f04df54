"""
Where the file of the embedded queue lies: whether it is still the one that was opened,
and whether its disk has room for more.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.logger import Logger

from myconsumer.taskqueue.store.interface import StoreError

#: The bytes that are left free for claims and settlements, which make room: SQLite's
#: log may grow to this before it is cut back.  On a small disk it is a tenth of it.
RESERVED = 64 * 1024 * 1024

# Where they were not free, a quarter more has to be before new tasks are taken again.
_AGAIN = 1.25


class FileGoneError(StoreError):
    """
    The file is no longer at its path: what is written to it would be lost.
    """


class DiskFullError(StoreError):
    """
    What is left of the disk is for working off what is queued.
    """


class Disk:
    """
    The place of one file.
    """

    _log = Logger()

    _file: tuple[int, int] | None = None
    _isGone = False
    _isFull = False

    def __init__(
        self, path: str, look: Callable[[str], os.statvfs_result] = os.statvfs
    ) -> None:
        """
        @param path: The file.
        @param look: Tells what is free on the disk of a file.
        """
        self._path = path
        self._look = look

    def create(self) -> None:
        """
        Make the file, unless it is there, and remember which one it is.  To be called
        before SQLite opens it: to close it later would end SQLite's locks.

        @raise OSError: It can be neither made nor opened.
        """
        # what is in it may be nobody else's business
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = _identity(os.fstat(file))
        os.close(file)
        self._isGone = False

    def checkFile(self) -> None:
        """
        Make sure that the path still leads to the file.  Once it does not, that is so
        until L{create} is called again: SQLite keeps the old one open.

        @raise FileGoneError: It does not.
        """
        if self._isGone or self._found() != self._file:
            self._isGone = True
            raise FileGoneError(
                f"{self._path} was moved, removed or replaced since it was opened; "
                "stop the queue, put the file in its place, and start the queue"
            )

    def checkRoom(self) -> None:
        """
        Make sure that there is room for new tasks.

        @raise DiskFullError: There is not.
        """
        try:
            disk = self._look(self._path)
        except OSError:
            # SQLite will have more to say of it
            return
        least = min(RESERVED, disk.f_blocks * disk.f_frsize // 10)
        again = int(least * _AGAIN)
        needed = again if self._isFull else least
        isFull = disk.f_bavail * disk.f_frsize < needed
        if isFull != self._isFull:
            self._isFull = isFull
            self._logRoom(least, again)
        if isFull:
            raise DiskFullError(f"less than {needed >> 20} MiB are free on its disk")

    def _found(self) -> tuple[int, int] | None:
        try:
            return _identity(os.stat(self._path))
        except FileNotFoundError:
            return None
        except OSError:
            # such as a directory that may not be looked into now: it may be there
            return self._file

    def _logRoom(self, least: int, again: int) -> None:
        if self._isFull:
            self._log.error(
                "Less than {least} MiB are free on the disk of {path}. New tasks are "
                "refused until {again} MiB are; claims and settlements go on",
                least=least >> 20,
                again=again >> 20,
                path=self._path,
            )
        else:
            self._log.info("There is room again: new tasks are taken")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
