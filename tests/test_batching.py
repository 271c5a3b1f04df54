"""
What goes in one request about leases.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.batching import BatchSize, deadlineFor
from tests.model import busy, fault, refusal, tooMuch


class DeadlineTests(SynchronousTestCase):
    """
    L{deadlineFor}.
    """

    def test_deadlines(self) -> None:
        """
        It is a third of the shortest lease, and 10 s at most.
        """
        self.assertEqual(deadlineFor([30, 9]), 3)
        self.assertEqual(deadlineFor([300, 90]), 10)


class BatchSizeTests(SynchronousTestCase):
    """
    L{BatchSize}.
    """

    def test_halves(self) -> None:
        """
        It is halved where a part may be taken, down to one, and doubled when that
        many were taken.
        """
        batch = list(range(9))
        size = BatchSize()
        self.assertEqual(size.first(batch), batch)
        self.assertTrue(size.divide(9, tooMuch()))
        self.assertEqual(size.first(batch), batch[:4])
        self.assertTrue(size.divide(4, tooMuch()))
        self.assertTrue(size.divide(2, tooMuch()))
        self.assertEqual(size.first(batch), batch[:1])
        self.assertFalse(size.divide(1, tooMuch()))
        size.taken(1)
        self.assertEqual(size.first(batch), batch[:2])
        size.taken(1)
        self.assertEqual(size.first(batch), batch[:2])

    def test_otherFailures(self) -> None:
        """
        Any other failure says nothing of the size.
        """
        size = BatchSize()
        for error in (fault(), busy(5), refusal(), ValueError()):
            self.assertFalse(size.divide(9, error))
        self.assertEqual(size.most, float("inf"))
