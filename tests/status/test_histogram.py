"""
Counts of values by their size.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.histogram import Histogram


class HistogramTests(SynchronousTestCase):
    """
    L{Histogram}.
    """

    def test_countsUpToEachBound(self) -> None:
        """
        A bucket has all values that are not larger than its bound, as Prometheus wants
        it, and the last one has all.
        """
        histogram = Histogram((1, 2.5))
        for value in (0, 1, 1.01, 2.5, 2.6, 1e9):
            histogram.observe(value)
        self.assertEqual(
            list(histogram.buckets()), [("1.0", 2), ("2.5", 4), ("+Inf", 6)]
        )
        self.assertEqual(histogram.count, 6)
        self.assertAlmostEqual(histogram.sum, 1e9 + 7.11)
