"""
The bearer token: a file, read again when it changes.
"""

from __future__ import annotations

import os
import re
from stat import S_ISREG

from twisted.logger import Logger

_TOKEN = re.compile(rb"[\x21-\x7e]+")
_LONGEST = 65536


class TokenFile:
    """
    A token that lives in a file, which may be replaced at any time.

    @ivar path: Where the file is.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        """
        @param path: The file.  It is not opened yet.
        """
        self.path = path
        self._token: bytes | None = None
        self._signature: tuple[int, int, int] | None = None
        self._isBad = False

    def read(self) -> bytes:
        """
        Read the file now, whether or not it has changed.

        @return: The token, without the white space around it.

        @raise ValueError: The file cannot be read or holds no token; the text names the
            file and never quotes what is in it.
        """
        try:
            # a pipe would block the reactor, and be empty the next time
            if not S_ISREG(os.stat(self.path).st_mode):
                raise ValueError(f"{self.path!r} is no regular file")
            with open(self.path, "rb") as file:
                found = os.fstat(file.fileno())
                token = file.read(_LONGEST + 1).strip()
        except OSError as error:
            reason = f"{self.path!r} cannot be read: {error.strerror}"
            raise ValueError(reason) from None
        self._signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if not token:
            raise ValueError(f"{self.path!r} is empty; it has to hold a token")
        if len(token) > _LONGEST or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"{self.path!r} has to hold one token: printable ASCII, no blanks"
            )
        self._token = token
        return token

    def current(self) -> bytes:
        """
        Give the token; read the file again if it has changed since it was read.

        @return: The token; the last good one, if the file holds none now.

        @raise ValueError: No token was ever read.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            return self.reread()
        if self._signature == (found.st_mtime_ns, found.st_size, found.st_ino):
            return self._token or self.read()
        return self.reread()

    def refresh(self) -> bool:
        """
        Read the file now, whether or not it has changed.

        @return: Whether the token is another one than before.

        @raise ValueError: See L{read}; the last good token stays in use.
        """
        before = self._token
        return self.read() != before

    def reread(self) -> bytes:
        """
        Give the token; read the file again in any case.  Log one warning when the file
        holds no token, until it holds one again.

        @return: The token; the last good one, if the file holds none now.

        @raise ValueError: No token was ever read.
        """
        try:
            token = self.read()
        except ValueError as error:
            if self._token is None:
                raise
            if not self._isBad:
                self._isBad = True
                self._log.warn(
                    "The token file {reason}; the last good token stays in use",
                    reason=str(error),
                )
            return self._token
        self._isBad = False
        return token
