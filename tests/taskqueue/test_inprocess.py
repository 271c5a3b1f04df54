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
        self.successResultOf(self.queue.close())
        closed = self.broker.close()
        self.turns.all()
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def now(self, done: Deferred[Any]) -> Any:
        """
        @return: What a Deferred fires with once all transactions are made.
        """
        self.turns.all()
        return self.successResultOf(done)

    def enqueue(self, *payloads: bytes) -> list[str]:
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

    def test_providesQueue(self) -> None:
        """
        LocalQueue provides ITaskQueue.
        """
        verifyObject(ITaskQueue, self.queue)

    def test_claimsAsOverHTTP(self) -> None:
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

    def test_waitsForTask(self) -> None:
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

    def test_failsUnreadablePayload(self) -> None:
        """
        A payload that is JSON and yet cannot be read fails its own task alone.
        """
        bad = b"[" * 100_000 + b"]" * 100_000
        self.enqueue(b"1", bad, b"2")
        claimed = self.now(self.queue.claim("c", 5, 0, 60))
        self.assertEqual([task.payload for task in claimed.tasks], [1, 2])
        [failed] = claimed.malformed
        self.assertEqual(failed.outcome, "fail")
        self.assertIn("its payload cannot be read", failed.error)
        self.assertNotIn(failed.receipt, [task.receipt for task in claimed.tasks])

    def test_settles(self) -> None:
        """
        Outcomes are taken, and the receipts that are not leased are lost.
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

    def test_endsClaim(self) -> None:
        """
        A claim that is ended is answered at once, and ending is always possible.
        """
        claimed = self.queue.claim("c", 1, 20, 60)
        self.assertIs(self.now(self.queue.cancelClaim("c")), True)
        self.assertEqual(self.now(claimed).tasks, [])
        self.assertIs(self.now(self.queue.cancelClaim("never heard of")), True)

    def test_claimsOwnQueue(self) -> None:
        """
        A claim brings no tasks of other queues.
        """
        self.now(self.broker.enqueue("others", [NewTask(b"1")]))
        self.assertEqual(self.now(self.queue.claim("c", 1, 0, 60)).tasks, [])

    def test_releasesLateClaim(self) -> None:
        """
        A claim that takes too long fails with FaultError, and what is leased to it
        later is released, uncounted.
        """
        [id] = self.enqueue(b"1")
        claimed = self.queue.claim("c", 1, 20, 60)
        self.clock.advance(20 + GRACE)
        self.assertFault(claimed, "30 s")
        self.turns.all()
        self.assertEqual(self.state(id), "ready")
        self.assertEqual(self.now(self.broker.task("tasks", id)).attempts, 0)

    def test_failsLateSettlement(self) -> None:
        """
        A settlement that takes too long fails with FaultError; it counts all the same.
        """
        [id] = self.enqueue(b"1")
        [task] = self.now(self.queue.claim("c", 1, 0, 60)).tasks
        settled = self.queue.settle([Settlement(task.receipt, "complete")], 5)
        self.clock.advance(5)
        self.assertFault(settled, "5 s")
        self.assertEqual(self.state(id), "completed")

    def test_failsWhileStopped(self) -> None:
        """
        While the service does not run, each request fails with FaultError.
        """
        queue = LocalQueue(lambda: None, "tasks", self.clock)
        self.assertFault(queue.claim("c", 1, 20, 60), "does not run")
        self.assertFault(queue.settle([], 5), "does not run")
        self.assertFault(queue.cancelClaim("c"), "does not run")

    def test_settlesUnencodableText(self) -> None:
        """
        A text that is no Unicode is kept as far as it is, and no other settlement
        suffers.
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

    def test_failsWithoutFile(self) -> None:
        """
        While the file cannot be used, requests fail with FaultError and the reason.
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

    def test_failsWithBug(self) -> None:
        """
        A bug in the queue is a FaultError that does not blame the file; it is logged
        with its traceback.
        """
        settled = self.queue.settle([Settlement("1.0", "complete")], 5)
        self.turns.fail(ZeroDivisionError("a bug"))
        self.assertFault(settled, "the queue has failed: a bug")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
