"""
The store beside a model of it in plain Python, and the broker with claims that come and
go, each in any order of events.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass
from itertools import count
from math import inf
from typing import Any, cast
from unittest import TestCase

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec import UNSET, Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from myconsumer.task import Settlement
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.store.database import CHUNK
from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.taskqueue.store.records import Delivery, NewTask, State
from myconsumer.testing import passTime
from tests.taskqueue.core import File, Turns, connect, storeOf

QUEUES = ("a", "b")

#: What no store has ever given out.
GARBAGE = (
    "",
    ".",
    "1",
    "1.",
    ".1",
    "1.0",
    "-1.1",
    "1.-1",
    "1.ffffffffffffffff",
    "999999999999999999.1",
    "9999999999999999999.1",
    "1.1.1",
    "\u0661.1",
    "no receipt",
)

queues = st.sampled_from(QUEUES)
names = st.sampled_from(["one", "two", "three", "four", "a/b \u00fc\x00"])
delays = st.sampled_from([0.0, 0.0, 1.0, 10.0])
leases = st.sampled_from([1.0, 5.0, 60.0])
newTasks = st.builds(
    NewTask,
    st.sampled_from([b"1", b'{"a": [null]}']),
    st.none() | names,
    delays,
    st.integers(-1, 1),
)
outcomes = st.one_of(
    st.builds(dict, outcome=st.just("complete"), result=st.sampled_from([UNSET, "7"])),
    st.builds(
        dict,
        outcome=st.just("release"),
        delay=delays | st.just(UNSET),
        error=st.sampled_from([UNSET, "released"]),
        counted=st.sampled_from([UNSET, True, False]),
    ),
    st.builds(
        dict, outcome=st.just("fail"), error=st.sampled_from([UNSET, "it is bad"])
    ),
    st.builds(dict, outcome=st.just("extend"), lease=leases | st.just(UNSET)),
)


@dataclass(eq=False)
class Modelled:
    """
    What is expected of one task.
    """

    queue: str
    id: str
    payload: bytes
    priority: int
    enqueued: float
    state: str
    due: float | None
    age: int
    lease: float = 0.0
    attempts: int = 0
    ended: float | None = None
    error: str | None = None
    result: bytes | None = None
    receipt: str | None = None
    claim: str | None = None

    def end(self, state: str, now: float, error: str | None) -> None:
        self.state, self.due, self.ended, self.error = state, None, now, error

    def wake(self) -> None:
        """
        Be ready, since the lease or the delay has ended.
        """
        if self.state == "leased":
            self.error = f"its lease ended in attempt {self.attempts}"
        self.state, self.due, self.receipt = "ready", None, None

    def settle(self, settlement: Settlement, now: float) -> None:
        """
        Take in what is said by whom it is leased to.
        """
        error = None if settlement.error is UNSET else settlement.error
        match settlement.outcome:
            case "complete":
                self.end("completed", now, None)
                if settlement.result is not UNSET:
                    self.result = bytes(settlement.result)
            case "fail":
                self.end("failed", now, error)
            case "extend":
                self.lease = 60.0 if settlement.lease is UNSET else settlement.lease
                self.due = now + self.lease
            case "release":
                delay = 0.0 if settlement.delay is UNSET else settlement.delay
                self.state = "delayed" if delay else "ready"
                self.due = now + delay if delay else None
                self.attempts -= settlement.counted is False
                self.error = error or self.error


class StoreMachine(RuleBasedStateMachine):
    """
    Producers, consumers, operators, time and power cuts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.file = File(f"{self.folder}/tasks.sqlite")
        self.now = 1000.0
        self.tasks: list[Modelled] = []
        self.receipts: list[str] = []
        self.changes: Counter[tuple[str, Any]] = Counter()
        self.ages = count()
        self.claims = count()

    def teardown(self) -> None:
        self.file.close()
        shutil.rmtree(self.folder)

    def do(self, operation: Callable[..., Any]) -> Any:
        """
        Commit an operation, and note what it says has changed.
        """
        result = self.file.do(operation)
        self.changes.update(self.file.database.changes)
        self.file.database.changes.clear()
        return result

    def having(self, *states: str, queue: str | None = None) -> list[Modelled]:
        """
        @return: The tasks that are in one of some states, the oldest first.
        """
        return [
            task
            for task in self.tasks
            if task.state in states and queue in (None, task.queue)
        ]

    def find(self, queue: str, id: str) -> Modelled | None:
        """
        @return: The task of a name.
        """
        found = [each for each in self.tasks if (each.queue, each.id) == (queue, id)]
        return found[0] if found else None

    @initialize(tasks=st.lists(newTasks, min_size=2, max_size=6))
    def begin(self, tasks: list[NewTask]) -> None:
        """
        There is something to do from the beginning.
        """
        for queue in QUEUES:
            self.enqueue(queue, tasks)

    @rule(queue=queues, tasks=st.lists(newTasks, max_size=4))
    def enqueue(self, queue: str, tasks: list[NewTask]) -> None:
        """
        Those with a new name, or none, are queued; the others are told of.
        """
        done = self.do(lambda tables: tables.enqueue(queue, tasks, self.now))
        assert len(done.ids) == len(tasks)
        known = []
        for task, id in zip(tasks, done.ids, strict=True):
            assert task.id in (None, id)
            if self.find(queue, id):
                known.append(id)
            else:
                self.queued(queue, id, task)
        assert done.known == known

    def queued(self, queue: str, id: str, task: NewTask) -> None:
        state = "delayed" if task.delay else "ready"
        due = self.now + task.delay if task.delay else None
        modelled = Modelled(
            queue,
            id,
            task.payload,
            task.priority,
            self.now,
            state,
            due,
            next(self.ages),
        )
        self.tasks.append(modelled)

    @precondition(lambda self: self.having("ready"))
    @rule(queue=queues, limit=st.integers(1, 4), lease=leases)
    def claim(self, queue: str, limit: int, lease: float) -> None:
        """
        The most urgent come first, of these the oldest; each with a receipt that was
        never seen before.
        """
        name = f"claim {next(self.claims)}"
        deliveries = self.do(
            lambda tables: tables.claim(queue, name, limit, lease, self.now)
        )
        ready = self.having("ready", queue=queue)
        ready.sort(key=lambda task: (-task.priority, task.age))
        assert [each.id for each in deliveries] == [task.id for task in ready[:limit]]
        for task, delivery in zip(ready, deliveries, strict=False):
            task.state, task.due, task.claim = "leased", self.now + lease, name
            task.lease = lease
            task.attempts += 1
            task.receipt = delivery.receipt
            assert bytes(delivery.payload) == task.payload
            assert delivery.attempt == task.attempts
            assert (delivery.lease, delivery.enqueued) == (lease, task.enqueued)
            assert delivery.receipt not in self.receipts
            self.receipts.append(delivery.receipt)

    @precondition(lambda self: self.having("leased"))
    @rule(data=st.data(), told=st.lists(outcomes, min_size=1, max_size=3))
    def settle(self, data: st.DataObject, told: list[dict[str, Any]]) -> None:
        """
        What is leased is settled.
        """
        task = data.draw(st.sampled_from(self.having("leased")))
        receipts = [each.receipt for each in self.having("leased", queue=task.queue)]
        self.tell(
            task.queue,
            [(data.draw(st.sampled_from(receipts)), outcome) for outcome in told],
        )

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), queue=queues, told=st.lists(outcomes, min_size=1, max_size=3))
    def settleOthers(
        self, data: st.DataObject, queue: str, told: list[dict[str, Any]]
    ) -> None:
        """
        What is not leased, or in another queue, or no receipt at all, is lost and
        changes nothing; of what is told again it may be said either way.
        """
        receipts = st.sampled_from(self.receipts) | st.sampled_from(GARBAGE)
        self.tell(queue, [(data.draw(receipts), outcome) for outcome in told])

    def tell(self, queue: str, told: list[tuple[Any, dict[str, Any]]]) -> None:
        """
        Settle tasks of a queue, by their receipts.
        """
        settlements = [
            Settlement(receipt, **{**outcome, **_result(outcome)})
            for receipt, outcome in told
        ]
        lost = self.do(
            lambda tables: tables.settlements.settle(queue, settlements, self.now)
        )
        for settlement in settlements:
            isLost, mayBeLost = self.settled(queue, settlement)
            if lost[:1] == [settlement.receipt] and mayBeLost:
                del lost[0]
            else:
                assert not isLost, settlement
        assert not lost

    def settled(self, queue: str, settlement: Settlement) -> tuple[bool, bool]:
        """
        @return: Whether it has to be lost, and whether it may be.
        """
        for task in self.having("leased", "ready", "delayed", "completed", "failed"):
            if task.receipt == settlement.receipt and task.queue == queue:
                if task.state != "leased":
                    return False, True
                if task.due is not None and task.due > self.now:
                    task.settle(settlement, self.now)
                    return False, False
        return True, True

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 59.0]))
    def passTime(self, seconds: float) -> None:
        """
        Nothing but the time changes.
        """
        self.now += seconds

    @precondition(lambda self: (self.due() or inf) <= self.now)
    @rule()
    def wake(self) -> None:
        """
        What is due becomes ready.
        """
        self.do(lambda tables: tables.expiry.wake(self.now))
        for task in self.tasks:
            if task.due is not None and task.due <= self.now:
                task.wake()

    @precondition(lambda self: self.having("failed"))
    @rule(queue=queues, ids=st.lists(names, max_size=3, unique=True))
    def retry(self, queue: str, ids: list[str]) -> None:
        """
        Those that failed begin anew; of the others it is told.
        """
        failed = [t for t in self.having("failed", queue=queue) if t.id in ids]
        done = self.do(lambda tables: tables.archive.retry(queue, ids))
        assert done.retried == len(failed)
        assert set(done.unknown) == {*ids} - {task.id for task in failed}
        self.retried(failed)

    @precondition(lambda self: self.having("failed"))
    @rule(queue=queues)
    def retryAll(self, queue: str) -> None:
        """
        All that failed begin anew.
        """
        failed = self.having("failed", queue=queue)
        done = self.do(
            lambda tables: tables.archive.retryAll(queue, CHUNK, None, self.now)
        )
        assert (done.retried, done.unknown) == (len(failed), [])
        self.retried(failed)

    def retried(self, failed: list[Modelled]) -> None:
        for task in failed:
            task.state, task.ended, task.attempts = "ready", None, 0

    @precondition(lambda self: self.having("completed", "failed"))
    @rule(age=st.sampled_from([0.0, 4.0, 60.0]))
    def prune(self, age: float) -> None:
        """
        What ended long ago is forgotten, and its name is free.
        """
        before = self.now - age
        old = [t for t in self.tasks if t.ended is not None and t.ended <= before]
        assert self.do(lambda tables: tables.archive.prune(before)).total() == len(old)
        self.tasks = [task for task in self.tasks if task not in old]

    @rule()
    def reopen(self) -> None:
        """
        Closed and opened again, all is as it was.
        """
        self.file.close()
        self.file.open()

    @precondition(lambda self: self.having("leased"))
    @rule()
    def resume(self) -> None:
        """
        After a restart all leases begin anew; they are found with the claims that they
        were given to.
        """
        self.reopen()
        found = self.do(lambda tables: tables.expiry.resume(self.now))
        leased = self.having("leased")
        for task in leased:
            task.due = self.now + task.lease
        expected = [(task.queue, task.claim, task.receipt) for task in leased]
        assert sorted(map(astuple, found)) == sorted(expected)

    @rule(queue=st.sampled_from([*QUEUES, "c"]), task=newTasks, kill=st.booleans())
    def undone(self, queue: str, task: NewTask, kill: bool) -> None:
        """
        What is not committed when the process dies, or is rolled back, never was.
        """
        self.file.connection.execute("BEGIN IMMEDIATE")
        tables = self.file.tables
        tables.enqueue(queue, [task], self.now)
        tables.claim(queue, "undone", 10, 60.0, self.now)
        tables.expiry.wake(self.now)
        tables.archive.retryAll(queue, CHUNK, None, self.now)
        tables.archive.prune(self.now)
        if kill:
            self.reopen()
        else:
            self.file.connection.rollback()
            self.file.database.forget()

    def due(self) -> float | None:
        """
        @return: When the next delay or lease is expected to end.
        """
        return min((t.due for t in self.tasks if t.due is not None), default=None)

    @invariant()
    def counts(self) -> None:
        """
        What has changed, what is counted and what is expected are the same.
        """
        expected = Counter((task.queue, task.state) for task in self.tasks)
        assert +self.changes == expected
        assert not -self.changes
        assert self.file.tables.count() == expected
        assert self.file.tables.expiry.due() == self.due()

    @invariant()
    def records(self) -> None:
        """
        Each task is found by its name as it is expected to be.
        """
        for task in self.tasks:
            found = self.file.tables.archive.task(task.queue, task.id)
            assert found is not None
            assert (found.id, found.state, found.attempts) == (
                task.id,
                task.state,
                task.attempts,
            )
            assert (found.priority, found.enqueued) == (task.priority, task.enqueued)
            assert [*map(_orNone, (found.due, found.ended, found.error))] == [
                task.due,
                task.ended,
                task.error,
            ]
            result = _orNone(found.result)
            assert (None if result is None else bytes(result)) == task.result
        assert self.file.tables.archive.task("a", "never heard of") is None

    @invariant()
    def failed(self) -> None:
        """
        The failed ones are listed, page by page, the oldest first.
        """
        for queue in (*QUEUES, "c"):
            after, listed = 0, []
            for _ in self.tasks or [None]:
                page = self.file.tables.archive.failed(queue, 2, after)
                listed += page.failed
                if page.next is UNSET:
                    break
                assert len(page.failed) == 2
                after = page.next
            assert page.next is UNSET
            expected = self.having("failed", queue=queue)
            assert [
                (each.id, bytes(each.payload), each.attempts) for each in listed
            ] == [(task.id, task.payload, task.attempts) for task in expected]
            assert [(_orNone(each.error), each.ended) for each in listed] == [
                (task.error, task.ended) for task in expected
            ]

    @invariant()
    def nothingLeft(self) -> None:
        """
        There is a payload for each task that may run again, and none besides.
        """
        [payloads] = self.file.connection.execute(
            "SELECT count(*) FROM payloads"
        ).fetchone()
        assert payloads == len(self.having("ready", "delayed", "leased", "failed"))
        [results] = self.file.connection.execute(
            "SELECT count(*) FROM results"
        ).fetchone()
        assert results == sum(task.result is not None for task in self.tasks)


