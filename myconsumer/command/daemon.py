"""
What only a process of our own does: it handles signals while it stops, and ends with an
exit status.

Promise 5: a signal has the process drain, and only the third ends it at once.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure

_Handler = Callable[[int, FrameType | None], Any]


def steadyClock(reactor: Any) -> None:
    """
    Make the reactor's time monotonic from now on.  Twisted's follows the wall clock: if
    that is set back by an hour, no timer fires for an hour, and all leases are lost.

    @param reactor: The reactor.  Calls that are scheduled already keep their time.
    """
    offset = reactor.seconds() - time.monotonic()
    reactor.seconds = lambda: offset + time.monotonic()


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


def refuseToStart(options: Any, line: str) -> NoReturn:
    """
    End the process with one line and status 1, since a service cannot be started.  On
    a plain C{SystemExit} C{twistd} leaves its pid file behind and, when daemonizing,
    never tells the parent that it failed: it handles only exceptions that it prints.

    @param options: The command's options, parsed.
    @param line: Why the service cannot be started.
    """
    # also in the log, for a process without a terminal
    Logger(namespace=__name__).error("{line}", line=line)
    print(f"{options.command.name}: {line}", file=sys.__stderr__)
    twistd = options.parent or {}
    if twistd.get("pidfile"):
        with suppress(OSError):
            os.unlink(twistd["pidfile"])
    if twistd.get("statusPipe") is not None:
        # the parent reads up to 100 bytes
        os.write(twistd["statusPipe"], f"1 {line}".encode()[:100])
    raise SystemExit(1)


class ExitStatus:
    """
    Ends the process with an exit status, once nothing is left to do.  C{twistd} takes
    no status from a plugin.
    """

    _status = 0

    def __init__(self) -> None:
        """
        To be made before a module of the user's is imported: C{atexit} calls the
        function that was registered first last.
        """
        atexit.register(self._exit)

    def end(self, reactor: Any, reason: Failure | None) -> None:
        """
        Stop the reactor.  If a signal came before, the process ends by that signal.

        @param reactor: The reactor, which may not run yet.
        @param reason: Why the run has failed: status 1; C{None}: status 0.
        """
        if reason is not None:
            self._status = 1

        def stop() -> None:
            with suppress(ReactorNotRunning):
                reactor.stop()

        reactor.callWhenRunning(stop)

    def _exit(self) -> None:
        """
        Called by the interpreter as it ends.
        """
        if self._status:
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
                if stream is not None:
                    stream.flush()
            os._exit(self._status)
