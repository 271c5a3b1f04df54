"""
Outcomes, gathered and sent until the endpoint has them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from msgspec import Raw
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError
from myconsumer.pipeline.batching import MEMORY
from myconsumer.pipeline.drain import SETTLE_GRACE
from myconsumer.pipeline.lane import PATIENCE
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.settlements import Settling
from myconsumer.task import Settlement
from myconsumer.testing import ScriptedQueue, Settle, passTime
from tests.model import busy, fault, refusal, tooMuch
from tests.pipeline.case import Recorder


class SettlingCase(SynchronousTestCase):
    """
    Settlements to a queue that the test answers.
    """

    def setUp(self) -> None:
        """
        Make it, with leases that are never extended.
        """
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.observer = Recorder()
        requests = Requests(
            self.queue, Observers([self.observer], self.clock), self.clock
        )
        self.leases = Leases(requests, self.clock)
        self.settling = Settling(requests, self.leases, self.clock)
        self.told = 0
        self.settling.whenSettled = self.tell
        self.addCleanup(self.endsClean)

    def tell(self) -> None:
        self.told += 1

    def endsClean(self) -> None:
        """
        Nothing is left once it is closed.
        """
        self.settling.close()
        self.leases.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([each for each in self.queue.settles if each.open], [])

    def add(self, *receipts: str, length: float = 3000.0) -> list[Lease]:
        """
        Tasks that arrived and completed just now.
        """
        now = self.clock.seconds()
        leases = []
        for receipt in receipts:
            lease = self.leases.hold(receipt, f"of {receipt}", length, now)
            assert lease is not None
            self.settling.add(lease, Settlement(receipt, "complete"))
            leases.append(lease)
        return leases

    def passTime(self, seconds: float) -> list[Settle]:
        """
        Let time pass.

        @return: The requests about outcomes that were sent meanwhile.
        """
        before = len(self.queue.outcomes)
        passTime(self.clock, seconds)
        return self.queue.outcomes[before:]

    def failBeats(self) -> None:
        """
        From now on no heartbeat is heard.
        """

        def answer(request: Settle) -> None:
            if request.extends:
                request.fail(fault())

        self.queue.onSettle = answer

    def refuse(self, *poison: str, most: int = 1000) -> None:
        """
        From now on answer at once: refuse batches with these receipts in them, or
        of more than so many, and take all else.
        """

        def answer(request: Settle) -> None:
            if len(request.settlements) > most or set(request.receipts) & set(poison):
                request.fail(tooMuch())
            else:
                request.take()

        self.queue.onSettle = answer


class SettlingTests(SettlingCase):
    """
    When settlements are sent.
    """

    def test_gathersATurn(self) -> None:
        """
        What ends in one turn of the reactor goes in one request, in order.
        """
        self.add("a", "b")
        self.assertEqual(self.queue.settles, [])
        [request] = self.passTime(0)
        self.assertEqual(
            request.settlements,
            [Settlement("a", "complete"), Settlement("b", "complete")],
        )

    def test_gathersWhileOpen(self) -> None:
        """
        One request is open; what ends meanwhile goes in the next, at once.
        """
        self.add("a")
        [request] = self.passTime(0)
        self.add("b")
        self.assertEqual(self.passTime(1), [])
        self.add("c")
        self.assertEqual(self.passTime(1), [])
        request.take()
        [request] = self.passTime(0)
        self.assertEqual(request.receipts, ["b", "c"])

    def test_dropsWhatIsAcknowledged(self) -> None:
        """
        What is acknowledged is held no longer and not sent again, which is told.
        """
        self.add("a", "b")
        [request] = self.passTime(0)
        self.assertEqual(self.settling.backlog, 2)
        self.assertEqual(set(self.leases.held), {"a", "b"})
        self.assertEqual(self.told, 0)
        request.take()
        self.assertEqual((self.settling.backlog, self.told), (0, 1))
        self.assertEqual(self.leases.held, {})
        self.assertEqual(self.passTime(1000), [])

    def test_setsADeadline(self) -> None:
        """
        A request may take a third of the shortest lease in it, and 10 s at most.
        """
        self.add("a", length=300)
        self.assertEqual(self.passTime(0)[0].deadline, 10)
        self.add("b", length=6)
        self.add("c")
        self.queue.settles[0].take()
        self.assertEqual(self.passTime(0)[0].deadline, 2)

    def test_countsTries(self) -> None:
        """
        Each lease knows how often its settlement was sent.
        """
        [a] = self.add("a")
        self.assertEqual(a.sent, 0)
        self.passTime(0)[0].fail(fault())
        self.passTime(2)
        self.assertEqual(a.sent, 2)


class FailureTests(SettlingCase):
    """
    Settlements that are not taken.
    """

    def test_retriesWithBackoff(self) -> None:
        """
        A request that fails is repeated with backoff, together with what ended
        meanwhile.
        """
        self.add("a")
        self.passTime(0)[0].fail(fault())
        self.add("b")
        self.assertEqual(self.passTime(0.4), [])
        [request] = self.passTime(1.2)
        self.assertEqual(request.receipts, ["a", "b"])
        self.assertEqual(self.settling.backlog, 2)
        request.fail(fault())
        self.assertEqual(self.passTime(0.9), [])
        self.queue.onSettle = Settle.take
        self.passTime(1.2)
        self.assertEqual(self.settling.backlog, 0)

    def test_forgetsFailuresAfterASuccess(self) -> None:
        """
        After a success the backoff begins anew, and new outcomes go at once.
        """
        for _ in range(4):
            self.add("a")
            self.passTime(0)[0].fail(fault())
            self.passTime(1.6)[0].take()

    def test_obeysRetryAfter(self) -> None:
        """
        C{Retry-After} is obeyed.
        """
        self.add("a")
        self.passTime(0)[0].fail(busy(100))
        self.assertEqual(self.passTime(99.9), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

    def test_retriesARefusalLate(self) -> None:
        """
        What is refused, whatever its size, is tried again after the longest backoff.
        """
        self.add("a", "b")
        self.passTime(0)[0].fail(refusal())
        self.assertEqual(self.passTime(29.9), [])
        self.assertEqual(self.passTime(0.2)[0].receipts, ["a", "b"])

    def test_asksAgainAfterABug(self) -> None:
        """
        A queue that raises what it should not is asked again.
        """

        def broken(request: Settle) -> None:
            raise ZeroDivisionError

        self.queue.onSettle = broken
        self.add("a")
        self.passTime(0)
        self.queue.settles[0].take()
        self.queue.onSettle = Settle.take
        self.passTime(2)
        self.assertEqual(self.settling.backlog, 0)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_doesNotSpin(self) -> None:
        """
        While requests fail there are no more than a few, and never none for longer
        than the backoff's cap.
        """
        self.queue.onSettle = lambda request: request.fail(fault())
        self.add("a")
        times = [request.made for request in self.passTime(600)]
        gaps = [after - before for before, after in pairwise(times)]
        self.assertGreaterEqual(min(gaps), 0.5)
        self.assertLessEqual(max(gaps), 30)

    def test_givesUpWhenTheLeaseEnds(self) -> None:
        """
        Once its lease has ended, a settlement that has failed is given up, with an
        error in the log; one whose lease lasts is not.
        """
        self.failBeats()
        self.add("a", length=6)
        self.add("b", length=3000)
        [request] = self.passTime(0)
        self.passTime(6)
        with capturedLogs() as logs:
            request.fail(fault())
        self.assertEqual(
            [(e["count"], e["id"]) for e in logs if e["log_level"] == LogLevel.error],
            [(1, "of a")],
        )
        self.assertEqual(set(self.leases.held), {"b"})
        self.assertEqual(self.passTime(2)[0].receipts, ["b"])
        self.queue.settles[-1].take()

    def test_tellsWhatIsGivenUp(self) -> None:
        """
        C{whenSettled} is called when something was given up, as if it had been settled.
        """
        self.failBeats()
        self.add("a", length=6)
        [request] = self.passTime(0)
        self.passTime(6)
        request.fail(fault())
        self.assertEqual((self.told, self.settling.backlog), (1, 0))

    def endDuringABeat(self) -> Settle:
        """
        Have a settlement fail whose lease has ended while a heartbeat is open.

        @return: The heartbeat.
        """
        self.add("a", length=6)
        [request] = self.passTime(0)
        self.passTime(6)
        [beat] = self.queue.beats
        request.fail(fault())
        self.assertEqual(set(self.leases.held), {"a"})
        return beat

    def test_waitsForAnOpenHeartbeat(self) -> None:
        """
        What an open heartbeat may extend yet is not given up: the endpoint may hear
        of that first.
        """
        self.endDuringABeat().take()
        [request] = self.passTime(1.9)
        self.assertEqual(request.receipts, ["a"])
        request.take()
        self.assertEqual(self.leases.held, {})

    def test_givesUpAfterAFailedHeartbeat(self) -> None:
        """
        A settlement whose lease an open heartbeat does not extend is given up when it
        fails once more.
        """
        beat = self.endDuringABeat()
        self.failBeats()
        beat.fail(fault())
        [request] = self.passTime(2)
        request.fail(fault())
        self.assertEqual(self.leases.held, {})

    def test_sendsOnceThoughEnded(self) -> None:
        """
        What has not been sent is sent, even if its lease has ended.
        """
        self.add("a")
        [request] = self.passTime(0)
        self.add("b", length=6)
        self.passTime(7)
        request.fail(fault())
        self.queue.onSettle = Settle.take
        self.assertEqual(
            [request.receipts for request in self.passTime(2)], [["a"], ["b"]]
        )

    def test_sendsOnceThoughLost(self) -> None:
        """
        What has not been sent is sent, even if its lease is lost.
        """
        self.add("a")
        self.leases.lose(["a"])
        [request] = self.passTime(0)
        self.assertEqual(request.receipts, ["a"])
        request.fail(fault())
        self.assertEqual(self.settling.backlog, 0)

    def test_retriesWhileTheLeaseIsExtended(self) -> None:
        """
        While heartbeats keep its lease, a settlement is retried.
        """

        def answer(request: Settle) -> None:
            if request.extends:
                request.take()
            else:
                request.fail(fault())

        self.queue.onSettle = answer
        self.add("a", length=6)
        self.passTime(600)
        self.assertEqual(self.settling.backlog, 1)


class DivisionTests(SettlingCase):
    """
    Batches that the endpoint refuses, though it might take a part of them.
    """

    def test_dividesARefusedBatch(self) -> None:
        """
        The batch is divided until it is taken, without a wait.
        """
        self.refuse(most=3)
        self.add(*[str(number) for number in range(24)])
        sizes = [len(request.settlements) for request in self.passTime(0)]
        self.assertEqual(sizes, [24, 3, 3, 3, 3, 3, 3, 3, 3])
        self.assertEqual(self.settling.backlog, 0)

    def test_growsAgain(self) -> None:
        """
        Requests are smaller from then on, and after some minutes they grow again.
        """
        self.refuse(most=2)
        self.add(*"abcdefgh")
        self.passTime(0)
        self.queue.onSettle = Settle.take
        self.add(*"abcdefgh")
        self.assertEqual(len(self.passTime(0)[0].settlements), 4)
        self.passTime(MEMORY)
        for _ in range(3):
            self.add(*"abcdefgh")
            self.passTime(0)
        self.assertEqual(len(self.queue.settles[-1].settlements), 8)

    def test_isolatesWhatIsRefused(self) -> None:
        """
        A settlement that is refused by itself does not hold up the others, does not
        count, and is tried again after the longest backoff.
        """
        self.refuse("c")
        self.add(*"abcdefgh")
        self.passTime(0)
        self.assertEqual(set(self.leases.held), {"c"})
        self.assertEqual(self.settling.backlog, 0)
        self.assertEqual(self.passTime(29), [])
        self.queue.onSettle = Settle.take
        [request] = self.passTime(1.1)
        self.assertEqual(request.receipts, ["c"])
        self.assertEqual(self.leases.held, {})

    def test_isolatesARefusedResult(self) -> None:
        """
        A settlement with a result that is refused by itself does not hold up the
        others.
        """
        self.refuse("a")
        now = self.clock.seconds()
        lease = self.leases.hold("a", "1", 3000, now)
        assert lease is not None
        self.settling.add(lease, Settlement("a", "complete", result=Raw(b"1")))
        self.add("b", "c")
        self.passTime(0)
        self.assertEqual(set(self.leases.held), {"a"})

    def test_sendsWhatEndsBesideIt(self) -> None:
        """
        A settlement that is refused by itself does not hold up what ends while it
        waits.
        """
        self.refuse("a")
        self.add("a")
        self.passTime(5)
        self.add("b")
        self.passTime(0)
        self.assertEqual(set(self.leases.held), {"a"})

    def test_doesNotSpin(self) -> None:
        """
        A settlement that is always refused costs a request every half minute, while
        others come and go.
        """
        self.refuse("a")
        self.add("a")
        for number in range(20):
            self.add(f"good-{number}")
            self.passTime(30)
        poisoned = [each for each in self.queue.outcomes if "a" in each.receipts]
        self.assertLess(len(poisoned), 25)
        self.assertEqual(set(self.leases.held), {"a"})

    def test_givesUpWhatIsRefused(self) -> None:
        """
        A lease whose settlement is set aside is extended no longer, and once it has
        ended the settlement is given up.
        """
        self.refuse("a")
        self.add("a", "b", length=70)
        self.passTime(1)
        self.queue.settles.clear()
        self.passTime(91)
        self.assertEqual(self.queue.beats, [])
        self.assertEqual(self.leases.held, {})

    def test_dropsARefusedResult(self) -> None:
        """
        A settlement that is refused by itself is sent again without its result, at
        once, with an error in the log that says how large that was.
        """

        def answer(request: Settle) -> None:
            if request.settlements[0].result:
                request.fail(tooMuch())
            else:
                request.take()

        self.queue.onSettle = answer
        lease = self.leases.hold("a", "1", 60, self.clock.seconds())
        assert lease is not None
        settlement = Settlement("a", "complete", result=Raw(b'"long"'))
        self.settling.add(lease, settlement)
        with capturedLogs() as logs:
            self.passTime(0)
        self.assertEqual(
            [request.settlements for request in self.queue.outcomes],
            [[settlement], [Settlement("a", "complete")]],
        )
        self.assertEqual(self.settling.backlog, 0)
        errors = [e for e in logs if e["log_level"] == LogLevel.error]
        self.assertIn(("1", 6), [(e.get("id"), e.get("size")) for e in errors])

    def test_doesNotSpinWhereAllAreRefused(self) -> None:
        """
        Where all are refused, one by one, that does not spin.
        """
        self.queue.onSettle = lambda request: request.fail(tooMuch())
        self.add(*[str(number) for number in range(64)])
        self.passTime(60)
        self.assertLess(len(self.queue.outcomes), 60)
        self.queue.onSettle = Settle.take
        self.passTime(100)
        self.assertEqual(self.settling.backlog, 0)


class PoisonCase(SettlingCase):
    """
    An endpoint that has trouble with some settlements, and extends all leases.
    """

    def fail(self, poison: Callable[[Settlement], object], **how: float) -> None:
        """
        From now on a request with such a settlement fails: at once with what is
        HTTP's 500, or never, with C{hangs}; all else is taken.
        """

        def answer(request: Settle) -> None:
            if request.extends or not any(map(poison, request.settlements)):
                request.take()
            elif how:
                request.expireAfter(self.clock, request.deadline)
            else:
                request.fail(fault())

        self.queue.onSettle = answer

    def complete(self, receipt: str, result: bytes, length: float = 60.0) -> None:
        """
        A task has completed with a result.
        """
        lease = self.leases.hold(receipt, receipt, length, self.clock.seconds())
        assert lease is not None
        self.settling.add(lease, Settlement(receipt, "complete", result=Raw(result)))


class PoisonTests(PoisonCase):
    """
    Settlements with which whole requests fail.
    """

    def test_isolatesWhatFails(self) -> None:
        """
        A settlement with which the endpoint fails costs itself alone: the others of
        its batch are settled within seconds, and those that come later at once.
        """
        for how in ({}, {"hangs": 1.0}):
            self.fail(lambda each: each.receipt == "p", **how)
            self.add(*[f"{how}{number}" for number in range(40)], "p", length=60)
            self.passTime(60)
            self.assertEqual(set(self.leases.held), {"p"})
            self.add(f"{how}later")
            self.passTime(0.1)
            self.assertEqual(set(self.leases.held), {"p"})
            self.passTime(120)
            self.assertEqual(self.leases.held, {})
            self.assertEqual(self.settling.backlog, 0)

    def test_dropsAResultThatFails(self) -> None:
        """
        A settlement that fails for its result is sent without.
        """
        self.fail(lambda each: each.result)
        self.complete("p", b'"\\u0000"')
        self.add("a", "b", length=60)
        self.passTime(20)
        self.assertEqual(self.leases.held, {})
        told = [each for request in self.queue.outcomes for each in request.settlements]
        self.assertIn(Settlement("p", "complete"), told)

    def test_dropsATextThatFails(self) -> None:
        """
        A settlement that fails for its text is sent without, and with all else that it
        says.
        """
        self.fail(lambda each: each.error)
        [lease] = self.hold("p")
        self.settling.add(
            lease, Settlement("p", "release", delay=5.0, error="bad", counted=True)
        )
        self.add("a", "b", length=60)
        self.passTime(20)
        self.assertEqual(self.leases.held, {})
        told = [each for request in self.queue.outcomes for each in request.settlements]
        self.assertIn(Settlement("p", "release", delay=5.0, counted=True), told)

    def hold(self, *receipts: str, length: float = 60.0) -> list[Lease]:
        """
        Tasks that have arrived.
        """
        now = self.clock.seconds()
        leases = [self.leases.hold(each, each, length, now) for each in receipts]
        return [lease for lease in leases if lease is not None]

    def test_keepsAllWhereNothingIsTaken(self) -> None:
        """
        Where nothing else is taken the endpoint is at fault: the settlement is kept, as
        it is, and its lease with it.
        """
        self.fail(lambda each: True)
        self.complete("p", b"1")
        self.passTime(3600)
        self.assertEqual(set(self.leases.held), {"p"})
        self.assertEqual(self.settling.backlog, 1)
        self.queue.onSettle = Settle.take
        before = len(self.queue.outcomes)
        self.passTime(31)
        [request] = self.queue.outcomes[before:]
        self.assertEqual(bytes(request.settlements[0].result), b"1")

    def test_keepsAllInAnOutage(self) -> None:
        """
        After an outage all settlements are sent unchanged, in requests that begin
        small.
        """
        self.fail(lambda each: True)
        for number in range(200):
            self.complete(f"r{number}", b"1")
            self.passTime(1)
        self.assertEqual(self.settling.backlog, 200)
        self.queue.onSettle = Settle.take
        before = len(self.queue.outcomes)
        self.passTime(31)
        self.assertEqual(self.leases.held, {})
        requests = self.queue.outcomes[before:]
        self.assertLess(len(requests), 50)
        self.assertTrue(
            all(each.result for request in requests for each in request.settlements)
        )

    def test_keepsResultsWhereAllIsRefused(self) -> None:
        """
        Where everything is refused for a while nothing loses its result for that.
        """
        self.queue.onSettle = lambda request: request.fail(tooMuch())
        for number in range(20):
            self.complete(f"r{number}", b"1", length=3000.0)
            self.passTime(5)
        taken = []

        def take(request: Settle) -> None:
            taken.extend(request.settlements)
            request.take()

        self.queue.onSettle = take
        self.passTime(120)
        self.assertEqual(self.leases.held, {})
        outcomes = [each for each in taken if each.outcome == "complete"]
        self.assertGreaterEqual(sum(bool(each.result) for each in outcomes), 19)

    def test_sendsLargeRequestsBesideRefusals(self) -> None:
        """
        Where one of a hundred is refused the others travel in large requests.
        """
        self.refuse(*[f"{number}-7" for number in range(50)])
        for number in range(50):
            self.add(*[f"{number}-{each}" for each in range(100)], length=60)
            self.passTime(1)
        before = len(self.queue.outcomes)
        self.add(*[f"last-{each}" for each in range(100)], length=60)
        self.passTime(0.5)
        self.assertLess(len(self.queue.outcomes) - before, 10)

    def test_takesABrokenAnswerForNone(self) -> None:
        """
        An answer that nobody can make sense of is as good as none.
        """
        self.queue.onSettle = lambda request: request.answer.callback(None)
        self.add("a")
        self.passTime(0)
        self.queue.onSettle = Settle.take
        self.add("b")
        self.passTime(60)
        self.assertNotIn("b", self.leases.held)
        self.flushLoggedErrors(TypeError)

    def test_keepsAllWithoutConnection(self) -> None:
        """
        A request that finds no connection says nothing of the settlements in it: none
        is suspected.
        """
        down = FaultError("connection refused", unreachable=True)
        self.queue.onSettle = lambda request: request.fail(down)
        self.add(*"abcdefgh")
        self.passTime(300)
        self.assertEqual({len(each.settlements) for each in self.queue.outcomes}, {8})
        self.queue.onSettle = Settle.take
        self.passTime(31)
        self.assertEqual(self.leases.held, {})

    def test_isolatesMany(self) -> None:
        """
        Many settlements that fail do not spin, and do not keep the others.
        """
        self.fail(lambda each: each.receipt.startswith("p"))
        self.add(*[f"{'p' if n % 3 else 'g'}{n}" for n in range(60)], length=60)
        self.passTime(60)
        self.assertFalse([each for each in self.leases.held if each[0] == "g"])
        self.passTime(300)
        self.assertEqual(self.leases.held, {})
        self.assertLess(len(self.queue.outcomes), 300)

    def test_separatesShortLeases(self) -> None:
        """
        A settlement whose lease leaves no time for an answer travels apart.
        """
        self.queue.onSettle = lambda request: self.clock.callLater(
            0.05, lambda: request.open and request.take()
        )
        self.add("a", "b", length=60)
        self.add("short", length=0.03)
        self.passTime(0.2)
        self.assertEqual(set(self.leases.held) - {"short"}, set())

    def test_catchesUpWithASlowEndpoint(self) -> None:
        """
        However much has gathered while settling hung, at 10 ms a settlement more
        than 80 a second are settled soon after.
        """
        free = [0.0]

        def serve(request: Settle) -> None:
            request.expireAfter(self.clock, request.deadline)
            if request.extends:
                request.take()
                return
            now = self.clock.seconds()
            free[0] = max(now, free[0]) + 0.01 * len(request.settlements)
            self.clock.callLater(free[0] - now, answer, request)

        def answer(request: Settle) -> None:
            if request.open:
                request.take()

        self.queue.onSettle = lambda request: request.expireAfter(
            self.clock, request.deadline
        )
        self.add(*[str(number) for number in range(1500)], length=60)
        self.passTime(40)
        self.queue.onSettle = serve
        self.passTime(31)
        before = self.settling.backlog
        self.passTime(5)
        self.assertGreater(before - self.settling.backlog, 400)


class LostTests(SettlingCase):
    """
    Receipts that the endpoint answers are no longer ours.
    """

    def warnings(self, request: Settle, *lost: str) -> list[str]:
        """
        Answer a request.

        @return: The tasks that are warned of.
        """
        with capturedLogs() as logs:
            request.take(*lost)
        return [e["id"] for e in logs if e["log_level"] == LogLevel.warn]

    def test_warnsOfAFirstLoss(self) -> None:
        """
        A receipt that was lost when its settlement was first sent is warned of, and
        dropped.
        """
        self.add("a", "b")
        [request] = self.passTime(0)
        self.assertEqual(self.warnings(request, "b"), ["of b"])
        self.assertEqual((self.settling.backlog, self.leases.held), (0, {}))

    def test_doesNotWarnOfARepeatedSettlement(self) -> None:
        """
        A settlement that was sent before may have been taken then: its loss is no news.
        """
        self.add("a")
        self.passTime(0)[0].fail(fault())
        [request] = self.passTime(2)
        self.assertEqual(self.warnings(request, "a"), [])
        self.assertEqual(self.settling.backlog, 0)

    def test_doesNotWarnOfAKnownLoss(self) -> None:
        """
        The loss of one that was known to be lost is no news.
        """
        self.add("a")
        [request] = self.passTime(0)
        self.leases.lose(["a"])
        self.assertEqual(self.warnings(request, "a"), [])

    def test_tellsARunningTaskOfItsLoss(self) -> None:
        """
        The loss of one that still runs is told to it.
        """
        other = self.leases.hold("other", "2", 3000, self.clock.seconds())
        assert other is not None
        self.add("a")
        [request] = self.passTime(0)
        self.warnings(request, "other")
        self.assertTrue(other.isLost)


class FlushTests(SettlingCase):
    """
    The end.
    """

    def test_isDoneAtOnceWithNothing(self) -> None:
        """
        With nothing to send the flush is done at once.
        """
        self.successResultOf(self.settling.flush())

    def test_waitsForAll(self) -> None:
        """
        The flush is done once everything is acknowledged, also what ended meanwhile.
        """
        self.add("a")
        flushed = self.settling.flush()
        [request] = self.passTime(0)
        self.add("b")
        request.take()
        self.assertNoResult(flushed)
        self.passTime(0)[0].take()
        self.successResultOf(flushed)

    def test_skipsTheBackoff(self) -> None:
        """
        A flush sends at once what waits for its backoff.
        """
        self.add("a")
        self.passTime(0)[0].fail(busy(300))
        flushed = self.settling.flush()
        self.passTime(0)[0].take()
        self.successResultOf(flushed)

    def test_sendsWhatWasRefused(self) -> None:
        """
        What was refused by itself, and waits for its time, is sent at once.
        """
        self.refuse("a")
        self.add("a")
        self.passTime(1)
        self.queue.onSettle = Settle.take
        flushed = self.settling.flush()
        self.passTime(0)
        self.successResultOf(flushed)

    def test_doesNotWaitForWhatIsGivenUp(self) -> None:
        """
        A flush does not wait for a settlement that is given up.
        """
        self.add("a", length=6)
        self.leases.close()
        [request] = self.passTime(0)
        self.passTime(6)
        flushed = self.settling.flush()
        request.fail(fault())
        self.successResultOf(flushed)

    def test_retriesWhatFails(self) -> None:
        """
        What fails while it is flushed is retried.
        """
        self.add("a")
        flushed = self.settling.flush()
        self.passTime(0)[0].fail(fault())
        self.passTime(1.6)[0].take()
        self.successResultOf(flushed)

    def test_givesBackAtOnce(self) -> None:
        """
        What has not started is given back at once, whatever else there is to tell.
        """
        self.add("a", "b", length=60)
        now = self.clock.seconds()
        waiting = [self.leases.hold(each, each, 60, now) for each in "cd"]
        self.settling.giveBack([lease for lease in waiting if lease is not None])
        [_, request] = self.passTime(0)
        self.assertEqual(
            request.settlements,
            [Settlement(each, "release", counted=False) for each in "cd"],
        )

    def test_leavesTimeBesideOneThatHangs(self) -> None:
        """
        One settlement that hangs leaves time for the others of its batch.
        """

        def answer(request: Settle) -> None:
            request.expireAfter(self.clock, request.deadline)
            if "bad" not in request.receipts:
                request.take()

        self.queue.onSettle = answer
        self.add("bad", *[str(number) for number in range(63)], length=60)
        self.settling.flush()
        self.passTime(SETTLE_GRACE)
        self.assertEqual(set(self.leases.held), {"bad"})

    def test_sendsBatchesThatFit(self) -> None:
        """
        At a slow endpoint settlements go in batches that are answered in time.
        """

        def serve(request: Settle) -> None:
            request.expireAfter(self.clock, request.deadline)
            delay = 0.0025 * len(request.settlements)
            self.clock.callLater(delay, lambda: request.open and request.take())

        self.queue.onSettle = serve
        self.add(*[str(number) for number in range(1000)], length=60)
        flushed = self.settling.flush()
        self.passTime(3)
        self.successResultOf(flushed)

    def test_triesOnceMoreWhatIsSetAside(self) -> None:
        """
        A flush tries a settlement that is set aside once more, and no more than that.
        """
        self.refuse("a")
        self.add("a", "b", length=60)
        self.passTime(1)
        flushed = self.settling.flush()
        self.passTime(0)
        self.successResultOf(flushed)
        self.assertEqual(set(self.leases.held), {"a"})

    def test_flushesTwice(self) -> None:
        """
        A flush may be asked for twice.
        """
        self.add("a")
        both = [self.settling.flush(), self.settling.flush()]
        [request] = self.passTime(0)
        request.take()
        for flushed in both:
            self.successResultOf(flushed)

    def test_givesUpWhatHangs(self) -> None:
        """
        A request that hangs, already or from then on, is given up soon enough for
        another, and so are earlier failures.
        """
        self.add("a")
        for _ in range(6):
            self.queue.onSettle = lambda request: request.fail(fault())
            self.passTime(60)
        self.queue.onSettle = lambda request: None
        self.passTime(60)
        hanging = self.queue.settles[-1]
        flushed = self.settling.flush()
        self.assertEqual(self.passTime(PATIENCE - 0.1), [])
        [second] = self.passTime(0.1 + 1.6)
        self.assertTrue(hanging.dropped)
        self.assertLessEqual(second.deadline, PATIENCE)
        second.take()
        self.successResultOf(flushed)

    def test_sendsNothingOnceClosed(self) -> None:
        """
        Closed, nothing is sent; what is left is logged, in one line.
        """
        self.add("a", "b")
        with capturedLogs() as logs:
            self.settling.close()
        self.assertEqual(self.passTime(100), [])
        [event] = logs
        self.assertEqual(event["log_level"], LogLevel.error)
        self.assertEqual((event["count"], event["ids"]), (2, "of a, of b"))

    def test_escapesIDsInTheLog(self) -> None:
        """
        The control characters of a task's id are escaped where the log names what is
        left.
        """
        self.add("\x1b[2J")
        with capturedLogs() as logs:
            self.settling.close()
        self.assertEqual(logs[0]["ids"], r"of \x1b[2J")

    def test_dropsTheOpenRequestOnceClosed(self) -> None:
        """
        Closed, the open request is dropped, and what ends later is not sent.
        """
        self.add("a")
        [request] = self.passTime(0)
        self.settling.close()
        self.assertTrue(request.dropped)
        self.add("b")
        self.assertEqual(self.passTime(100), [])

    def test_logsNothingWithNothingLeft(self) -> None:
        """
        With nothing left, closing says nothing.
        """
        self.add("a")
        self.passTime(0)[0].take()
        with capturedLogs() as logs:
            self.settling.close()
        self.assertEqual(logs, [])
