"""
The values that pass between a store and what uses it, HTTP and the consumer of the same
process: plain, frozen, and most of them the JSON that clients see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

State = Literal["ready", "delayed", "leased", "completed", "failed"]

#: The largest number that SQLite knows.
LARGEST_NUMBER = 2**63 - 1

STATES: Sequence[State] = ("ready", "leased", "delayed", "failed", "completed")


class NewTask(Struct, frozen=True, gc=False):
    """
    A task that a producer wants to have queued.

    @ivar payload: The payload, as JSON.
    @ivar id: The producer's name for it; C{None}: one is made up.
    @ivar delay: The seconds before it is delivered.
    @ivar priority: Those with the highest are delivered first.
    """

    payload: bytes
    id: str | None = None
    delay: float = 0.0
    priority: int = 0


class Enqueued(Struct, frozen=True, omit_defaults=True):
    """
    What became of new tasks.

    @ivar ids: Their names, in order.
    @ivar known: Those of the names that were known, and so not queued again.
    """

    ids: list[str]
    known: list[str] = []


class Delivery(Struct, frozen=True, gc=False):
    """
    A task that is leased to a claim.

    @ivar id: Its name.
    @ivar payload: Its payload, as JSON.
    @ivar receipt: The proof of this lease.
    @ivar attempt: 1 for the first delivery, one more for each that was counted.
    @ivar lease: The seconds for which it is leased.
    @ivar enqueued: When it was queued, in seconds since the epoch.
    """

    id: str
    payload: Raw
    receipt: str
    attempt: int
    lease: float
    enqueued: float


class FailedTask(Struct, frozen=True, omit_defaults=True):
    """
    A task that has failed for good.

    @ivar id: Its name.
    @ivar payload: Its payload, as JSON.
    @ivar attempts: How often it was delivered.
    @ivar enqueued: When it was queued, in seconds since the epoch.
    @ivar ended: When it failed, likewise.
    @ivar error: Why, if that was said.
    """

    id: str
    payload: Raw
    attempts: int
    enqueued: float
    ended: float
    error: str | UnsetType = UNSET


class FailedTasks(Struct, frozen=True, omit_defaults=True):
    """
    Some of the tasks that have failed, the oldest first.

    @ivar failed: The tasks.
    @ivar next: What C{after} has to be, to get those that follow; unset: there are
        none.
    """

    failed: list[FailedTask]
    next: int | UnsetType = UNSET


class RetryCursor(Struct, frozen=True, array_like=True):
    """
    How far a retry of all failed tasks has come.

    @ivar number: The number of the last task that was retried.
    @ivar began: When the retry began, in seconds since the epoch: tasks that failed
        later are not retried.
    """

    number: Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)]
    began: float


class Retried(Struct, frozen=True, omit_defaults=True):
    """
    What became of failed tasks that were to be tried again.

    @ivar retried: How many are ready again.
    @ivar unknown: The names that are those of no failed task.
    @ivar next: Where a retry of all goes on; unset: there are no more.
    """

    retried: int
    unknown: list[str] = []
    next: RetryCursor | UnsetType = UNSET


class TaskRecord(Struct, frozen=True, omit_defaults=True):
    """
    How things are with one task.

    @ivar id: Its name.
    @ivar state: Its state.
    @ivar attempts: How often it was delivered, the deliveries given back uncounted
        not among them.
    @ivar priority: Its priority.
    @ivar enqueued: When it was queued, in seconds since the epoch.
    @ivar due: When its delay or lease ends, likewise.
    @ivar ended: When it completed or failed, likewise.
    @ivar result: What its handler returned, as JSON.
    @ivar error: Why it last did not succeed.
    """

    id: str
    state: State
    attempts: int
    priority: int
    enqueued: float
    due: float | UnsetType = UNSET
    ended: float | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: str | UnsetType = UNSET


@dataclass(frozen=True)
class Pruned:
    """
    What became of tasks that ended long ago.

    @ivar failed: By queue, how many of the forgotten tasks had failed.
    @ivar isAll: Whether no more tasks are as old.
    """

    failed: Mapping[str, int]
    isAll: bool
