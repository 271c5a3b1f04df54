"""
Tests for L{myconsumer.check.account}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.check.account import Account, Whose
from myconsumer.check.delivery import Delivery, delivered


def delivery(payload: Any, receipt: str = "r", began: float = 0.0) -> Delivery:
    fields = {"id": "a", "payload": payload, "receipt": receipt}
    return delivered(fields, 10, began)


class AccountTests(SynchronousTestCase):
    """
    Tests for L{Account}.
    """

    def setUp(self) -> None:
        self.own = Account()
        self.own.nextCheck()
        self.mark = self.own.mark()
        self.task = delivery(self.own.payload(self.mark, 1))

    def test_tellsWhoseATaskIs(self) -> None:
        """
        A task belongs to the current check, to an earlier one, or to somebody else.
        """
        self.assertIs(self.own.whose(self.task), Whose.CURRENT)
        self.own.nextCheck()
        self.assertIs(self.own.whose(self.task), Whose.STALE)
        for payload in (None, 1, "a", [], {}, {"myconsumer check": 1}):
            self.assertIs(self.own.whose(delivery(payload)), Whose.FOREIGN)

    def test_adoptsAnotherRun(self) -> None:
        """
        What another run has left belongs to somebody else, unless it is adopted.
        """
        other = Account()
        self.assertIs(other.whose(self.task), Whose.FOREIGN)
        other.adopting = True
        self.assertIs(other.whose(self.task), Whose.STALE)
        self.assertIs(other.whose(delivery("theirs")), Whose.FOREIGN)

    def test_knowsATaskByItsId(self) -> None:
        """
        A task whose payload bears no mark is known by the name that it was given.
        """
        bare = delivery(None)
        self.assertFalse(self.own.knowsId(bare))
        self.own.named(self.mark, "a")
        self.assertTrue(self.own.knowsId(bare))
        self.assertIs(self.own.whose(bare), Whose.CURRENT)

    def test_countsWhatIsLeft(self) -> None:
        """
        A task is left from before it is queued, since it may come before the producer
        has its answer, until it has ended.
        """
        self.assertEqual((self.own.left, self.own.held), (1, []))
        self.own.came(self.task)
        self.assertEqual((self.own.left, self.own.held), (1, [self.task]))
        self.own.ended("r", {"r"}, now=1)
        self.assertEqual(self.own.left, 1)
        self.own.ended("r", (), now=1)
        self.assertEqual(self.own.left, 0)

    def test_endsNothingByAnOldReceipt(self) -> None:
        """
        A settlement by a receipt that is of no use any more ends nothing.
        """
        again = delivery(self.task.payload, "r2", began=11)
        self.own.came(self.task)
        self.own.ended("r", (), now=10)
        self.own.came(again)
        self.own.ended("r", (), now=11)
        self.own.ended("never", (), now=11)
        self.assertEqual(self.own.held, [again])

    def test_forgetsWhatWasRefused(self) -> None:
        """
        A task that was not queued is not left.
        """
        self.own.refused(self.mark)
        self.assertEqual(self.own.left, 0)

    def test_remembersRepeatedReceipts(self) -> None:
        """
        A receipt that is given twice is remembered.
        """
        self.own.came(self.task)
        self.assertEqual((self.own.repeated, self.own.receipts), (set(), 1))
        self.own.came(delivery(self.task.payload))
        self.assertEqual((self.own.repeated, self.own.receipts), ({"r"}, 1))
