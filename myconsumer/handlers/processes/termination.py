"""
SIGTERM in a worker process: raised where the callable is, so that C{finally} and
C{atexit} do what they are there for.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """
    The process got SIGTERM.
    """


class Termination:
    """
    Handles SIGTERM: the first raises L{Terminated}, in the main thread, and only within
    L{interrupts}.  Further ones do nothing.

    @ivar received: Whether SIGTERM was received.
    """

    def __init__(self) -> None:
        self.received = False
        self._interrupts = False

    def install(self) -> None:
        """
        Handle SIGTERM from now on, unless it has another handler.  Only in the main
        thread.
        """
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._received)

    def uninstall(self) -> None:
        """
        Let SIGTERM end this process, as it does by default.
        """
        if signal.getsignal(signal.SIGTERM) == self._received:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """
        What runs within this may be interrupted.

        @raise Terminated: There was a SIGTERM, before or meanwhile.
        """
        self._interrupts = True
        try:
            if self.received:
                raise Terminated
            yield
        finally:
            self._interrupts = False

    def _received(self, number: int, frame: FrameType | None) -> None:
        first, self.received = not self.received, True
        if first and self._interrupts:
            raise Terminated
