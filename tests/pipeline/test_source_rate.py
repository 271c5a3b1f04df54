"""
A source that starts no more tasks than a rate allows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from myconsumer.task import Task
from myconsumer.testing import Claim, Settle
from tests.model import busy, fault, task, tasks
from tests.pipeline.case import SourceCase


class RateTests(SourceCase):
    """
    A source that starts so many tasks a second.
    """

    def setUp(self) -> None:
        super().setUp()
        self.starts: list[float] = []
        self.onRun = self.note

    def note(self) -> None:
        self.starts.append(round(self.clock.seconds() - 1000, 6))

    def wakings(self) -> list[float]:
        """
        When the source wakes by itself.
        """
        calls: list[Any] = [*self.clock.getDelayedCalls()]
        return [
            call.getTime()
            for call in calls
            if getattr(call.func, "__name__", "") == "_wake"
        ]

    def test_claimsShrink(self) -> None:
        """
        A claim never asks for more than may start now, nor for more than is free.
        """
        for rate, limit, prefetch, asked in (
            (2.0, 4, 0, 1),
            (2.0, 4, 10, 1),
            (100.0, 4, 0, 4),
            (100.0, 4, 3, 7),
            (100.0, 50, 0, 10),
            (100.0, 50, 50, 10),
            (1 / 3600, 50, 50, 1),
            (1e6, 50, 0, 50),
        ):
            with self.subTest(rate=rate, limit=limit, prefetch=prefetch):
                self.make(limit, prefetch=prefetch, rate=rate)
                self.assertEqual(self.claim.limit, asked)
                closed = self.close()
                self.claim.bring()
                self.successResultOf(closed)

    def test_startsNoFaster(self) -> None:
        """
        A task that may start is claimed exactly when it may, not before, though slots
        are free.
        """
        self.make(4, rate=2.0)
        for number in (1, 2, 3):
            self.claim.bring(task(number))
            self.assertEqual(self.passTime(0.49), [])
            [claim] = self.passTime(0.01)
            self.assertEqual(claim.limit, 1)
        self.assertEqual(self.starts, [0, 0.5, 1])

    def test_countsFromTheStart(self) -> None:
        """
        What a claim takes is no time saved up: the next is claimed an interval
        after the last has started.
        """
        self.make(4, rate=2.0)
        self.passTime(7.3)
        self.claim.bring(task(1))
        self.assertEqual(self.passTime(0.49), [])
        self.assertEqual(len(self.passTime(0.01)), 1)

    def test_claimsAhead(self) -> None:
        """
        Where claims take their time they are made that much earlier, so that tasks
        start as often as they may: at a slow rate, and at one of several a claim.
        """
        for rate, limit in ((5.0, 3), (2.0, 1), (100.0, 50)):
            with self.subTest(rate=rate):
                self.starts.clear()
                before = len(self.queue.claims)
                self.queue.onClaim = lambda claim: self.clock.callLater(
                    0.2, claim.bring, *tasks(100 * len(self.queue.claims), claim.limit)
                )
                self.make(4000, rate=rate)
                began = self.clock.seconds() - 1000
                for _ in range(2000):
                    self.passTime(0.01)
                late = [at for at in self.starts if at > began + 10]
                self.assertAlmostEqual(len(late), 10 * rate, delta=1 + 0.02 * rate)
                asked = max(claim.limit for claim in self.queue.claims[before:])
                self.assertLessEqual(asked, limit)
                self.close()
                self.passTime(1)

    def test_claimsASecondAheadAtMost(self) -> None:
        """
        Claims that wait for their tasks have the source claim a second ahead, no more;
        the first that need not wait ends that.
        """
        self.make(40, rate=0.1)
        for number in range(12):
            self.passTime(20)
            self.claim.bring(task(number))
        self.assertEqual(self.passTime(8.9), [])
        [claim] = self.passTime(0.1)
        claim.bring(task(12))
        self.passTime(0.9)
        self.assertEqual(len(self.starts), 12)
        self.passTime(0.2)
        self.assertEqual(len(self.starts), 13)
        self.assertEqual(self.passTime(9.8), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_leasesDoNotPileUp(self) -> None:
        """
        With an endpoint that has any number of tasks, none is leased before it may
        start, though slots and prefetch are free.
        """
        self.queue.onClaim = lambda claim: claim.bring(
            *tasks(100 * len(self.queue.claims), claim.limit)
        )
        self.make(8, prefetch=8, rate=4.0)
        for _ in range(6):
            self.passTime(0.25)
            self.assertEqual(len(self.leases.held), len(self.starts))
            self.assertEqual(len(self.source.arrivals), 0)
        self.assertEqual(len(self.starts), 7)

    def test_claimsThePrefetch(self) -> None:
        """
        With all slots taken the prefetch is claimed, but no more of it than may
        start at once when they are free.
        """
        self.queue.onSettle = Settle.take
        for rate, waiting in ((2.0, 1), (20.0, 2), (30.0, 3), (100.0, 4)):
            with self.subTest(rate=rate):
                self.make(1, prefetch=4, rate=rate)
                self.claim.bring(task(1))
                for number in range(2, 10):
                    for claim in self.passTime(10):
                        claim.bring(task(number))
                self.assertEqual(len(self.source.arrivals), waiting)
                self.successResultOf(self.close())
                for lease in list(self.leases.held.values()):
                    self.leases.drop([lease])

    def test_fillsThePrefetch(self) -> None:
        """
        What is missing of the prefetch is claimed as soon as one more may start
        than waits, without any other event.
        """
        self.make(1, prefetch=4, rate=30.0)
        self.claim.bring(*tasks(1, 3))
        [claim] = self.passTime(1)
        self.assertEqual(claim.made, 1000 + 1 / 30)
        claim.bring(task(4))
        self.assertEqual(self.passTime(10), [])
        self.assertEqual(len(self.source.arrivals), 3)
        self.assertEqual(self.wakings(), [])

    def test_surplusWaits(self) -> None:
        """
        What comes beyond what was asked for waits, leased, and starts in its time
        by itself; nothing is claimed meanwhile.
        """
        self.make(4, rate=2.0)
        self.claim.bring(*tasks(1, 3))
        self.assertEqual(self.passTime(1.49), [])
        self.assertEqual(self.starts, [0, 0.5, 1])
        self.assertEqual(self.ids(), ["1", "2", "3"])
        self.assertEqual(len(self.passTime(0.01)), 1)

    def test_surplusNeedsASlot(self) -> None:
        """
        What waits starts when there is a slot and it may, whichever is later.
        """
        self.make(1, rate=1.0)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0.25)
        self.endTask(1)
        self.passTime(5)
        self.endTask(2)
        self.passTime(0)
        self.assertEqual(self.starts, [0, 1, 5.25])

    def test_claimsAFreedSlotInTime(self) -> None:
        """
        A slot that is freed is claimed when a task may start in it, whichever is
        later.
        """
        self.make(1, rate=1.0)
        self.claim.bring(task(1))
        self.passTime(0.25)
        self.endTask(1)
        self.assertEqual(self.passTime(0.74), [])
        [claim] = self.passTime(0.01)
        claim.bring(task(2))
        self.assertEqual(self.passTime(10), [])
        self.endTask(2)
        self.assertEqual(len(self.passTime(0)), 1)

    def test_sleepsWithoutASlot(self) -> None:
        """
        With nothing to be done the source does not wake again and again.
        """
        self.make(1, rate=100.0)
        self.claim.bring(task(1))
        self.passTime(1)
        self.assertEqual(self.wakings(), [])

    def test_sleepsWhileAClaimIsOpen(self) -> None:
        """
        While a claim is open the source does not wake again and again.
        """
        self.make(4, rate=2.0)
        self.passTime(1)
        self.assertEqual(self.wakings(), [])

    def test_claimsSavedPermitsTogether(self) -> None:
        """
        At a quick rate a tenth of a second's worth is claimed together.
        """
        self.make(50, rate=100.0)
        self.claim.bring(*tasks(1, 10))
        [claim] = self.passTime(0.01)
        self.assertEqual(claim.limit, 1)
        claim.bring()
        [claim] = self.passTime(1)
        self.assertEqual(claim.limit, 10)

    def test_startsAsManyAsTheRateSays(self) -> None:
        """
        With work enough and an endpoint that answers at once, as many start as the
        rate says: no more, and none fewer.
        """
        self.queue.onClaim = lambda claim: claim.bring(
            *[Task(str(number), None) for number in range(claim.limit)]
        )
        count = 0

        def run() -> bool:
            nonlocal count
            count += 1
            return True

        self.onRun = run
        for rate, saved in ((0.3, 1), (2.0, 1), (7.0, 1), (100.0, 10), (333.3, 33)):
            for beginning in (1000.0, 1_790_000_000.125):
                with self.subTest(rate=rate, beginning=beginning):
                    count = 0
                    self.clock.rightNow = beginning
                    self.make(4, rate=rate)
                    self.passTime(10)
                    # what is saved may begin, and the last be just due
                    self.assertTrue(saved - 1 <= count - 10 * rate <= saved + 1, count)
                    self.source.close()
        self.closed = self.source.close()

    def test_waitsOutALongerBackoff(self) -> None:
        """
        Where the endpoint is to be left alone it is, though a task may start.
        """
        self.make(4, rate=2.0)
        self.claim.bring(task(1))
        [claim] = self.passTime(0.5)
        claim.fail(busy(5))
        self.assertEqual(self.passTime(4.9), [])
        self.assertEqual(len(self.passTime(1.7)), 1)

    def test_waitsForThePermitAfterAShorterBackoff(self) -> None:
        """
        Where the backoff is over nothing is claimed before a task may start.
        """
        self.make(4, rate=0.1)
        self.claim.bring(task(1))
        self.passTime(1)
        self.assertEqual(self.passTime(8.9), [])
        [claim] = self.passTime(0.1)
        claim.fail(fault())
        [claim] = self.passTime(2)
        claim.bring(task(2))
        self.assertEqual(self.passTime(9.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_waitsOutTheInterval(self) -> None:
        """
        After an early empty answer the source waits for the interval, not for its rate.
        """
        self.make(4, rate=100.0, interval=3.0)
        self.claim.bring()
        self.assertEqual(self.passTime(2.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_earliestWakes(self) -> None:
        """
        What waits starts in its time while the endpoint is left alone for longer; the
        endpoint is left alone for as long all the same; and there is never more than
        one timer.
        """
        self.make(4, pollers=2, rate=20.0)
        self.claim.bring(*tasks(1, 4))
        self.passTime(10)
        self.endTask(1)
        self.passTime(0)
        self.endTask(2)
        self.passTime(0)
        first, second = self.queue.openClaims
        first.fail(busy(50))
        second.bring(*tasks(5, 4))
        self.passTime(0)
        self.assertEqual(self.ids()[4:], ["5", "6"])
        # the last claim's end is what it waits for
        [waking] = self.wakings()
        self.assertGreaterEqual(waking, 1060)
        self.endTask(3, 4)
        self.passTime(0)
        self.assertEqual(len(self.wakings()), 1)
        self.assertEqual(self.passTime(0.1), [])
        self.assertEqual(self.ids()[6:], ["7", "8"])
        self.assertEqual(self.starts[4:], [10, 10, 10.05, 10.1])
        self.endTask(5)
        self.passTime(0.1)
        self.assertEqual(len(self.wakings()), 1)
        self.assertEqual(self.passTime(49.7), [])
        self.assertEqual(len(self.passTime(1.3)), 1)

    def test_hasOneTimer(self) -> None:
        """
        Whatever happens there is one timer at most.
        """
        answers = [
            lambda claim: claim.bring(*tasks(10 * len(self.queue.claims), 3)),
            lambda claim: claim.fail(fault()),
            Claim.bring,
            lambda claim: claim.fail(busy(2)),
        ]
        self.make(2, prefetch=1, pollers=2, rate=3.0)
        for step in range(200):
            if self.queue.openClaims:
                answers[step % 4](self.queue.openClaims[0])
            if step % 3 == 0:
                for id in list(self.running)[:1]:
                    self.endTask(int(str(id)))
            self.passTime(0.3)
            self.assertLessEqual(len(self.wakings()), 1)
        gaps = [after - before for before, after in pairwise(self.starts)]
        self.assertGreaterEqual(min(gaps), 1 / 3 - 1e-5)

    def test_endsWithItsRate(self) -> None:
        """
        A run to the end is as slow, and ends.
        """
        left = 5

        def answer(claim: Claim) -> None:
            nonlocal left
            count = min(left, claim.limit)
            left -= count
            claim.bring(*[Task(str(number), None) for number in range(count)])

        def run() -> bool:
            self.note()
            return True

        self.queue.onClaim = answer
        self.onRun = run
        self.make(4, rate=2.0, untilEmpty=True)
        self.passTime(1.9)
        self.assertNoResult(self.end)
        self.passTime(2)
        self.successResultOf(self.end)
        self.assertEqual(self.starts, [0, 0.5, 1, 1.5, 2])

    def test_untilEmptyEndsInTime(self) -> None:
        """
        A run to the end does not wait for the next task's time to find that there is
        none.
        """
        self.onRun = lambda: True
        self.make(4, rate=1 / 3600, untilEmpty=True)
        self.claim.bring(Task("1", None))
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
        claim.bring()
        self.successResultOf(self.end)

    def test_keepsWhatALastClaimFinds(self) -> None:
        """
        What the claim of a run to the end finds ahead of its time waits for that, and
        nothing is claimed meanwhile.
        """
        self.onRun = lambda: True
        self.make(4, rate=1 / 3600, untilEmpty=True)
        self.claim.bring(task(1))
        [claim] = self.passTime(0)
        claim.bring(task(2))
        self.assertEqual(self.passTime(3599), [])
        self.assertEqual(self.ids(), ["1"])
        self.passTime(1)
        self.assertEqual(self.ids(), ["1", "2"])

    def test_sleepsOnceClosed(self) -> None:
        """
        A source that is closed does not wake any more, and gives back what waits.
        """
        self.make(4, rate=1.0)
        self.claim.bring(*tasks(1, 2))
        self.passTime(0)
        self.successResultOf(self.close())
        self.assertEqual(self.wakings(), [])
        self.passTime(10)
        self.assertEqual(self.ids(), ["1"])
        [request] = self.queue.outcomes
        self.assertEqual(request.receipts, ["r-2"])

    def test_countsNoLostTask(self) -> None:
        """
        What waits and is lost takes no turn.
        """
        self.make(4, rate=1.0)
        self.claim.bring(*tasks(1, 3))
        self.leases.lose(["r-2"])
        self.passTime(1)
        self.assertEqual((self.ids(), self.starts), (["1", "3"], [0, 1]))
