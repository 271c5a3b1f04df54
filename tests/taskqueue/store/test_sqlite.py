"""
Tests for L{myconsumer.taskqueue.store.sqlite}; L{tests.taskqueue.test_broker} and
L{tests.taskqueue.test_machine} have the rest.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.interface import (
    IStoreListener,
    ITaskStore,
    StoreError,
)
from myconsumer.taskqueue.store.records import NewTask, Pruned
from tests.taskqueue.core import Turns, connect, storeOf


@implementer(IStoreListener)
class Heard:
    """
    Keeps what a store has told.
    """

    def __init__(self) -> None:
        self.ready: list[str] = []
        self.due: list[float | None] = []

    def tasksReady(self, queue: str) -> None:
        """
        See L{IStoreListener.tasksReady}.
        """
        self.ready.append(queue)

    def nextDue(self, seconds: float | None) -> None:
        """
        See L{IStoreListener.nextDue}.
        """
        self.due.append(seconds)


class SQLiteStoreTests(SynchronousTestCase):
    """
    Tests for L{SQLiteStore <myconsumer.taskqueue.store.sqlite.SQLiteStore>}, whose
    transactions happen when the test says.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.connection = connect(self.mktemp())
        self.addCleanup(self.connection.close)
        self.turns = Turns(self.connection)
        self.store = storeOf(self.turns, self.clock)
        self.heard = Heard()
        self.assertIsNone(self.now(self.store.open(self.heard)))

    def now(self, done: Deferred[Any]) -> Any:
        """
        @return: What a Deferred fires with once all transactions are made.
        """
        self.turns.all()
        return self.successResultOf(done)

    def test_providesInterfaces(self) -> None:
        """
        The store provides ITaskStore, and its listener here IStoreListener.
        """
        verifyObject(ITaskStore, self.store)
        verifyObject(IStoreListener, self.heard)

    def test_tellsOfReadyTasks(self) -> None:
        """
        The listener is told of a queue that has more ready tasks before the call that
        made them ready is answered.
        """
        done = self.store.enqueue("a", [NewTask(b"1")])
        done.addCallback(lambda _: self.assertEqual(self.heard.ready, ["a"]))
        self.now(done)
        self.now(self.store.claim("a", "c", 1, 60.0))
        self.assertEqual(self.heard.ready, ["a"])

    def test_tellsWhenNextIsDue(self) -> None:
        """
        The listener is told in how many seconds the next delay or lease ends, 0 where
        it has ended, and None where there is none.
        """
        self.now(self.store.enqueue("a", [NewTask(b"1", delay=5.0)]))
        self.clock.advance(2.0)
        self.now(self.store.enqueue("a", [NewTask(b"1")]))
        self.clock.advance(9.0)
        self.now(self.store.enqueue("a", [NewTask(b"1")]))
        self.now(self.store.wake())
        self.assertEqual(self.heard.due, [None, 5.0, 3.0, 0.0, None])

    def test_correctsReady(self) -> None:
        """
        A claim that finds no task, though some were counted as ready, corrects the
        count; one that finds tasks does not.
        """
        self.now(self.store.enqueue("a", [NewTask(b"1")] * 3))
        self.assertEqual(len(self.now(self.store.claim("a", "c", 1, 60.0))), 1)
        self.assertEqual(self.store.ready("a"), 2)
        self.connection.execute("DELETE FROM tasks WHERE state = 'ready'")
        with capturedLogs() as events:
            self.assertEqual(self.now(self.store.claim("a", "c", 1, 60.0)), [])
        self.assertEqual([event["count"] for event in events], [2])
        self.assertEqual(self.store.ready("a"), 0)

    def test_prunesByAge(self) -> None:
        """
        What ended as long ago as it is kept is forgotten; of what failed the number is
        told.
        """
        self.now(self.store.enqueue("a", [NewTask(b"1")] * 3))
        for outcome in ("fail", "fail", "complete"):
            [task] = self.now(self.store.claim("a", "c", 1, 60.0))
            told = Settlement(task.receipt, outcome)  # type: ignore[arg-type]
            self.now(self.store.settle("a", [told]))
            self.clock.advance(1.0)
        self.assertEqual(self.now(self.store.prune(2.5)), Pruned({"a": 1}, True))
        self.assertEqual(self.now(self.store.prune(0.0)), Pruned({"a": 1}, True))
        self.assertEqual(self.now(self.store.prune(0.0)), Pruned({}, True))

    def test_refusesOnceClosed(self) -> None:
        """
        A closed store fails whatever is asked with StoreError, without a transaction.
        """
        self.store.close()
        for ask in (
            lambda: self.store.enqueue("a", [NewTask(b"1")]),
            lambda: self.store.claim("a", "c", 1, 60.0),
            lambda: self.store.retryAll("a", 1, None),
            lambda: self.store.prune(0.0),
        ):
            asked: Deferred[Any] = ask()
            self.failureResultOf(asked, StoreError)
        self.assertFalse(self.turns.waiting)
