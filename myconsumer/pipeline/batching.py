"""
How much goes in one request about leases, and how long that may take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import frexp, inf
from statistics import StatisticsError, linear_regression
from typing import TypeVar

from msgspec import UNSET
from twisted.internet.interfaces import IReactorTime

from myconsumer.errors import FaultError, RefusalError
from myconsumer.task import Settlement

#: The longest that a request about leases may take, in seconds.
DEADLINE = 10.0

#: The most bytes of a request, unless one settlement is larger.
MOST_BYTES = 4 * 1024 * 1024

#: The most settlements in the first request.
FIRST = 64

#: The number of parts in which a request that failed is tried again.
PARTS = 8

#: The seconds for which a size is remembered that the endpoint has refused.
MEMORY = 600.0

#: Up to this many refusals in a row are no reason to wait: one part may be refused.
MOST_REFUSED = 4

T = TypeVar("T")


def deadlineFor(lengths: Iterable[float]) -> float:
    """
    @param lengths: The lengths of the leases in a batch, in seconds.

    @return: The seconds that the request may take.
    """
    return min(DEADLINE, min(lengths) / 3)


def paceOf(length: float) -> int:
    """
    Leases of the same pace travel together, so that a short one takes no long one
    with it.

    @param length: A lease's length in seconds.

    @return: The same for lengths of which none is four times another; and for all
        that are below a second.
    """
    return frexp(max(length, 1.0))[1] // 2


def bytesOf(settlement: Settlement) -> int:
    """
    @return: How long result and text of a settlement are.
    """
    result, error = settlement.result, settlement.error
    size = 0 if result is UNSET else memoryview(result).nbytes
    return size if error is UNSET else size + len(error)


def fitting(settlements: Iterable[tuple[T, Settlement]], most: int) -> list[T]:
    """
    @param settlements: Settlements, each with what it is about.
    @param most: How many a request may hold.

    @return: What the first of them are about: as many as fit in one request, one at
        least.
    """
    found: list[T] = []
    room = MOST_BYTES
    for about, settlement in settlements:
        # One without result and text counts for nothing.
        if settlement.result is not UNSET or settlement.error is not UNSET:
            room -= bytesOf(settlement)
            if found and room < 0:
                break
        found.append(about)
        if len(found) >= most:
            break
    return found


def partOf(size: int) -> int:
    """
    @return: How many of a request that failed are tried together next: 1 or more.
    """
    return max(1, size // PARTS)


def isForTheWhole(error: BaseException | None) -> bool:
    """
    @return: Whether a failure says nothing of what the request held: there was no
        connection, or the endpoint asks to be left alone.
    """
    return isinstance(error, FaultError) and (
        error.unreachable or error.retryAfter is not None
    )


def isDivisible(error: BaseException | None) -> bool:
    """
    @return: Whether the endpoint said that it refuses what the request held.
    """
    return isinstance(error, RefusalError) and error.divisible


class BatchSize:
    """
    The most that should go in one request: as much as was taken lately, doubled
    each time that it is taken whole, and no more than the endpoint answers within a
    third of the deadline, going by how long its last answers took.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: What keeps the time.
        """
        self._clock = clock
        self._most = FIRST
        # A size that was refused, and when that is to be forgotten.
        self._ceiling = inf
        self._forgetAt = 0.0
        # Sizes and seconds of the last answers; and what follows from them: the
        # seconds of an answer to nothing, and those that each settlement adds.
        self._answers: deque[tuple[int, float]] = deque(maxlen=4)
        self._latency = self._each = 0.0

    def within(self, deadline: float) -> int:
        """
        @param deadline: The seconds that the request may take.

        @return: How many it may hold: 1 or more.
        """
        if self._each <= 0:
            return self._most
        fit = (deadline - self._latency) / 3 / self._each
        return int(max(1, min(self._most, fit)))

    def taken(self, size: int, seconds: float, deadline: float) -> None:
        """
        A request was answered well.

        @param size: How many settlements it held.
        @param seconds: How long the answer took.
        @param deadline: How long it might have.
        """
        self._answers.append((size, seconds))
        try:
            line = linear_regression(*zip(*self._answers, strict=True))
        except StatisticsError:
            # All of one size, from which nothing can be learnt.
            if seconds > deadline / 3:
                self._most = min(self._most, max(PARTS, size // 2))
                return
        else:
            self._each = max(0.0, line.slope)
            self._latency = max(0.0, line.intercept)
        self._each = min(self._each, seconds / size)
        self._latency = min(self._latency, seconds)
        if size >= self._most:
            self._grow()

    def failed(self, size: int, refused: bool) -> None:
        """
        A request failed, and what it held is tried again in parts.

        @param size: How many settlements it held.
        @param refused: Whether the endpoint said that this was too much.
        """
        self._most = max(1, min(self._most, size // 2 if refused else partOf(size)))
        if refused:
            self._ceiling = size
            self._forgetAt = self._clock.seconds() + MEMORY

    def acquit(self) -> None:
        """
        What was refused was refused alone as well: for itself, not for the size.
        """
        self._ceiling = inf

    def _grow(self) -> None:
        if self._clock.seconds() >= self._forgetAt:
            self._ceiling = inf
        larger = min(2.0 * self._most, (self._most + self._ceiling) / 2)
        if larger >= 1.125 * self._most:
            self._most = int(larger)
