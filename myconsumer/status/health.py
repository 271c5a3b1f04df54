"""
Whether a consumer is healthy and ready, as probes ask.

An endpoint that is down, a pause and an empty queue are not ill health: a restart would
not help.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from myconsumer.status.state import Status

#: The seconds between two looks at the clock.
TICK = 1.0


class Health:
    """
    Judges a consumer.  While something blocks the reactor no probe is answered at all;
    when that was longer than allowed, the consumer is called ill for as long again as
    is allowed, so that probes see it.
    """

    _log = Logger()

    _timer: IDelayedCall | None = None

    def __init__(
        self,
        clock: IReactorTime,
        state: Callable[[], Status],
        isStuck: Callable[[], str | None],
        wedged: float,
    ) -> None:
        """
        @param clock: The reactor.
        @param state: Returns what the consumer is at.
        @param isStuck: Says why it makes no progress; C{None}: it makes some.
        @param wedged: The seconds for which something may block the reactor; 0: any.
        """
        self._clock = clock
        self._state = state
        self._isStuck = isStuck
        self._wedged = wedged
        self._looked = 0.0
        # when the reactor went on that was blocked for too long, and for how long
        self._wentOn = -inf
        self._blocked = 0.0

    def start(self) -> None:
        """
        Begin to look whether the reactor is blocked.
        """
        self.stop()
        self._looked = self._clock.seconds()
        self._timer = self._clock.callLater(TICK, self._look)

    def stop(self) -> None:
        """
        End that.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        now = self._clock.seconds()
        blocked, self._looked = now - self._looked - TICK, now
        self._timer = self._clock.callLater(TICK, self._look)
        if self._wedged and blocked > self._wedged:
            self._wentOn, self._blocked = now, blocked
            self._log.warn(
                "Something has blocked the reactor for {seconds:.0f} s: leases may be "
                "lost, and probes were not answered",
                seconds=blocked,
            )

    def illness(self) -> str | None:
        """
        @return: A sentence that says why the process is to be restarted; C{None}: it is
            healthy.
        """
        if (reason := self._isStuck()) is not None:
            return reason
        since = self._clock.seconds() - self._wentOn
        if since < self._wedged:
            return (
                f"Something has blocked the reactor for {self._blocked:.0f} s, until "
                f"{since:.0f} s ago"
            )
        return None

    def unreadiness(self) -> str | None:
        """
        @return: A sentence that says why the consumer cannot be counted on; C{None}: it
            is ready.
        """
        status = self._state()
        if status.state == "draining":
            return "The consumer is draining"
        if status.state == "stopped":
            return "The consumer is not running"
        if status.answered is None:
            return "The endpoint has not answered yet"
        return None
