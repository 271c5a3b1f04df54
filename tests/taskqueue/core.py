"""
Fixtures for the tests of the embedded queue's core: a file that is opened as it is in
earnest, and a writer whose transactions happen when the test says.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.records import NewTask
from myconsumer.taskqueue.store.schema import CONNECTION, check, prepare
from myconsumer.taskqueue.store.sqlite import SQLiteStore
from myconsumer.taskqueue.store.tables import Tables
from myconsumer.taskqueue.store.writer import Writer

T = TypeVar("T")


def connect(path: str) -> sqlite3.Connection:
    check(path)
    connection = sqlite3.connect(path, **CONNECTION)
    prepare(connection, "normal")
    return connection


class File:
    """
    An open file, with which transactions are made one by one.

    @ivar database: Its connection.
    @ivar tables: Its tasks.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.connection = connect(self.path)
        self.database = Database(self.connection)
        self.tables = Tables(self.database)

    def close(self) -> None:
        """
        Close it; what is not committed is gone.
        """
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Tables]:
        """
        Commit what is done within.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        yield self.tables
        self.connection.commit()

    def do(self, operation: Callable[[Tables], T]) -> T:
        """
        Do one thing, and commit it.
        """
        with self.transaction() as tables:
            return operation(tables)

    def fill(
        self, queue: str, count: int, now: float, *, delay: float = 0, priority: int = 0
    ) -> list[str]:
        task = NewTask(b"1", None, delay, priority)
        return self.do(lambda tables: tables.enqueue(queue, [task] * count, now).ids)


@dataclass
class Turns:
    """
    Runs what a writer wants to have run, when the test says.

    @ivar waiting: What is to be run.
    @ivar made: How often something was run.
    """

    connection: sqlite3.Connection
    waiting: deque[tuple[Callable[..., Any], Sequence[Any], Deferred[Any]]] = field(
        default_factory=deque
    )
    made: int = 0

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        See L{WithConnection}.
        """
        done: Deferred[Any] = Deferred()
        self.waiting.append((function, args, done))
        return done

    def next(self) -> None:
        """
        Run what has waited longest.
        """
        function, args, done = self.waiting.popleft()
        self.made += 1
        try:
            result = function(self.connection, *args)
        except Exception:
            done.errback(Failure())
        else:
            done.callback(result)

    def fail(self, error: Exception) -> None:
        self.waiting.popleft()[2].errback(Failure(error))

    def all(self, most: int = 100) -> None:
        for _ in range(most):
            if not self.waiting:
                return
            self.next()
        raise AssertionError("it spins: one transaction follows another")


def storeOf(
    turns: Turns,
    clock: IReactorTime,
    checkRoom: Callable[[], object] = lambda: None,
    wall: Callable[[], float] | None = None,
) -> SQLiteStore:
    """
    Make a store over an open file.

    @param wall: Tells the wall clock's time; C{None}: it is that of C{clock}.
    """
    ours = EpochClock(clock, wall or clock.seconds)
    return SQLiteStore(Writer(turns.run, ours), ours, checkRoom)


@contextmanager
def full(connection: sqlite3.Connection) -> Iterator[None]:
    """
    Have the disk be full: the file may not grow any more.
    """
    [pages] = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 4294967294")
