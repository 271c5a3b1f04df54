"""
A source that claims what is free.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from myconsumer.errors import QueueError
from myconsumer.interfaces import ITaskSource
from myconsumer.task import Settlement, Task
from myconsumer.testing import Cancel, Claim
from tests.model import busy, fault, refusal, task, tasks
from tests.pipeline.case import SourceCase


class RoomTests(SourceCase):
    """
    How much is claimed, and when.
    """

    def test_providesITaskSource(self) -> None:
        """
        L{QueueTaskSource} is a task source.
        """
        self.make()
        verifyObject(ITaskSource, self.source)

    def test_claimsTheFreeSlots(self) -> None:
        """
        A claim asks for exactly the free slots.
        """
        self.make(4)
        [claim] = self.queue.claims
        self.assertEqual((claim.limit, claim.lease), (4, 60.0))
        claim.bring(*tasks(1, 3))
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
        self.assertEqual(self.ids(), ["1", "2", "3"])

    def test_namesEachClaimAnew(self) -> None:
        """
        No two claims have the same name.
        """
        self.make(4)
        for number in range(3):
            self.claim.bring(task(number))
            self.passTime(0)
        self.assertEqual(len({claim.claim for claim in self.queue.claims}), 4)

    def test_claimsNothingWhenFull(self) -> None:
        """
        With every slot taken no claim is open.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.assertEqual(self.passTime(1000), [])

    def test_claimsThePrefetch(self) -> None:
        """
        The prefetch is claimed beyond the free slots, and what is missing of it
        while they are taken; it waits.
        """
        self.make(4, prefetch=3)
        self.assertEqual(self.claim.limit, 7)
        self.claim.bring(*tasks(1, 4))
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 3)
        claim.bring(*tasks(5, 2))
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
        claim.bring(task(7))
        self.assertEqual(self.passTime(1000), [])
        self.assertEqual(self.ids(), ["1", "2", "3", "4"])
        self.assertEqual(len(self.source.arrivals), 3)

    def test_waitingIsStarted(self) -> None:
        """
        The moment a slot is free the first that waits is started, and its place
        claimed.
        """
        self.make(1, prefetch=1)
        self.claim.bring(*tasks(1, 2))
        self.passTime(0)
        self.endTask(1)
        [claim] = self.passTime(0)
        self.assertEqual(self.ids(), ["1", "2"])
        self.assertEqual(claim.limit, 1)

    def test_claimsAFreedSlot(self) -> None:
        """
        A slot is claimed the moment it is free.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.passTime(10)
        self.endTask(3)
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)

    def test_gathersFreedSlots(self) -> None:
        """
        Slots that are freed in one turn of the reactor are claimed together.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.passTime(10)
        self.endTask(3, 1, 2)
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 3)

    def test_endsAtOnce(self) -> None:
        """
        Tasks that end as soon as they are run take no slot.
        """
        self.onRun = lambda: True
        self.make(2)
        for number in range(10):
            self.claim.bring(*tasks(10 * number, 2))
            [claim] = self.passTime(0)
            self.assertEqual(claim.limit, 2)
        self.assertEqual(len(self.ran), 20)

    def test_runsWithoutReceipt(self) -> None:
        """
        A task without a receipt is run without a lease.
        """
        self.make()
        self.claim.bring(Task("1", None))
        [(_, lease)] = self.ran
        self.assertIsNone(lease)
        self.assertEqual(self.leases.held, {})

    def test_takesTheLengthOfALease(self) -> None:
        """
        A lease is as long as the task says, else as long as was asked for, counted
        from its arrival.
        """
        self.make(lease=45.0)
        self.passTime(3)
        self.claim.bring(task(1), task(2, lease=9.0))
        lengths = [lease.length for _, lease in self.ran if lease is not None]
        ends = [lease.expires for _, lease in self.ran if lease is not None]
        self.assertEqual((lengths, ends), ([45, 9], [1048, 1012]))


