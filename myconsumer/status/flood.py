"""
What keeps the log small, however often something happens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from math import inf

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from myconsumer.retrying import QUIET, QUIET_LASTING

#: The most kinds that are told apart; the one that has not come for longest is
#: forgotten first.
KINDS = 100


class Repeat(Struct):
    """
    One kind of event that happens repeatedly.

    @ivar count: How often it has happened since it was last said.
    @ivar saidAt: When it was last said, or has first happened.
    @ivar due: When it may be said again.
    @ivar interval: The seconds after which it may be said again once it is said.
    @ivar last: When it has last happened.
    @ivar isSaid: Whether it was said before.
    """

    saidAt: float
    last: float
    due: float = -inf
    interval: float = QUIET
    count: int = 0
    isSaid: bool = False

    def said(self, now: float) -> None:
        """
        It is said now.
        """
        self.isSaid = True
        self.count = 0
        self.saidAt = now
        self.due = now + self.interval
        self.interval = min(2 * self.interval, QUIET_LASTING)


class Repeats:
    """
    Counts events by their kinds, and says when to say each kind: at once, again after a
    minute, and then at intervals that double up to an hour.  What has not happened for
    an hour is said as if it had never happened.

    @ivar forgotten: How many events were counted of kinds that were forgotten before
        they were said.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: What keeps the time.
        """
        self._clock = clock
        self._kinds: OrderedDict[Hashable, Repeat] = OrderedDict()
        self.forgotten = 0

    def count(self, kind: Hashable) -> Repeat | None:
        """
        Count an event.

        @param kind: What it has in common with others of its kind.

        @return: If it is time to say it, all that is known of its kind, of which
            L{Repeat.said} is to be called; else C{None}.
        """
        now = self._clock.seconds()
        repeat = self._kinds.get(kind)
        if repeat is None:
            repeat = self._kinds[kind] = Repeat(now, now)
            if len(self._kinds) > KINDS:
                self._forget()
        else:
            self._kinds.move_to_end(kind)
            if now - repeat.last > QUIET_LASTING:
                self.forgotten += repeat.count
                repeat = self._kinds[kind] = Repeat(now, now)
        repeat.last = now
        repeat.count += 1
        return repeat if now >= repeat.due else None

    def unsaid(self) -> int:
        """
        @return: How many events were counted that no line has mentioned; from now on
            they count as mentioned.
        """
        count = self.forgotten + sum(each.count for each in self._kinds.values())
        self.forgotten = 0
        for each in self._kinds.values():
            each.count = 0
        return count

    def _forget(self) -> None:
        _, oldest = self._kinds.popitem(last=False)
        self.forgotten += oldest.count
