"""
Tests for L{myconsumer.taskqueue.store.expiry}; L{tests.taskqueue.test_machine} has the
rest.
"""

from __future__ import annotations

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.database import CHUNK
from myconsumer.taskqueue.store.expiry import Leased
from tests.taskqueue.store.test_tables import StoreCase


class ExpiryTests(StoreCase):
    """
    Tests for L{Expiry <myconsumer.taskqueue.store.expiry.Expiry>}.
    """

    def test_restartsLeases(self) -> None:
        """
        Leases restart at the length that they were given last; nothing else is touched.
        """
        self.file.fill("a", 3, 1.0)
        [delayed] = self.file.fill("a", 1, 1.0, delay=50.0)
        one, two = self.claim(1.0, limit=2, lease=5.0)
        self.settle(2.0, Settlement(two.receipt, "extend", lease=7.0))
        found = self.file.do(lambda tables: tables.expiry.resume(100.0))
        expected = [Leased("a", "claim 0", each.receipt) for each in (one, two)]
        self.assertEqual(found, expected)
        due = []
        for id in (one.id, two.id, delayed):
            record = self.file.tables.archive.task("a", id)
            assert record is not None
            due.append(record.due)
        self.assertEqual(due, [105.0, 107.0, 51.0])
        self.assertEqual(self.file.tables.count()["a", "ready"], 1)

    def test_wakesInPieces(self) -> None:
        """
        However many tasks are due, no more than a chunk is woken in one transaction.
        """
        self.file.fill("a", CHUNK + 5, 1.0, delay=5.0)
        self.file.do(lambda tables: tables.expiry.wake(6.0))
        self.assertEqual(self.file.database.changes["a", "ready"], CHUNK)
        self.assertEqual(self.file.tables.expiry.due(), 6.0)
        self.file.do(lambda tables: tables.expiry.wake(6.0))
        self.assertEqual(self.file.database.changes["a", "ready"], CHUNK + 5)
        self.assertIsNone(self.file.tables.expiry.due())
