"""
What the passing of time does to tasks in SQLite: delays end, and leases expire.
"""

from __future__ import annotations

from dataclasses import dataclass

from myconsumer.taskqueue.store.database import CHUNK, Database


@dataclass(frozen=True)
class Leased:
    """
    A lease, as it is found when the store is opened.

    @ivar queue: The name of the task's queue.
    @ivar claim: The name of the claim that it was leased to.
    @ivar receipt: The proof of it.
    """

    queue: str
    claim: str
    receipt: str


class Expiry:
    """
    Ends delays and leases, and restarts leases.
    """

    def __init__(self, database: Database) -> None:
        """
        @param database: Where the tasks are.
        """
        self._database = database

    def wake(self, now: float) -> None:
        """
        Make tasks ready whose delay or lease has ended: L{CHUNK} at most.
        """
        due = self._database.execute(
            "SELECT number, queue, state FROM tasks WHERE due <= ? "
            "ORDER BY due LIMIT ?",
            (now, CHUNK),
        ).fetchall()
        for _, queue, state in due:
            self._database.moved(self._database.name(queue), state, "ready", 1)
        self._database.executemany(
            "UPDATE tasks SET error = CASE state WHEN 'leased' "
            "THEN 'its lease ended in attempt ' || attempts ELSE error END, "
            "state = 'ready', due = NULL, secret = NULL, claim = NULL WHERE number = ?",
            [row[:1] for row in due],
        )

    def due(self) -> float | None:
        """
        @return: When the next delay or lease ends.
        """
        first = self._database.execute(
            "SELECT due FROM tasks WHERE due IS NOT NULL ORDER BY due LIMIT 1"
        ).fetchone()
        return None if first is None else float(first[0])

    def resume(self, now: float) -> list[Leased]:
        """
        Restart all leases at their full length: nobody could extend them while the
        queue did not run.

        @return: The leases.
        """
        leases = self._database.execute(
            "SELECT name, claim, tasks.number, secret FROM tasks "
            "JOIN queues ON queues.number = queue "
            "WHERE due IS NOT NULL AND state = 'leased'"
        ).fetchall()
        self._database.executemany(
            "UPDATE tasks SET due = ? + lease WHERE number = ?",
            [(now, number) for _, _, number, _ in leases],
        )
        return [
            Leased(name, claim, f"{number}.{secret:x}")
            for name, claim, number, secret in leases
        ]
