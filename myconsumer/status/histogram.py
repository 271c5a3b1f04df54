"""
How often values have been how large: plain numbers, which cost little to count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate


class Histogram:
    """
    Counts values by their size.

    @ivar sum: The sum of all values.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        """
        @param bounds: The largest value of each bucket but the last, which takes what
            is larger; ascending.
        """
        self.sum = 0.0
        # comparing floats with integers takes longer
        self._bounds = tuple(map(float, bounds))
        self._counts = [0] * (len(bounds) + 1)

    @property
    def count(self) -> int:
        """
        How many values there were.
        """
        return sum(self._counts)

    def observe(self, value: float) -> None:
        """
        Count a value.
        """
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """
        @return: Each bound, the last one C{+Inf}, and how many values were not larger,
            as Prometheus wants them.
        """
        bounds = [*map(str, self._bounds), "+Inf"]
        return zip(bounds, accumulate(self._counts), strict=True)
