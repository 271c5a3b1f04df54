"""
The signals that stop a process of our own.

Promise 5: a signal has the process drain, and only the third ends it at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

_Handler = Callable[[int, FrameType | None], Any]


def handleSignals(service: IService, reactor: Any) -> None:
    """
    From the reactor's start on, the first SIGTERM or SIGINT stops the reactor as usual,
    the second calls C{service.stopService} again, which skips the waiting, and the
    third kills the process.

    @param service: The service that the reactor stops.
    @param reactor: The reactor, which may not run yet.
    """
    signals = _Signals(service, reactor)
    reactor.callWhenRunning(signals.install)
    reactor.addSystemEventTrigger("before", "shutdown", signals.stopping)


class _Signals:
    """
    Counts the signals.  A signal handler interrupts any other code, so all that can
    wait is left to the reactor.
    """

    _log = Logger()

    def __init__(self, service: IService, reactor: Any) -> None:
        self._service = service
        self._reactor = reactor
        self._count = 0
        self._stopping = False
        self._taken: list[int] = []

    def install(self) -> None:
        """
        Called once the reactor has installed its own handlers.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler) and handler is not signal.default_int_handler:
                signal.signal(number, partial(self._received, handler))
                self._taken.append(number)
        if self._taken:
            # not before the daemon has forked: it is no child of this kind
            os.register_at_fork(after_in_child=self._letGo)

    def _letGo(self) -> None:
        """
        Called in a forked child, of multiprocessing for example: a signal that is sent
        to the child ends it, and does not wake the reactor of the parent.
        """
        signal.set_wakeup_fd(-1)
        for number in self._taken:
            signal.signal(number, signal.SIG_DFL)

    def stopping(self) -> None:
        """
        Called when the reactor begins to stop, for whatever reason.
        """
        self._stopping = True

    def _received(
        self, handler: _Handler, number: int, frame: FrameType | None
    ) -> None:
        self._count += 1
        if self._count == 1:
            if not self._stopping:
                handler(number, frame)
            self._reactor.callFromThread(self._first, signal.Signals(number).name)
        elif self._count == 2:
            self._reactor.callFromThread(self._second, signal.Signals(number).name)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _first(self, name: str) -> None:
        self._log.info(
            "{signal}: draining; another signal skips the waiting", signal=name
        )

    def _second(self, name: str) -> None:
        self._log.warn(
            "{signal}: no more waiting; another signal ends the process at once "
            "and leaves its tasks leased",
            signal=name,
        )
        maybeDeferred(self._service.stopService).addErrback(
            lambda reason: self._log.failure("stopping has failed", reason)
        )
