"""
The time that the embedded queue writes to its file: seconds since the epoch that go on
evenly, and yet follow the wall clock where that is set right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

#: The seconds by which the wall clock may differ before it is followed.
TOLERATED = 60.0


@implementer(IReactorTime)
class EpochClock:
    """
    A reactor's clock, which may be ahead of the time or behind it: it goes on evenly
    from when the process started, when the wall clock may not have been set yet, and
    stands still while the machine sleeps.
    """

    _ahead = 0.0

    def __init__(
        self, clock: IReactorTime, wall: Callable[[], float] = time.time
    ) -> None:
        """
        @param clock: What keeps the time.
        @param wall: Tells the wall clock's time, in seconds since the epoch.
        """
        self._clock = clock
        self._wall = wall

    def seconds(self) -> float:
        """
        See C{IReactorTime.seconds}.
        """
        return self._clock.seconds() - self._ahead

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """
        See C{IReactorTime.callLater}.
        """
        return self._clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:
        """
        See C{IReactorTime.getDelayedCalls}.
        """
        return self._clock.getDelayedCalls()

    def ahead(self) -> float:
        """
        @return: The seconds by which this is ahead of the wall clock; 0: by no more
            than is tolerated.
        """
        ahead = self.seconds() - self._wall()
        return ahead if abs(ahead) > TOLERATED else 0.0

    def setBack(self, seconds: float) -> None:
        """
        Follow the wall clock.

        @param seconds: The seconds that L{ahead} has returned.
        """
        self._ahead += seconds