class TurnTests(SourceCase):
    """
    A source whose tasks block the reactor.
    """

    def block(self, seconds: float) -> None:
        """
        Have each task take C{seconds}, in which nothing else happens.
        """

        def run() -> bool:
            self.clock.rightNow += seconds
            return True

        self.onRun = run

    def ranInTurns(self, count: int) -> list[int]:
        """
        Give how many tasks have run in each of the next turns of the reactor.
        """
        ran = []

        def look() -> None:
            ran.append(len(self.ran))
            if len(ran) < count:
                self.clock.callLater(0, look)

        look()
        self.passTime(2)
        return ran

    def test_leavesTheReactorATurnAfterALongTask(self) -> None:
        """
        After each task that takes long other things have their turn; then the next task
        that waits is run.
        """
        self.make(5)
        self.block(0.2)
        self.claim.bring(*tasks(1, 5))
        self.assertEqual(self.ranInTurns(6), [1, 2, 3, 4, 5, 5])
        self.assertEqual(self.ids(), ["1", "2", "3", "4", "5"])

    def test_runsShortTasksTogether(self) -> None:
        """
        Short tasks are run one right after the other, for 50 ms at a time.
        """
        self.make(100)
        self.block(0.003)
        self.claim.bring(*tasks(1, 40))
        self.assertEqual(self.ranInTurns(4), [17, 34, 40, 40])

    def test_givesBackWhenClosedInATurn(self) -> None:
        """
        Closed while tasks wait for the next turn of the reactor, the source gives back
        what has not been run.
        """
        self.make(3)
        self.block(0.2)
        self.claim.bring(*tasks(1, 3))
        self.successResultOf(self.close())
        self.passTime(1)
        self.assertEqual(self.ids(), ["1"])
        [request] = self.queue.outcomes
        self.assertEqual(request.receipts, ["r-2", "r-3"])

    def test_countsWhatWaitsForATurn(self) -> None:
        """
        While tasks wait for the next turn of the reactor, no more is claimed than is
        free besides them.
        """
        self.make(5)
        self.block(0.2)
        self.claim.bring(*tasks(1, 5))
        self.ranInTurns(1)
        [claim] = self.queue.openClaims
        self.assertEqual(claim.limit, 2)


