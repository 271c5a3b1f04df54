"""
Tests for L{myconsumer.taskqueue.store.writer}.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from functools import partial
from typing import Any, NoReturn

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.disk import FileGoneError
from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.taskqueue.store.records import Enqueued, NewTask
from myconsumer.taskqueue.store.schema import CONNECTION, prepare
from myconsumer.taskqueue.store.tables import Tables
from myconsumer.taskqueue.store.writer import Operation, Outcome, Writer
from tests.taskqueue.core import Turns, connect, full

LARGE = NewTask(b"1" * 100_000)


class OurError(Exception):
    """
    What an operation fails with.
    """


def enqueue(queue: str, *tasks: NewTask) -> Operation[Enqueued]:
    """
    @return: What queues tasks.
    """
    return lambda tables, now: tables.enqueue(queue, tasks or [NewTask(b"1")], now)


def bad(tables: Tables, now: float) -> NoReturn:
    """
    Queue a task, and fail.
    """
    enqueue("bad")(tables, now)
    raise OurError("bad")


class WriterTests(SynchronousTestCase):
    """
    Tests for L{Writer}, whose transactions happen when the test says.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.connection = connect(self.path)
        self.addCleanup(self.connection.close)
        self.turns = Turns(self.connection)
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.writer = Writer(self.turns.run, self.clock)
        self.outcomes: list[Outcome] = []
        self.writer.onCommit = self.outcomes.append

    def assertExact(self, **expected: int) -> None:
        """
        Fail unless so many tasks are ready in each queue, and the changes say so.
        """
        changes: Counter[tuple[str, Any]] = Counter()
        for outcome in self.outcomes:
            changes.update(outcome.changes)
        ready = {(queue, "ready"): count for queue, count in expected.items()}
        self.assertEqual(+changes, ready)
        self.assertEqual(-changes, {})
        self.assertEqual(Tables(Database(self.connection)).count(), ready)

    def test_groupsOperations(self) -> None:
        """
        The first operation is begun at once; those that come meanwhile share one
        transaction, in the order in which they came.
        """
        done: list[int] = []

        def note(number: int, tables: Tables, now: float) -> int:
            done.append(number)
            return number * 2

        results = [self.writer.do(partial(note, number)) for number in range(11)]
        self.turns.next()
        self.assertEqual(done, [0])
        self.turns.all()
        self.assertEqual(done, [*range(11)])
        self.assertEqual(self.turns.made, 2)
        self.assertEqual(
            [self.successResultOf(each) for each in results], [*range(0, 22, 2)]
        )

    def test_commitsFirst(self) -> None:
        """
        An operation is answered once it is committed, and the outcome is noted before
        that.
        """
        events: list[str] = []

        def committed(outcome: Outcome) -> None:
            self.assertFalse(self.connection.in_transaction)
            events.append("commit")

        self.writer.onCommit = committed
        for _ in range(2):
            self.writer.do(enqueue("a")).addCallback(lambda _: events.append("told"))
        self.assertEqual(events, [])
        self.turns.all()
        self.assertEqual(events, ["commit", "told"] * 2)

    def test_tellsOutcome(self) -> None:
        """
        The outcome has what changed, by the writer's clock, and what is due after all
        of it.
        """
        self.writer.do(enqueue("a"))
        self.writer.do(lambda tables, now: tables.expiry.wake(now))
        self.writer.do(enqueue("b", NewTask(b"1", delay=5.0)))
        self.turns.all()
        self.assertEqual([each.due for each in self.outcomes], [None, 1005.0])
        self.assertEqual(+Counter(self.outcomes[1].changes), {("b", "delayed"): 1})

    def test_failsAlone(self) -> None:
        """
        An operation that fails is undone by itself; those of the same transaction are
        done.
        """
        first = self.writer.do(enqueue("a"))
        before = self.writer.do(enqueue("b"))
        failing = [self.writer.do(bad), self.writer.do(bad)]
        after = self.writer.do(enqueue("c"))
        self.turns.all()
        for each in (first, before, after):
            self.assertEqual(len(self.successResultOf(each).ids), 1)
        for failed in failing:
            self.failureResultOf(failed, OurError)
        self.assertEqual(len(self.flushLoggedErrors(OurError)), 2)
        self.assertExact(a=1, b=1, c=1)

    def test_tellsDueAfterFailure(self) -> None:
        """
        After an operation that fails the outcome still has what is due next.
        """
        self.writer.do(enqueue("a"))
        self.writer.do(enqueue("a", NewTask(b"1", delay=5.0)))
        self.failureResultOf(self.doNow(bad), OurError)
        self.flushLoggedErrors(OurError)
        self.assertEqual([each.due for each in self.outcomes], [None, 1005.0])

    def test_countsOneByOne(self) -> None:
        """
        An operation that is done by itself counts with those before it.
        """
        self.doNow(enqueue("a"))
        known = {("a", "ready"): 1}
        self.writer.do(enqueue("b"))
        claimed = self.writer.do(
            lambda tables, now: tables.claim("a", "c", 1, 9.0, now)
        )
        missing = self.writer.do(lambda tables, now: tables.correct("a", known))
        self.failureResultOf(self.doNow(bad), OurError)
        self.flushLoggedErrors(OurError)
        self.assertEqual(len(self.successResultOf(claimed)), 1)
        self.assertEqual(self.successResultOf(missing), 0)

    def test_failsWithOwnReason(self) -> None:
        """
        Where all operations of a transaction fail, each fails with its own reason.
        """
        self.writer.do(enqueue("a"))
        mine = self.writer.do(bad)
        others = self.writer.do(lambda tables, now: [][1])
        self.turns.all()
        self.failureResultOf(mine, OurError)
        self.failureResultOf(others, IndexError)
        self.assertEqual(len(self.flushLoggedErrors(OurError, IndexError)), 2)
        self.assertExact(a=1)

    def test_triesOnce(self) -> None:
        """
        An operation that fails in a transaction of its own is not tried twice.
        """
        tries: list[float] = []

        def fail(tables: Tables, now: float) -> NoReturn:
            tries.append(now)
            bad(tables, now)

        self.failureResultOf(self.doNow(fail), OurError)
        self.assertEqual(tries, [1000.0])
        self.flushLoggedErrors(OurError)
        self.assertExact()

    def doNow(self, operation: Operation[Any]) -> Deferred[Any]:
        done = self.writer.do(operation)
        self.turns.all()
        return done

    def test_undoesQueue(self) -> None:
        """
        A queue that was made by a failed operation is not there, and can be made later.
        """
        self.failureResultOf(self.doNow(bad), OurError)
        self.flushLoggedErrors(OurError)
        self.successResultOf(self.doNow(enqueue("other")))
        self.successResultOf(self.doNow(enqueue("bad")))
        self.assertExact(other=1, bad=1)

    def test_failsWhileLocked(self) -> None:
        """
        While another program writes, everything fails without being tried one by one,
        with one line in the log until it works again.
        """
        self.connection.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        with capturedLogs() as events:
            refused = [self.writer.do(enqueue("a")) for _ in range(5)]
            self.turns.all()
            for each in refused:
                self.failureResultOf(each, StoreError)
            other.rollback()
            self.successResultOf(self.doNow(enqueue("a")))
            self.successResultOf(self.doNow(enqueue("a")))
        self.assertEqual([e["log_level"].name for e in events], ["error", "info"])
        self.assertIn("locked", events[0]["reason"])
        self.assertExact(a=2)

    def test_checksBeforeCommit(self) -> None:
        """
        What the check before the commit refuses is not done, and each type of trouble
        is one line in the log.
        """
        allowed = [True]

        def check() -> None:
            if not allowed[0]:
                raise FileGoneError("gone")

        self.writer = Writer(self.turns.run, self.clock, check)
        self.writer.onCommit = self.outcomes.append
        self.successResultOf(self.doNow(enqueue("a")))
        allowed[0] = False
        with capturedLogs() as events:
            refused = [self.writer.do(enqueue("a")) for _ in range(3)]
            self.turns.fail(sqlite3.OperationalError("disk I/O error"))
            self.turns.all()
            for each in refused:
                self.failureResultOf(each, StoreError)
        said = [event["reason"] for event in events]
        self.assertEqual(said, ["disk I/O error", "gone"])
        self.assertExact(a=1)

    def test_failsWhileFull(self) -> None:
        """
        While the disk is full, what needs room fails, wholly, and works once there is
        room again.
        """
        self.writer.do(enqueue("a", *[NewTask(b"1")] * 10))
        self.turns.all()
        with capturedLogs() as events, full(self.connection):
            claimed = self.writer.do(lambda s, now: s.claim("a", "c", 1, 60.0, now))
            refused = [
                self.writer.do(enqueue(queue, NewTask(b"1"), LARGE)) for queue in "abc"
            ]
            self.turns.all()
            for each in refused:
                self.failureResultOf(each, StoreError)
            [delivery] = self.successResultOf(claimed)
            self.assertEqual(delivery.attempt, 1)
        self.assertEqual([e["log_level"].name for e in events], ["error"])
        self.successResultOf(self.doNow(enqueue("c", LARGE)))
        changes: Counter[tuple[str, Any]] = Counter()
        for outcome in self.outcomes:
            changes.update(outcome.changes)
        expected = {("a", "ready"): 9, ("a", "leased"): 1, ("c", "ready"): 1}
        self.assertEqual(+changes, expected)
        self.assertEqual(Tables(Database(self.connection)).count(), expected)

    def test_failsWithoutThread(self) -> None:
        """
        If a transaction cannot even be begun, all its operations fail, and the next
        ones are done.
        """
        refused = [self.writer.do(enqueue("a"))]
        self.turns.fail(OurError("no thread"))
        refused += [self.writer.do(enqueue("a")) for _ in range(3)]
        accepted = refused.pop(1)
        self.turns.next()
        self.successResultOf(accepted)
        self.turns.fail(OurError("no thread"))
        for each in refused:
            self.failureResultOf(each, OurError)
        self.flushLoggedErrors(OurError)
        self.assertExact(a=1)

    def test_doesWhatIsCancelled(self) -> None:
        """
        An operation whose Deferred is cancelled is done all the same.
        """
        done = self.writer.do(enqueue("a"))
        done.addErrback(lambda _: None)
        done.cancel()
        self.successResultOf(self.doNow(enqueue("a")))
        self.assertExact(a=2)

    def test_tellsWhenIdle(self) -> None:
        """
        The writer is idle once all operations are done, those that they led to as well.
        """
        self.successResultOf(self.writer.idle())
        more: list[Deferred[Any]] = []
        self.writer.do(enqueue("a")).addCallback(
            lambda _: more.append(self.writer.do(enqueue("b")))
        )
        idle = [self.writer.idle(), self.writer.idle()]
        self.turns.next()
        self.assertNoResult(idle[0])
        self.turns.next()
        self.successResultOf(more[0])
        for each in idle:
            self.successResultOf(each)


