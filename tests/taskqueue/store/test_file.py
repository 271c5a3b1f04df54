"""
Tests for L{myconsumer.taskqueue.store.file}: a real file, and a real thread.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from myconsumer.taskqueue.store.file import SQLiteFileStore
from myconsumer.taskqueue.store.interface import ITaskStore
from myconsumer.taskqueue.store.schema import Sync


class SQLiteFileStoreTests(TestCase):
    """
    Tests for L{SQLiteFileStore}.
    """

    def make(self, path: str, sync: Sync = "normal") -> SQLiteFileStore:
        """
        Make a store that is closed with the test.
        """
        store = SQLiteFileStore(path, sync, reactor)
        self.addCleanup(store.close)
        return store

    def test_providesInterface(self) -> None:
        """
        The store provides ITaskStore, and is called by its path.
        """
        path = self.mktemp()
        store = self.make(path)
        verifyObject(ITaskStore, store)
        self.assertEqual(store.name, path)

    async def test_setsSync(self) -> None:
        """
        How durable tasks are to be is set for the connection that writes.
        """
        syncs: list[tuple[Sync, int]] = [("normal", 1), ("full", 2)]
        for sync, number in syncs:
            store = self.make(self.mktemp(), sync)
            store.start()
            [found] = await store.pool.runQuery("PRAGMA synchronous")
            self.assertEqual(found, (number,))

    def test_refusesFileInUse(self) -> None:
        """
        A file that one store holds another cannot take, until the first is closed.
        """
        path = self.mktemp()
        first = SQLiteFileStore(path, "normal", reactor)
        first.start()
        second = self.make(path)
        with self.assertRaisesRegex(ValueError, "in use by another process"):
            second.start()
        first.close()
        second.start()
