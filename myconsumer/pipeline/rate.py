"""
How often tasks may be started, and how far ahead they may be claimed.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from twisted.internet.interfaces import IReactorTime

from myconsumer.fields import YEAR

#: The seconds for which permits that are not taken are saved up.
SAVED = 0.1

#: The most seconds before its start that a task is claimed.
MOST_AHEAD = 1.0

#: The most permits in a second.
FASTEST = 1_000_000


#: How many may start in a second.
Rate = Annotated[
    float,
    Meta(
        ge=1 / YEAR,
        le=FASTEST,
        description=f"a number of starts in a second, from one a year to {FASTEST}",
    ),
]


class RateLimit:
    """
    Gives C{perSecond} permits a second, evenly: a virtual schedule (the generic cell
    rate algorithm of ITU-T I.371), which needs no timer and two numbers.
    """

    def __init__(self, perSecond: float, clock: IReactorTime) -> None:
        """
        @param perSecond: The permits of a second, more than 0.
        @param clock: What keeps the time.
        """
        self._rate = perSecond
        self._clock = clock
        self._began = clock.seconds()
        # Both in permits since C{_began}: the theoretical arrival time of the next
        # permit, and how far ahead of that it may be taken.
        self._due = 0.0
        self._early = max(SAVED * perSecond - 1, 0)
        # Tolerance for the resolution of a clock of seconds since the epoch.
        self._inexact = min(5e-7 * perSecond, 0.5) + 1e-6

    def change(self, perSecond: float) -> None:
        """
        Give another number of permits a second.  What was taken ahead, or is saved up,
        is as many permits as before, but no more than can be taken ahead at the new
        rate.
        """
        taken = self._due - self._passed()
        self._rate, self._began = perSecond, self._clock.seconds()
        self._early = max(SAVED * perSecond - 1, 0)
        self._due = min(taken, self._early + 1)
        self._inexact = min(5e-7 * perSecond, 0.5) + 1e-6

    @property
    def most(self) -> int:
        """
        The most permits that can be taken at once.
        """
        return int(self._early + 1 + 1e-6)

    def available(self, ahead: float = 0.0) -> int:
        """
        @param ahead: Count the permits that fall due within C{ahead} seconds, too.

        @return: How many permits there are.
        """
        soon = ahead * self._rate
        permits = self._passed() - self._due + self._early + 1 + self._inexact
        return max(0, min(int(permits + soon), self.most + int(soon + 1e-6)))

    def take(self) -> None:
        """
        Take a permit.
        """
        self._due = max(self._due, self._passed()) + 1

    def wait(self, count: int = 1, ahead: float = 0.0) -> float:
        """
        @param count: The permits wanted, at most L{most} plus those that fall due
            within C{ahead} seconds.
        @param ahead: Count the permits that fall due within C{ahead} seconds more, too.

        @return: The seconds until there are C{count} permits; 0: there are now.
        """
        missing = self._due + count - 1 - self._early - self._passed()
        missing -= ahead * self._rate
        return missing / self._rate if missing > self._inexact else 0

    def _passed(self) -> float:
        return (self._clock.seconds() - self._began) * self._rate


class StartRate(RateLimit):
    """
    How often tasks may be started, and how many may therefore be claimed: tasks are
    claimed ahead of their start, by as much time as claims take.
    """

    # How many seconds before their start tasks are claimed.
    _ahead = 0.0

    def claimable(self, taken: int) -> int:
        """
        @param taken: How many tasks wait, or are asked for.

        @return: How many more may be claimed now.
        """
        return self.available(self._ahead) - taken

    def untilClaimable(self, taken: int) -> float | None:
        """
        @param taken: How many tasks wait, or are asked for.

        @return: The seconds until one more may be claimed; C{None}: not before one of
            those is started.
        """
        return self.wait(taken + 1, self._ahead) if taken < self.most else None

    def claimTook(self, seconds: float) -> None:
        """
        A claim has brought tasks.  What is asked for now has to last until the next
        claim is answered.  One that took long may have waited for its first task.

        @param seconds: The time from the claim to its answer.
        """
        self._ahead = min(2 * seconds, 2 * self._ahead + 0.001, MOST_AHEAD)