class PooledTests(TestCase):
    """
    Tests for L{Writer} on a thread, as in earnest.
    """

    def setUp(self) -> None:
        self.pool = ConnectionPool(
            "sqlite3",
            self.mktemp(),
            cp_min=1,
            cp_max=1,
            cp_openfun=partial(prepare, sync="normal"),
            **CONNECTION,
        )
        self.addCleanup(self.pool.close)
        self.writer = Writer(self.pool.runWithConnection, IReactorTime(reactor))
        self.outcomes: list[Outcome] = []
        self.writer.onCommit = self.outcomes.append

    async def count(self) -> Counter[tuple[str, Any]]:
        """
        @return: The tasks by queue and state; the changes have to say the same.
        """
        changes: Counter[tuple[str, Any]] = Counter()
        for outcome in self.outcomes:
            changes.update(outcome.changes)
        counted = await self.writer.do(lambda tables, now: tables.count())
        self.assertEqual(+changes, counted)
        self.assertEqual(-changes, {})
        return counted

    async def test_groupsOperations(self) -> None:
        """
        Many operations are few transactions, on one thread that is not the reactor's.
        """
        done: list[int] = []
        threads: set[int] = set()

        def note(number: int, tables: Tables, now: float) -> None:
            done.append(number)
            threads.add(threading.get_ident())
            enqueue("a")(tables, now)

        await gatherResults([self.writer.do(partial(note, n)) for n in range(300)])
        self.assertEqual(done, [*range(300)])
        self.assertLessEqual(len(self.outcomes), 2)
        self.assertEqual(len(threads - {threading.get_ident()}), 1)
        self.assertEqual(await self.count(), {("a", "ready"): 300})

    async def test_failsAlone(self) -> None:
        """
        An operation that fails is undone by itself; those of the same transaction are
        done.
        """
        done = [self.writer.do(enqueue("a")) for _ in range(10)]
        failing = self.writer.do(bad)
        done += [self.writer.do(enqueue("a")) for _ in range(10)]
        await gatherResults(done)
        await self.assertFailure(failing, OurError)
        self.assertEqual(len(self.flushLoggedErrors(OurError)), 1)
        self.assertEqual(await self.count(), {("a", "ready"): 20})

    async def test_failsWhileFull(self) -> None:
        """
        While the disk is full, what needs room fails, and that passes.
        """
        await self.writer.do(enqueue("a"))
        pages = await self.pragma("page_count")
        most = await self.pragma(f"max_page_count = {pages}")
        self.assertEqual(most, pages)
        refused = [self.writer.do(enqueue("a", NewTask(b"1"), LARGE)) for _ in "123"]
        for each in refused:
            await self.assertFailure(each, StoreError)
        self.assertEqual(await self.count(), {("a", "ready"): 1})
        await self.pragma("max_page_count = 1000000")
        await self.writer.do(enqueue("a", NewTask(b"1"), LARGE))
        self.assertEqual(await self.count(), {("a", "ready"): 3})

    def pragma(self, setting: str) -> Deferred[Any]:
        """
        Look at a setting of SQLite, or make one.
        """
        return self.pool.runWithConnection(
            lambda connection: connection.execute(f"PRAGMA {setting}").fetchone()[0]
        )
