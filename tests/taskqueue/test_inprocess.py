"""
Tests for L{myconsumer.taskqueue.inprocess}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from msgspec import UNSET, Raw
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError
from myconsumer.interfaces import ITaskQueue
from myconsumer.task import Settlement, Task
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.inprocess import GRACE, LocalQueue
from myconsumer.taskqueue.store.records import NewTask
from tests.taskqueue.core import Turns, connect, storeOf

START = 1000.0


class LocalQueueTests(SynchronousTestCase):
    """
    Tests for L{LocalQueue}, over a file whose transactions happen when the test says.
    """

    def setUp(self) -> None:
        """
        Open a file.
        """
        self.clock = Clock()
        self.clock.advance(START)
        connection = connect(self.mktemp())
        self.addCleanup(connection.close)
        self.turns = Turns(connection)
        self.broker = Broker(storeOf(self.turns, self.clock), self.clock, 500.0)
        self.queue = LocalQueue(lambda: self.broker, "tasks", self.clock)
        self.broker.open()
        self.turns.all()

    def tearDown(self) -> None:
        """
        Closed, it leaves nothing to be done.
        """
        self.successResultOf(self.queue.close())
        closed = self.broker.close()
        self.turns.all()
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def now(self, done: Deferred[Any]) -> Any:
        """
        @return: What something comes to once all is done.
        """
        self.turns.all()
        return self.successResultOf(done)

    def enqueue(self, *payloads: bytes) -> list[str]:
        """
        Queue tasks.
        """
        tasks = [NewTask(payload) for payload in payloads]
        ids: list[str] = self.now(self.broker.enqueue("tasks", tasks)).ids
        return ids

    def state(self, id: str) -> str:
        """
        @return: The state of a task.
        """
        state: str = self.now(self.broker.task("tasks", id)).state
        return state

    def assertFault(self, done: Deferred[Any], said: str) -> None:
        """
        Something has failed in a way that is tried again.
        """
        fault = self.failureResultOf(done, FaultError).value
        self.assertIn(said, str(fault))

    def test_interface(self) -> None:
        """
        It is what a consumer consumes from.
        """
        verifyObject(ITaskQueue, self.queue)

    def test_claimed(self) -> None:
        """
        Tasks come as over HTTP: decoded, with receipt, attempt, lease and time.
        """
        [first, second] = self.enqueue(b'{"a": [1, null]}', b'"b"')
        claimed = self.now(self.queue.claim("c", 5, 20, 60))
        self.assertEqual(claimed.malformed, [])
        receipts = [task.receipt for task in claimed.tasks]
        self.assertEqual(
            claimed.tasks,
            [
                Task(first, {"a": [1, None]}, 1, receipts[0], 60, START),
                Task(second, "b", 1, receipts[1], 60, START),
            ],
        )
        self.assertEqual(len(set(receipts)), 2)

    def test_waits(self) -> None:
        """
        A claim waits for its first task for as long as it says, and no longer.
        """
        claimed = self.queue.claim("c", 5, 20, 60)
        self.clock.advance(19.9)
        self.assertNoResult(claimed)
        self.clock.advance(0.1)
        self.assertEqual(self.now(claimed).tasks, [])
        claimed = self.queue.claim("d", 5, 20, 60)
        self.enqueue(b"1")
        self.assertEqual(len(self.now(claimed).tasks), 1)

    def test_malformed(self) -> None:
        """
        A payload that is JSON and yet cannot be read costs its own task alone.
        """
        bad = b"[" * 100_000 + b"]" * 100_000
        self.enqueue(b"1", bad, b"2")
        claimed = self.now(self.queue.claim("c", 5, 0, 60))
        self.assertEqual([task.payload for task in claimed.tasks], [1, 2])
        [failed] = claimed.malformed
        self.assertEqual(failed.outcome, "fail")
        self.assertIn("its payload cannot be read", failed.error)
        self.assertNotIn(failed.receipt, [task.receipt for task in claimed.tasks])

    def test_settled(self) -> None:
        """
        Outcomes are taken, and what is not leased is told of.
        """
        [id] = self.enqueue(b"1")
        [task] = self.now(self.queue.claim("c", 1, 0, 60)).tasks
        lost = self.now(
            self.queue.settle(
                [
                    Settlement(task.receipt, "complete", result=Raw(b"[3]")),
                    Settlement("1.0", "complete", result=UNSET),
                ],
                5,
            )
        )
        self.assertEqual(list(lost), ["1.0"])
        self.assertEqual(self.state(id), "completed")

    def test_ended(self) -> None:
        """
        A claim that is ended is answered at once, and ending is always possible.
        """
        claimed = self.queue.claim("c", 1, 20, 60)
        self.assertIs(self.now(self.queue.cancelClaim("c")), True)
        self.assertEqual(self.now(claimed).tasks, [])
        self.assertIs(self.now(self.queue.cancelClaim("never heard of")), True)

    def test_ownQueueOnly(self) -> None:
        """
        What is in other queues is not its own.
        """
        self.now(self.broker.enqueue("others", [NewTask(b"1")]))
        self.assertEqual(self.now(self.queue.claim("c", 1, 0, 60)).tasks, [])

    def test_claimTooLate(self) -> None:
        """
        Where the file takes too long, a claim is a fault, and what is leased to it
        after that goes back, uncounted.
        """
        [id] = self.enqueue(b"1")
        claimed = self.queue.claim("c", 1, 20, 60)
        self.clock.advance(20 + GRACE)
        self.assertFault(claimed, "30 s")
        self.turns.all()
        self.assertEqual(self.state(id), "ready")
        self.assertEqual(self.now(self.broker.task("tasks", id)).attempts, 0)

    def test_settleTooLate(self) -> None:
        """
        Where the file takes too long, a settlement is a fault; it counts all the same.
        """
        [id] = self.enqueue(b"1")
        [task] = self.now(self.queue.claim("c", 1, 0, 60)).tasks
        settled = self.queue.settle([Settlement(task.receipt, "complete")], 5)
        self.clock.advance(5)
        self.assertFault(settled, "5 s")
        self.assertEqual(self.state(id), "completed")

    def test_notRunning(self) -> None:
        """
        While the service does not run, that is a fault.
        """
        queue = LocalQueue(lambda: None, "tasks", self.clock)
        self.assertFault(queue.claim("c", 1, 20, 60), "does not run")
        self.assertFault(queue.settle([], 5), "does not run")
        self.assertFault(queue.cancelClaim("c"), "does not run")

    def test_unencodable(self) -> None:
        """
        A text that is no Unicode is kept as far as it is, and costs nobody else.
        """
        ids = self.enqueue(b"1", b"2")
        tasks = self.now(self.queue.claim("c", 2, 0, 60)).tasks
        settlements = [
            Settlement(tasks[0].receipt, "fail", error="a\ud800b"),
            Settlement(tasks[1].receipt, "complete"),
            Settlement("\ud800", "complete"),
        ]
        self.assertEqual(self.now(self.queue.settle(settlements, 5)), ["\ud800"])
        self.assertEqual([self.state(id) for id in ids], ["failed", "completed"])
        self.assertEqual(self.now(self.broker.task("tasks", ids[0])).error, "a?b")

    def test_cannotBeUsed(self) -> None:
        """
        Where the file cannot be used, that is a fault and says why.
        """
        self.enqueue(b"1")
        for ask in (
            lambda: self.queue.claim("c", 1, 20, 60),
            lambda: self.queue.settle([Settlement("1.0", "complete")], 5),
        ):
            asked: Deferred[Any] = ask()
            self.turns.fail(sqlite3.OperationalError("disk I/O error"))
            self.assertFault(asked, "disk I/O error")
            self.turns.all()

    def test_ourOwnFault(self) -> None:
        """
        What is broken in the queue itself is not taken for trouble with the file; it
        is logged with its traceback.
        """
        settled = self.queue.settle([Settlement("1.0", "complete")], 5)
        self.turns.fail(ZeroDivisionError("a bug"))
        self.assertFault(settled, "the queue has failed: a bug")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
