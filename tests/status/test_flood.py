"""
What keeps the log small.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.flood import KINDS, Repeats


class RepeatsTests(SynchronousTestCase):
    """
    L{Repeats}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.repeats = Repeats(self.clock)

    def happen(self, kind: object = "it") -> int:
        """
        @return: What is said of an event: how many there were; 0: nothing.
        """
        repeat = self.repeats.count(kind)
        if repeat is None:
            return 0
        count = repeat.count
        repeat.said(self.clock.seconds())
        return count

    def test_saysItAtGrowingIntervals(self) -> None:
        """
        What happens each second is said at once, then after a minute, after two, four,
        and so on, and at last each hour.
        """
        said = []
        for second in range(6 * 3600):
            if count := self.happen():
                said.append((second, count))
            self.clock.advance(1.0)
        self.assertEqual(
            said,
            [
                (0, 1),
                (60, 60),
                (180, 120),
                (420, 240),
                (900, 480),
                (1860, 960),
                (3780, 1920),
                (7380, 3600),
                (10980, 3600),
                (14580, 3600),
                (18180, 3600),
            ],
        )

    def test_beginsAnewAfterAnHour(self) -> None:
        """
        What has not happened for an hour is said as if it were the first time.
        """
        for _ in range(100):
            self.happen()
            self.clock.advance(10.0)
        self.happen()
        self.clock.advance(3601.0)
        repeat = self.repeats.count("it")
        assert repeat is not None
        self.assertEqual((repeat.count, repeat.isSaid), (1, False))

    def test_saysLaterWhatWasNotSaid(self) -> None:
        """
        What was due and not said is due the next time.
        """
        self.repeats.count("it")
        repeat = self.repeats.count("it")
        assert repeat is not None
        self.assertEqual(repeat.count, 2)

    def test_keepsSomeKindsOnly(self) -> None:
        """
        The kind that has not come for longest is forgotten, and counted if it was not
        said.
        """
        self.happen("said")
        for number in range(KINDS + 10):
            self.repeats.count(number)
        self.assertEqual(self.repeats.forgotten, 10)
        self.repeats.count(10)
        self.repeats.count(KINDS + 10)
        self.assertEqual(self.repeats.forgotten, 11)
        self.assertEqual(self.repeats.count(10).count, 3)  # type: ignore[union-attr]

    def test_knowsHowManyWereNotSaid(self) -> None:
        """
        Events that no line mentions are counted, until they are asked for.
        """
        for kind in ("a", "a", "a", "b"):
            self.happen(kind)
        for number in range(KINDS):
            self.repeats.count(number)
        self.assertEqual(self.repeats.unsaid(), 2 + KINDS)
        self.assertEqual(self.repeats.unsaid(), 0)
