"""
One line of the log for what happens again and again.
"""

from __future__ import annotations

from math import inf

from twisted.internet.interfaces import IReactorTime

from myconsumer.retrying import QUIET


class Quiet:
    """
    Counts one kind of event, and says when to log it: at once, and then at most
    once in L{QUIET} seconds.
    """

    _quietUntil = -inf
    _count = 0

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: What keeps the time.
        """
        self._clock = clock

    def count(self) -> int:
        """
        Count an event.

        @return: If it is time for a line, how many events there were since the last
            one; else 0.
        """
        self._count += 1
        now = self._clock.seconds()
        if now < self._quietUntil:
            return 0
        self._quietUntil = now + QUIET
        count, self._count = self._count, 0
        return count
