"""
How often something may be done.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from twisted.internet.interfaces import IReactorTime

from myconsumer.fields import YEAR

#: For how many seconds' worth chances are saved up while they are not taken.
SAVED = 0.1

#: The most chances in a second.
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
    So many a second, evenly: a virtual schedule (the generic cell rate algorithm of
    ITU-T I.371), which needs no timer and two numbers.
    """

    def __init__(self, perSecond: float, clock: IReactorTime) -> None:
        """
        @param perSecond: How many a second, above 0.
        @param clock: What keeps the time.
        """
        self._rate = perSecond
        self._clock = clock
        self._began = clock.seconds()
        # In chances since then: when the next one is due if none is early; it may be
        # early by so many.
        self._due = 0.0
        self._early = max(SAVED * perSecond - 1, 0)
        # What a clock of seconds since the epoch cannot tell.
        self._inexact = min(5e-7 * perSecond, 0.5) + 1e-6

    @property
    def most(self) -> int:
        """
        The most that may be done at once.
        """
        return int(self._early + 1 + 1e-6)

    def available(self, ahead: float = 0.0) -> int:
        """
        @param ahead: Count what may be done within so many seconds, too.

        @return: How many may be done now.
        """
        soon = ahead * self._rate
        chances = self._passed() - self._due + self._early + 1 + self._inexact
        return max(0, min(int(chances + soon), self.most + int(soon + 1e-6)))

    def take(self) -> None:
        """
        One is done.
        """
        self._due = max(self._due, self._passed()) + 1

    def wait(self, count: int = 1, ahead: float = 0.0) -> float:
        """
        @param count: How many are wanted, no more than L{most} and what comes ahead.
        @param ahead: Count what may be done within so many seconds more, too.

        @return: The seconds until so many may be done; 0: now.
        """
        missing = self._due + count - 1 - self._early - self._passed()
        missing -= ahead * self._rate
        return missing / self._rate if missing > self._inexact else 0

    def _passed(self) -> float:
        return (self._clock.seconds() - self._began) * self._rate
