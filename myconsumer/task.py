"""
The values that travel between a queue and the rest: plain and frozen.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType
from twisted.python.failure import Failure

from myconsumer.fields import Attempt, Lease

#: The longest result of a task, in bytes of JSON, whatever the handler is.
LONGEST_RESULT = 8 * 1024 * 1024


class Task(Struct, frozen=True):
    """
    One unit of work, as the endpoint delivered it.

    @ivar id: The endpoint's name for it.
    @ivar payload: What is to be worked on: any JSON value.
    @ivar attempt: 1 for the first delivery, one more for each that was counted.
    @ivar receipt: The proof that the task is leased to us, and what settles it;
        C{None}: the task is leased to nobody, and is not settled.
    @ivar lease: The seconds for which it is leased to us, counted from its
        arrival, a year at most; C{None}: the seconds that the claim asked for.
    @ivar enqueued: When it was queued, in seconds since the epoch.
    """

    id: str | int
    payload: Any
    attempt: Attempt = 1
    receipt: str | None = None
    lease: Lease | None = None
    enqueued: float | None = None

    def __repr__(self) -> str:
        # no payload, which is long, and no receipt, which settles the task
        return f"<{type(self).__name__} {self.id!r}, attempt {self.attempt}>"


#: The id of the task whose handler runs in a context, or has started what runs there;
#: C{None}: there is no such task.
currentID: ContextVar[str | int | None] = ContextVar("task", default=None)


class Settlement(Struct, frozen=True, gc=False, omit_defaults=True):
    """
    What is reported to a queue about one claimed task.

    @ivar receipt: The receipt of the task.
    @ivar outcome: C{complete}; C{release}, to be delivered again; C{fail}, never
        again; or C{extend}, which ends nothing and lengthens the lease.
    @ivar result: What the handler returned, as JSON, with C{complete}.
    @ivar delay: The seconds before the next delivery, with C{release}.
    @ivar error: Why it did not succeed, with C{release} and C{fail}.
    @ivar counted: False gives the attempt back, with C{release}.
    @ivar lease: The seconds that the lease is to last from now, with C{extend}.
    """

    receipt: str
    outcome: Literal["complete", "release", "fail", "extend"]
    result: Raw | UnsetType = UNSET
    delay: float | UnsetType = UNSET
    error: str | UnsetType = UNSET
    counted: bool | UnsetType = UNSET
    lease: float | UnsetType = UNSET


class Claimed(Struct, frozen=True):
    """
    The answer to one claim.

    @ivar tasks: The tasks, in the endpoint's order; none: nothing came in time.
    @ivar malformed: For each that cannot be run but has a receipt, the
        settlement that fails it with the reason.
    @ivar dropped: How many can be neither run nor settled.
    """

    tasks: list[Task]
    malformed: list[Settlement] = []
    dropped: int = 0


#: How a task has ended: C{complete}, C{release} and C{fail} as in its settlement;
#: C{uncounted}, it was released as if it had not been delivered; C{lost}, its lease was
#: lost, so that it is not settled; C{dropped}, it was not done, came without a receipt
#: and cannot be delivered again.
Outcome = Literal["complete", "release", "fail", "uncounted", "lost", "dropped"]


#: What has ended a task: C{handler}, its handler has returned or has raised L{Release
#: <myconsumer.errors.Release>} or L{Reject <myconsumer.errors.Reject>}; C{failure},
#: it has raised anything else; C{notBegun}, it could not begin; C{timeout}, its time
#: limit; C{stop}, the service stops; C{stuck}, the same, and it does not end although
#: it was cancelled; C{lost}, its lease was lost; C{attempts}, it was delivered too
#: often, and is not run.
Cause = Literal[
    "handler", "failure", "notBegun", "timeout", "stop", "stuck", "lost", "attempts"
]


class Ending(Struct, frozen=True):
    """
    How a task has ended.

    @ivar outcome: What becomes of it.
    @ivar error: Why it was not completed, in words, which may have several lines; with
        C{complete}, why it is completed without its result; with C{lost}, C{None} if
        its handler ended well all the same.
    @ivar failure: The exception that its handler did not mean to raise, if that is why.
    @ivar delay: The seconds before its next delivery, with C{release}.
    @ivar cause: What has ended it.
    """

    outcome: Outcome
    error: str | None = None
    failure: Failure | None = None
    delay: float | None = None
    cause: Cause = "handler"


#: The ending of a task that was done.
COMPLETE = Ending("complete")


#: What a request is for: to claim tasks, to settle tasks that have ended, to extend
#: leases, or to cancel a claim.
RequestKind = Literal["claim", "settle", "extend", "cancel"]


class Request(Struct, frozen=True, eq=False):
    """
    A request to a queue, compared by identity.

    @ivar kind: What it is for.
    @ivar count: How many tasks it asks for, settles or extends; 1 with C{cancel}.
    @ivar within: The seconds after which the queue must have answered, refused or given
        up: if it has not, it hangs.
    @ivar sent: When it was sent, by our clock.
    @ivar claim: The name of the claim, with C{claim} and C{cancel}.
    """

    kind: RequestKind
    count: int
    within: float
    sent: float
    claim: str | None = None
