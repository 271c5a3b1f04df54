"""
The signals that steer a process of our own, and never end it: SIGHUP reloads, SIGUSR1
opens the log anew, SIGUSR2 writes the state to the log.

Promise 5: a terminal that hangs up has the process drain.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from myconsumer.command.terminal import Terminal

#: A shell may send SIGHUP before its terminal is gone: the seconds to the second look.
SECOND_LOOK = 1.0


class Steering:
    """
    Handles the signals.  A signal handler interrupts any other code, so all is left to
    the reactor; what comes before that runs waits for its start.
    """

    _log = Logger()

    _isStopping = False

    def __init__(
        self,
        reactor: Any,
        terminal: Terminal,
        reload: Callable[[], object],
        reopen: Callable[[], object],
        state: Callable[[], Any],
    ) -> None:
        """
        @param reactor: The reactor.
        @param terminal: The terminal that SIGHUP may come from.
        @param reload: Called at SIGHUP, but not while the process stops.
        @param reopen: Called at SIGUSR1.
        @param state: Words the state, for SIGUSR2: returns lines, or a Deferred that
            fires with some.
        """
        self._reactor = reactor
        self._terminal = terminal
        self._reload = reload
        self._state = state
        self._actions: Mapping[int, Callable[[], object]] = {
            signal.SIGHUP: self._hangUp,
            signal.SIGUSR1: reopen,
            signal.SIGUSR2: self._showState,
        }
        self._taken: list[int] = []
        # signals that the reactor has not got to yet
        self._pending: set[int] = set()

    def install(self) -> None:
        """
        Take over those signals that nobody handles.
        """
        for number in self._actions:
            # a function, since children would inherit that a signal is ignored
            if signal.getsignal(number) in (signal.SIG_DFL, signal.SIG_IGN):
                signal.signal(number, self._received)
                self._taken.append(number)
        # not before the daemon has forked: it is no child of this kind
        self._reactor.callWhenRunning(
            partial(os.register_at_fork, after_in_child=self._letGo)
        )
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stopping)

    def _letGo(self) -> None:
        """
        Called in a forked child, of multiprocessing for example.
        """
        for number in self._taken:
            signal.signal(number, signal.SIG_DFL)

    def _stopping(self) -> None:
        self._isStopping = True

    def _received(self, number: int, frame: FrameType | None) -> None:
        if number not in self._pending:
            self._pending.add(number)
            self._reactor.callFromThread(self._act, number)

    def _act(self, number: int) -> None:
        # a signal that comes from now on has to be acted upon once more
        self._pending.discard(number)
        try:
            self._actions[number]()
        except Exception:
            self._log.failure(
                "{signal} failed unexpectedly", signal=signal.Signals(number).name
            )

    def _showState(self) -> None:
        def show(lines: Sequence[str]) -> None:
            for line in lines:
                self._log.info("State: {line}", line=line)

        maybeDeferred(self._state).addCallback(show).addErrback(
            lambda reason: self._log.failure("The state cannot be shown", reason)
        )

    def _hangUp(self) -> None:
        if self._isStopping:
            self._log.debug("SIGHUP is ignored: the process is stopping")
        elif self._terminal.isGone:
            self._drain()
        else:
            self._reload()
            if self._terminal.isNeeded:
                self._reactor.callLater(SECOND_LOOK, self._lookAgain)

    def _lookAgain(self) -> None:
        if self._terminal.isGone and not self._isStopping:
            self._drain()

    def _drain(self) -> None:
        self._log.info("SIGHUP: the terminal is gone")
        with suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)
