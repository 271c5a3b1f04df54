"""
How much of everything has happened since the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import get_args

from msgspec import Struct
from msgspec.structs import asdict
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.pipeline.observers import Observer
from myconsumer.task import Ending, Outcome, Request, Task


class Counts(Struct, frozen=True):
    """
    How much of everything has happened, within some time.

    @ivar complete: How many tasks were done.
    @ivar release: How many are delivered again.
    @ivar fail: How many have failed for good.
    @ivar uncounted: How many were released as if they had not been delivered, after
        they had started.
    @ivar lost: How many ended after their lease was lost.
    @ivar dropped: How many were not done, and cannot be delivered again.
    @ivar claimed: How many tasks claims have brought.
    @ivar claims: How many claims were answered, with tasks or without.
    @ivar claimFailures: How many claims have failed.
    @ivar settled: How many settlements the endpoint has taken.
    @ivar settleFailures: How many requests with settlements have failed.
    @ivar extended: How many leases were extended.
    @ivar extendFailures: How many requests to extend leases have failed.
    @ivar leasesLost: How many leases were lost.
    @ivar givenUp: How many settlements were not taken before their lease has ended.
    """

    complete: int = 0
    release: int = 0
    fail: int = 0
    uncounted: int = 0
    lost: int = 0
    dropped: int = 0
    claimed: int = 0
    claims: int = 0
    claimFailures: int = 0
    settled: int = 0
    settleFailures: int = 0
    extended: int = 0
    extendFailures: int = 0
    leasesLost: int = 0
    givenUp: int = 0

    @property
    def ended(self) -> int:
        """
        How many tasks have ended.
        """
        return (
            self.complete
            + self.release
            + self.fail
            + self.uncounted
            + self.lost
            + self.dropped
        )

    def since(self, earlier: Counts) -> Counts:
        """
        @return: How much has happened between C{earlier} and this.
        """
        before = asdict(earlier)
        return Counts(**{name: n - before[name] for name, n in asdict(self).items()})


#: What is counted of answers and of failures, for each kind of request.
_ANSWERS = {"settle": "settled", "extend": "extended"}
_FAILURES = {"settle": "settleFailures", "extend": "extendFailures"}


class Totals(Observer):
    """
    Counts what happens.

    @ivar claimFailures: How many claims in a row have failed.
    @ivar claimsFailSince: When the first of these has failed, by the clock.
    @ivar answeredAt: When the endpoint has last answered as it should, by the clock.
    @ivar startedAt: When the consumer was started, by the clock.
    """

    startedAt = 0.0
    claimFailures = 0
    claimsFailSince = inf
    answeredAt = -inf

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: What keeps the time.
        """
        self._clock = clock
        self._ended: dict[Outcome, int] = dict.fromkeys(get_args(Outcome), 0)
        names = Counts.__struct_fields__
        self._counts = {name: 0 for name in names if name not in self._ended}

    def counts(self) -> Counts:
        """
        @return: How much has happened until now.
        """
        return Counts(**self._ended, **self._counts)

    def started(self) -> None:
        """
        See L{IConsumerObserver.started
        <myconsumer.interfaces.IConsumerObserver.started>}.
        """
        self.startedAt = self._clock.seconds()
        self.claimFailures = 0

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded
        <myconsumer.interfaces.IConsumerObserver.taskEnded>}.
        """
        self._ended[ending.outcome] += 1

    def requestAnswered(self, request: Request, seconds: float, count: int) -> None:
        """
        See L{IConsumerObserver.requestAnswered
        <myconsumer.interfaces.IConsumerObserver.requestAnswered>}.
        """
        self.answeredAt = request.sent + seconds
        if request.kind == "claim":
            self._counts["claims"] += 1
            self._counts["claimed"] += count
            self.claimFailures = 0
        elif request.kind in _ANSWERS:
            self._counts[_ANSWERS[request.kind]] += count

    def requestFailed(self, request: Request, seconds: float, reason: Failure) -> None:
        """
        See L{IConsumerObserver.requestFailed
        <myconsumer.interfaces.IConsumerObserver.requestFailed>}.
        """
        if isinstance(reason.value, CancelledError):
            return
        if request.kind == "claim":
            self._counts["claimFailures"] += 1
            self.claimFailures += 1
            if self.claimFailures == 1:
                self.claimsFailSince = self._clock.seconds()
        elif request.kind in _FAILURES:
            self._counts[_FAILURES[request.kind]] += 1

    def leasesLost(self, ids: Sequence[str | int]) -> None:
        """
        See L{IConsumerObserver.leasesLost
        <myconsumer.interfaces.IConsumerObserver.leasesLost>}.
        """
        self._counts["leasesLost"] += len(ids)

    def settlementsGivenUp(self, ids: Sequence[str | int]) -> None:
        """
        See L{IConsumerObserver.settlementsGivenUp
        <myconsumer.interfaces.IConsumerObserver.settlementsGivenUp>}.
        """
        self._counts["givenUp"] += len(ids)
