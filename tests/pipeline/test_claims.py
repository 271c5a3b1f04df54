"""
The claims that are open, and how they are ended.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError
from myconsumer.pipeline.claims import Claims
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.terms import Terms
from myconsumer.task import Request, Settlement, Task
from myconsumer.testing import Claim, ScriptedQueue
from tests.model import busy, fault, task, tasks
from tests.pipeline.case import SourceCase


class MakeTests(SynchronousTestCase):
    """
    L{Claims.make}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = ScriptedQueue(self.clock)
        self.claims = Claims(
            Requests(self.queue, Observers([], self.clock), self.clock),
            Terms(1),
            self.clock,
        )
        self.addCleanup(self.claims.close)

    def test_isNotOpenOnceItIsAnswered(self) -> None:
        """
        A claim is open no longer when its answer arrives at whoever made it, whether
        that comes at once or later, and whether it is one or a failure.
        """
        open: list[int] = []

        def arrived(_: object) -> None:
            open.append(len(self.claims.open))

        for answer in (Claim.bring, lambda claim: claim.fail(fault())):
            claim = self.claims.make(1, True)
            self.assertEqual(self.claims.open, {claim})
            claim.answer.addBoth(arrived)
            self.claims.send(claim)
            answer(self.queue.claims[-1])
            self.queue.onClaim = answer
            claim = self.claims.make(1, True)
            claim.answer.addBoth(arrived)
            self.claims.send(claim)
            self.queue.onClaim = lambda claim: None
        self.assertEqual(open, [0, 0, 0, 0])

    def test_closeWaitsForWhoeverMadeTheClaim(self) -> None:
        """
        The claims are closed only after an answer was dealt with, for as long as that
        takes.
        """
        claim = self.claims.make(1, True)
        dealt: Deferred[None] = Deferred()
        claim.answer.addCallback(lambda _: dealt)
        self.claims.send(claim)
        closed = self.claims.close()
        self.queue.claims[0].bring()
        self.assertNoResult(closed)
        dealt.callback(None)
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PauseTests(SourceCase):
    """
    A queue that pauses its consumer.
    """

    def test_endsAClaimThatTheQueuePausesFor(self) -> None:
        """
        Where the queue pauses its consumer while it is given a claim, the claim is
        ended, and what it brings goes back.
        """
        self.queue.onClaim = lambda claim: self.source.pause("a")
        self.make(2)
        self.assertEqual(self.queue.cancels[-1].claim, self.claim.claim)
        self.claim.bring(task(1))
        self.passTime(0)
        self.assertEqual(self.ids(), [])
        [settle] = self.queue.settles
        self.assertEqual(settle.receipts, ["r-1"])
        settle.take()

    def test_sendsNoClaimThatAnObserverPausesFor(self) -> None:
        """
        Where an observer pauses the consumer while a claim is announced, or a request
        before it, the claim is not sent.
        """
        for kind in ("claim", "cancel"):
            with self.subTest(kind=kind):

                def pause(request: Request, kind: str = kind) -> None:
                    if request.kind == kind:
                        self.source.pause("a")

                self.setUp()
                self.observer.whenSent = pause
                self.make(2)
                self.assertEqual(self.queue.claims, [])
                self.assertEqual(self.source.openClaims, 0)
                if kind == "cancel":
                    self.endsClean()


