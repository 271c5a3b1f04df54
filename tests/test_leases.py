"""
Leases, kept alive by heartbeats.
"""

from __future__ import annotations

from itertools import pairwise

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.interfaces import ITaskQueue
from myconsumer.leases import Lease, Leases
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
        """
        Make them.
        """
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

    def test_fake(self) -> None:
        """
        The queue that the test answers is one.
        """
        verifyObject(ITaskQueue, self.queue)

    def test_thirdOfTheLease(self) -> None:
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
        The third is counted from the arrival, even if it is held only later.
        """
        self.leases.hold("a", "1", 60.0, self.clock.seconds() - 15)
        self.assertEqual(self.passTime(4.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_allInOneRequest(self) -> None:
        """
        All that are held go in one request, those too that came later.
        """
        self.hold("a", "b")
        self.passTime(10)
        self.hold("c")
        [beat] = self.passTime(10)
        self.assertEqual(beat.receipts, ["a", "b", "c"])

    def test_shortest(self) -> None:
        """
        The shortest says when; each is extended by its own length.
        """
        self.hold("long", length=300.0)
        self.hold("short", length=6.0)
        [beat] = self.passTime(2)
        self.assertEqual(
            beat.settlements,
            [
                Settlement("long", "extend", lease=300.0),
                Settlement("short", "extend", lease=6.0),
            ],
        )

    def test_afterTheShortest(self) -> None:
        """
        Once the shortest is dropped the next shortest says when.
        """
        self.hold("long", length=300.0)
        [short] = self.hold("short", length=6.0)
        self.passTime(2)[0].take()
        self.leases.drop(short)
        self.passTime(2)[0].take()
        self.assertEqual(self.passTime(99), [])
        self.assertEqual(len(self.passTime(1)), 1)

    def test_deadline(self) -> None:
        """
        A heartbeat may take a third of the shortest lease, and 10 s at most.
        """
        self.hold("long", length=300.0)
        self.assertEqual(self.passTime(100)[0].deadline, 10)
        self.queue.settles[0].take()
        self.hold("short", length=6.0)
        self.assertEqual(self.passTime(2)[0].deadline, 2)

    def test_dropped(self) -> None:
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

    def test_heldAgain(self) -> None:
        """
        After a time with nothing held, heartbeats begin again.
        """
        [a] = self.hold("a")
        self.leases.drop(a)
        self.passTime(100)
        self.hold("b")
        self.assertEqual([b.receipts for b in self.passTime(20)], [["b"]])

    def test_droppedWhileBeating(self) -> None:
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

    def test_oneAtATime(self) -> None:
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

    def test_shorterWhileBeating(self) -> None:
        """
        A shorter lease that comes while a heartbeat is open is extended in time.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        self.hold("b", length=6.0)
        self.passTime(1)
        beat.take()
        [beat] = self.passTime(1)
        self.assertEqual(beat.receipts, ["a", "b"])

    def test_receiptHeldAlready(self) -> None:
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
        self.assertFalse(a.lost)

    def test_close(self) -> None:
        """
        Closed, no heartbeat is sent, and the open one is dropped.
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

    def test_retried(self) -> None:
        """
        A heartbeat that fails is retried with backoff, all of it.
        """
        self.hold("a", "b")
        [beat] = self.passTime(20)
        beat.fail(fault())
        self.assertEqual(self.passTime(0.4), [])
        [beat] = self.passTime(1.2)
        self.assertEqual(beat.receipts, ["a", "b"])
        beat.fail(fault())
        self.assertEqual(self.passTime(0.9), [])
        [beat] = self.passTime(1.2)
        beat.take()
        due = beat.made + 20 - self.clock.seconds()
        self.assertEqual(self.passTime(due - 0.1), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

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

    def test_triedBeforeTheLeaseEnds(self) -> None:
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

    def test_retryAfter(self) -> None:
        """
        C{Retry-After} is obeyed where the leases allow it.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        beat.fail(busy(15))
        self.assertEqual(self.passTime(14.9), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

    def test_retryAfterPastTheLease(self) -> None:
        """
        C{Retry-After} that would let a lease end is not: the last fifth of it is
        for another try.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        beat.fail(busy(300))
        self.assertEqual(self.passTime(31.9), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

    def test_refusal(self) -> None:
        """
        A refused heartbeat is tried again, while the lease lasts.
        """
        self.hold("a")
        [beat] = self.passTime(20)
        beat.fail(refusal())
        self.assertEqual(self.passTime(29.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_divided(self) -> None:
        """
        A heartbeat refused for its size is sent in halves, one after the other.
        """
        self.hold("a", "b", "c", "d")
        [whole] = self.passTime(20)
        whole.fail(tooMuch())
        [_, first] = self.queue.settles
        self.assertEqual(first.receipts, ["a", "b"])
        first.take()
        second = self.queue.settles[2]
        self.assertEqual(second.receipts, ["c", "d"])
        second.take()
        self.assertEqual(len(self.queue.settles), 3)

    def test_growsAgain(self) -> None:
        """
        What was divided grows again while the endpoint takes it.
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
        self.assertEqual([len(beat.settlements) for beat in self.passTime(40)][-1], 8)

    def test_oneRefused(self) -> None:
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

    def test_manyRefused(self) -> None:
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

    def test_allRefused(self) -> None:
        """
        Where every one is refused by itself there are a few requests only.
        """
        self.hold(*[str(number) for number in range(64)])
        self.queue.onSettle = lambda beat: beat.fail(tooMuch())
        self.passTime(60)
        self.assertLess(len(self.queue.settles), 60)

    def test_unexpected(self) -> None:
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

    def test_lost(self) -> None:
        """
        What a heartbeat's answer names is lost: the task is told, and whoever wants
        to know of such; the others go on.
        """
        a, b, c = self.watched("a", "b", "c")
        with capturedLogs() as logs:
            self.passTime(20)[0].take("a", "c")
        self.assertEqual(self.cancelled, ["a", "c"])
        self.assertEqual([a.lost, b.lost, c.lost], [True, False, True])
        self.assertEqual(self.leases.held, {"b": b})
        self.assertEqual(self.told, 1)
        [event] = logs
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual((event["count"], event["id"]), (2, "of a"))
        [beat] = self.passTime(20)
        self.assertEqual(beat.receipts, ["b"])

    def test_nobodyToTell(self) -> None:
        """
        A lease whose task does not run is marked as lost.
        """
        [a] = self.hold("a")
        self.leases.lose(["a"])
        self.assertTrue(a.lost)
        self.assertEqual(self.told, 1)

    def test_unknown(self) -> None:
        """
        A receipt that is not held is not told of.
        """
        with capturedLogs() as logs:
            self.leases.lose(["x"])
        self.assertEqual((self.told, logs), (0, []))

    def test_settledMeanwhile(self) -> None:
        """
        The loss of one whose end was told to the endpoint is no news.
        """
        [a] = self.watched("a")
        a.sent = 1
        with capturedLogs() as logs:
            self.leases.lose(["a"])
        self.assertEqual(logs, [])
        self.assertEqual(self.leases.held, {})