def _result(outcome: dict[str, Any]) -> dict[str, Any]:
    result = outcome.get("result", UNSET)
    return {} if result is UNSET else {"result": Raw(result)}


def _orNone(value: Any) -> Any:
    return None if value is UNSET else value


StoreTests: type[TestCase] = StoreMachine.TestCase
StoreTests.settings = settings(  # type: ignore[attr-defined]
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(eq=False)
class Opened:
    """
    A claim, as its client sees it.

    @ivar answers: What it was answered: never more than one.
    """

    queue: str
    name: str
    limit: int
    until: float
    done: Deferred[list[Delivery]]
    answers: list[list[Delivery] | Failure]
    isGone: bool = False

    @property
    def isOpen(self) -> bool:
        """
        Whether somebody waits for its answer.
        """
        return not self.answers and not self.isGone


class BrokerMachine(RuleBasedStateMachine):
    """
    Claims that come, wait, are ended and go away, while tasks come and leases end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.connection = connect(f"{self.folder}/tasks.sqlite")
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.names = count()
        # receipts that their claims were answered with, and that may be settled
        self.delivered: dict[str, str] = {}
        self.failedAt = 0.0
        self.wrong: list[Failure] = []
        self.events: list[LogEvent] = []
        self.observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(self.observer)
        self.start()

    def start(self) -> None:
        """
        Start the queue, of which nothing is known but the file.
        """
        self.turns = Turns(self.connection)
        self.broker = Broker(storeOf(self.turns, self.clock), self.clock, 30.0)
        self.broker.open()
        self.claims: list[Opened] = []
        self.ended: list[Opened | str] = []
        self.ending: list[Deferred[None]] = []
        # of these claims nobody knows whether they were answered
        self.excused: set[str] = set()

    def teardown(self) -> None:
        """
        Closed, it has answered all claims, and nothing is left to be done.
        """
        globalLogPublisher.removeObserver(self.observer)
        closed: list[None] = []
        self.broker.close().addCallback(closed.append)
        self.turns.all()
        assert closed == [None]
        assert not self.openClaims()
        assert not [done for done in self.ending if not done.called]
        assert self.clock.getDelayedCalls() == []
        self.unansweredIsFree()
        self.connection.close()
        shutil.rmtree(self.folder)
        failures = [
            event["log_failure"] for event in self.events if "log_failure" in event
        ]
        assert not [each for each in failures if not each.check(UnicodeError)]

    @initialize(tasks=st.lists(newTasks, min_size=2, max_size=6), isOpen=st.booleans())
    def begin(self, tasks: list[NewTask], isOpen: bool) -> None:
        """
        There is something to do from the beginning.
        """
        for queue in QUEUES:
            self.enqueue(queue, tasks)
        if isOpen:
            self.turns.all()

    @rule(
        queue=queues,
        limit=st.integers(1, 3),
        wait=st.sampled_from([0.0, 2.0, 20.0]),
        lease=leases,
        again=st.booleans(),
    )
    def claim(
        self, queue: str, limit: int, wait: float, lease: float, again: bool
    ) -> None:
        """
        A claim comes; it may be one that was ended before it came.
        """
        # a name is remembered for one answer: whoever uses it again gets tasks
        used = {claim.name for claim in self.claims}
        early = [each for each in self.ended if isinstance(each, str)]
        early = [name for name in early if name not in used]
        name = early[0] if again and early else f"claim {next(self.names)}"
        done = self.broker.claim(queue, name, limit, wait, lease)
        # until it is open nobody can tell, and only then they begin to wait
        until = self.clock.seconds() + wait if self.isReady else inf
        claim = Opened(queue, name, limit, until, done, [])
        self.claims.append(claim)
        done.addBoth(self.answered, claim).addErrback(self.unable)

    def answered(self, answer: list[Delivery] | Failure, claim: Opened) -> None:
        """
        A claim gets what it asked for, once, and nobody else has it.
        """
        claim.answers.append(answer)
        assert len(claim.answers) == 1
        if isinstance(answer, Failure):
            answer.trap(StoreError, CancelledError)
            return
        assert not claim.isGone
        assert len(answer) <= claim.limit
        for delivery in answer:
            assert delivery.receipt not in self.delivered
            self.delivered[delivery.receipt] = claim.name
        if answer:
            assert claim not in self.ended
            assert claim.name not in self.ended

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """
        A claim is ended, whether it is open, answered, gone or still to come; it is
        told once nothing is leased to it.
        """
        claims: list[Opened | str] = [*self.claims, f"claim {next(self.names)}"]
        claim = data.draw(st.sampled_from(claims))
        name = claim if isinstance(claim, str) else claim.name
        names = QUEUES if isinstance(claim, str) else (claim.queue,)
        wasOpen = not isinstance(claim, str) and claim.isOpen
        for queue in names:
            done = self.broker.cancelClaim(queue, name)
            done.addCallback(lambda _: self.unansweredIsFree(name))
            done.addErrback(self.unable)
            self.ending.append(done)
        self.ended.append(claim)
        if wasOpen and self.isReady:
            assert not isinstance(claim, str)
            assert claim.answers == [[]]

    @property
    def isReady(self) -> bool:
        """
        Whether the queue has found out how things are.
        """
        found = self.broker.counts()
        isReady = bool(found.called)
        found.addErrback(lambda _: None)
        found.cancel()
        return isReady

    @precondition(lambda self: self.openClaims())
    @rule(data=st.data())
    def goAway(self, data: st.DataObject) -> None:
        """
        A client is gone while its claim is open.
        """
        claim = data.draw(st.sampled_from(self.openClaims()))
        claim.isGone = True
        claim.done.cancel()

    def openClaims(self) -> list[Opened]:
        """
        @return: The claims that somebody waits for.
        """
        return [claim for claim in self.claims if claim.isOpen]

    @rule(queue=queues, tasks=st.lists(newTasks, min_size=1, max_size=4))
    def enqueue(self, queue: str, tasks: list[NewTask]) -> None:
        """
        Tasks come.
        """
        self.broker.enqueue(queue, tasks).addErrback(self.unable)

    @rule(queue=queues)
    def enqueueBad(self, queue: str) -> None:
        """
        Something comes that SQLite does not take; this is the harm of nobody else.
        """
        bad = NewTask(b"1", "\ud800")

        def refused(result: object) -> None:
            assert isinstance(result, Failure)
            result.trap(UnicodeError, StoreError)

        self.broker.enqueue(queue, [bad]).addBoth(refused).addErrback(self.unable)

    @precondition(lambda self: self.delivered)
    @rule(data=st.data(), outcome=outcomes)
    def settle(self, data: st.DataObject, outcome: dict[str, Any]) -> None:
        """
        A task is settled.
        """
        receipt = data.draw(st.sampled_from([*self.delivered]))
        settlement = Settlement(receipt, **{**outcome, **_result(outcome)})
        for queue in QUEUES:
            self.broker.settle(queue, [settlement]).addErrback(self.unable)

    @precondition(lambda self: self.query("SELECT id", "state = 'failed'"))
    @rule(queue=queues)
    def retryAll(self, queue: str) -> None:
        """
        What failed is tried again.
        """
        self.broker.retryAll(queue).addErrback(self.unable)

    def unable(self, reason: Failure) -> None:
        """
        Nothing but SQLite's own trouble is expected.
        """
        if not reason.check(StoreError):
            self.wrong.append(reason)

    @precondition(lambda self: self.turns.waiting)
    @rule()
    def transact(self) -> None:
        """
        What has gathered is done.
        """
        self.turns.next()

    @precondition(lambda self: self.turns.waiting)
    @rule()
    def fail(self) -> None:
        """
        SQLite is in trouble.
        """
        self.failedAt = self.clock.seconds()
        # what could not be given back is given back later
        self.excused.update(
            claim.name for claim in self.claims if claim.isGone or claim in self.ended
        )
        self.turns.fail(sqlite3.OperationalError("disk I/O error"))

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 2.0, 20.0, 61.0]))
    def passTime(self, seconds: float) -> None:
        """
        Time passes while the disk is slow.
        """
        passTime(self.clock, seconds)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 2.0, 20.0]))
    def live(self, seconds: float) -> None:
        """
        Time passes, all is done in time, and then all is as it should be.
        """
        self.quiet()
        end = self.clock.seconds() + seconds
        while self.clock.calls and self.clock.calls[0].getTime() <= end:
            passTime(self.clock, self.clock.calls[0].getTime() - self.clock.seconds())
            self.quiet()
        passTime(self.clock, end - self.clock.seconds())
        self.quiet()

    def quiet(self) -> None:
        """
        Let everything be done that can be done now, and look.
        """
        self.turns.all()
        passTime(self.clock, 0)
        while self.turns.waiting:
            self.turns.all()
            passTime(self.clock, 0)
        now = self.clock.seconds()
        if now < self.failedAt + 1:
            return
        waiting = {claim.queue for claim in self.claims if claim.isOpen}
        counted = Counter(dict(self.query("SELECT name, count(*)", "state = 'ready'")))
        assert not waiting & counted.keys()
        assert not [
            claim for claim in self.claims if claim.isOpen and claim.until <= now
        ]
        assert self.query("SELECT id", f"due <= {now}") == []
        self.unansweredIsFree()
        self.countsAreRight()

    def query(self, what: str, where: str) -> list[tuple[Any, ...]]:
        group = " GROUP BY name" if "count" in what else ""
        return self.connection.execute(
            f"{what} FROM tasks JOIN queues ON queues.number = queue "
            f"WHERE {where}{group}"
        ).fetchall()

    def unansweredIsFree(self, name: str | None = None) -> None:
        """
        Nothing is leased to a claim that was not answered with it.
        """
        excused = self.excused
        asking = {claim.name for claim in self.claims if claim.isOpen}
        for claim, number, secret in self.query(
            "SELECT claim, tasks.number, secret", "state = 'leased'"
        ):
            if claim not in (excused | asking) and name in (None, claim):
                assert self.delivered.get(f"{number}.{secret:x}") == claim

    def countsAreRight(self) -> None:
        """
        The counts are those of the file.
        """
        counted: list[dict[str, dict[State, int]]] = []
        self.broker.counts().addCallback(counted.append)
        found = Counter(
            {
                (queue, state): number
                for queue, states in counted[0].items()
                for state, number in states.items()
            }
        )
        expected = Counter(self.query("SELECT name, state", "1"))
        assert +found == expected
        assert not -found

    @rule()
    def kill(self) -> None:
        """
        The process is killed and started anew.  Whether claims were answered is
        known to nobody now, and they may be ended.
        """
        self.turns.waiting.clear()
        for call in [*self.clock.getDelayedCalls()]:
            call.cancel()
        leased = {claim for [claim] in self.query("SELECT claim", "state = 'leased'")}
        self.start()
        self.excused = leased

    def fromBefore(self) -> list[tuple[str, str]]:
        """
        @return: The claims from before the start to which something is leased, and
            their queues.
        """
        leased = self.query("SELECT DISTINCT name, claim", "state = 'leased'")
        names = {claim.name for claim in self.claims}
        return sorted((queue, claim) for queue, claim in leased if claim not in names)

    @precondition(lambda self: self.fromBefore())
    @rule(data=st.data())
    def endFromBefore(self, data: st.DataObject) -> None:
        """
        A claim from before the start is ended: once that is answered, nothing is
        leased to it.
        """
        queue, name = data.draw(st.sampled_from(self.fromBefore()))
        done = self.broker.cancelClaim(queue, name)
        done.addCallback(self.isFree, name)
        done.addErrback(self.unable)

    def isFree(self, _: None, name: str) -> None:
        found = self.query("SELECT claim", "state = 'leased'")
        assert (name,) not in found

    @invariant()
    def nothingWrong(self) -> None:
        """
        Nothing was found to be wrong in what was called back.
        """
        for reason in self.wrong:
            reason.raiseException()

    @invariant()
    def timers(self) -> None:
        """
        There is a timer for each claim that waits, and a few besides.
        """
        asking = self.openClaims()
        assert len(self.clock.getDelayedCalls()) <= len(asking) + 3


BrokerTests: type[TestCase] = BrokerMachine.TestCase
BrokerTests.settings = settings(  # type: ignore[attr-defined]
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
