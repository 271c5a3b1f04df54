"""
The tables of tasks in SQLite: how tasks are queued, claimed and counted.

Nothing here begins or ends a transaction: L{Writer
<myconsumer.taskqueue.store.writer.Writer>} does, around any number of calls.  C{now} is
always the time in seconds since the epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from secrets import randbits

from msgspec import Raw

from myconsumer.taskqueue.limits import LARGEST_PAYLOAD
from myconsumer.taskqueue.store.archive import Archive
from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.expiry import Expiry
from myconsumer.taskqueue.store.ids import newIds
from myconsumer.taskqueue.store.records import (
    STATES,
    Delivery,
    Enqueued,
    NewTask,
    State,
)
from myconsumer.taskqueue.store.settlements import SECRET_BITS, Settlements


class Tables:
    """
    What can be done with the tasks in a transaction.

    @ivar database: The connection.
    @ivar settlements: Settles tasks.
    @ivar expiry: Ends delays and leases.
    @ivar archive: Looks tasks up, retries and forgets them.
    """

    def __init__(self, database: Database) -> None:
        """
        @param database: The connection.
        """
        self.database = database
        self.settlements = Settlements(database)
        self.expiry = Expiry(database)
        self.archive = Archive(database)

    def enqueue(self, queue: str, tasks: Sequence[NewTask], now: float) -> Enqueued:
        """
        Queue tasks, except those whose ids are known.

        @param queue: The name of the queue.
        @param tasks: The tasks.
        @param now: The time, in seconds since the epoch, as everywhere here.
        """
        number = self.database.newNumber(queue)
        madeUp = newIds(now)
        ids: list[str] = []
        known: list[str] = []
        payloads: list[tuple[int | None, bytes]] = []
        delayed = 0
        for task in tasks:
            id = next(madeUp) if task.id is None else task.id
            ids.append(id)
            due = now + task.delay if task.delay else None
            inserted = self.database.execute(
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
        self.database.executemany("REPLACE INTO payloads VALUES (?, ?)", payloads)
        if payloads:
            self.database.changes[queue, "delayed"] += delayed
            self.database.changes[queue, "ready"] += len(payloads) - delayed
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
        number = self.database.number(queue)
        secret = randbits(SECRET_BITS)
        deliveries: list[Delivery] = []
        leased: list[tuple[float, float, int, str, int]] = []
        room = LARGEST_PAYLOAD
        for task, id, attempts, enqueued, payload in self.database.execute(
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
        self.database.executemany(
            "UPDATE tasks SET state = 'leased', attempts = attempts + 1, "
            "due = ?, lease = ?, secret = ?, claim = ? WHERE number = ?",
            leased,
        )
        self.database.moved(queue, "ready", "leased", len(leased))
        return deliveries

    def count(self) -> Counter[tuple[str, State]]:
        """
        Count all tasks by queue and state: a third of a second for a million.
        """
        counted = self.database.execute(
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
        changes = self.database.changes
        missing = known.get((queue, "ready"), 0) + changes[queue, "ready"]
        if missing:
            counted = self.count()
            # what cannot be claimed is not ready
            del counted[queue, "ready"]
            for state in STATES:
                before = known.get((queue, state), 0)
                changes[queue, state] = counted[queue, state] - before
        return missing
