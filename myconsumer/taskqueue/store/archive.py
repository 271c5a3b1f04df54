"""
Tasks that have ended, in SQLite: listed, looked up, retried and forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from msgspec import UNSET, Raw, json

from myconsumer.taskqueue.limits import LARGEST_PAYLOAD
from myconsumer.taskqueue.store.database import CHUNK, Database
from myconsumer.taskqueue.store.records import (
    FailedTask,
    FailedTasks,
    Retried,
    RetryCursor,
    State,
    TaskRecord,
)

_RETRY = "UPDATE tasks SET state = 'ready', ended = NULL, attempts = 0"


class Archive:
    """
    Looks tasks up, retries failed ones, and forgets old ones.
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
            # as JSON, where a character of an error takes up to six bytes
            room -= len(payload) + (len(json.encode(error)) if error else 0)
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
        unknown = [
            id
            for id in ids
            if not self._database.execute(
                f"{_RETRY} WHERE state = 'failed' AND queue = ? AND id = ?",
                (number, id),
            ).rowcount
        ]
        retried = len(ids) - len(unknown)
        self._database.moved(queue, "failed", "ready", retried)
        return Retried(retried, unknown)

    def retryAll(
        self, queue: str, limit: int, after: RetryCursor | None, now: float
    ) -> Retried:
        """
        Make failed tasks ready, the oldest first.  Those that fail again meanwhile are
        not retried again.

        @param queue: The name of the queue.
        @param limit: The most tasks.
        @param after: Where to go on, L{Retried.next}; C{None}: at the beginning.
        @param now: The time, in seconds since the epoch.
        """
        after = after or RetryCursor(0, max(now, self.lastEnd() or 0.0))
        numbers = self._database.execute(
            "SELECT number FROM tasks WHERE state = 'failed' AND queue = ? "
            "AND number > ? AND ended <= ? ORDER BY number LIMIT ?",
            (self._database.number(queue), after.number, after.began, limit),
        ).fetchall()
        self._database.executemany(f"{_RETRY} WHERE number = ?", numbers)
        self._database.moved(queue, "failed", "ready", len(numbers))
        if len(numbers) < limit:
            return Retried(len(numbers))
        return Retried(limit, next=RetryCursor(numbers[-1][0], after.began))

    def lastEnd(self) -> float | None:
        """
        @return: The latest time at which a task completed or failed, which lies in the
            future where the clock was set back; C{None}: none has.
        """
        [last] = self._database.execute(
            "SELECT max(ended) FROM tasks WHERE ended IS NOT NULL"
        ).fetchone()
        return None if last is None else float(last)

    def task(self, queue: str, id: str) -> TaskRecord | None:
        """
        Look a task up.

        @param queue: The name of the queue.
        @param id: Its name.

        @return: How things are with it; C{None}: nothing is known of it.
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

    def prune(self, before: float) -> Counter[tuple[str, State]]:
        """
        Forget tasks that completed or failed long ago, L{CHUNK} at most.

        @param before: The time at or before which they did.

        @return: How many were forgotten, by queue and state.
        """
        ended = self._database.execute(
            "SELECT number, queue, state FROM tasks WHERE ended <= ? "
            "ORDER BY ended LIMIT ?",
            (before, CHUNK),
        ).fetchall()
        numbers = [row[:1] for row in ended]
        for table in ("tasks", "payloads", "results"):
            self._database.executemany(f"DELETE FROM {table} WHERE number = ?", numbers)  # noqa: S608
        gone = Counter((self._database.name(queue), state) for _, queue, state in ended)
        self._database.changes.subtract(gone)
        return gone


def _orUnset(value: Any) -> Any:
    return UNSET if value is None else value
