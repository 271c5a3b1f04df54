"""
Leases, kept alive by heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import LeaseLostError
from myconsumer.interfaces import ITaskQueue
from myconsumer.pipeline.batching import MEMORY
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.task import Settlement
from tests.model import (
    ScriptedQueue,
    Settle,
    busy,
    fault,
    passTime,
    refusal,
    tooMuch,
)


class LeasesCase(SynchronousTestCase):
    """
    Leases at a queue that the test answers.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.leases = Leases(self.queue, self.clock)
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        """
        Nothing is left once they are closed.
        """
        self.leases.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([each for each in self.queue.settles if each.open], [])

    def hold(self, *receipts: str, length: float = 60.0) -> list[Lease]:
        """
        Hold leases that have just arrived.
        """
        now = self.clock.seconds()
        held = [self.leases.hold(each, f"of {each}", length, now) for each in receipts]
        return [lease for lease in held if lease is not None]

    def slow(self, takes: Callable[[int], float]) -> None:
        """
        From now on heartbeats are answered after a time that depends on their size,
        if that is in time.
        """

        def answer(beat: Settle) -> None:
            seconds = takes(len(beat.settlements))
            if seconds < beat.deadline:
                answering = self.clock.callLater(seconds, beat.take)
                beat.answer.addErrback(lambda _: answering.cancel())
            else:
                beat.expireAfter(self.clock, beat.deadline)

        self.queue.onSettle = answer

    def passTime(self, seconds: float) -> list[Settle]:
        """
        Let time pass.

        @return: The heartbeats that were sent meanwhile.
        """
        before = len(self.queue.settles)
        passTime(self.clock, seconds)
        return self.queue.settles[before:]


