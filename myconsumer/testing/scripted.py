"""
A queue whose requests the test answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import FaultError
from myconsumer.interfaces import ITaskQueue
from myconsumer.task import Claimed, Settlement, Task


@dataclass(eq=False, kw_only=True)
class Request:
    """
    A request that the test answers.

    @ivar made: When it was made, by the queue's clock.
    @ivar answer: What the queue returned: fires with the answer.
    @ivar dropped: Whether C{answer} was cancelled.
    """

    made: float
    answer: Deferred[Any] = field(init=False)
    dropped: bool = False

    def __post_init__(self) -> None:
        self.answer = Deferred(self._drop)

    def _drop(self, _: Deferred[Any]) -> None:
        self.dropped = True

    @property
    def open(self) -> bool:
        """
        Whether there is no answer yet.
        """
        return not self.answer.called

    def fail(self, error: Exception) -> None:
        """
        Answer it with a failure.

        @param error: L{FaultError <myconsumer.errors.FaultError>} or L{RefusalError
            <myconsumer.errors.RefusalError>}, as L{ITaskQueue} says; or another, to
            see what a bug in a queue does.
        """
        self.answer.errback(error)

    def expireAfter(self, clock: Clock, seconds: float) -> None:
        """
        Have it fail with a L{FaultError <myconsumer.errors.FaultError>} unless it is
        answered within C{seconds}.
        """

        def timedOut(*_: object) -> Failure:
            return Failure(FaultError("no answer in time"))

        self.answer.addTimeout(seconds, clock, timedOut)


@dataclass(eq=False, kw_only=True)
class Claim(Request):
    """
    A request for tasks: a call of L{ITaskQueue.claim}, and its arguments.
    """

    claim: str
    limit: int
    wait: float
    lease: float

    def bring(
        self, *tasks: Task, malformed: Sequence[Settlement] = (), dropped: int = 0
    ) -> None:
        """
        Answer it with tasks, or with none.

        @param malformed: See L{Claimed}.
        @param dropped: See L{Claimed}.
        """
        self.answer.callback(Claimed(list(tasks), list(malformed), dropped))


@dataclass(eq=False, kw_only=True)
class Settle(Request):
    """
    A request that settles tasks, or that extends leases: a call of
    L{ITaskQueue.settle}, and its arguments.
    """

    settlements: list[Settlement]
    deadline: float

    @property
    def receipts(self) -> list[str]:
        """
        The receipts of the tasks.
        """
        return [settlement.receipt for settlement in self.settlements]

    @property
    def extends(self) -> bool:
        """
        Whether it is a heartbeat: all of it extends leases.
        """
        return all(one.outcome == "extend" for one in self.settlements)

    def take(self, *lost: str) -> None:
        """
        Answer it.

        @param lost: The receipts of those whose lease is lost.
        """
        self.answer.callback(lost)


@dataclass(eq=False, kw_only=True)
class Cancel(Request):
    """
    A request that ends a claim: a call of L{ITaskQueue.cancelClaim}.
    """

    claim: str

    def take(self, ended: bool = True) -> None:
        """
        Answer it.

        @param ended: Whether the endpoint can end claims.
        """
        self.answer.callback(ended)


@implementer(ITaskQueue)
class ScriptedQueue:
    """
    A queue that records requests and leaves their answers to the test.  Only
    L{cancelClaim} is answered at once, with C{True}, unless C{onCancel} is replaced.

    @ivar claims: Each request for tasks.
    @ivar settles: Each request that settles, and each heartbeat.
    @ivar cancels: Each request that ends a claim.
    @ivar closed: How often the queue was closed.
    @ivar onClaim: Called with each L{Claim} when it is made; may answer it, or raise.
    @ivar onSettle: Called with each L{Settle} when it is made; may answer it, or
        raise.
    @ivar onCancel: Called with each L{Cancel} when it is made; may answer it, or
        raise.
    """

    def __init__(self, clock: Clock) -> None:
        """
        @param clock: Says when requests are made.
        """
        self._clock = clock
        self.claims: list[Claim] = []
        self.settles: list[Settle] = []
        self.cancels: list[Cancel] = []
        self.closed = 0
        self.onClaim: Callable[[Claim], object] = lambda request: None
        self.onSettle: Callable[[Settle], object] = lambda request: None
        self.onCancel: Callable[[Cancel], object] = Cancel.take

    def claim(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> Deferred[Claimed]:
        """
        See L{ITaskQueue.claim}.
        """
        now = self._clock.seconds()
        request = Claim(made=now, claim=claim, limit=limit, wait=wait, lease=lease)
        self.claims.append(request)
        self.onClaim(request)
        return request.answer

    def settle(
        self, settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        See L{ITaskQueue.settle}.
        """
        request = Settle(
            made=self._clock.seconds(), settlements=list(settlements), deadline=deadline
        )
        self.settles.append(request)
        self.onSettle(request)
        return request.answer

    def cancelClaim(self, claim: str) -> Deferred[bool]:
        """
        See L{ITaskQueue.cancelClaim}.
        """
        request = Cancel(made=self._clock.seconds(), claim=claim)
        self.cancels.append(request)
        self.onCancel(request)
        return request.answer

    def close(self) -> Deferred[None]:
        """
        See L{ITaskQueue.close}.
        """
        self.closed += 1
        return succeed(None)

    @property
    def beats(self) -> list[Settle]:
        """
        The heartbeats: what extends leases.
        """
        return [request for request in self.settles if request.extends]

    @property
    def outcomes(self) -> list[Settle]:
        """
        The requests that settle tasks.
        """
        return [request for request in self.settles if not request.extends]

    @property
    def openClaims(self) -> list[Claim]:
        """
        The claims without an answer.
        """
        return [request for request in self.claims if request.open]
