"""
How many tasks a SQLite store holds, known without asking SQLite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from twisted.logger import Logger

from myconsumer.taskqueue.store.records import STATES, State
from myconsumer.taskqueue.store.tables import Tables


class Counts:
    """
    The number of tasks in each state, by queue: counted once, and from then on kept by
    what each transaction changes.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, State]] = Counter()

    def add(self, changes: Mapping[tuple[str, State], int]) -> None:
        """
        Take note of what a transaction has changed.

        @param changes: By queue and state, how many more tasks are in it now.
        """
        self._counts.update(changes)

    def ready(self, queue: str) -> int:
        """
        @return: How many tasks of a queue are ready.
        """
        return self._counts[queue, "ready"]

    def byQueue(self) -> dict[str, dict[State, int]]:
        """
        @return: The number of tasks in each state, by queue.
        """
        counted: dict[str, dict[State, int]] = {}
        for (queue, state), count in self._counts.items():
            counted.setdefault(queue, dict.fromkeys(STATES, 0))[state] = count
        return counted

    def correct(self, tables: Tables, queue: str) -> None:
        """
        Count a queue anew if tasks are ready by these counts.  Called within a
        transaction, on its thread, after a claim that has found none: else that claim
        would be repeated for as long as the counts are wrong.

        @param tables: The tasks.
        @param queue: The name of the queue.
        """
        # they stand still while a transaction is under way
        missing = tables.correct(queue, self._counts)
        if missing:
            self._log.warn(
                "{count} tasks of queue {queue} that were ready are gone, and its "
                "tasks were counted anew: has another program written to the file?",
                count=missing,
                queue=queue,
            )
