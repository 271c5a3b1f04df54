"""
Numbers and durations as people say them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.words import duration, plural


class WordTests(SynchronousTestCase):
    """
    Words for numbers.
    """

    def test_wordsDurations(self) -> None:
        """
        A duration has the one or two units that suit it.
        """
        for seconds, words in (
            (-1, "0 s"),
            (0, "0 s"),
            (0.04, "0 s"),
            (0.26, "0.3 s"),
            (3, "3 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (119.4, "119 s"),
            (119.6, "2 min"),
            (300, "5 min"),
            (3569, "59 min"),
            (3571, "1 h"),
            (3840, "1 h 4 min"),
            (47 * 3600 + 3599, "2 d"),
            (50 * 3600, "2 d 2 h"),
        ):
            self.assertEqual(duration(seconds), words, seconds)

    def test_wordsNumbers(self) -> None:
        """
        A noun fits its number, and thousands are separated.
        """
        self.assertEqual(plural(0, "lease"), "0 leases")
        self.assertEqual(plural(1, "lease"), "1 lease")
        self.assertEqual(plural(1234, "lease"), "1,234 leases")
