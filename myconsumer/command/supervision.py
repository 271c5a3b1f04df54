"""
What systemd is told of a process of our own: that it is ready, what it does, that it
makes progress, and that it stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from myconsumer.command.notification import Notifier
from myconsumer.retrying import Quiet

#: The seconds between two looks at the state.
LOOK = 10.0


class Supervision:
    """
    Notifies systemd, from the reactor's start to its end.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        notifier: Notifier,
        state: Callable[[], str],
        isStuck: Callable[[], str | None],
        stopSeconds: Callable[[], float],
    ) -> None:
        """
        @param reactor: The reactor, which does not run yet.
        @param notifier: Sends the notifications.
        @param state: Words what the process does, in one line.
        @param isStuck: Says why the process makes no progress; C{None}: it makes some.
            While it makes none, the watchdog is not told that the process is alive.
        @param stopSeconds: The seconds that a stop may take.
        """
        self._reactor = reactor
        self._notifier = notifier
        self._state = state
        self._isStuck = isStuck
        self._stopSeconds = stopSeconds
        self._quiet = Quiet(reactor)
        self._shown = ""

    def begin(self) -> None:
        """
        Begin once the reactor runs, if there is anybody to notify.
        """
        if self._notifier.isWanted:
            self._reactor.callWhenRunning(self._ready)
            self._reactor.addSystemEventTrigger("before", "shutdown", self._stopping)

    def reloading(self) -> None:
        """
        Say that a reload begins.
        """
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def reloaded(self) -> None:
        """
        Say that a reload has ended.
        """
        self._notifier.send("READY=1")

    def _ready(self) -> None:
        self._notifier.send("READY=1", *self._status())
        self._tick()

    def _tick(self) -> None:
        watchdog = self._notifier.watchdog
        pause = min(LOOK, watchdog / 2) if watchdog else LOOK
        # first, so that nothing that is raised below ends it
        self._reactor.callLater(pause, self._tick)
        says = self._status()
        if watchdog and self._isAlive():
            says.append("WATCHDOG=1")
        if says:
            self._notifier.send(*says)

    def _isAlive(self) -> bool:
        reason = self._isStuck()
        if reason is not None and self._quiet.count():
            self._log.error(
                "No progress, so systemd may restart the process: {reason}",
                reason=reason,
            )
        return reason is None

    def _status(self) -> list[str]:
        state = self._state()
        if state == self._shown:
            return []
        self._shown = state
        return [f"STATUS={state}"]

    def _stopping(self) -> None:
        microseconds = int(self._stopSeconds() * 1_000_000)
        self._notifier.send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={microseconds}")