class PollersTests(SourceCase):
    """
    Claims that are open side by side.
    """

    def test_makesOneClaimWhileIdle(self) -> None:
        """
        While a claim is open another is not made, though slots become free.
        """
        self.make(4, pollers=3)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.endTask(1, 2)
        self.assertEqual(self.passTime(10), [])
        self.assertEqual(len(self.queue.openClaims), 1)

    def test_makesOneClaimByDefault(self) -> None:
        """
        With one poller there is one claim, even while claims come back full.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.endTask(1)
        self.passTime(0)
        self.endTask(2)
        self.assertEqual(self.passTime(10), [])

    def test_makesMoreClaimsWhileFull(self) -> None:
        """
        While claims come back full there are as many as there may be, no more, and
        together they ask for no more than is free.
        """
        self.make(4, pollers=2)
        self.claim.bring(*tasks(1, 4))
        self.passTime(0)
        for id in (1, 2, 3):
            self.endTask(id)
            self.passTime(0)
        self.assertEqual([claim.limit for claim in self.queue.openClaims], [1, 1])
        self.claim.bring(task(5))
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)

    def test_makesOneClaimAfterAPartialOne(self) -> None:
        """
        Once a claim does not come back full, only one is open again.
        """
        self.make(4, pollers=2)
        self.claim.bring(*tasks(1, 4))
        self.passTime(0)
        for id in (1, 2):
            self.endTask(id)
            self.passTime(0)
        self.passTime(5)
        self.claim.bring()
        self.endTask(3)
        self.assertEqual(self.passTime(10), [])
        self.assertEqual(len(self.queue.openClaims), 1)

    def test_makesOneClaimAfterAFailure(self) -> None:
        """
        Once a claim has failed, only one is open again.
        """
        self.make(4, pollers=2)
        self.claim.bring(*tasks(1, 4))
        self.passTime(0)
        for id in (1, 2):
            self.endTask(id)
            self.passTime(0)
        self.claim.fail(fault())
        self.endTask(3)
        self.assertEqual(self.passTime(10), [])

    def failSideBySide(self, **options: Any) -> None:
        """
        Have five claims open side by side fail within a second.
        """
        self.make(10, pollers=5, **options)
        self.claim.bring(*tasks(1, 10))
        for id in (1, 2, 3, 4, 5):
            self.endTask(id)
            self.passTime(0.01)
        for claim in self.queue.openClaims:
            claim.fail(fault())
            self.passTime(0.01)
        self.assertEqual(len(self.queue.claims), 6)

    def test_countsFailuresOfOneMomentOnce(self) -> None:
        """
        Claims that were open side by side and fail have failed once: the next comes
        soon, and a run to the end goes on.
        """
        self.failSideBySide(untilEmpty=True)
        [claim] = self.passTime(2.1)
        self.assertIsNone(self.source.givenUp)
        claim.fail(fault())
        self.assertEqual(len(self.passTime(2.1)), 1)

    def test_countsLaterFailures(self) -> None:
        """
        Failures of claims that were made after a failure count as further ones.
        """
        self.failSideBySide(untilEmpty=True)
        self.queue.onClaim = lambda claim: claim.fail(fault())
        self.passTime(12)
        self.assertEqual(len(self.queue.claims), 6 + 4)
        self.assertIsNotNone(self.source.givenUp)

    def test_obeysTheLongestWait(self) -> None:
        """
        When one claim is answered with C{Retry-After}, the failure of another does not
        cut that time short.
        """
        self.make(4, pollers=2)
        self.claim.bring(*tasks(1, 4))
        self.passTime(0)
        for id in (1, 2):
            self.endTask(id)
            self.passTime(0)
        first, second = self.queue.openClaims
        first.fail(busy(100))
        second.fail(fault())
        self.assertEqual(self.passTime(99), [])
        self.assertEqual(len(self.passTime(2)), 1)


class StopTests(SourceCase):
    """
    Being stopped and started by the consumer.
    """

    def test_stopHandsOverNoMore(self) -> None:
        """
        Stopped, what comes is not handed over; started again, it is.
        """
        self.make(4)
        self.assertTrue(self.successResultOf(self.source.stop()))
        self.claim.bring(*tasks(1, 2))
        self.passTime(100)
        self.assertEqual(self.ids(), [])
        self.source.start(self.consumer)
        self.passTime(0)
        self.assertEqual(self.ids(), ["1", "2"])

    def test_stopsBeforeStart(self) -> None:
        """
        A stop before the start, and a second one, are harmless.
        """
        self.make(4)
        other = self.makeSource()
        for _ in range(2):
            self.assertTrue(self.successResultOf(other.stop()))
            self.assertTrue(self.successResultOf(self.source.stop()))

    def test_startOnlySetsAFlag(self) -> None:
        """
        Any number of starts is acted upon once, later.
        """
        self.make(4)
        self.claim.bring(task(1))
        for _ in range(10):
            self.source.start(self.consumer)
        self.assertEqual(len(self.queue.claims), 1)
        self.assertEqual(len(self.passTime(0)), 1)

    def test_prefetchGoesOn(self) -> None:
        """
        A source that was stopped because all slots are taken claims what is missing of
        the prefetch, also after the endpoint has failed or had nothing.
        """
        self.make(1, prefetch=2)
        self.claim.bring(task(1))
        self.passTime(0)
        self.claim.bring()
        [claim] = self.passTime(1)
        claim.fail(fault())
        [claim] = self.passTime(1.6)
        self.assertEqual(claim.limit, 2)
        claim.bring(*tasks(2, 2))
        self.assertEqual(self.ids(), ["1"])
        self.assertEqual(len(self.source.arrivals), 2)


class EmptyTests(SourceCase):
    """
    Answers that bring nothing new.
    """

    def test_waitsOutTheIntervalAfterAnEarlyAnswer(self) -> None:
        """
        After an empty answer that came early the interval, counted from the claim,
        is waited out.
        """
        self.make(interval=3.0)
        self.passTime(1)
        self.claim.bring()
        self.assertEqual(self.passTime(1.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_claimsAtOnceAfterALateAnswer(self) -> None:
        """
        After an empty answer that came late the next claim is made at once.
        """
        self.make(interval=3.0)
        self.passTime(3)
        self.claim.bring()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_waitsThoughASlotIsFreed(self) -> None:
        """
        A slot that is freed during the interval does not cut that short.
        """
        self.make(4, interval=3.0)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.claim.bring()
        self.endTask(1)
        self.assertEqual(self.passTime(2.9), [])
        [claim] = self.passTime(0.1)
        self.assertEqual(claim.limit, 2)

    def test_claimsAtOnceAfterATask(self) -> None:
        """
        After an answer that brings something the next claim is made at once.
        """
        self.make(4, interval=3.0)
        self.claim.bring(task(1))
        self.assertEqual(len(self.passTime(0)), 1)

    def test_takesRepeatedTasksForNone(self) -> None:
        """
        An answer that brings only what is held already is an empty one.
        """
        self.make(4, interval=3.0)
        self.claim.bring(task(1))
        self.passTime(0)
        self.queue.onClaim = lambda claim: claim.bring(task(1))
        self.claim.bring(task(1))
        self.assertEqual(self.passTime(2.9), [])
        self.assertLess(len(self.passTime(30)), 12)

    def test_doesNotSpinOnMalformedTasks(self) -> None:
        """
        An endpoint that has nothing but malformed tasks does not make it spin while
        they cannot be settled.
        """
        count = 0

        def bad(claim: Claim) -> None:
            nonlocal count
            count += 1
            claim.bring(malformed=[Settlement(f"bad-{count}", "fail", error="bad")])

        self.queue.onClaim = bad
        self.make(4)
        self.passTime(30)
        self.assertLess(len(self.queue.claims), 30)


class FailureTests(SourceCase):
    """
    Claims that are not answered as they should be.
    """

    def test_backsOffAfterAFault(self) -> None:
        """
        After a fault the source claims again, with backoff, under another name.
        """
        self.make(4)
        self.claim.fail(fault())
        self.assertEqual(self.passTime(0.4), [])
        [claim] = self.passTime(1.2)
        self.assertEqual(claim.limit, 4)
        self.assertNotEqual(claim.claim, self.queue.claims[0].claim)
        claim.fail(fault())
        self.assertEqual(self.passTime(0.9), [])
        self.assertEqual(len(self.passTime(1.2)), 1)

    def test_endsAFailedClaim(self) -> None:
        """
        After a fault the claim is ended, without waiting for that, since it may
        have leased something.
        """
        self.make(4)
        self.queue.onCancel = lambda request: None
        self.claim.fail(fault())
        cancel = self.queue.cancels[-1]
        self.assertEqual(cancel.claim, self.queue.claims[0].claim)
        self.assertEqual(len(self.passTime(1.6)), 1)
        cancel.take()

    def test_endsNoFailedClaimWhereThatIsLacking(self) -> None:
        """
        An endpoint that cannot end claims is not asked to.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(4)
        before = len(self.queue.cancels)
        self.claim.fail(fault())
        self.assertEqual(len(self.queue.cancels), before)

    def test_obeysRetryAfter(self) -> None:
        """
        C{Retry-After} is obeyed; such an answer is a whole one, so that nothing
        is to be ended.
        """
        self.make(4)
        before = len(self.queue.cancels)
        self.claim.fail(busy(120))
        self.assertEqual(len(self.queue.cancels), before)
        self.assertEqual(self.passTime(119.9), [])
        self.assertEqual(len(self.passTime(0.2)), 1)

    def test_backsOffAfterRetryAfterNothing(self) -> None:
        """
        C{Retry-After: 0} leaves the backoff as it is.
        """
        self.make(4)
        self.claim.fail(busy(0))
        self.assertEqual(self.passTime(0.4), [])
        self.assertEqual(len(self.passTime(1.2)), 1)

    def test_backsOffThoughASlotIsFreed(self) -> None:
        """
        A slot that is freed meanwhile does not cut the backoff short.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 2))
        self.passTime(0)
        self.claim.fail(busy(10))
        self.endTask(1)
        self.assertEqual(self.passTime(9.9), [])
        [claim] = self.passTime(0.2)
        self.assertEqual(claim.limit, 3)

    def test_retriesARefusalLate(self) -> None:
        """
        After a refusal the source claims again after 30 s; nothing is to be ended.
        """
        self.make(4)
        before = len(self.queue.cancels)
        with capturedLogs() as logs:
            self.claim.fail(refusal())
        self.assertEqual([e["log_level"] for e in logs], [LogLevel.error])
        self.assertEqual(len(self.queue.cancels), before)
        self.assertEqual(self.passTime(29.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_logsARefusalOnce(self) -> None:
        """
        A refusal that is repeated is not logged each time.
        """
        self.queue.onClaim = lambda claim: claim.fail(refusal())
        with capturedLogs() as logs:
            self.make(4)
            self.passTime(59)
        self.assertEqual(len(self.queue.claims), 2)
        self.assertEqual(len(logs), 1)

    def test_asksAgainAfterABug(self) -> None:
        """
        A queue that raises what it should not is asked again.
        """

        def broken(claim: Claim) -> None:
            raise ZeroDivisionError

        self.queue.onClaim = broken
        self.make(4)
        self.queue.claims[0].bring()
        self.queue.onClaim = lambda claim: None
        [claim] = self.passTime(1.6)
        claim.bring(task(1))
        self.assertEqual(self.ids(), ["1"])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_asksAgainAfterAWrongAnswer(self) -> None:
        """
        A queue that answers what it should not is asked again, without spinning.
        """
        self.queue.onClaim = lambda claim: claim.answer.callback(None)
        self.make(4)
        self.passTime(60)
        self.assertLess(len(self.queue.claims), 70)
        self.queue.onClaim = lambda claim: None
        self.assertEqual(len(self.passTime(31)), 1)
        self.flushLoggedErrors()

    def test_asksAgainWhereEndingRaises(self) -> None:
        """
        A queue that raises what it should not when a claim is to be ended is asked
        again.
        """

        def broken(cancel: Cancel) -> None:
            raise ZeroDivisionError

        self.queue.onCancel = broken
        self.make(4)
        self.claim.fail(fault())
        self.assertEqual(len(self.passTime(1.6)), 1)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_doesNotSpin(self) -> None:
        """
        While the endpoint fails there are a few claims only, and never none for
        longer than the backoff's cap, whatever runs.
        """
        self.make(4)
        self.claim.bring(task(1))
        self.queue.onClaim = lambda claim: claim.fail(fault())
        times = [claim.made for claim in self.passTime(600)]
        gaps = [after - before for before, after in pairwise(times)]
        self.assertGreaterEqual(min(gaps), 0.5)
        self.assertLessEqual(max(gaps), 30)


class UnsettledTests(SourceCase):
    """
    Claims pause while too much is unsettled.
    """

    def settle(self, count: int) -> None:
        """
        So many tasks end that the endpoint is not told of.
        """
        for number in range(count):
            lease = self.leases.hold(f"ended-{number}", "", 60, self.clock.seconds())
            assert lease is not None
            self.settling.add(lease, Settlement(lease.receipt, "complete"))

    def test_pausesPastTheBound(self) -> None:
        """
        With more tasks unsettled than the bound nothing is claimed; once they are
        settled, claims go on at once.
        """
        self.make(2)
        self.settle(9)
        self.claim.bring()
        self.assertEqual(self.passTime(10), [])
        self.queue.outcomes[0].take()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_claimsAtTheBound(self) -> None:
        """
        With as many tasks unsettled as the bound allows, claims go on.
        """
        self.make(2)
        self.settle(8)
        self.claim.bring()
        self.assertEqual(len(self.passTime(1)), 1)

    def test_movesTheBoundWithTheLimit(self) -> None:
        """
        With a higher limit more tasks may be unsettled before claims pause.
        """
        self.make(2)
        self.settle(9)
        self.claim.bring()
        self.assertEqual(self.passTime(10), [])
        self.consumer.setLimit(3)
        self.source.termsChanged()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_claimsOnceSettlementsAreGivenUp(self) -> None:
        """
        Claims go on when settlements are given up.
        """
        self.make(2)
        self.settle(9)
        self.claim.bring()
        self.leases.lose([f"ended-{number}" for number in range(9)])
        self.passTime(0)
        self.queue.outcomes[0].fail(fault())
        self.assertEqual(len(self.passTime(1)), 1)


class UntilEmptyTests(SourceCase):
    """
    A run that is to end once nothing is left.
    """

    def make(self, limit: int = 4, **options: Any) -> None:
        super().make(limit, untilEmpty=True, **options)

    def test_doesNotWait(self) -> None:
        """
        Claims do not wait.
        """
        self.make()
        self.assertEqual(self.claim.wait, 0)

    def test_endsAtAnEmptyAnswer(self) -> None:
        """
        The run ends at an empty answer, with nothing running.
        """
        self.make()
        self.claim.bring()
        self.successResultOf(self.end)
        self.assertIsNone(self.source.givenUp)
        self.assertEqual(self.passTime(1000), [])

    def test_doesNotEndWhereTasksWereDropped(self) -> None:
        """
        An answer of which nothing could be used ends nothing, and the next claim is not
        made at once.
        """
        self.make()
        self.claim.bring(dropped=1)
        self.assertNoResult(self.end)
        self.assertEqual(self.passTime(0.9), [])
        [claim] = self.passTime(0.1)
        claim.bring()
        self.successResultOf(self.end)

    def test_doesNotEndIfSomethingRanAtTheClaim(self) -> None:
        """
        An empty answer to a claim that was made while something ran ends nothing,
        even if nothing runs any more.
        """
        self.make()
        self.claim.bring(task(1))
        self.passTime(0)
        self.endTask(1)
        self.claim.bring()
        self.assertNoResult(self.end)
        [claim] = self.passTime(1)
        claim.bring()
        self.successResultOf(self.end)

    def test_doesNotEndIfSomethingWasUnsettled(self) -> None:
        """
        An empty answer to a claim that was made while something was unsettled ends
        nothing.
        """
        self.make()
        self.claim.bring(malformed=[Settlement("bad", "fail", error="bad")])
        self.passTime(0)
        self.claim.bring()
        self.assertNoResult(self.end)
        self.queue.outcomes[0].take()
        self.passTime(1)
        self.claim.bring()
        self.successResultOf(self.end)

    def test_doesNotEndIfSomethingRuns(self) -> None:
        """
        An empty answer that comes while something runs ends nothing.
        """
        self.make()
        self.consumer.taskStarted(lambda: self.runTask(task(1), None, 0.0))
        self.claim.bring()
        self.assertNoResult(self.end)
        self.endTask(1)
        self.passTime(1)
        self.claim.bring()
        self.successResultOf(self.end)

    def test_endsAfterFiveFailures(self) -> None:
        """
        Five failures in a row, with nothing running, end it; the reason is kept.
        """
        self.make()
        for _ in range(4):
            self.claim.fail(fault())
            self.passTime(30)
        self.assertNoResult(self.end)
        error = fault()
        self.claim.fail(error)
        self.passTime(0)
        self.successResultOf(self.end)
        assert self.source.givenUp is not None
        self.assertIs(self.source.givenUp.value, error)
        self.assertEqual(self.passTime(1000), [])

    def test_saysNothingOfARetryWhereThereIsNone(self) -> None:
        """
        The failure that ends the run is logged by whoever gives up, and not as one that
        is followed by a retry.
        """
        self.make()
        with capturedLogs() as logs:
            self.claim.fail(refusal())
            self.passTime(0)
        self.successResultOf(self.end)
        self.assertEqual([formatEvent(each) for each in logs], [])

    def test_saysThatARefusalIsRetriedWhileSomethingRuns(self) -> None:
        """
        A refusal is logged with its retry where it does not end the run yet.
        """
        self.make()
        self.claim.bring(task(1))
        self.passTime(0)
        with capturedLogs() as logs:
            self.claim.fail(refusal())
        self.assertIn("next try in 30.0 s", formatEvent(logs[0]))
        self.endTask(1)

    def test_countsFailuresInARow(self) -> None:
        """
        A success in between begins the count anew.
        """
        self.make(1)
        for number in range(3):
            for _ in range(4):
                self.claim.fail(fault())
                self.passTime(30)
            self.claim.bring(task(number))
            self.endTask(number)
            self.passTime(0)
        self.assertNoResult(self.end)

    def test_endsAtARefusal(self) -> None:
        """
        One refusal ends the run.
        """
        self.make()
        self.claim.fail(refusal())
        self.passTime(0)
        self.successResultOf(self.end)
        assert self.source.givenUp is not None
        self.assertIsInstance(self.source.givenUp.value, QueueError)

    def test_endsAfterARefusalOnceNothingRuns(self) -> None:
        """
        After a refusal the run goes on while something runs, and ends with that.
        """
        self.make()
        self.claim.bring(task(1))
        self.passTime(0)
        self.claim.fail(refusal())
        self.passTime(29)
        self.assertNoResult(self.end)
        self.endTask(1)
        self.passTime(0)
        self.successResultOf(self.end)
        self.assertIsNotNone(self.source.givenUp)

    def test_forgetsARefusalAfterASuccess(self) -> None:
        """
        A claim that succeeds after a refusal, while something runs, lets the run go on.
        """
        self.make()
        self.claim.bring(task(1))
        self.passTime(0)
        self.claim.fail(refusal())
        self.passTime(30)
        self.claim.bring()
        self.assertIsNone(self.source.givenUp)
        self.endTask(1)
        self.passTime(1)
        self.assertNoResult(self.end)
        self.claim.bring()
        self.successResultOf(self.end)
        self.assertIsNone(self.source.givenUp)

    def test_neverEndsInAService(self) -> None:
        """
        In a service neither empty answers nor failures ever end the run.
        """
        super().make(4)
        for _ in range(10):
            self.claim.bring()
            self.passTime(30)
            self.claim.fail(refusal())
            self.passTime(30)
            self.claim.fail(fault())
            self.passTime(30)
        self.assertNoResult(self.end)
