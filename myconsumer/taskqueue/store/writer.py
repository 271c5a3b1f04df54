"""
The one writer of a SQLite store: operations that come while a transaction is under way
share the next one, off the reactor's thread.

Promise 1: nothing is acknowledged before it is committed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.taskqueue.store.records import State
from myconsumer.taskqueue.store.tables import Tables

T = TypeVar("T")

#: Is called with the tables and the time, and changes them or reads in them.
Operation = Callable[[Tables, float], T]

#: Calls a function with a connection, always on the same thread, and commits.
WithConnection = Callable[..., Deferred[Any]]


@dataclass(frozen=True)
class Outcome:
    """
    What came of a transaction.

    @ivar results: What the operations returned, or a failure of each.
    @ivar changes: By queue and state, how many more tasks are in it now.
    @ivar due: When the next delay or lease ends, in seconds since the epoch; unset:
        as before.
    """

    results: Sequence[Any]
    changes: Mapping[tuple[str, State], int]
    due: float | UnsetType | None


class Writer:
    """
    Runs operations, in the order in which they come.  What comes while a transaction
    is under way goes into the next, together.

    @ivar onCommit: Called after each transaction, before the Deferreds of its
        operations fire.
    """

    _log = Logger()

    _tables: Tables | None = None
    _isClosed = False

    def __init__(
        self,
        run: WithConnection,
        clock: IReactorTime,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param run: See C{twisted.enterprise.adbapi.ConnectionPool.runWithConnection};
            the pool has to have one connection.
        @param clock: What keeps the time.
        @param check: Called before each commit, on the thread of the connection; where
            it raises nothing is committed.
        """
        self._run = run
        self._clock = clock
        self._check = check
        # the types of errors that were logged and are not over
        self._failing: set[type[BaseException]] = set()
        self._pending: list[tuple[Operation[Any], Deferred[Any]]] = []
        self._isBusy = False
        self._idle: list[Deferred[None]] = []
        self.onCommit: Callable[[Outcome], object] = lambda outcome: None

    def do(self, operation: Operation[T]) -> Deferred[T]:
        """
        Run an operation.

        @param operation: What to do; on another thread.

        @return: Fires with what it returned, once that is committed; fails with
            what it raised, an error of SQLite's as L{StoreError}, and then nothing of
            it was done.
        """
        if self._isClosed:
            return fail(StoreError("the queue is closed"))
        done: Deferred[T] = Deferred()
        self._pending.append((operation, done))
        if not self._isBusy:
            self._next()
        return done

    def idle(self) -> Deferred[None]:
        """
        @return: Fires once there is nothing more to do.
        """
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        if not self._isBusy:
            self._next()
        return idle

    def close(self) -> None:
        """
        Refuse whatever comes from now on.
        """
        self._isClosed = True

    def _next(self) -> None:
        self._isBusy = bool(self._pending)
        if not self._isBusy:
            idle, self._idle = self._idle, []
            for each in idle:
                each.callback(None)
            return
        batch, self._pending = self._pending, []
        operations = [operation for operation, _ in batch]
        waiting = [done for _, done in batch]
        transacted = self._run(self._transact, operations)
        transacted.addCallback(self._committed)
        transacted.addErrback(self._failed, len(batch))
        transacted.addCallback(self._answer, waiting)

    def _committed(self, outcome: Outcome) -> Sequence[Any]:
        results = [
            self._noted(each) if isinstance(each, Failure) else each
            for each in outcome.results
        ]
        if self._failing and not any(isinstance(each, Failure) for each in results):
            self._failing.clear()
            self._log.info("The queue can be written again")
        self.onCommit(outcome)
        return results

    def _failed(self, reason: Failure, count: int) -> Sequence[Any]:
        return [self._noted(reason)] * count

    def _noted(self, reason: Failure) -> Failure:
        """
        Log a bug each time, and each type of trouble with the file once.

        @return: The reason to give.
        """
        if not isinstance(reason.value, sqlite3.Error | StoreError):
            self._log.failure("An operation of the queue has failed", reason)
            return reason
        if type(reason.value) not in self._failing:
            self._failing.add(type(reason.value))
            self._log.error(
                "The queue cannot be read or written: {reason}. Requests are answered "
                "503 until it can",
                reason=reason.getErrorMessage(),
            )
        if isinstance(reason.value, StoreError):
            return reason
        return Failure(StoreError(reason.getErrorMessage()))

    def _answer(self, results: Sequence[Any], waiting: Sequence[Deferred[Any]]) -> None:
        for done, result in zip(waiting, results, strict=True):
            done.callback(result)
        self._next()

    def _transact(
        self, connection: Any, operations: Sequence[Operation[Any]]
    ) -> Outcome:
        """
        Run operations in one transaction; where one of several fails, each in its own.

        On the thread of the connection.
        """
        if self._tables is None:
            self._tables = Tables(Database(connection))
        connection.execute("BEGIN IMMEDIATE")
        try:
            return self._commit(connection, self._tables, operations)
        except Exception:
            if len(operations) == 1:
                raise
        return self._oneByOne(connection, self._tables, operations)

    def _oneByOne(
        self,
        connection: sqlite3.Connection,
        tables: Tables,
        operations: Sequence[Operation[Any]],
    ) -> Outcome:
        results: list[Any] = []
        changes: Counter[tuple[str, State]] = Counter()
        due: float | UnsetType | None = UNSET
        for operation in operations:
            try:
                connection.execute("BEGIN IMMEDIATE")
                # whoever compares with the counts: they do not have these yet
                tables.database.changes.update(changes)
                outcome = self._commit(connection, tables, [operation])
            except Exception:
                results.append(Failure())
            else:
                results += outcome.results
                changes = Counter(outcome.changes)
                due = outcome.due
        return Outcome(results, changes, due)

    def _commit(
        self,
        connection: sqlite3.Connection,
        tables: Tables,
        operations: Sequence[Operation[Any]],
    ) -> Outcome:
        database = tables.database
        now = self._clock.seconds()
        try:
            results = [operation(tables, now) for operation in operations]
            due = tables.expiry.due()
            self._check()
            connection.commit()
        except BaseException:
            connection.rollback()
            database.forget()
            raise
        changes = dict(database.changes)
        database.changes.clear()
        return Outcome(results, changes, due)
