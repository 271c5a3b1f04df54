"""
A progress bar on a terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from stat import S_ISREG
from typing import Any

from tqdm import tqdm

from myconsumer.cli.enqueueing.batches import Batch


class Progress:
    """
    A bar of the bytes of a file, or a count of tasks where the bytes are not known.
    It is drawn on standard error, and only if that is a terminal.
    """

    def __init__(self, bytes_: int | None) -> None:
        """
        @param bytes_: The number of bytes of the file, or C{None} if it is no regular
            file.
        """
        self._bytes = bytes_
        # else it would start a thread that looks after bars that stand still
        tqdm.monitor_interval = 0
        # None: only on a terminal
        common: dict[str, Any] = {"disable": None, "leave": False, "file": sys.stderr}
        if bytes_ is None:
            self._bar = tqdm(unit=" tasks", **common)
        else:
            self._bar = tqdm(total=bytes_, unit="B", unit_scale=True, **common)

    def add(self, batch: Batch) -> None:
        """
        Count a queued batch.

        @param batch: The batch.
        """
        if self._bytes is None:
            self._bar.update(len(batch.tasks))
        else:
            # the last line may lack its end
            self._bar.update(min(batch.read, self._bytes - self._bar.n))

    def close(self) -> None:
        """
        Remove the bar.
        """
        self._bar.close()


@contextmanager
def progressOf(file: FileIO) -> Iterator[Progress]:
    """
    Show the progress through a file, for the time of the context.

    @param file: The file, nothing of which was read yet.
    """
    progress = Progress(_bytesLeft(file))
    try:
        yield progress
    finally:
        progress.close()


def _bytesLeft(file: FileIO) -> int | None:
    status = os.fstat(file.fileno())
    if not S_ISREG(status.st_mode):
        return None
    return max(status.st_size - file.tell(), 0)
