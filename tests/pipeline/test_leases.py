"""
The leases that are held.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs

from myconsumer.errors import LeaseLostError
from myconsumer.pipeline.lease import Lease
from myconsumer.task import Settlement
from myconsumer.testing import Settle
from tests.model import fault, tooMuch
from tests.pipeline.case import LeasesCase


class LostTests(LeasesCase):
    """
    Leases that the endpoint says are no longer ours.
    """

    def setUp(self) -> None:
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
        An extension may make a lease shorter, too: the lease is then renewed in time.
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
                self.leases.drop([each])
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
        Two extensions of a lease in one turn are sent as one, with the seconds of the
        later, and both fire.
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
        An extension whose heartbeat fails is retried, and fires when one works.
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
        self.leases.drop([lease])
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
        self.leases.drop([leases[1]])
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
        A task whose lease is lost is cancelled before its extension fails: that is no
        failure of the task's own.
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
        self.leases.drop([a])
        self.assertLost(extended, "of a has ended")
        [beat] = self.passTime(0)
        self.assertEqual(beat.receipts, ["b"])
        self.failureResultOf(self.extend(a, 100), LeaseLostError)

    def test_failsForTheReceiptOfAnother(self) -> None:
        """
        A lease whose receipt is held for another task by now is not extended.
        """
        [first] = self.hold("a")
        self.leases.drop([first])
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
