"""
A connection to the file of the embedded queue, and what is known of it without asking.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from myconsumer.taskqueue.store.records import State

#: The most tasks that one transaction touches where nobody waits for it.
CHUNK = 1000


class Database:
    """
    A connection.

    @ivar execute: See C{sqlite3.Connection.execute}.
    @ivar executemany: See C{sqlite3.Connection.executemany}.
    @ivar changes: By queue and state, the number of tasks that have entered it, less
        those that have left it, since this was last cleared.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """
        @param connection: A connection that is L{prepared
            <myconsumer.taskqueue.store.schema.prepare>}.
        """
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.changes: Counter[tuple[str, State]] = Counter()
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def forget(self) -> None:
        """
        Called when a transaction was rolled back: nothing of it counts.
        """
        self.changes.clear()
        self._numbers.clear()
        self._names.clear()

    def moved(self, queue: str, before: State, after: State, count: int) -> None:
        """
        Note that tasks of a queue are in another state now.
        """
        if count:
            self.changes[queue, before] -= count
            self.changes[queue, after] += count

    def newNumber(self, queue: str) -> int:
        """
        @return: The number of a queue, which is made if it is not there.
        """
        number = self.number(queue)
        if number is None:
            self.execute("INSERT INTO queues (name) VALUES (?)", (queue,))
            self._read()
            number = self._numbers[queue]
        return number

    def number(self, queue: str) -> int | None:
        """
        @return: The number of a queue; C{None}: there is no such queue.
        """
        if queue not in self._numbers:
            self._read()
        return self._numbers.get(queue)

    def name(self, number: int) -> str:
        """
        @return: The name of the queue that has a number.
        """
        if number not in self._names:
            self._read()
        return self._names[number]

    def _read(self) -> None:
        for number, name in self.execute("SELECT number, name FROM queues"):
            self._numbers[name] = number
            self._names[number] = name