class CloseTests(SourceCase):
    """
    The end.
    """

    def test_claimsNothing(self) -> None:
        """
        After the source is closed nothing is claimed, whatever happens.
        """
        self.make(2)
        self.claim.bring(*tasks(1, 2))
        self.successResultOf(self.close())
        self.source.start(self.consumer)
        self.endTask(1)
        self.leases.lose(["r-2"])
        self.assertEqual(self.passTime(100), [])

    def test_claimsNothingIfClosedFirst(self) -> None:
        """
        A source that is closed in the turn in which a claim is answered makes no other.
        """
        self.make(2)
        self.claim.bring(task(1))
        self.successResultOf(self.close())
        self.assertEqual(self.passTime(100), [])

    def test_claimsNothingAfterTheBackoff(self) -> None:
        """
        A source that is closed during a backoff makes no claim after that.
        """
        self.make(2)
        self.claim.fail(busy(50))
        self.passTime(0)
        self.successResultOf(self.close())
        self.assertEqual(self.passTime(100), [])

    def test_claimsNothingWhenATaskClosesIt(self) -> None:
        """
        Where a task that waited closes the source nothing is claimed.
        """
        self.make(1)
        self.claim.bring(*tasks(1, 2))
        # What it returns ends the task at once, so that its slot is free.
        self.onRun = self.close
        self.endTask(1)
        self.assertEqual(self.passTime(100), [])

    def test_endsOpenClaims(self) -> None:
        """
        The open claims are ended by name; the Deferred of the close fires once the
        answer is there.
        """
        self.make(2)
        before = len(self.queue.cancels)
        closed = self.close()
        self.assertEqual(
            [each.claim for each in self.queue.cancels[before:]], [self.claim.claim]
        )
        self.assertNoResult(closed)
        self.claim.bring()
        self.successResultOf(closed)
        self.assertEqual(self.passTime(100), [])

    def test_dropsAnEndedClaim(self) -> None:
        """
        A claim that the endpoint says is ended, but is not answered, is dropped
        after a second.
        """
        self.make(2)
        closed = self.close()
        self.passTime(0.9)
        self.assertNoResult(closed)
        self.passTime(0.1)
        self.successResultOf(closed)
        self.assertTrue(self.claim.dropped)

    def test_awaitsClaimsThatCannotBeEnded(self) -> None:
        """
        Where the endpoint cannot end claims they are awaited, and no request to end one
        is sent.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(2)
        before = len(self.queue.cancels)
        closed = self.close()
        self.assertEqual(self.queue.cancels[before:], [])
        self.passTime(14)
        self.assertNoResult(closed)
        self.claim.bring()
        self.successResultOf(closed)

    def test_awaitsClaimsWhereEndingFails(self) -> None:
        """
        Claims are awaited where ending them fails.
        """
        self.make(2)
        self.queue.onCancel = lambda request: request.fail(fault())
        closed = self.close()
        self.passTime(14)
        self.assertNoResult(closed)
        self.claim.bring()
        self.successResultOf(closed)

    def test_awaitsClaimsWhereEndingIsFoundLacking(self) -> None:
        """
        Where it turns out only at the end that claims cannot be ended, they are
        awaited.
        """
        self.queue.onCancel = lambda request: None
        self.make(2)
        closed = self.close()
        for cancel in self.queue.cancels:
            cancel.take(False)
        self.passTime(4)
        self.assertNoResult(closed)
        self.claim.bring()
        self.successResultOf(closed)

    def test_waitsForTheEndings(self) -> None:
        """
        The Deferred of the close does not fire while a request that ends a claim is
        open.
        """
        self.queue.onCancel = lambda request: None
        self.make(2)
        closed = self.close()
        self.claim.bring()
        self.assertNoResult(closed)
        for cancel in self.queue.cancels:
            cancel.take()
        self.successResultOf(closed)

    def test_givesBackWhatWaits(self) -> None:
        """
        What waits is released, uncounted.
        """
        self.make(1, prefetch=2)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.successResultOf(self.close())
        self.passTime(0)
        [request] = self.queue.settles
        self.assertEqual(
            request.settlements,
            [
                Settlement("r-2", "release", counted=False),
                Settlement("r-3", "release", counted=False),
            ],
        )
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.ids(), ["1"])

    def test_givesBackWhatArrives(self) -> None:
        """
        What still arrives is released, uncounted, and malformed ones are failed.
        """
        self.make(4)
        self.close()
        bad = Settlement("r-9", "fail", error="no payload")
        self.claim.bring(task(1), malformed=[bad])
        self.passTime(0)
        self.assertEqual(
            [request.settlements for request in self.queue.settles],
            [[bad], [Settlement("r-1", "release", counted=False)]],
        )
        self.assertEqual(self.ids(), [])

    def test_losesTasksWithoutReceipt(self) -> None:
        """
        What came without a receipt cannot be given back, which the log says.
        """
        self.make(1)
        self.claim.bring(Task("1", None), Task("2", None), Task("3", None))
        with capturedLogs() as logs:
            self.close()
        [event] = [e for e in logs if e["log_level"] == LogLevel.error]
        self.assertEqual((event["count"], event["ids"]), (2, "2, 3"))

    def test_takesAFailedClaimForAnEndedOne(self) -> None:
        """
        A claim that fails is a claim that is open no longer.
        """
        self.make(2)
        closed = self.close()
        self.claim.fail(fault())
        self.successResultOf(closed)

    def test_waitsForNoClaimOnceAborted(self) -> None:
        """
        A close that is aborted waits for no claim, but lets the endpoint hear of their
        ends.
        """
        self.queue.onCancel = lambda request: None
        self.make(2)
        closed = self.close()
        self.source.abort()
        self.assertTrue(self.claim.dropped)
        self.assertNoResult(closed)
        for cancel in self.queue.cancels:
            cancel.take()
        self.successResultOf(closed)


class TooLongTests(SourceCase):
    """
    Claims whose answers are longer than is read.
    """

    def setUp(self) -> None:
        """
        Have the endpoint send too much for more than C{self.fits} tasks.
        """
        super().setUp()
        self.fits = 7
        self.onRun = lambda: True
        self.queue.onClaim = self.answer
        self.addCleanup(self.stopAnswering)

    def stopAnswering(self) -> None:
        """
        Have the endpoint answer what it was asked, and no more.
        """
        self.queue.onClaim = lambda claim: None
        self.passTime(0.1)

    def answer(self, claim: Claim) -> None:
        """
        Answer a claim after a while.
        """

        def answered() -> None:
            if claim.limit > self.fits:
                claim.fail(FaultError("the answer is longer", tooLong=True))
            else:
                first = 100 * len(self.queue.claims)
                claim.bring(*[Task(first + n, None) for n in range(claim.limit)])

        self.clock.callLater(0.1, answered)

    def limits(self) -> list[int]:
        """
        Give what each claim asked for.
        """
        return [claim.limit for claim in self.queue.claims]

    def test_halves(self) -> None:
        """
        The next claim asks for half as many, at once; one of a full answer, for one
        more.
        """
        with capturedLogs() as logs:
            self.make(20)
            self.passTime(1)
        self.assertEqual(self.limits(), [20, 10, 5, 6, 7, 8, 4, 5, 6, 7])
        [event] = logs
        self.assertEqual(
            (event["log_level"], event["limit"], event["most"], event["reason"]),
            (LogLevel.warn, 20, 10, "the answer is longer"),
        )
        self.assertIn("--limit", event["log_format"])

    def test_undoesTheClaim(self) -> None:
        """
        What was leased under a claim whose answer is too long goes back.
        """
        self.make(20)
        self.passTime(0.1)
        self.assertIn(
            self.queue.claims[0].claim, [each.claim for each in self.queue.cancels]
        )

    def test_growsNoFurtherThanItIsTried(self) -> None:
        """
        Answers to claims that asked for fewer anyway say nothing about more.
        """
        self.make(20)
        self.passTime(0.2)
        self.stopAnswering()
        self.onRun = lambda: None
        asked = []
        for first, count in ((1, 5), (6, 6), (12, 7), (19, 2)):
            asked.append(self.claim.limit)
            self.claim.bring(*tasks(first, count))
            self.passTime(0)
        self.assertEqual(asked, [6, 6, 7, 2])
        self.endTask(*range(1, 21))
        self.passTime(0)
        self.assertEqual(self.claim.limit, 8)

    def test_halvesOnceForClaimsSideBySide(self) -> None:
        """
        Claims that were open side by side halve the limit once.
        """
        self.queue.onClaim = lambda claim: None
        self.onRun = lambda: None
        self.make(8, pollers=2)
        self.claim.bring(*tasks(1, 8))
        self.endTask(1, 2, 3, 4)
        self.passTime(0)
        self.endTask(5, 6, 7, 8)
        self.passTime(0)
        self.assertEqual([claim.limit for claim in self.queue.openClaims], [4, 4])
        for claim in self.queue.openClaims:
            claim.fail(FaultError("the answer is longer", tooLong=True))
        self.passTime(0)
        self.assertEqual(self.claim.limit, 2)

    def test_backsOffWhereOneTaskIsTooLong(self) -> None:
        """
        Where the answer to a claim of one task is too long, it is a fault as any.
        """
        self.fits = 0
        self.make(4)
        with capturedLogs() as logs:
            self.passTime(100)
        self.assertEqual(self.limits()[:4], [4, 2, 1, 1])
        self.assertLess(len(self.limits()), 12)
        self.assertIn("Claims", [event.get("what") for event in logs])

    def test_doesNotGiveUp(self) -> None:
        """
        Answers that are too long, and halve the limit again and again, do not make a
        run to the end give up.
        """
        self.fits = 1
        self.make(1000, untilEmpty=True)
        self.passTime(1.05)
        self.assertIsNone(self.source.givenUp)
        self.assertIn(1, self.limits())
