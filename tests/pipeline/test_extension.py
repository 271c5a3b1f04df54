"""
Requests that extend leases, and fail.
"""

from __future__ import annotations

from itertools import pairwise

from myconsumer.pipeline.batching import MEMORY
from myconsumer.testing import Settle
from tests.model import busy, fault, refusal, tooMuch
from tests.pipeline.case import LeasesCase


class FailureTests(LeasesCase):
    """
    Heartbeats that fail.
    """

    def test_retriesInParts(self) -> None:
        """
        A heartbeat that fails is retried in parts; if they fail as well, with
        backoff.
        """
        self.hold(*"abcdefghijklmnop")
        [beat] = self.passTime(20)
        beat.fail(fault())
        self.passTime(0)[0].fail(fault())
        self.queue.settles[-1].fail(fault())
        self.assertEqual(len(self.queue.settles), 3)
        self.queue.onSettle = Settle.take
        self.assertEqual(self.passTime(0.9), [])
        beats = self.passTime(1.2)
        self.assertEqual(sum(len(beat.settlements) for beat in beats), 16)
        due = beats[0].made + 20 - self.clock.seconds()
        self.assertEqual(self.passTime(due - 0.1), [])
        beats = self.passTime(0.2)
        self.assertEqual(sum(len(beat.settlements) for beat in beats), 16)

    def test_doesNotSpin(self) -> None:
        """
        While heartbeats fail there are no more than a few, and never none for
        longer than the backoff's cap.
        """
        self.hold("a", length=3.0)
        self.queue.onSettle = lambda beat: beat.fail(fault())
        self.passTime(600)
        times = [beat.made for beat in self.queue.settles]
        gaps = [after - before for before, after in pairwise(times)]
        self.assertGreaterEqual(min(gaps), 0.5)
        self.assertLessEqual(max(gaps), 30)

    def test_retriesBeforeTheLeaseEnds(self) -> None:
        """
        Where a heartbeat took all the time that it may, the next one is sent
        while the lease lasts, whatever the jitter.
        """
        for _ in range(20):
            [lease] = self.hold("a", length=3.0)
            [beat] = self.passTime(1)
            self.passTime(1)
            beat.fail(fault())
            [beat] = self.passTime(0.9)
            beat.take()
            self.leases.drop([lease])
            self.passTime(3)

    def test_obeysRetryAfter(self) -> None:
        """
        C{Retry-After} is obeyed where the leases allow it.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        beat.fail(busy(15))
        self.assertEqual(self.passTime(14.9), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

    def test_cutsRetryAfterShort(self) -> None:
        """
        C{Retry-After} that would let a lease end is not obeyed: the last fifth of the
        lease is for another try.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        beat.fail(busy(300))
        self.assertEqual(self.passTime(31.9), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

    def test_retriesARefusal(self) -> None:
        """
        A refused heartbeat is tried again, while the lease lasts.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        beat.fail(refusal())
        self.assertEqual(self.passTime(29.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_dividesARefusedHeartbeat(self) -> None:
        """
        A heartbeat refused for its size is sent in parts, one after the other.
        """
        self.hold(*"abcdefghijklmnop")
        [whole] = self.passTime(20)
        whole.fail(tooMuch())
        [first] = self.passTime(0)
        self.assertEqual(first.receipts, ["a", "b"])
        first.take()
        second = self.queue.settles[2]
        self.assertEqual(second.receipts, ["c", "d"])
        self.queue.onSettle = Settle.take
        second.take()
        self.assertEqual(len(self.queue.settles), 9)

    def test_growsAgain(self) -> None:
        """
        What was divided grows again: some minutes later, lest every second request
        be refused.
        """
        self.hold(*"abcdefgh")
        most = 2

        def limited(beat: Settle) -> None:
            if len(beat.settlements) > most:
                beat.fail(tooMuch())
            else:
                beat.take()

        self.queue.onSettle = limited
        self.passTime(20)
        most = 100
        self.passTime(MEMORY)
        self.assertEqual([len(beat.settlements) for beat in self.passTime(60)][-1], 8)

    def test_findsTheSizeThatIsTaken(self) -> None:
        """
        At an endpoint that takes 100 leases at once, few requests are refused.
        """
        refused = 0

        def limited(beat: Settle) -> None:
            nonlocal refused
            if len(beat.settlements) > 100:
                refused += 1
                beat.fail(tooMuch())
            else:
                beat.take()

        leases = self.hold(*[str(number) for number in range(2000)])
        self.queue.onSettle = limited
        self.passTime(590)
        self.assertGreater(min(each.expires for each in leases), self.clock.seconds())
        self.assertLess(refused, 10)
        self.assertLess(len(self.queue.settles), 29 * 30)

    def poison(self, poison: str, hangs: bool) -> None:
        """
        From now on heartbeats with a lease fail, at once or not in time.
        """

        def answer(beat: Settle) -> None:
            if poison not in beat.receipts:
                beat.take()
            elif hangs:
                beat.expireAfter(self.clock, beat.deadline)
            else:
                beat.fail(fault())

        self.queue.onSettle = answer

    def test_isolatesALeaseThatFails(self) -> None:
        """
        A lease with which heartbeats fail, or hang, takes no other with it.
        """
        for hangs, length in ((False, 60), (True, 60), (True, 3), (False, 3)):
            bad, *leases = self.hold(
                "bad", *[f"{hangs}{number}" for number in range(300)], length=length
            )
            self.poison("bad", hangs)
            for _ in range(60):
                self.passTime(length / 12)
                ended = [each for each in leases if self.leases.hasEnded(each)]
                self.assertEqual(ended, [])
            self.assertTrue(bad.expires <= self.clock.seconds())
            for lease in [*leases, bad]:
                self.leases.drop([lease])
            self.passTime(60)

    def test_doesNotSpinForOneThatFails(self) -> None:
        """
        A lease with which heartbeats fail costs a request now and then.
        """
        self.hold("a", "b")
        self.hold("bad")
        self.poison("bad", False)
        self.passTime(60)
        self.assertLess(len(self.passTime(3600)), 3600 / 20 + 3600 / 10)

    def test_fitsRequestsToASlowEndpoint(self) -> None:
        """
        Where each lease takes the endpoint its time, requests are as large as are
        answered in time.
        """
        leases = self.hold(*[str(number) for number in range(2500)])
        self.slow(lambda size: 0.005 * size)
        for _ in range(60):
            self.passTime(5)
            ended = [each for each in leases if self.leases.hasEnded(each)]
            self.assertEqual(ended, [])

    def test_extendsNothingSetAside(self) -> None:
        """
        What is set aside is extended no longer.
        """
        a, _ = self.hold("a", "b")
        a.isSetAside = True
        self.queue.onSettle = Settle.take
        self.assertEqual([beat.receipts for beat in self.passTime(40)], [["b"]] * 2)

    def test_isolatesALeaseThatIsRefused(self) -> None:
        """
        A lease that is refused by itself does not keep the others from being
        extended.
        """
        leases = self.hold("a", "b", "c", "d")

        def picky(beat: Settle) -> None:
            if "b" in beat.receipts:
                beat.fail(tooMuch())
            else:
                beat.take()

        self.queue.onSettle = picky
        self.passTime(25)
        self.assertEqual(
            [lease.receipt for lease in leases if lease.expires >= 1080],
            ["a", "c", "d"],
        )

    def test_isolatesManyThatAreRefused(self) -> None:
        """
        Several leases that are refused by themselves do not keep the others from
        being extended before they end.
        """
        leases = self.hold(*"abcdefgh")

        def picky(beat: Settle) -> None:
            if set(beat.receipts) & set("abcd"):
                beat.fail(tooMuch())
            else:
                beat.take()

        self.queue.onSettle = picky
        self.passTime(59)
        self.assertEqual(
            [lease.receipt for lease in leases if lease.expires > 1060],
            ["e", "f", "g", "h"],
        )

    def test_doesNotSpinWhereAllAreRefused(self) -> None:
        """
        Where every one is refused by itself there are a few requests only.
        """
        self.hold(*[str(number) for number in range(64)])
        self.queue.onSettle = lambda beat: beat.fail(tooMuch())
        self.passTime(60)
        self.assertLess(len(self.queue.settles), 60)

    def test_asksAgainAfterABug(self) -> None:
        """
        A queue that raises what it should not is asked again.
        """

        def broken(beat: Settle) -> None:
            raise ZeroDivisionError

        self.hold("a")
        self.queue.onSettle = broken
        self.passTime(20)
        self.queue.onSettle = Settle.take
        self.passTime(2)
        self.assertEqual(len(self.queue.settles), 2)
        # The endless exceptions of a broken queue are one line a minute.
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.queue.settles[0].take()