class HeartbeatTests(LeasesCase):
    """
    When heartbeats are sent, and with what.
    """

    def test_usesARealQueue(self) -> None:
        """
        The queue that the test answers provides L{ITaskQueue}.
        """
        verifyObject(ITaskQueue, self.queue)

    def test_beatsAtAThirdOfTheLease(self) -> None:
        """
        A heartbeat is sent at a third of the lease, and again.
        """
        self.hold("a")
        for _ in range(3):
            self.assertEqual(self.passTime(19.9), [])
            [beat] = self.passTime(0.1)
            self.assertEqual(beat.settlements, [Settlement("a", "extend", lease=60.0)])
            beat.take()

    def test_countsFromArrival(self) -> None:
        """
        The third is counted from the arrival of a lease, even if that is held only
        later.
        """
        self.leases.hold("a", "1", 60.0, self.clock.seconds() - 15)
        self.assertEqual(self.passTime(4.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_extendsAllInOneRequest(self) -> None:
        """
        All that are held go in one request, those too that came later.
        """
        self.hold("a", "b")
        self.passTime(10)
        self.hold("c")
        [beat] = self.passTime(10)
        self.assertEqual(beat.receipts, ["a", "b", "c"])

    def test_beatsForTheShortest(self) -> None:
        """
        Of those that are much alike the shortest says when; each is extended by its
        own length.
        """
        self.hold("long", length=60.0)
        self.hold("short", length=45.0)
        [beat] = self.passTime(15)
        self.assertEqual(
            beat.settlements,
            [
                Settlement("long", "extend", lease=60.0),
                Settlement("short", "extend", lease=45.0),
            ],
        )

    def test_beatsForTheNextShortest(self) -> None:
        """
        Once the shortest is dropped the next shortest says when.
        """
        self.hold("long", length=60.0)
        [short] = self.hold("short", length=45.0)
        self.passTime(15)[0].take()
        self.leases.drop(short)
        self.passTime(15)[0].take()
        self.assertEqual(self.passTime(19), [])
        self.assertEqual(len(self.passTime(1)), 1)

    def test_beatsApartForTheMuchShorter(self) -> None:
        """
        A lease that is much shorter than the others has heartbeats of its own, and
        takes no other with it.
        """
        leases = self.hold(*"abc", length=60.0)
        self.hold("short", length=0.1)

        self.slow(lambda size: 0.05)
        beats = self.passTime(120)
        ends = [lease.expires for lease in leases]
        self.assertGreater(min(ends), self.clock.seconds() + 30)
        self.assertLess(len(beats), 40)

    def test_setsADeadline(self) -> None:
        """
        A heartbeat may take a third of the shortest lease, and 10 s at most.
        """
        self.hold("long", length=300.0)
        self.assertEqual(self.passTime(100)[0].deadline, 10)
        self.queue.settles[0].take()
        self.hold("short", length=6.0)
        self.assertEqual(self.passTime(2)[0].deadline, 2)

    def test_extendsNothingThatIsDropped(self) -> None:
        """
        What is dropped is not extended, and with nothing held nothing is sent.
        """
        a, b = self.hold("a", "b")
        self.leases.drop(a)
        [beat] = self.passTime(20)
        self.assertEqual(beat.receipts, ["b"])
        beat.take()
        self.leases.drop(b)
        self.assertEqual(self.passTime(1000), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_beatsAgain(self) -> None:
        """
        After a time with nothing held, heartbeats begin again.
        """
        [a] = self.hold("a")
        self.leases.drop(a)
        self.passTime(100)
        self.hold("b")
        self.assertEqual([b.receipts for b in self.passTime(20)], [["b"]])

    def test_extendsWhatComesLater(self) -> None:
        """
        Where all are dropped while a heartbeat is open, one of them newly held,
        those that come later are extended all the same.
        """
        [a] = self.hold("a")
        [beat] = self.passTime(20)
        [b] = self.hold("b")
        self.leases.drop(a)
        self.leases.drop(b)
        beat.take()
        self.passTime(100)
        self.hold("c")
        self.assertEqual([b.receipts for b in self.passTime(20)], [["c"]])

    def test_beatsOnceAtATime(self) -> None:
        """
        While a heartbeat is open no other is sent; the next comes a third of the
        shortest after it was sent, or at once if that has passed.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        self.assertEqual(self.passTime(5), [])
        beat.take()
        self.assertEqual(self.passTime(14.9), [])
        [beat] = self.passTime(0.1)
        self.assertEqual(self.passTime(25), [])
        beat.take()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_extendsAShorterLeaseInTime(self) -> None:
        """
        A shorter lease that comes while a heartbeat is open is extended in time.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        self.hold("b", length=45.0)
        self.passTime(5)
        beat.take()
        self.assertEqual(self.passTime(9.9), [])
        [beat] = self.passTime(0.1)
        self.assertEqual(beat.receipts, ["a", "b"])

    def test_holdsAReceiptOnce(self) -> None:
        """
        A receipt is held once; dropped, it can be held again.
        """
        [first] = self.hold("a")
        self.assertEqual(self.hold("a"), [])
        self.assertEqual(self.leases.held, {"a": first})
        self.leases.drop(first)
        [second] = self.hold("a")
        self.leases.drop(first)
        self.assertEqual(self.leases.held, {"a": second})

    def test_expires(self) -> None:
        """
        By our clock a lease ends its length after it arrived, or after the
        heartbeat that extended it was sent.
        """
        [a] = self.hold("a")
        self.assertEqual(a.expires, 1060)
        [beat] = self.passTime(20)
        self.passTime(3)
        self.assertEqual(a.expires, 1060)
        beat.take()
        self.assertEqual(a.expires, 1080)

    def test_ourClockGivesNothingUp(self) -> None:
        """
        A lease that has ended by our clock is neither lost nor dropped.
        """
        [a] = self.hold("a")
        self.queue.onSettle = lambda beat: beat.fail(fault())
        self.passTime(1000)
        self.assertEqual(self.leases.held, {"a": a})
        self.assertFalse(a.isLost)

    def test_stopsOnceClosed(self) -> None:
        """
        Closed, the leases send no heartbeat, and drop the open one.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        self.leases.close()
        self.assertTrue(beat.dropped)
        self.assertEqual(self.passTime(1000), [])


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
            self.leases.drop(lease)
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
                self.leases.drop(lease)
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


class LostTests(LeasesCase):
    """
    Leases that the endpoint says are no longer ours.
    """

    def setUp(self) -> None:
        """
        Count what is told of.
        """
        super().setUp()
        self.told = 0
        self.cancelled: list[str] = []

        def tell() -> None:
            self.told += 1

        self.leases.whenLost = tell

    def watched(self, *receipts: str) -> list[Lease]:
        """
        Hold leases whose loss is noted.
        """
        leases = self.hold(*receipts)
        for lease in leases:
            lease.onLost = lambda lease=lease: self.cancelled.append(lease.receipt)
        return leases

    def test_tellsOfALoss(self) -> None:
        """
        What a heartbeat's answer names is lost: the task is told, and whoever wants
        to know of such; the others go on.
        """
        a, b, c = self.watched("a", "b", "c")
        with capturedLogs() as logs:
            self.passTime(20)[0].take("a", "c")
        self.assertEqual(self.cancelled, ["a", "c"])
        self.assertEqual([a.isLost, b.isLost, c.isLost], [True, False, True])
        self.assertEqual(self.leases.held, {"b": b})
        self.assertEqual(self.told, 1)
        [event] = logs
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual((event["count"], event["id"]), (2, "of a"))
        [beat] = self.passTime(20)
        self.assertEqual(beat.receipts, ["b"])

    def test_marksALostLease(self) -> None:
        """
        A lease whose task does not run is marked as lost.
        """
        [a] = self.hold("a")
        self.leases.lose(["a"])
        self.assertTrue(a.isLost)
        self.assertEqual(self.told, 1)

    def test_ignoresAnUnknownReceipt(self) -> None:
        """
        The loss of a receipt that is not held is not told.
        """
        with capturedLogs() as logs:
            self.leases.lose(["x"])
        self.assertEqual((self.told, logs), (0, []))

    def test_ignoresTheLossOfASettledTask(self) -> None:
        """
        The loss of a lease whose task was settled meanwhile is no news.
        """
        [a] = self.watched("a")
        a.sent = 1
        with capturedLogs() as logs:
            self.leases.lose(["a"])
        self.assertEqual(logs, [])
        self.assertEqual(self.leases.held, {})


class ExtendTests(LeasesCase):
    """
    Leases that are extended because somebody asks for it.
    """

    def extend(self, lease: Lease, length: float) -> Deferred[None]:
        return self.leases.extend(lease, length)

    def assertLost(self, extended: Deferred[None], said: str) -> None:
        """
        It has failed, with a sentence that says so.
        """
        failure = self.failureResultOf(extended, LeaseLostError)
        self.assertIn(said, str(failure.value))

    def test_extendsAtOnce(self) -> None:
        """
        The lease is extended at once; the Deferred fires once the endpoint has agreed,
        not before.
        """
        [lease] = self.hold("a")
        self.passTime(5)
        extended = self.extend(lease, 300)
        [beat] = self.passTime(0)
        self.assertEqual(beat.settlements, [Settlement("a", "extend", lease=300)])
        self.passTime(3)
        self.assertNoResult(extended)
        self.assertEqual(lease.expires, 1060)
        beat.take()
        self.assertIsNone(self.successResultOf(extended))
        self.assertEqual(lease.expires, 1305)

    def test_extendsAllInOneRequest(self) -> None:
        """
        Several extensions that are asked for in one turn, and all other leases that are
        held, go in one request, each with its own length.
        """
        a, b, _ = self.hold("a", "b", "c")
        both = [self.extend(a, 100), self.extend(b, 120)]
        [beat] = self.passTime(0)
        self.assertEqual(
            [(each.receipt, each.lease) for each in beat.settlements],
            [("a", 100), ("b", 120), ("c", 60)],
        )
        beat.take()
        for extended in both:
            self.successResultOf(extended)

    def test_renewsToTheNewLength(self) -> None:
        """
        From then on the lease is renewed to its new length, at a third of that.
        """
        [lease] = self.hold("a")
        self.extend(lease, 300)
        [beat] = self.passTime(0)
        beat.take()
        self.assertEqual(self.passTime(99.9), [])
        [beat] = self.passTime(0.1)
        self.assertEqual(beat.settlements, [Settlement("a", "extend", lease=300)])
        beat.take()
        self.assertEqual(lease.expires, 1400)

    def test_makesALeaseShorter(self) -> None:
        """
        A lease may be made shorter, too: it is then renewed in time.
        """
        [lease] = self.hold("a")
        self.extend(lease, 6)
        self.passTime(0)[0].take()
        self.assertEqual(lease.expires, 1006)
        self.assertEqual(self.passTime(1.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_leavesTheOthersAlone(self) -> None:
        """
        The other leases are renewed as ever.
        """
        lease, _ = self.hold("a", "b")
        self.extend(lease, 300)
        self.passTime(0)[0].take()
        self.assertEqual(self.passTime(19.9), [])
        [beat] = self.passTime(0.1)
        self.assertEqual(beat.receipts, ["b"])

    def test_followsAnOpenHeartbeat(self) -> None:
        """
        An extension asked for while a heartbeat is open goes with another, as soon as
        the open one is answered.
        """
        [lease] = self.hold("a")
        [beat] = self.passTime(20)
        self.passTime(3)
        extended = self.extend(lease, 300)
        self.assertEqual(self.passTime(2), [])
        beat.take()
        self.assertNoResult(extended)
        [beat] = self.passTime(0)
        self.assertEqual(beat.settlements[0].lease, 300)
        beat.take()
        self.successResultOf(extended)
        self.assertEqual(lease.expires, 1325)

    def test_followsARefusedHeartbeat(self) -> None:
        """
        An extension to a much shorter or longer lease follows an open heartbeat that is
        refused, too.
        """
        for length in (5, 600):
            lease, *_ = leases = self.hold(*"abcdefghij")
            [beat] = self.passTime(20)
            extended = self.extend(lease, length)
            self.queue.onSettle = Settle.take
            beat.fail(tooMuch())
            self.passTime(0.1)
            self.successResultOf(extended)
            for each in leases:
                self.leases.drop(each)
            self.queue.onSettle = lambda beat: None
            self.passTime(700)

    def test_followsAHeartbeatOfADoubtfulLease(self) -> None:
        """
        An extension of a lease that travels apart from the others follows the open
        heartbeat.
        """
        lease, *_ = self.hold(*"abcdefghij")
        [beat] = self.passTime(20)
        beat.fail(fault())
        [part] = self.passTime(0)
        extended = self.extend(lease, 5)
        self.queue.onSettle = Settle.take
        part.take()
        self.passTime(0.1)
        self.successResultOf(extended)

    def test_followsAHeartbeatOfTheSameLength(self) -> None:
        """
        An extension to the length that the lease has follows the open heartbeat: that
        began to count before the extension was asked for.
        """
        [lease] = self.hold("a")
        [beat] = self.passTime(20)
        self.passTime(9)
        extended = self.extend(lease, 60)
        beat.take()
        self.assertNoResult(extended)
        [beat] = self.passTime(0)
        beat.take()
        self.successResultOf(extended)
        self.assertEqual(lease.expires, 1089)

    def test_extendsOnceForTwoInATurn(self) -> None:
        """
        Asked for twice in a turn, it is extended once, to what was asked for last,
        and both fire.
        """
        [lease] = self.hold("a")
        both = [self.extend(lease, 100), self.extend(lease, 200)]
        [beat] = self.passTime(0)
        self.assertEqual(beat.settlements, [Settlement("a", "extend", lease=200)])
        beat.take()
        for extended in both:
            self.successResultOf(extended)
        self.assertEqual(self.passTime(10), [])

    def test_extendsAgainWhileOneIsUnderWay(self) -> None:
        """
        Asked for again while the first is under way, each fires with its own
        answer, and it is extended to what was asked for last.
        """
        [lease] = self.hold("a")
        first = self.extend(lease, 100)
        [beat] = self.passTime(0)
        second = self.extend(lease, 200)
        beat.take()
        self.assertNoResult(second)
        [beat] = self.passTime(0)
        self.assertEqual(beat.settlements[0].lease, 200)
        beat.take()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_extendsFromACallback(self) -> None:
        """
        Whoever waits for an extension may ask for another when it fires.
        """
        [lease] = self.hold("a")
        ended = self.extend(lease, 100)
        ended.addCallback(lambda _: self.extend(lease, 200))
        self.passTime(0)[0].take()
        self.assertNoResult(ended)
        self.passTime(0)[0].take()
        self.successResultOf(ended)

    def test_retriesAFailedHeartbeat(self) -> None:
        """
        Where the heartbeat fails it is tried again, and fires when it works.
        """
        [lease] = self.hold("a")
        extended = self.extend(lease, 300)
        self.passTime(0)[0].fail(fault())
        self.assertNoResult(extended)
        self.assertEqual(self.passTime(0.4), [])
        [beat] = self.passTime(1.2)
        self.assertEqual(beat.settlements[0].lease, 300)
        beat.take()
        self.successResultOf(extended)

    def test_doesNotSpinWhileHeartbeatsFail(self) -> None:
        """
        While heartbeats fail, those who ask are no reason to send more.
        """
        [lease] = self.hold("a", length=300)
        self.queue.onSettle = lambda beat: beat.fail(fault())
        extended = self.extend(lease, 300)
        self.passTime(300)
        self.assertLess(len(self.queue.settles), 30)
        self.assertNoResult(extended)
        self.leases.drop(lease)
        self.failureResultOf(extended, LeaseLostError)

    def test_waitsWhileRefusedAlone(self) -> None:
        """
        An extension that is refused by itself does not fire, though its neighbours do.
        """
        leases = self.hold("a", "b", "c", "d")

        def picky(beat: Settle) -> None:
            if "b" in beat.receipts:
                beat.fail(tooMuch())
            else:
                beat.take()

        self.queue.onSettle = picky
        extended = [self.extend(lease, 90) for lease in leases]
        self.passTime(2)
        fired = [each.called for each in extended]
        self.assertEqual(fired, [True, False, True, True])
        self.assertLess(len(self.queue.settles), 20)
        self.leases.drop(leases[1])
        self.failureResultOf(extended[1], LeaseLostError)

    def test_failsForALostLease(self) -> None:
        """
        The extension fails where the endpoint answers that the lease is lost; its
        neighbour's does not.
        """
        a, b = self.hold("a", "b")
        first, second = self.extend(a, 100), self.extend(b, 100)
        with capturedLogs():
            self.passTime(0)[0].take("a")
        self.assertLost(first, "of a is lost")
        self.successResultOf(second)

    def test_failsForALeaseLostMeanwhile(self) -> None:
        """
        The extension fails where the loss is known from elsewhere before the endpoint
        answers.
        """
        [lease] = self.hold("a")
        extended = self.extend(lease, 100)
        with capturedLogs():
            self.leases.lose(["a"])
        self.assertLost(extended, "lost")
        self.assertEqual(self.passTime(0), [])

    def test_failsAtOnceForALostLease(self) -> None:
        """
        The extension fails at once where the lease is lost already, and sends nothing.
        """
        [lease] = self.hold("a")
        with capturedLogs():
            self.leases.lose(["a"])
        self.assertLost(self.extend(lease, 100), "lost")
        self.assertEqual(self.passTime(0), [])

    def test_cancelsTheTaskFirst(self) -> None:
        """
        Where a lease is lost its task is cancelled before it hears that its lease
        could not be extended: it is no failure of its own.
        """
        [lease] = self.hold("a")
        events: list[str] = []
        lease.onLost = lambda: events.append("cancelled")
        extended = self.extend(lease, 100)
        extended.addErrback(lambda _: events.append("not extended"))
        with capturedLogs():
            self.passTime(0)[0].take("a")
        self.assertEqual(events, ["cancelled", "not extended"])

    def test_failsOnceTheTaskHasEnded(self) -> None:
        """
        The extension fails where the task ends first, and where it has ended.
        """
        a, _ = self.hold("a", "b")
        extended = self.extend(a, 100)
        self.leases.drop(a)
        self.assertLost(extended, "of a has ended")
        [beat] = self.passTime(0)
        self.assertEqual(beat.receipts, ["b"])
        self.failureResultOf(self.extend(a, 100), LeaseLostError)

    def test_failsForTheReceiptOfAnother(self) -> None:
        """
        A lease whose receipt is held for another task by now is not extended.
        """
        [first] = self.hold("a")
        self.leases.drop(first)
        [second] = self.hold("a")
        self.failureResultOf(self.extend(first, 100), LeaseLostError)
        self.assertEqual(second.length, 60)
        self.assertEqual(self.passTime(0), [])

    def test_ignoresACancel(self) -> None:
        """
        Who cancels what is under way is not told, and changes nothing else.
        """
        [lease] = self.hold("a")
        extended = self.extend(lease, 100)
        [beat] = self.passTime(0)
        extended.cancel()
        self.failureResultOf(extended, CancelledError)
        beat.take()
        self.assertEqual(lease.expires, 1100)

    def test_failsOnceClosed(self) -> None:
        """
        Once the leases are closed extensions fail, earlier and later ones, and nothing
        is sent.
        """
        a, b = self.hold("a", "b")
        before = self.extend(a, 100)
        self.passTime(0)
        self.leases.close()
        after = self.extend(b, 100)
        self.assertEqual(self.passTime(100), [])
        self.failureResultOf(before, LeaseLostError)
        self.failureResultOf(after, LeaseLostError)
