"""
How much goes in one request about leases, and how long that may take.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TypeVar

from myconsumer.errors import RefusalError

#: The longest that a request about leases may take, in seconds.
DEADLINE = 10.0

T = TypeVar("T")


def deadlineFor(lengths: Iterable[float]) -> float:
    """
    @param lengths: The lengths of the leases in a batch, in seconds.

    @return: The seconds that the request may take.
    """
    return min(DEADLINE, min(lengths) / 3)


class BatchSize:
    """
    The most that an endpoint takes in one request: halved when it refuses,
    doubled when it takes that many.
    """

    most: float = inf

    def divide(self, size: int, error: BaseException | None) -> bool:
        """
        A batch has failed.

        @return: Whether a part of it is worth trying at once.
        """
        if size > 1 and isinstance(error, RefusalError) and error.divisible:
            self.most = size // 2
            return True
        return False

    def taken(self, size: int) -> None:
        """
        A batch was taken.
        """
        if size >= self.most:
            self.most *= 2

    def first(self, batch: list[T]) -> list[T]:
        """
        @return: As many as may go in one request.
        """
        return batch if len(batch) <= self.most else batch[: int(self.most)]
