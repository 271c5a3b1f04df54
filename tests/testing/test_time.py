"""
Time that passes when a test says so.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.testing import passTime
from myconsumer.testing.time import MOST_ROUNDS


class PassTimeTests(SynchronousTestCase):
    """
    L{passTime}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[float] = []

    def note(self) -> None:
        self.made.append(self.clock.seconds())

    def spin(self) -> None:
        self.clock.callLater(0, self.spin)

    def test_makesEachCallWhenItIsDue(self) -> None:
        """
        Each delayed call is made at the time for which it is due, also one that is
        scheduled by another.
        """
        self.clock.callLater(3, self.note)
        self.clock.callLater(1, self.clock.callLater, 0.5, self.note)
        self.clock.callLater(2, self.note)
        passTime(self.clock, 10)
        self.assertEqual(self.made, [1.5, 2, 3])
        self.assertEqual(self.clock.seconds(), 10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leavesWhatIsDueLater(self) -> None:
        """
        A delayed call that is due at the end is made, a later one is left.
        """
        self.clock.callLater(1, self.note)
        later = self.clock.callLater(1.1, self.note)
        passTime(self.clock, 1)
        self.assertEqual(self.made, [1])
        self.assertEqual(self.clock.getDelayedCalls(), [later])

    def test_makesWhatIsDueAtOnce(self) -> None:
        """
        With no seconds at all, what is due at once is made, and what that has made
        at once.
        """
        self.clock.callLater(0, self.clock.callLater, 0, self.note)
        passTime(self.clock, 0)
        self.assertEqual(self.made, [0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_followsWhatIsRescheduled(self) -> None:
        """
        A delayed call that another delays, or makes earlier, is made at its new time.
        """
        late, early = (
            self.clock.callLater(2, self.note),
            self.clock.callLater(9, self.note),
        )
        self.clock.callLater(1, late.delay, 3)
        self.clock.callLater(1, early.reset, 2)
        passTime(self.clock, 10)
        self.assertEqual(self.made, [3, 5])

    def test_noticesWhatSpins(self) -> None:
        """
        A delayed call that schedules itself at once, for ever, is an error that names
        it, also beside calls that do not.
        """
        self.clock.callLater(1, self.note)
        self.clock.callLater(1, self.spin)
        error = self.assertRaises(AssertionError, passTime, self.clock, 2)
        self.assertIn("PassTimeTests.spin", str(error))
        self.assertEqual(self.clock.seconds(), 1)

    def test_letsManyCallsBeDueAtOnce(self) -> None:
        """
        Any number of delayed calls may be due at one time.
        """
        for _ in range(3 * MOST_ROUNDS):
            self.clock.callLater(1, self.note)
        passTime(self.clock, 1)
        self.assertEqual(len(self.made), 3 * MOST_ROUNDS)
