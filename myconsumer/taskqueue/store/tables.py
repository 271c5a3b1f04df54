"""
The tasks of the embedded queue, in SQLite: how they are queued, leased and settled.

Nothing here begins or ends a transaction: L{Writer
<myconsumer.taskqueue.store.writer.Writer>} does, around as many of these calls as there
are to make.  C{now} is always the time in seconds since the epoch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from secrets import randbits
from typing import Any

from msgspec import UNSET, Raw, Struct

from myconsumer.task import Settlement
from myconsumer.taskqueue.limits import LARGEST_PAYLOAD
from myconsumer.taskqueue.store.archive import Archive
from myconsumer.taskqueue.store.database import CHUNK, Database
from myconsumer.taskqueue.store.ids import newIds
from myconsumer.taskqueue.store.records import (
    STATES,
    Delivery,
    Enqueued,
    NewTask,
    State,
)

_LONGEST_ERROR = 10_000

_SECRET_BITS = 62
_RECEIPT = re.compile(r"([1-9][0-9]{0,17})\.(0|[1-9a-f][0-9a-f]{0,15})", re.ASCII)

# in which state a task may be found after it was settled
_STATES_AFTER: Mapping[str, Collection[str]] = {
    "complete": ("completed",),
    "fail": ("failed",),
    "release": ("ready", "delayed"),
}


class Leased(Struct, frozen=True):
    """
    A lease, as it is found when the store is opened.

    @ivar queue: The name of the task's queue.
    @ivar claim: The name of the claim that it was leased to.
    @ivar receipt: The proof of it.
    """

    queue: str
    claim: str
    receipt: str


class Store:
    """
    The tasks.

    @ivar archive: What looks them up, and forgets them.
    """

    def __init__(self, database: Database) -> None:
        """
        @param database: Where they are.
        """
        self._database = database
        self.archive = Archive(database)

    def enqueue(self, queue: str, tasks: Sequence[NewTask], now: float) -> Enqueued:
        """
        Queue tasks, but for those whose names are known.

        @param queue: The name of the queue.
        @param tasks: The tasks.
        @param now: The time, in seconds since the epoch, as everywhere here.
        """
        number = self._database.newNumber(queue)
        madeUp = newIds(now)
        ids: list[str] = []
        known: list[str] = []
        payloads: list[tuple[int | None, bytes]] = []
        delayed = 0
        for task in tasks:
            id = next(madeUp) if task.id is None else task.id
            ids.append(id)
            due = now + task.delay if task.delay else None
            inserted = self._database.execute(
                "INSERT INTO tasks (queue, id, state, priority, enqueued, due) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (number, id, "delayed" if due else "ready", task.priority, now, due),
            )
            if inserted.rowcount:
                payloads.append((inserted.lastrowid, task.payload))
                delayed += due is not None
            else:
                known.append(id)
        # the number may be that of a task that was deleted by hand
        self._database.executemany("REPLACE INTO payloads VALUES (?, ?)", payloads)
        if payloads:
            self._database.changes[queue, "delayed"] += delayed
            self._database.changes[queue, "ready"] += len(payloads) - delayed
        return Enqueued(ids, known)

    def claim(
        self, queue: str, claim: str, limit: int, lease: float, now: float
    ) -> list[Delivery]:
        """
        Lease what is ready: those with the highest priority, and of these the oldest.

        @param queue: The name of the queue.
        @param claim: The name of the claim.
        @param limit: The most tasks.  Fewer come, too, where payloads are large.
        @param lease: The seconds for which to lease them.
        """
        number = self._database.number(queue)
        secret = randbits(_SECRET_BITS)
        deliveries: list[Delivery] = []
        leased: list[tuple[float, float, int, str, int]] = []
        room = LARGEST_PAYLOAD
        for task, id, attempts, enqueued, payload in self._database.execute(
            "SELECT number, id, attempts, enqueued, payload "
            "FROM tasks JOIN payloads USING (number) "
            "WHERE state = 'ready' AND queue = ? "
            "ORDER BY priority DESC, number LIMIT ?",
            (number, limit),
        ):
            room -= len(payload)
            if room < 0 and deliveries:
                break
            receipt = f"{task}.{secret:x}"
            deliveries.append(
                Delivery(id, Raw(payload), receipt, attempts + 1, lease, enqueued)
            )
            leased.append((now + lease, lease, secret, claim, task))
        self._database.executemany(
            "UPDATE tasks SET state = 'leased', attempts = attempts + 1, "
            "due = ?, lease = ?, secret = ?, claim = ? WHERE number = ?",
            leased,
        )
        self._database.moved(queue, "ready", "leased", len(leased))
        return deliveries

    def settle(
        self, queue: str, settlements: Iterable[Settlement], now: float
    ) -> list[str]:
        """
        Take note of how tasks ended, or that they still run, one by one.

        @param queue: The name of the queue.
        @param settlements: What is said of them.

        @return: The receipts whose lease has ended, or never was.
        """
        number = self._database.number(queue)
        lost = []
        for settlement in settlements:
            receipt = parseReceipt(settlement.receipt)
            if receipt is None or not self._settle(
                queue, settlement, (*receipt, number), now
            ):
                lost.append(settlement.receipt)
        return lost

    def _settle(
        self,
        queue: str,
        settlement: Settlement,
        proof: tuple[int, int, int | None],
        now: float,
    ) -> bool:
        """
        @param proof: What finds the task: its number, the secret, its queue's number.
        """
        state: State
        given: tuple[Any, ...]
        match settlement.outcome:
            case "extend":
                lease = 60.0 if settlement.lease is UNSET else settlement.lease
                return self._update(
                    "due = ?, lease = ?", (now + lease, lease), proof, now
                )
            case "complete":
                state = "completed"
                change = "due = NULL, ended = ?, claim = NULL, error = NULL"
                given = (now,)
            case "fail":
                state = "failed"
                change = "due = NULL, ended = ?, claim = NULL, error = ?"
                given = (now, _text(settlement.error))
            case "release":
                delay = 0.0 if settlement.delay is UNSET else settlement.delay
                state = "delayed" if delay else "ready"
                change = (
                    "due = ?, claim = NULL, attempts = attempts - ?, "
                    "error = coalesce(?, error)"
                )
                given = (
                    now + delay if delay else None,
                    settlement.counted is False,
                    _text(settlement.error),
                )
        if not self._update(f"state = ?, {change}", (state, *given), proof, now):
            return self._isSettled(settlement.outcome, proof)
        self._database.moved(queue, "leased", state, 1)
        if state == "completed":
            self._database.execute("DELETE FROM payloads WHERE number = ?", proof[:1])
            if settlement.result is not UNSET:
                self._database.execute(
                    "REPLACE INTO results VALUES (?, ?)",
                    (proof[0], bytes(settlement.result)),
                )
        return True

    def _update(
        self,
        change: str,
        given: Iterable[Any],
        proof: tuple[int, int, int | None],
        now: float,
    ) -> bool:
        """
        @return: Whether the lease was there to be changed.
        """
        updated = self._database.execute(
            f"UPDATE tasks SET {change} WHERE number = ? AND secret = ? "  # noqa: S608 - our own words
            "AND queue = ? AND state = 'leased' AND due > ?",
            (*given, *proof, now),
        )
        return updated.rowcount == 1

    def _isSettled(self, outcome: str, proof: tuple[int, int, int | None]) -> bool:
        """
        @return: Whether this very delivery was settled so before: the answer to that
            was lost, and what is told again has no effect.
        """
        found = self._database.execute(
            "SELECT state FROM tasks WHERE number = ? AND secret = ? AND queue = ?",
            proof,
        ).fetchone()
        return found is not None and found[0] in _STATES_AFTER[outcome]

    def wake(self, now: float) -> None:
        """
        Make ready what has waited for long enough, and what was leased for too long:
        L{CHUNK} tasks at most.
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

    def count(self) -> Counter[tuple[str, State]]:
        """
        Count all tasks by queue and state: a third of a second for a million.
        """
        counted = self._database.execute(
            "SELECT name, state, count FROM ("
            "SELECT queue, 'ready' AS state, count(*) AS count FROM tasks "
            "WHERE state = 'ready' GROUP BY queue UNION ALL "
            "SELECT queue, state, count(*) FROM tasks INDEXED BY due "
            "WHERE due IS NOT NULL GROUP BY queue, state UNION ALL "
            "SELECT queue, state, count(*) FROM tasks INDEXED BY ended "
            "WHERE ended IS NOT NULL GROUP BY queue, state"
            ") JOIN queues ON queues.number = queue"
        )
        return Counter({(name, state): count for name, state, count in counted})

    def correct(self, queue: str, known: Mapping[tuple[str, State], int]) -> int:
        """
        After a claim of a queue that has found nothing, count the queue's tasks if that
        contradicts what is known of them, and note the differences as changes.

        @param queue: The name of the queue.
        @param known: How many tasks were in each state before this transaction.

        @return: How many were ready by that.
        """
        changes = self._database.changes
        missing = known.get((queue, "ready"), 0) + changes[queue, "ready"]
        if missing:
            counted = self.count()
            # what cannot be claimed is not ready
            del counted[queue, "ready"]
            for state in STATES:
                before = known.get((queue, state), 0)
                changes[queue, state] = counted[queue, state] - before
        return missing

    def resume(self, now: float) -> list[Leased]:
        """
        Begin all leases anew: nobody could have them extended while this did not run.

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


def parseReceipt(receipt: str) -> tuple[int, int] | None:
    """
    Take a receipt apart.

    @param receipt: What may be one.

    @return: The number of the task, and the secret of its delivery; C{None}: it is
        none of ours.
    """
    matched = _RECEIPT.fullmatch(receipt)
    if matched is None:
        return None
    secret = int(matched[2], 16)
    return None if secret >> _SECRET_BITS else (int(matched[1]), secret)


def _text(error: Any) -> str | None:
    if error is UNSET:
        return None
    # SQLite takes no halves of surrogate pairs
    return str(error[:_LONGEST_ERROR].encode(errors="replace"), "utf-8")
