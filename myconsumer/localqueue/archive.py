"""
What has become of tasks: those that failed, those that completed, and each by its name.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import UNSET, Raw

from myconsumer.localqueue.database import CHUNK, Database
from myconsumer.localqueue.limits import LARGEST_PAYLOAD
from myconsumer.localqueue.records import (
    FailedTask,
    FailedTasks,
    Retried,
    TaskRecord,
)


class Archive:
    """
    Looks tasks up, has failed ones tried again, and forgets the old ones.
    """

    def __init__(self, database: Database) -> None:
        """
        @param database: Where the tasks are.
        """
        self._database = database

    def failed(self, queue: str, limit: int, after: int) -> FailedTasks:
        """
        List tasks that have failed.

        @param queue: The name of the queue.
        @param limit: The most tasks.  Fewer come, too, where payloads are large.
        @param after: Where to go on, L{FailedTasks.next}; 0: at the beginning.
        """
        tasks: list[FailedTask] = []
        last, room = after, LARGEST_PAYLOAD
        for (
            number,
            id,
            payload,
            attempts,
            enqueued,
            ended,
            error,
        ) in self._database.execute(
            "SELECT number, id, payload, attempts, enqueued, ended, error "
            "FROM tasks JOIN payloads USING (number) "
            "WHERE state = 'failed' AND queue = ? AND number > ? "
            "ORDER BY number LIMIT ?",
            (self._database.number(queue), after, limit + 1),
        ):
            room -= len(payload) + len(error or "")
            if len(tasks) == limit or (room < 0 and tasks):
                return FailedTasks(tasks, last)
            last = number
            tasks.append(
                FailedTask(id, Raw(payload), attempts, enqueued, ended, _orUnset(error))
            )
        return FailedTasks(tasks)

    def retry(self, queue: str, ids: Collection[str]) -> Retried:
        """
        Make failed tasks ready, their attempts beginning anew.

        @param queue: The name of the queue.
        @param ids: Their names.
        """
        number = self._database.number(queue)
        unknown = [id for id in ids if not self._retry(queue, "id = ?", (number, id))]
        return Retried(len(ids) - len(unknown), unknown)

    def retryAll(self, queue: str) -> Retried:
        """
        Make failed tasks ready, L{CHUNK} at most, the oldest first.

        @param queue: The name of the queue.
        """
        number = self._database.number(queue)
        return Retried(
            self._retry(
                queue,
                "number IN (SELECT number FROM tasks WHERE state = 'failed' "
                "AND queue = ? ORDER BY number LIMIT ?)",
                (number, number, CHUNK),
            )
        )

    def _retry(self, queue: str, which: str, given: tuple[Any, ...]) -> int:
        retried = self._database.execute(
            "UPDATE tasks SET state = 'ready', ended = NULL, attempts = 0 "  # noqa: S608 - our own words
            f"WHERE state = 'failed' AND queue = ? AND {which}",
            given,
        ).rowcount
        self._database.moved(queue, "failed", "ready", retried)
        return retried

    def task(self, queue: str, id: str) -> TaskRecord | None:
        """
        Look a task up.

        @param queue: The name of the queue.
        @param id: Its name.

        @return: How things are with it; L{None}: nothing is known of it.
        """
        row = self._database.execute(
            "SELECT state, attempts, priority, enqueued, due, ended, result, error "
            "FROM tasks LEFT JOIN results USING (number) WHERE queue = ? AND id = ?",
            (self._database.number(queue), id),
        ).fetchone()
        if row is None:
            return None
        state, attempts, priority, enqueued, due, ended, result, error = row
        return TaskRecord(
            id,
            state,
            attempts,
            priority,
            enqueued,
            due=_orUnset(due),
            ended=_orUnset(ended),
            result=UNSET if result is None else Raw(result),
            error=_orUnset(error),
        )

    def prune(self, before: float) -> int:
        """
        Forget tasks that completed or failed long ago, L{CHUNK} at most.

        @param before: The time at or before which they did.

        @return: How many were forgotten.
        """
        ended = self._database.execute(
            "SELECT number, queue, state FROM tasks WHERE ended <= ? "
            "ORDER BY ended LIMIT ?",
            (before, CHUNK),
        ).fetchall()
        numbers = [row[:1] for row in ended]
        for table in ("tasks", "payloads", "results"):
            self._database.executemany(f"DELETE FROM {table} WHERE number = ?", numbers)  # noqa: S608
        for _, queue, state in ended:
            self._database.changes[self._database.name(queue), state] -= 1
        return len(ended)


def _orUnset(value: Any) -> Any:
    return UNSET if value is None else value
