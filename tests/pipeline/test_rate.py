"""
How often something may be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor
from unittest import TestCase as PlainTestCase

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.pipeline.rate import SAVED, RateLimit

#: Rates from one an hour to a million a second.
RATES = [1 / 3600, 1 / 60, 0.5, 1.0, 3.0, 7.0, 9.99, 10.0, 10.01, 33.3, 1e3, 1e4, 1e6]

#: Clocks that begin at 0, and as the reactor's does: there a float is no more exact
#: than a quarter of a microsecond.
BEGINNINGS = [0.0, 1000.0, 1_790_000_000.125]

#: What the clock of a reactor cannot tell apart, in seconds.
GRAIN = 1e-6


def make(perSecond: float, beginning: float = 0.0) -> tuple[RateLimit, Clock]:
    clock = Clock()
    clock.rightNow = beginning
    return RateLimit(perSecond, clock), clock


def takeAll(limit: RateLimit) -> int:
    count = 0
    while limit.available():
        limit.take()
        count += 1
    return count


def most(perSecond: float, seconds: float) -> int:
    """
    How many may be done in a closed window: those of the rate, those saved up, and
    the one at its very beginning.
    """
    return floor((seconds + GRAIN + max(SAVED, 1 / perSecond)) * perSecond + 1e-6)


class RateLimitTests(SynchronousTestCase):
    """
    L{RateLimit}.
    """

    def test_changes(self) -> None:
        """
        After a change of the rate the next permit comes as the new rate says; one that
        was taken ahead is still to be waited for, and no more are saved up than the new
        rate allows.
        """
        for first, second, wait in ((0.1, 0.5, 2), (0.5, 0.1, 10), (10.0, 1.0, 1)):
            limit, clock = make(first, 1000.0)
            takeAll(limit)
            limit.change(second)
            self.assertEqual(takeAll(limit), 0)
            clock.advance(wait - 0.1)
            self.assertEqual(takeAll(limit), 0)
            clock.advance(0.1)
            self.assertEqual(takeAll(limit), 1)
        clock.advance(1000)
        limit.change(50.0)
        self.assertEqual(takeAll(limit), 5)

    def test_owesNoMoreThanABurst(self) -> None:
        """
        What was taken at once at a quick rate is no debt for days at a slow one: the
        next permit comes after the time that the slow rate leaves between two.
        """
        for quick, slow in ((1e3, 1.0), (1e6, 1 / 3600), (1e3, 100.0)):
            limit, clock = make(quick)
            takeAll(limit)
            limit.change(slow)
            self.assertAlmostEqual(limit.wait(), 1 / slow, 5)
            clock.advance(1 / slow)
            self.assertEqual(takeAll(limit), 1)

    def test_givesOneAtATime(self) -> None:
        """
        At a slow rate there is one permit at once, and the next when its time has come.
        """
        limit, clock = make(2.0)
        self.assertEqual(limit.available(), 1)
        self.assertEqual(limit.wait(), 0)
        limit.take()
        self.assertEqual(limit.available(), 0)
        self.assertAlmostEqual(limit.wait(), 0.5)
        clock.advance(0.49)
        self.assertEqual(limit.available(), 0)
        clock.advance(0.01)
        self.assertEqual((limit.available(), limit.wait()), (1, 0))

    def test_givesWhatIsSaved(self) -> None:
        """
        At a quick rate there are permits for a tenth of a second at once, at the
        beginning and after any time.
        """
        for perSecond, burst in ((10, 1), (20, 2), (100, 10), (1e3, 100), (1e6, 1e5)):
            for beginning in BEGINNINGS:
                limit, clock = make(perSecond, beginning)
                for seconds in (0, 5, 100_000):
                    clock.advance(seconds)
                    self.assertEqual(limit.available(), burst)
                    for _ in range(int(burst)):
                        limit.take()
                    self.assertLessEqual(limit.available(), GRAIN * perSecond)

    def test_countsWhatIsAvailable(self) -> None:
        """
        What is left is what is saved, less what was taken, plus what time brings.
        """
        limit, clock = make(100.0)
        for _ in range(7):
            limit.take()
        self.assertEqual(limit.available(), 3)
        clock.advance(0.02)
        self.assertEqual(limit.available(), 5)
        clock.advance(10)
        self.assertEqual(limit.available(), 10)

    def test_givesThemEvenly(self) -> None:
        """
        Whoever takes each permit as soon as there is one takes as many as the rate
        says, no fewer, for any rate, whenever the clock began.
        """
        for perSecond in RATES:
            for beginning in BEGINNINGS:
                with self.subTest(perSecond=perSecond, beginning=beginning):
                    limit, clock = make(perSecond, beginning)
                    first = takeAll(limit)
                    self.assertEqual(first, max(1, floor(SAVED * perSecond + 1e-6)))
                    count = 0
                    for _ in range(200):
                        clock.rightNow += limit.wait()
                        count += takeAll(limit)
                    spent = clock.seconds() - beginning
                    self.assertLessEqual(first + count, most(perSecond, spent))
                    least = floor((spent - 2 * GRAIN) * perSecond - 1e-3)
                    self.assertGreaterEqual(count, least)

    def test_doesNotDrift(self) -> None:
        """
        Thousands of permits take exactly their time, whenever the clock began.
        """
        for perSecond in (1e3, 33.3, 1e5, 1e6):
            for beginning in BEGINNINGS:
                with self.subTest(perSecond=perSecond, beginning=beginning):
                    limit, clock = make(perSecond, beginning)
                    takeAll(limit)
                    count, steps = 0, 0
                    while count < 20_000:
                        clock.rightNow += 0.0625
                        steps += 1
                        count += takeAll(limit)
                    due = steps * 0.0625 * perSecond
                    self.assertLessEqual(abs(count - due), 1 + GRAIN * perSecond)

    def test_waitsLongEnough(self) -> None:
        """
        After the seconds to wait, as a timer has them, there is one; before, there
        is none: so that whoever waits does not spin.
        """
        for perSecond in RATES:
            for beginning in BEGINNINGS:
                with self.subTest(perSecond=perSecond, beginning=beginning):
                    limit, clock = make(perSecond, beginning)
                    for _ in range(500):
                        takeAll(limit)
                        seconds = limit.wait()
                        self.assertGreater(seconds, 0)
                        self.assertLessEqual(seconds, 1 / perSecond + GRAIN)
                        clock.rightNow = clock.seconds() + seconds
                        self.assertGreaterEqual(limit.available(), 1)

    def test_waitsWhereThereIsNone(self) -> None:
        """
        Where there is no permit there is a time to wait.
        """
        for beginning in BEGINNINGS:
            limit, clock = make(1e3, beginning)
            for number in range(2000):
                clock.rightNow += (number * 7919 % 13) * 1.1e-4
                if limit.available():
                    limit.take()
                else:
                    self.assertGreater(limit.wait(), 0)

    def test_countsTheMostAtOnce(self) -> None:
        """
        The most at once is what is saved, and one at least.
        """
        for perSecond, most in ((1 / 3600, 1), (10, 1), (19.9, 1), (30, 3), (1e6, 1e5)):
            self.assertEqual(make(perSecond)[0].most, most)

    def test_waitsForSeveral(self) -> None:
        """
        One may ask when there will be several: exactly then there are, for any rate,
        whenever the clock began.
        """
        for perSecond in (20.0, 30.0, 33.3, 1e3):
            for beginning in BEGINNINGS:
                limit, clock = make(perSecond, beginning)
                takeAll(limit)
                for count in range(1, limit.most + 1):
                    seconds = limit.wait(count)
                    clock.rightNow += seconds - 0.01 / perSecond
                    self.assertEqual(limit.available(), count - 1)
                    clock.rightNow += 0.01 / perSecond
                    self.assertEqual(limit.available(), count)
                    self.assertEqual(limit.wait(count), 0)

    def test_delaysAfterAnOverdraft(self) -> None:
        """
        A permit that is taken though there is none delays the next.
        """
        limit, clock = make(10.0)
        for _ in range(5):
            limit.take()
        self.assertAlmostEqual(limit.wait(), 0.5)
        clock.advance(0.5)
        self.assertEqual(limit.available(), 1)

    def test_keepsASlowRate(self) -> None:
        """
        One an hour is one an hour, for a year.
        """
        for beginning in BEGINNINGS:
            limit, clock = make(1 / 3600, beginning)
            limit.take()
            for hour in range(1, 24 * 365):
                clock.rightNow = beginning + hour * 3600 - 0.01
                self.assertEqual(limit.available(), 0)
                clock.rightNow = beginning + hour * 3600
                self.assertEqual(limit.available(), 1)
                limit.take()


class AnyWindowTests(PlainTestCase):
    """
    The rate is never exceeded.
    """

    @settings(max_examples=200, deadline=None)
    @given(
        perSecond=st.one_of(
            st.sampled_from(RATES[:-2]),
            st.floats(1 / 3600, 1e3, allow_nan=False),
        ),
        beginning=st.sampled_from(BEGINNINGS),
        steps=st.lists(
            st.tuples(
                # the time that passes, in intervals of the rate, and how many are
                # taken at most
                st.one_of(
                    st.floats(0, 3), st.sampled_from([0.0, 1.0, 50.0, 1000.0, -1.0])
                ),
                st.integers(1, 200),
            ),
            max_size=40,
        ),
    )
    def test_keepsToTheRateInAnyWindow(
        self,
        perSecond: float,
        beginning: float,
        steps: Sequence[tuple[float, int]],
    ) -> None:
        """
        In any window of time there are no more permits than the rate allows in it, and
        those that are saved up; and what is said to be available can be taken at once.
        """
        limit, clock = make(perSecond, beginning)
        times: list[float] = []
        for intervals, count in steps:
            # as long as it says
            seconds = limit.wait() if intervals < 0 else intervals / perSecond
            clock.rightNow += seconds
            available = limit.available()
            for left in range(min(count, available)):
                self.assertEqual(limit.available(), available - left)
                limit.take()
                times.append(clock.seconds())
        for first in range(len(times)):
            for last in {len(times) - 1, *range(first, len(times), 7)}:
                seconds = times[last] - times[first]
                self.assertLessEqual(last - first + 1, most(perSecond, seconds))

    @settings(max_examples=100, deadline=None)
    @given(
        perSecond=st.floats(0.1, 10),
        beginning=st.sampled_from(BEGINNINGS),
        late=st.lists(st.floats(0, 3), min_size=2, max_size=50),
    )
    def test_isNeverEarly(
        self, perSecond: float, beginning: float, late: Sequence[float]
    ) -> None:
        """
        At a slow rate, however late each is taken, two that follow are an interval
        apart; and being late costs no more than the lateness.
        """
        limit, clock = make(perSecond, beginning)
        times: list[float] = []
        for intervals in late:
            clock.rightNow += limit.wait() + intervals / perSecond
            self.assertGreaterEqual(limit.available(), 1)
            limit.take()
            times.append(clock.seconds())
        apart = 1 / perSecond - GRAIN
        self.assertTrue(all(b - a >= apart for a, b in pairwise(times)))
        longest = (len(late) - 1 + sum(late)) / perSecond + GRAIN * len(late)
        self.assertLessEqual(times[-1] - beginning, longest)
