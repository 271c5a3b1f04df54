"""
Tests for L{myconsumer.taskqueue.store.ids}.
"""

from __future__ import annotations

from itertools import islice
from uuid import RFC_4122, UUID

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.taskqueue.store.ids import newIds

#: Some time of the year 2026.
NOW = 1_790_000_000.123


class NewIdsTests(SynchronousTestCase):
    """
    Tests for L{newIds}.
    """

    def test_makesUUIDs(self) -> None:
        """
        New ids are UUIDs of version 7: the time in milliseconds, and chance.
        """
        for text in islice(newIds(NOW), 10):
            uuid = UUID(text)
            self.assertEqual(text, str(uuid))
            self.assertEqual((uuid.version, uuid.variant), (7, RFC_4122))
            self.assertEqual(uuid.int >> 80, 1_790_000_000_123)

    def test_growsWithinOneTime(self) -> None:
        """
        However many ids are made at one time, each is greater than the one before.
        """
        ids = list(islice(newIds(NOW), 10_000))
        self.assertEqual(sorted(set(ids)), ids)

    def test_growsWithTime(self) -> None:
        """
        Ids of a later time are greater, unless the earlier ones ran ahead of it.
        """
        *_, last = islice(newIds(NOW), 10_000)
        self.assertLess(last, next(newIds(NOW + 0.003)))

    def test_differsAtOneTime(self) -> None:
        """
        Two ids that are made at the same time differ.
        """
        ids = [*islice(newIds(NOW), 5_000), *islice(newIds(NOW), 5_000)]
        self.assertEqual(len(set(ids)), 10_000)
