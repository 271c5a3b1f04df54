"""
Where the lines of a log go: a descriptor, or a file that is rotated and can be opened
anew.  Neither a full disk nor a terminal that has gone ends the process or holds it up.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from glob import escape, iglob
from threading import Lock

from twisted.logger import Logger

#: A file is rotated before it gets longer than this, in bytes.
LONGEST = 10_000_000


class LogStream:
    """
    Writes lines to a descriptor.  A line that cannot be written is lost: how many were
    is logged as soon as lines can be written again.

    @ivar keep: How many rotated files are kept, if it is a file; 0: never rotate.
    """

    _log = Logger()

    keep = 0

    _lost = 0
    _isTorn = False

    def __init__(self, descriptor: int) -> None:
        """
        @param descriptor: Where the lines go.
        """
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        """
        Write one line, or several.

        @param text: The lines, each with its end.
        """
        data = text.encode("utf-8", "backslashreplace")
        if self._isTorn:
            data = b"\n" + data
        try:
            self._isTorn = self._write(data)
        except OSError as error:
            self._lost += 1
            self._reason = error.strerror
            return
        if self._isTorn:
            self._lost += 1
        elif self._lost:
            lost, self._lost = self._lost, 0
            self._log.warn(
                "{lost} entries of the log are lost: they could not be written: "
                "{reason}",
                lost=lost,
                reason=self._reason,
            )

    def reopen(self) -> bool:
        """
        Open the log anew, where it is a file.

        @return: Whether it is one.

        @raise OSError: The file cannot be opened; the old one stays in use.
        """
        return False

    def _write(self, data: bytes) -> bool:
        """
        @return: Whether only a part of C{data} was written.

        @raise OSError: Nothing was written.
        """
        written = os.write(self._descriptor, data)
        while written < len(data):
            try:
                written += os.write(self._descriptor, data[written:])
            except OSError as error:
                self._reason = error.strerror
                return True
        return False


class LogFile(LogStream):
    """
    Writes lines to a file.  The descriptor stays the same when the file is another one,
    so that any thread may write meanwhile.
    """

    def __init__(self, path: str, mode: int, keep: int, longest: int = LONGEST) -> None:
        """
        @param path: The absolute path of the file: lines are appended.
        @param mode: The permissions of files that are made, whatever the umask is.
        @param keep: See L{LogStream}.
        @param longest: The bytes before which a file is rotated.

        @raise OSError: The file cannot be opened.
        """
        self._path = path
        self._mode = mode
        self.keep = keep
        self._longest = longest
        self._changing = Lock()
        super().__init__(self._open())
        self._measure()

    def reopen(self) -> bool:
        """
        See L{LogStream.reopen}.
        """
        with self._changing:
            self._replace()
        return True

    def _write(self, data: bytes) -> bool:
        if self.keep and self._size and self._size + len(data) > self._bound:
            self._rotate()
        self._size += len(data)
        return super()._write(data)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags | os.O_EXCL, self._mode)
        except FileExistsError:
            # made by somebody else, or by us before: its permissions are left alone
            return os.open(self._path, flags)
        with suppress(OSError):
            os.fchmod(descriptor, self._mode)
        return descriptor

    def _replace(self) -> None:
        descriptor = self._open()
        try:
            os.dup2(descriptor, self._descriptor, inheritable=False)
        finally:
            os.close(descriptor)
        self._measure()

    def _measure(self) -> None:
        self._size = os.fstat(self._descriptor).st_size
        self._bound = self._longest

    def _rotate(self) -> None:
        # a line about the rotation, or of another thread, does not rotate again
        if not self._changing.acquire(blocking=False):
            return
        try:
            self._shift()
            self._replace()
        except OSError as error:
            # not with each line from now on
            self._bound = self._size + self._longest
            reason = error.strerror
        else:
            return
        finally:
            self._changing.release()
        self._log.error(
            "The log {path!r} cannot be rotated, and grows: {reason}",
            path=self._path,
            reason=reason,
        )

    def _shift(self) -> None:
        """
        Rename each file C{path.N} to C{path.N+1}, the current one to C{path.1}, and
        remove those that are too many.
        """
        pattern = re.compile(re.escape(self._path) + r"\.([1-9][0-9]{0,8})")
        found = (pattern.fullmatch(path) for path in iglob(escape(self._path) + ".*"))
        for number in sorted((int(match[1]) for match in found if match), reverse=True):
            with suppress(FileNotFoundError):
                if number < self.keep:
                    os.rename(f"{self._path}.{number}", f"{self._path}.{number + 1}")
                else:
                    os.unlink(f"{self._path}.{number}")
        with suppress(FileNotFoundError):
            os.rename(self._path, f"{self._path}.1")
