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
    A request that waits for its answer.

    @ivar made: When it was made.
    @ivar dropped: Whether it was cancelled.
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
        """
        self.answer.errback(error)

    def expireAfter(self, clock: Clock, seconds: float) -> None:
        """
        Have it fail if there is no answer in time.
        """

        def timedOut(*_: object) -> Failure:
            return Failure(FaultError("no answer in time"))

        self.answer.addTimeout(seconds, clock, timedOut)


@dataclass(eq=False, kw_only=True)
class Claim(Request):
    """
    A request for tasks.
    """

    claim: str
    limit: int
    wait: float
    lease: float

    def bring(
        self, *tasks: Task, malformed: Sequence[Settlement] = (), dropped: int = 0
    ) -> None:
        """
        Answer it with tasks.
        """
        self.answer.callback(Claimed(list(tasks), list(malformed), dropped))


@dataclass(eq=False, kw_only=True)
class Settle(Request):
    """
    A request that settles, or extends.
    """

    settlements: list[Settlement]
    deadline: float

    @property
    def receipts(self) -> list[str]:
        """
        What it is about.
        """
        return [settlement.receipt for settlement in self.settlements]

    @property
    def extends(self) -> bool:
        """
        Whether it is a heartbeat.
        """
        return all(one.outcome == "extend" for one in self.settlements)

    def take(self, *lost: str) -> None:
        """
        Answer it.
        """
        self.answer.callback(lost)


@dataclass(eq=False, kw_only=True)
class Cancel(Request):
    """
    A request that ends a claim.
    """

    claim: str

    def take(self, ended: bool = True) -> None:
        """
        Answer it.
        """
        self.answer.callback(ended)


@implementer(ITaskQueue)
class ScriptedQueue:
    """
    Records requests and leaves the answers to the test, but for claims being
    ended, which works at once.

    @ivar onClaim: Called with each claim, and may answer it or raise something.
    @ivar onSettle: The same for settlements and heartbeats.
    @ivar onCancel: The same for the ends of claims.
    """

    def __init__(self, clock: Clock) -> None:
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
        The heartbeats.
        """
        return [request for request in self.settles if request.extends]

    @property
    def outcomes(self) -> list[Settle]:
        """
        The requests that tell how tasks ended.
        """
        return [request for request in self.settles if not request.extends]

    @property
    def openClaims(self) -> list[Claim]:
        """
        The claims without an answer.
        """
        return [request for request in self.claims if request.open]
