"""
Tests for L{myconsumer.taskqueue.store.settlements}; L{tests.taskqueue.test_machine} has
the rest.
"""

from __future__ import annotations

from msgspec import UNSET, Raw
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.settlements import parseReceipt
from tests.taskqueue.store.test_tables import StoreCase


class SettlementsTests(StoreCase):
    """
    Tests for L{Settlements <myconsumer.taskqueue.store.settlements.Settlements>}.
    """

    def test_refusesReceiptOfForgotten(self) -> None:
        """
        A task that gets the number of a forgotten one is not settled by the receipt of
        that.
        """
        for outcome in ("complete", "extend", "release", "fail"):
            self.file.fill("a", 1, 1.0)
            [old] = self.claim(1.0)
            self.settle(1.0, Settlement(old.receipt, "fail"))
            self.file.do(lambda tables: tables.archive.prune(1.0))
            [id] = self.file.fill("a", 1, 1.0)
            [new] = self.claim(1.0)
            self.assertEqual(
                new.receipt.partition(".")[0], old.receipt.partition(".")[0]
            )
            told = Settlement(old.receipt, outcome)  # type: ignore[arg-type]
            self.assertEqual(self.settle(1.0, told), [old.receipt])
            found = self.file.tables.archive.task("a", id)
            assert found is not None
            self.assertEqual((found.state, found.due), ("leased", 61.0))
            self.settle(1.0, Settlement(new.receipt, "complete"))
            self.file.do(lambda tables: tables.archive.prune(1.0))

    def test_refusesExpiredLease(self) -> None:
        """
        A lease has expired at its very end, though nothing has woken the task yet.
        """
        self.file.fill("a", 2, 1.0)
        one, two = self.claim(1.0, limit=2, lease=5.0)
        self.assertEqual(self.settle(5.9, Settlement(one.receipt, "complete")), [])
        late = Settlement(two.receipt, "complete")
        self.assertEqual(self.settle(6.0, late), [two.receipt])
        self.file.do(lambda tables: tables.expiry.wake(6.0))
        for outcome in ("complete", "extend", "release", "fail"):
            late = Settlement(two.receipt, outcome)  # type: ignore[arg-type]
            self.assertEqual(self.settle(6.0, late), [two.receipt])
        self.assertEqual([d.attempt for d in self.claim(6.0, limit=2)], [2])
        self.assertEqual(self.settle(6.0, late), [two.receipt])

    def test_keepsLastError(self) -> None:
        """
        The last error is kept until there is another one, or the task completes.
        """
        [id] = self.file.fill("a", 1, 1.0)
        for outcome, error, expected in (
            ("release", "one", "one"),
            ("release", UNSET, "one"),
            ("lost", UNSET, "its lease ended in attempt 3"),
            ("release", "two", "two"),
            ("complete", UNSET, UNSET),
        ):
            [delivery] = self.claim(1.0, lease=5.0)
            if outcome == "lost":
                self.file.do(lambda tables: tables.expiry.wake(6.0))
            else:
                told = Settlement(delivery.receipt, outcome, error=error)  # type: ignore[arg-type]
                self.settle(1.0, told)
            found = self.file.tables.archive.task("a", id)
            assert found is not None
            self.assertEqual(found.error, expected)

    def test_keepsResultOnly(self) -> None:
        """
        Of a completed task the result is kept, if there is one, and no payload.
        """
        self.file.fill("a", 3, 1.0)
        one, two, _ = self.claim(1.0, limit=3)
        self.settle(2.0, Settlement(one.receipt, "complete", Raw(b"7")))
        self.settle(2.0, Settlement(two.receipt, "complete"))
        rows = [
            self.file.connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("payloads", "results")
        ]
        self.assertEqual(rows, [[(3, b"1")], [(1, b"7")]])

    def test_settlesReleasedOnce(self) -> None:
        """
        A receipt that was released is lost to any other outcome; the same release may
        be repeated until the task is claimed again.
        """
        self.file.fill("a", 1, 1.0)
        [delivery] = self.claim(1.0)
        receipt = delivery.receipt
        release = Settlement(receipt, "release", counted=False)
        self.assertEqual(self.settle(1.0, release), [])
        for outcome in ("extend", "complete", "fail"):
            told = Settlement(receipt, outcome)  # type: ignore[arg-type]
            self.assertEqual(self.settle(1.0, told), [receipt])
        self.assertEqual(self.settle(1.0, release), [])
        [again] = self.claim(1.0)
        self.assertEqual(again.attempt, 1)
        self.assertEqual(self.settle(1.0, release), [receipt])
        self.assertEqual(self.settle(1.0, Settlement(again.receipt, "complete")), [])

    def test_settlesEach(self) -> None:
        """
        Lost receipts keep no others from being settled, and are reported in order.
        """
        self.file.fill("a", 2, 1.0)
        one, two = self.claim(1.0, limit=2)
        settlements = [
            Settlement(receipt, "complete")
            for receipt in ("x", one.receipt, "1.ffffffffffffffff", two.receipt, "1.0")
        ]
        lost = self.settle(2.0, *settlements)
        self.assertEqual(lost, ["x", "1.ffffffffffffffff", "1.0"])
        self.assertEqual(self.file.tables.count()["a", "completed"], 2)

    def test_truncatesError(self) -> None:
        """
        An error is truncated to 10,000 characters.
        """
        self.file.fill("a", 1, 1.0)
        [delivery] = self.claim(1.0)
        self.settle(1.0, Settlement(delivery.receipt, "fail", error="x" * 1_000_000))
        [failed] = self.file.tables.archive.failed("a", 1, 0).failed
        self.assertEqual(failed.error, "x" * 10_000)


class ParseReceiptTests(SynchronousTestCase):
    """
    Tests for L{parseReceipt}.
    """

    def test_takesOurs(self) -> None:
        """
        A receipt is the number of a task and a secret.
        """
        self.assertEqual(parseReceipt("17.ff"), (17, 255))
        self.assertEqual(parseReceipt(f"1.{(1 << 62) - 1:x}"), (1, (1 << 62) - 1))

    def test_refusesOthers(self) -> None:
        """
        What is no receipt of ours is refused, however much it looks like one.
        """
        for receipt in (
            *("", ".", "1", "1.", ".1", "1.1.1", " 1.1", "1.1 ", "1.1\n", "\u0661.1"),
            *("1. 1", "1.0x1", "1.1_1", "1.-1", "1.+1", "1.FF", "-1.1", "1.\uff11"),
            *("1.ffffffffffffffff", "9" * 30 + ".1", "1." + "0" * 30, "1.1\x00"),
        ):
            self.assertIsNone(parseReceipt(receipt), receipt)
