"""
A file, pipe or terminal that is read when there is something to read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IProtocol
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure

from myconsumer.cli.running import CommandError

_CHUNK = 65536


class Input(FileDescriptor):
    """
    Reads for a protocol, whose transport it is.  Unlike C{StandardIO} it takes files,
    writes nothing, and leaves a terminal in blocking mode, which it shares with the
    output.
    """

    def __init__(self, reactor: Any, file: FileIO, protocol: IProtocol) -> None:
        """
        @param reactor: The reactor.
        @param file: What to read.  It is not closed.
        @param protocol: Gets what was read, as C{resumeProducing} and
            C{pauseProducing} allow; at first it is paused.
        """
        super().__init__(reactor)
        self._file = file
        self._protocol = protocol
        self.connected = 1
        protocol.makeConnection(self)

    def fileno(self) -> int:
        """
        See C{FileDescriptor.fileno}.
        """
        return self._file.fileno()

    def doRead(self) -> Exception | None:
        """
        See C{IReadDescriptor.doRead}.
        """
        try:
            data = os.read(self.fileno(), _CHUNK)
        except OSError as error:
            return error
        if not data:
            return CONNECTION_DONE
        self._protocol.dataReceived(data)
        return None

    def connectionLost(self, reason: Failure) -> None:
        """
        See C{FileDescriptor.connectionLost}.
        """
        super().connectionLost(reason)
        self._protocol.connectionLost(reason)


@contextmanager
def opened(path: str) -> Iterator[tuple[FileIO, str]]:
    """
    Open a file, or take standard input.

    @param path: The file's path; C{-} for standard input.

    @return: The file, and its name in messages.

    @raise CommandError: The file cannot be read.
    """
    standard = path == "-"
    name = "standard input" if standard else path
    if standard and sys.stdin is None:
        raise CommandError("standard input is closed; name a file")
    try:
        file = FileIO(0 if standard else path, closefd=not standard)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from None
    with file:
        yield file, name
