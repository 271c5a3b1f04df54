"""
Tests for L{myconsumer.taskqueue.store.clock}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.taskqueue.store.clock import TOLERATED, EpochClock


class EpochClockTests(SynchronousTestCase):
    """
    Tests for L{EpochClock}.
    """

    def test_followsWallClock(self) -> None:
        """
        The clock goes on evenly until it is set back by the seconds that it is ahead.
        """
        even, wall = Clock(), [0.0]
        clock = EpochClock(even, lambda: wall[0])
        verifyObject(IReactorTime, clock)
        even.advance(TOLERATED)
        self.assertEqual((clock.seconds(), clock.ahead()), (TOLERATED, 0.0))
        for wall[0] in (-100.0, 1000.0):
            clock.setBack(clock.ahead())
            self.assertEqual((clock.seconds(), clock.ahead()), (wall[0], 0.0))
        even.advance(5.0)
        self.assertEqual(clock.seconds(), 1005.0)
