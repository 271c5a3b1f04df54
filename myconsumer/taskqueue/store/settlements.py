"""
How leased tasks are settled in SQLite: by receipts, each of which proves one lease.

Promise 1: a task is completed by the receipt of its last lease, while that lasts, and
by no other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import UNSET

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.records import State
from myconsumer.text import encodable

_LONGEST_ERROR = 10_000

#: The bits of the random half of a receipt.
SECRET_BITS = 62
_RECEIPT = re.compile(r"([1-9][0-9]{0,17})\.(0|[1-9a-f][0-9a-f]{0,15})", re.ASCII)

# in which state a task may be found after it was settled
_STATES_AFTER: Mapping[str, Collection[str]] = {
    "complete": ("completed",),
    "fail": ("failed",),
    "release": ("ready", "delayed"),
}


class Settlements:
    """
    Settles tasks by their receipts.
    """

    def __init__(self, database: Database) -> None:
        """
        @param database: Where the tasks are.
        """
        self._database = database

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
        @return: Whether this very delivery was settled with C{outcome} before: the
            answer was lost, and the repeated settlement has no effect.
        """
        found = self._database.execute(
            "SELECT state FROM tasks WHERE number = ? AND secret = ? AND queue = ?",
            proof,
        ).fetchone()
        return found is not None and found[0] in _STATES_AFTER[outcome]


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
    return None if secret >> SECRET_BITS else (int(matched[1]), secret)


def _text(error: Any) -> str | None:
    if error is UNSET:
        return None
    # SQLite takes no halves of surrogate pairs
    return encodable(error[:_LONGEST_ERROR])
