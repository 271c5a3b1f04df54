"""
When leases are extended.
"""

from __future__ import annotations

from zope.interface.verify import verifyObject

from myconsumer.interfaces import ITaskQueue
from myconsumer.task import Settlement
from tests.model import fault
from tests.pipeline.case import LeasesCase


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
        self.leases.drop([short])
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
        self.leases.drop([a])
        [beat] = self.passTime(20)
        self.assertEqual(beat.receipts, ["b"])
        beat.take()
        self.leases.drop([b])
        self.assertEqual(self.passTime(1000), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_beatsAgain(self) -> None:
        """
        After a time with nothing held, heartbeats begin again.
        """
        [a] = self.hold("a")
        self.leases.drop([a])
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
        self.leases.drop([a])
        self.leases.drop([b])
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
        self.leases.drop([first])
        [second] = self.hold("a")
        self.leases.drop([first])
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
