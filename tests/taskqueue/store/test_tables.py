"""
Tests for L{myconsumer.taskqueue.store.tables}; the rest is in
L{tests.taskqueue.test_machine}.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.task import Settlement
from myconsumer.taskqueue.limits import LARGEST_PAYLOAD
from myconsumer.taskqueue.store.records import Delivery, NewTask
from myconsumer.taskqueue.store.tables import Tables
from tests.taskqueue.core import File

FEW, MANY = 1_000, 50_000


class StoreCase(SynchronousTestCase):
    """
    A new file.
    """

    def setUp(self) -> None:
        self.file = File(self.mktemp())
        self.addCleanup(lambda: self.file.close())
        self.claims = count()

    def claim(
        self, now: float, queue: str = "a", limit: int = 1, lease: float = 60.0
    ) -> list[Delivery]:
        name = f"claim {next(self.claims)}"
        return self.file.do(lambda tables: tables.claim(queue, name, limit, lease, now))

    def settle(self, now: float, *settlements: Settlement) -> list[str]:
        return self.file.do(
            lambda tables: tables.settlements.settle("a", settlements, now)
        )

    def endAll(self, outcome: str, now: float) -> None:
        """
        Lease all that is ready in queue a, and end it.
        """
        while deliveries := self.claim(now, limit=10_000):
            settlements = [
                Settlement(each.receipt, outcome, Raw(b"1"))  # type: ignore[arg-type]
                for each in deliveries
            ]
            self.assertEqual(self.settle(now, *settlements), [])


class TablesTests(StoreCase):
    """
    Tests for L{Tables}.
    """

    def test_claimsInOrder(self) -> None:
        """
        Tasks with the highest priority are claimed first, of these the oldest; one that
        comes back keeps its age.
        """
        [low] = self.file.fill("a", 1, 1.0, priority=-1000)
        first, second = self.file.fill("a", 2, 1.0)
        [high] = self.file.fill("a", 1, 2.0, priority=1000)
        [third] = self.file.fill("a", 1, 2.0)
        self.assertEqual([d.id for d in self.claim(2.0, limit=2)], [high, first])
        self.file.do(lambda tables: tables.expiry.wake(63.0))
        claimed = [delivery.id for delivery in self.claim(63.0, limit=9)]
        self.assertEqual(claimed, [high, first, second, third, low])

    def test_makesNewReceipts(self) -> None:
        """
        Each delivery has a receipt of its own, and no reopening brings one back.
        """
        self.file.fill("a", 3, 1.0)
        seen: set[str] = set()
        for now in (1.0, 2.0, 3.0, 4.0):
            receipts = [delivery.receipt for delivery in self.claim(now, limit=3)]
            released = [Settlement(receipt, "release") for receipt in receipts]
            self.assertEqual(self.settle(now, *released), [])
            self.assertEqual(len(seen), (now - 1.0) * 3)
            seen.update(receipts)
            self.file.close()
            self.file.open()
        self.assertEqual(len(seen), 12)

    def test_boundsClaimByPayloads(self) -> None:
        """
        A claim brings no more than 8 MiB of payloads, but one task at least.
        """
        half = NewTask(b"1" * (LARGEST_PAYLOAD // 2))
        small = NewTask(b"1")
        tasks = [half, half, small, NewTask(b"1" * (LARGEST_PAYLOAD + 1)), small]
        ids = self.file.do(lambda tables: tables.enqueue("a", tasks, 1.0)).ids
        claimed = []
        while deliveries := self.claim(1.0, limit=10):
            claimed.append([delivery.id for delivery in deliveries])
        self.assertEqual(claimed, [ids[:2], ids[2:3], ids[3:4], ids[4:]])
        self.assertEqual(self.file.tables.count(), {("a", "leased"): 5})

    def test_makesQueueByFirstTask(self) -> None:
        """
        A queue is made by its first task and by nothing else.
        """
        self.claim(1.0, "ghost")
        self.file.do(lambda tables: tables.settlements.settle("ghost", [], 1.0))
        self.file.do(lambda tables: tables.archive.retry("ghost", ["x"]))
        self.file.do(lambda tables: tables.archive.retryAll("ghost", 5, None, 1.0))
        self.assertEqual(dict(self.file.database.changes), {})
        self.assertEqual(
            self.file.connection.execute("SELECT * FROM queues").fetchall(), []
        )

    def test_queuesKnownIdOnce(self) -> None:
        """
        An id that comes twice in one request is queued once.
        """
        tasks = [NewTask(b"1", "x"), NewTask(b"2", "x"), NewTask(b"3")]
        done = self.file.do(lambda tables: tables.enqueue("a", tasks, 1.0))
        self.assertEqual((done.ids[:2], done.known), (["x", "x"], ["x"]))
        self.assertEqual(
            [bytes(d.payload) for d in self.claim(1.0, limit=9)], [b"1", b"3"]
        )


class CostTests(StoreCase):
    """
    What it costs does not grow with what is in the file.
    """

    def steps(self, operation: Callable[[Tables], object]) -> int:
        """
        @return: The steps of SQLite's virtual machine that something takes; it is
            undone.
        """
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        connection = self.file.connection
        connection.execute("BEGIN IMMEDIATE")
        connection.set_progress_handler(count, 1)
        operation(self.file.tables)
        connection.set_progress_handler(None, 0)
        connection.rollback()
        self.file.database.forget()
        return steps

    def costs(self, now: float) -> dict[str, int]:
        """
        @return: The steps of each thing that is done all the time.
        """
        [id] = self.file.fill("b", 1, now, priority=1)
        self.file.fill("b", 1, now)
        [delivery] = self.claim(now, "b", 1, 60.0)
        complete = Settlement(delivery.receipt, "complete")
        extend = Settlement(delivery.receipt, "extend")
        return {
            "enqueue": self.steps(
                lambda tables: tables.enqueue("a", [NewTask(b"1")] * 10, now)
            ),
            "claim": self.steps(lambda tables: tables.claim("a", "c", 10, 60.0, now)),
            "claim alone": self.steps(
                lambda tables: tables.claim("b", "c", 1, 60.0, now)
            ),
            "complete": self.steps(
                lambda tables: tables.settlements.settle("b", [complete], now)
            ),
            "extend": self.steps(
                lambda tables: tables.settlements.settle("b", [extend], now)
            ),
            "wake": self.steps(lambda tables: tables.expiry.wake(now)),
            "due": self.steps(lambda tables: tables.expiry.due()),
            "task": self.steps(lambda tables: tables.archive.task("b", id)),
            "failed": self.steps(lambda tables: tables.archive.failed("a", 10, 0)),
            "retry": self.steps(lambda tables: tables.archive.retry("a", ["x", id])),
            "prune": self.steps(lambda tables: tables.archive.prune(0.0)),
        }

    def assertFlat(self, fill: Callable[[int], object]) -> None:
        """
        Fail unless it all takes about as many steps with few as with many.
        """
        fill(FEW)
        few = self.costs(10.0)
        fill(MANY)
        many = self.costs(10.0)
        for name, steps in few.items():
            self.assertLess(many[name], 2 * steps + 100, name)

    def test_costsSameWithWaiting(self) -> None:
        """
        Tasks that wait cost the others nothing.
        """
        self.assertFlat(lambda count: self.file.fill("a", count, 1.0))

    def test_costsSameWithDelayed(self) -> None:
        """
        Tasks that are delayed cost the others nothing.
        """
        self.assertFlat(lambda count: self.file.fill("a", count, 1.0, delay=1000.0))

    def test_costsSameWithLeased(self) -> None:
        """
        Tasks that are leased cost the others nothing.
        """

        def lease(count: int) -> None:
            self.file.fill("a", count, 1.0)
            self.claim(1.0, limit=count, lease=1000.0)

        self.assertFlat(lease)

    def test_costsSameWithEnded(self) -> None:
        """
        Tasks that have completed or failed cost the others nothing.
        """
        for outcome in ("complete", "fail"):

            def end(count: int, outcome: str = outcome) -> None:
                self.file.fill("a", count, 1.0)
                self.endAll(outcome, 1.0)

            self.assertFlat(end)


class PlanTests(StoreCase):
    """
    How SQLite goes about what is asked of it.
    """

    def statements(self) -> set[str]:
        """
        @return: What is asked of it in all that is done all the time.
        """
        seen: set[str] = set()
        self.file.connection.set_trace_callback(seen.add)
        self.file.fill("a", 20, 1.0)
        self.file.fill("a", 1, 1.0, delay=1.0)
        for outcome in ("extend", "release", "fail", "complete"):
            [delivery] = self.claim(1.0)
            told = Settlement(delivery.receipt, outcome, Raw(b"1"))  # type: ignore[arg-type]
            for _ in range(2):
                self.settle(1.0, told)
        archive = self.file.tables.archive
        self.file.do(lambda tables: tables.expiry.wake(100.0))
        self.file.do(lambda tables: tables.expiry.due())
        self.file.do(lambda tables: tables.expiry.resume(100.0))
        self.file.do(lambda tables: archive.task("a", "x"))
        self.file.do(lambda tables: archive.failed("a", 10, 0))
        self.file.do(lambda tables: archive.retry("a", ["x"]))
        self.file.do(lambda tables: archive.retryAll("a", 5, None, 1.0))
        self.file.do(lambda tables: archive.prune(100.0))
        self.file.connection.set_trace_callback(None)
        verbs = ("SELECT", "INSERT", "UPDATE", "DELETE")
        return {each for each in seen if each.startswith(verbs)}

    def test_usesIndexes(self) -> None:
        """
        SQLite sorts nothing and scans no table but that of the few queues.
        """
        statements = self.statements()
        self.assertGreater(len(statements), 12)
        used = ""
        for statement in statements:
            plan = [
                row[3]
                for row in self.file.connection.execute(
                    f"EXPLAIN QUERY PLAN {statement}"
                )
            ]
            for line in plan:
                self.assertNotIn("TEMP B-TREE", line, statement)
                if "queues" not in statement:
                    self.assertNotIn("SCAN", line, statement)
                if line.startswith("SEARCH"):
                    self.assertIn(" USING ", line, statement)
            used += "\n".join(plan)
        for index in ("ready", "due", "failed", "ended"):
            self.assertRegex(used, f"INDEX {index} ")
