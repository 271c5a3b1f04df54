"""
What only a process of our own does: it keeps a steady clock, refuses to start with one
line, and ends with an exit status.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure


def steadyClock(reactor: Any) -> None:
    """
    Make the reactor's time monotonic from now on.  Twisted's follows the wall clock: if
    that is set back by an hour, no timer fires for an hour, and all leases are lost.

    @param reactor: The reactor.  Calls that are scheduled already keep their time.
    """
    offset = reactor.seconds() - time.monotonic()
    reactor.seconds = lambda: offset + time.monotonic()


# Standard error of whoever starts a daemon, while the daemon starts.
_standardError: int | None = None


def keepStandardError(reactor: Any) -> None:
    """
    Keep standard error for L{refuseToStart} in a daemon, which C{twistd} takes it from,
    until the reactor runs.

    @param reactor: The reactor, which does not run yet.
    """
    global _standardError
    with suppress(OSError):
        _standardError = os.dup(2)
        reactor.callWhenRunning(_dropStandardError)


def _dropStandardError() -> None:
    global _standardError
    descriptor, _standardError = _standardError, None
    if descriptor is not None:
        os.close(descriptor)


def _print(line: str) -> bool:
    """
    @return: Whether whoever has started a daemon sees the line.
    """
    if _standardError is None:
        print(line, file=sys.__stderr__)
        return False
    with suppress(OSError):
        os.write(_standardError, f"{line}\n".encode("utf-8", "backslashreplace"))
        return True
    return False


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
    isSeen = _print(f"{options.command.name}: {line}")
    twistd = options.parent or {}
    if twistd.get("pidfile"):
        with suppress(OSError):
            os.unlink(twistd["pidfile"])
    if twistd.get("statusPipe") is not None:
        # the parent shows up to 98 bytes of it, as a literal of Python's
        reason = "the line above says why" if isSeen else line
        os.write(twistd["statusPipe"], f"1 {reason}".encode()[:100])
    raise SystemExit(1)


class ExitStatus:
    """
    Ends the process with an exit status, once nothing is left to do.  C{twistd} takes
    no status from a plugin.
    """

    _log = Logger()

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
                self._log.info("Ending with status {status}", status=self._status)

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
