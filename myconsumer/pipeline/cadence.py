"""
When the next claim may be made.

Promise 4: no fault of the endpoint makes the consumer spin, nor leaves a free slot idle
for longer than the backoff's cap after the fault has ended.
"""

from __future__ import annotations

from math import inf

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from myconsumer.errors import RefusalError
from myconsumer.pipeline.claims import Claim, Claims
from myconsumer.pipeline.terms import Terms
from myconsumer.retrying import Retry

#: The failures in a row that end a run, with C{untilEmpty}.
MOST_FAILURES = 5


class Cadence:
    """
    Says when the next claim may be made: side by side with others only while they come
    back full, not sooner than the interval after one that brought nothing, and after a
    failure with backoff.
    """

    # Whether the last claim brought all that it asked for.
    _isFull = False
    # Nothing is claimed before this time, after a failure.
    _resumeAt = 0.0
    # When the last claim was made that brought nothing.
    _emptyAt = -inf
    # When a claim last failed, of those that count.
    _failedAt = -inf

    def __init__(self, claims: Claims, terms: Terms, clock: IReactorTime) -> None:
        """
        @param claims: The claims that are open.
        @param terms: The interval, and the most claims side by side.
        @param clock: What keeps the time.
        """
        self._claims = claims
        self._terms = terms
        self._clock = clock
        self._retry = Retry("Claims", clock)

    @property
    def failures(self) -> int:
        """
        How many claims in a row have failed.
        """
        return self._retry.failures

    def delay(self) -> float | None:
        """
        @return: The seconds until the next claim may be made, or C{None}: not before an
            open one is answered.
        """
        open = len(self._claims.open)
        if open and (open >= self._terms.claiming.pollers or not self._isFull):
            return None
        due = max(self._resumeAt, self._emptyAt + self._terms.claiming.interval)
        return max(0.0, due - self._clock.seconds())

    def answered(self, claim: Claim, came: int) -> None:
        """
        A claim was answered.

        @param came: How many tasks it has brought.
        """
        if self._retry.failures:
            self._claims.cancellation.afterOutage()
        self._retry.succeeded()
        self._isFull = came >= claim.limit
        if self._isFull:
            self._claims.wasFull(claim)

    def wasEmpty(self, claim: Claim) -> None:
        """
        The answer to a claim held nothing: the next one waits out the interval.
        """
        self._emptyAt = max(self._emptyAt, claim.made)

    def missed(self) -> None:
        """
        A claim has brought nothing, for whatever reason: open none beside another.
        """
        self._isFull = False

    def failed(self, failure: Failure, claim: Claim, mayBeLast: bool = False) -> bool:
        """
        Claim nothing for a while.  Claims that were open side by side and fail have
        failed once, in one broken moment.

        @param mayBeLast: Whether the run is given up if claiming seems hopeless.

        @return: Whether it does: the claim was refused, or is the last of
            L{MOST_FAILURES} that have failed in a row.
        """
        now = self._clock.seconds()
        if claim.made <= self._failedAt:
            self._retry.failures = max(0, self._retry.failures - 1)
        else:
            self._failedAt = now
        refused = isinstance(failure.value, RefusalError)
        isHopeless = refused or self._retry.failures + 1 >= MOST_FAILURES
        delay = self._retry.failed(failure, isLast=mayBeLast and isHopeless)
        self._resumeAt = max(self._resumeAt, now + delay)
        return isHopeless
