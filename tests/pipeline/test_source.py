"""
A source that claims what is free.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.errors import FaultError, QueueError
from myconsumer.interfaces import ISelfTimedTaskQueue, ITaskSource
from myconsumer.pipeline.cancellation import MOST_UNDONE, PROBE_INTERVAL
from myconsumer.pipeline.claims import PAUSE
from myconsumer.pipeline.leases import Lease, Leases
from myconsumer.pipeline.settlements import Settling
from myconsumer.pipeline.source import QueueTaskSource
from myconsumer.task import Settlement, Task
from myconsumer.testing import Cancel, Claim, ScriptedQueue, Settle, passTime
from tests.model import busy, fault, refusal, task, tasks


class SourceCase(SynchronousTestCase):
    """
    A source, its consumer, and a queue that the test answers.
    """

    def setUp(self) -> None:
        """
        Make all but the source.
        """
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.leases = Leases(self.queue, self.clock)
        self.settling = Settling(self.queue, self.leases, self.clock)
        self.running: dict[str | int, Deferred[None]] = {}
        self.ran: list[tuple[Task, Lease | None]] = []
        self.onRun: Callable[[], object] = lambda: None
        self.closed: Deferred[None] | None = None
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        """
        Nothing is left once it is closed and all claims are answered.
        """
        closed = self.closed or self.close()
        for claim in self.queue.openClaims:
            claim.bring()
        for cancel in self.queue.cancels:
            if cancel.open:
                cancel.take()
        if not closed.called:
            self.passTime(PAUSE)
        self.successResultOf(closed)
        self.settling.close()
        self.leases.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(self, limit: int = 4, **options: Any) -> None:
        """
        Make the source and consume from it.
        """
        settings: dict[str, Any] = {
            "wait": 20.0,
            "lease": 60.0,
            "interval": 1.0,
            "prefetch": 0,
            "pollers": 1,
            "mostUnsettled": 4 * limit,
        }
        self.source = QueueTaskSource(
            self.queue,
            self.leases,
            self.settling,
            self.runTask,
            self.clock,
            **(settings | options),
        )
        self.consumer = ParallelLimitedTaskConsumer(limit)
        self.end = self.consumer.consume(self.source)
        self.passTime(0)

    def runTask(self, task: Task, lease: Lease | None) -> Deferred[None] | None:
        """
        Run a task until L{endTask}; it ends at once where C{onRun} returns
        anything.
        """
        self.ran.append((task, lease))
        if self.onRun() is not None:
            return None
        self.running[task.id] = Deferred()
        return self.running[task.id]

    def endTask(self, *ids: int) -> None:
        """
        Tasks end, and are settled by nobody.
        """
        for id in ids:
            for ran, lease in self.ran:
                if ran.id == str(id) and lease is not None:
                    self.leases.drop(lease)
            self.running.pop(str(id)).callback(None)

    def close(self) -> Deferred[None]:
        """
        Close the source, and let it fire.
        """
        self.closed = self.source.close()
        return self.closed

    def passTime(self, seconds: float) -> list[Claim]:
        """
        Let time pass.

        @return: The claims that were made meanwhile.
        """
        before = len(self.queue.claims)
        passTime(self.clock, seconds)
        return self.queue.claims[before:]

    @property
    def claim(self) -> Claim:
        """
        The last claim.
        """
        return self.queue.claims[-1]

    def ids(self) -> list[str | int]:
        """
        What was run, in order.
        """
        return [task.id for task, _ in self.ran]


class RoomTests(SourceCase):
    """
    How much is claimed, and when.
    """

    def test_interface(self) -> None:
        """
        It is a task source.
        """
        self.make()
        verifyObject(ITaskSource, self.source)

    def test_claimsTheFreeSlots(self) -> None:
        """
        It claims exactly the free slots.
        """
        self.make(4)
        [claim] = self.queue.claims
        self.assertEqual((claim.limit, claim.lease), (4, 60.0))
        claim.bring(*tasks(1, 3))
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
        self.assertEqual(self.ids(), ["1", "2", "3"])

    def test_otherNames(self) -> None:
        """
        No two claims have the same name.
        """
        self.make(4)
        for number in range(3):
            self.claim.bring(task(number))
            self.passTime(0)
        self.assertEqual(len({claim.claim for claim in self.queue.claims}), 4)

    def test_full(self) -> None:
        """
        With every slot taken no claim is open.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.assertEqual(self.passTime(1000), [])

    def test_prefetch(self) -> None:
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
        self.assertEqual(len(self.source.waiting), 3)

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

    def test_slotFreed(self) -> None:
        """
        The moment a slot is free it is claimed.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.passTime(10)
        self.endTask(3)
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)

    def test_slotsGathered(self) -> None:
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

    def test_withoutReceipt(self) -> None:
        """
        A task without a receipt is run without a lease.
        """
        self.make()
        self.claim.bring(Task("1", None))
        [(_, lease)] = self.ran
        self.assertIsNone(lease)
        self.assertEqual(self.leases.held, {})

    def test_leaseLength(self) -> None:
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

    def test_slow(self) -> None:
        """
        After each task that takes long, other things have their turn; then the next
        that waits is run.
        """
        self.make(5)
        self.block(0.2)
        self.claim.bring(*tasks(1, 5))
        self.assertEqual(self.ranInTurns(6), [1, 2, 3, 4, 5, 5])
        self.assertEqual(self.ids(), ["1", "2", "3", "4", "5"])

    def test_short(self) -> None:
        """
        Short ones are run one right after the other, for 50 ms at a time.
        """
        self.make(100)
        self.block(0.003)
        self.claim.bring(*tasks(1, 40))
        self.assertEqual(self.ranInTurns(4), [17, 34, 40, 40])

    def test_closed(self) -> None:
        """
        Closed in such a turn, it gives back what has not been run.
        """
        self.make(3)
        self.block(0.2)
        self.claim.bring(*tasks(1, 3))
        self.successResultOf(self.close())
        self.passTime(1)
        self.assertEqual(self.ids(), ["1"])
        [request] = self.queue.outcomes
        self.assertEqual(request.receipts, ["r-2", "r-3"])

    def test_roomMeanwhile(self) -> None:
        """
        Meanwhile no more is claimed than is free of what still waits.
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

    def test_oneWhileIdle(self) -> None:
        """
        While a claim is open another is not made, though slots become free.
        """
        self.make(4, pollers=3)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.endTask(1, 2)
        self.assertEqual(self.passTime(10), [])
        self.assertEqual(len(self.queue.openClaims), 1)

    def test_oneByDefault(self) -> None:
        """
        With one poller there is one, even while claims come back full.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.endTask(1)
        self.passTime(0)
        self.endTask(2)
        self.assertEqual(self.passTime(10), [])

    def test_moreWhileFull(self) -> None:
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

    def test_oneAfterPartial(self) -> None:
        """
        Once one does not come back full, there is one again.
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

    def test_oneAfterFailure(self) -> None:
        """
        So it is once one has failed.
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

    def test_failuresOfOneMoment(self) -> None:
        """
        Claims that were open side by side and fail have failed once: the next comes
        soon, and a run to the end goes on.
        """
        self.failSideBySide(untilEmpty=True)
        [claim] = self.passTime(2.1)
        self.assertIsNone(self.source.hopeless)
        claim.fail(fault())
        self.assertEqual(len(self.passTime(2.1)), 1)

    def test_failuresAfterwards(self) -> None:
        """
        Those after that count.
        """
        self.failSideBySide(untilEmpty=True)
        self.queue.onClaim = lambda claim: claim.fail(fault())
        self.passTime(12)
        self.assertEqual(len(self.queue.claims), 6 + 4)
        self.assertIsNotNone(self.source.hopeless)

    def test_retryAfterOfOne(self) -> None:
        """
        When one is told to leave the endpoint alone, the failure of another does
        not cut that short.
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

    def test_stopBeforeStart(self) -> None:
        """
        To stop it before it was started, and twice, is harmless.
        """
        self.make(4)
        other = QueueTaskSource(
            self.queue, self.leases, self.settling, self.runTask, self.clock,
            wait=1, lease=1, interval=1, prefetch=0, pollers=1, mostUnsettled=1,
        )  # fmt: skip
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
        Stopped because all slots are taken, it claims what is missing of the
        prefetch, also after the endpoint has failed or had nothing.
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
        self.assertEqual(len(self.source.waiting), 2)


class CloseTests(SourceCase):
    """
    The end.
    """

    def test_nothingIsClaimed(self) -> None:
        """
        After it nothing is claimed, whatever happens.
        """
        self.make(2)
        self.claim.bring(*tasks(1, 2))
        self.successResultOf(self.close())
        self.source.start(self.consumer)
        self.endTask(1)
        self.leases.lose(["r-2"])
        self.assertEqual(self.passTime(100), [])

    def test_notBeforeItBegan(self) -> None:
        """
        Closed before it has made its first claim it makes none.
        """
        self.make(2)
        self.claim.bring(task(1))
        self.successResultOf(self.close())
        self.assertEqual(self.passTime(100), [])

    def test_notInTheBackoff(self) -> None:
        """
        Closed while it leaves the endpoint alone it makes no claim later.
        """
        self.make(2)
        self.claim.fail(busy(50))
        self.passTime(0)
        self.successResultOf(self.close())
        self.assertEqual(self.passTime(100), [])

    def test_closedByATask(self) -> None:
        """
        Where a task that waited closes it, nothing is claimed either.
        """
        self.make(1)
        self.claim.bring(*tasks(1, 2))
        # What it returns ends the task at once, so that its slot is free.
        self.onRun = self.close
        self.endTask(1)
        self.assertEqual(self.passTime(100), [])

    def test_claimsAreEnded(self) -> None:
        """
        The open claims are ended by name; it fires when the answer has come.
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

    def test_endedClaimIsNotAwaitedForLong(self) -> None:
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

    def test_claimsAreAwaited(self) -> None:
        """
        Where the endpoint cannot end claims they are awaited, and not told of.
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

    def test_claimsAreAwaitedWhereEndingFails(self) -> None:
        """
        So they are where ending them fails.
        """
        self.make(2)
        self.queue.onCancel = lambda request: request.fail(fault())
        closed = self.close()
        self.passTime(14)
        self.assertNoResult(closed)
        self.claim.bring()
        self.successResultOf(closed)

    def test_endingFoundLacking(self) -> None:
        """
        Where only then it turns out that they cannot be ended they are awaited, too.
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
        It does not fire while a request that ends a claim is open.
        """
        self.queue.onCancel = lambda request: None
        self.make(2)
        closed = self.close()
        self.claim.bring()
        self.assertNoResult(closed)
        for cancel in self.queue.cancels:
            cancel.take()
        self.successResultOf(closed)

    def test_waitingIsGivenBack(self) -> None:
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

    def test_arrivingIsGivenBack(self) -> None:
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

    def test_withoutReceiptIsLost(self) -> None:
        """
        What came without a receipt cannot be given back, which the log says.
        """
        self.make(1)
        self.claim.bring(Task("1", None), Task("2", None), Task("3", None))
        with capturedLogs() as logs:
            self.close()
        [event] = [e for e in logs if e["log_level"] == LogLevel.error]
        self.assertEqual((event["count"], event["ids"]), (2, "2, 3"))

    def test_failing(self) -> None:
        """
        A claim that fails is a claim that is open no longer.
        """
        self.make(2)
        closed = self.close()
        self.claim.fail(fault())
        self.successResultOf(closed)

    def test_abort(self) -> None:
        """
        Aborted, it waits for no claim, but lets the endpoint hear of their ends.
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


class ArrivalTests(SourceCase):
    """
    What a claim's answer may hold.
    """

    def test_surplus(self) -> None:
        """
        More tasks than asked for wait, leased, for a slot; nothing is claimed
        until they have one.
        """
        self.make(2)
        self.claim.bring(*tasks(1, 5))
        self.assertEqual(self.ids(), ["1", "2"])
        self.assertEqual(len(self.leases.held), 5)
        self.endTask(1, 2)
        self.assertEqual(self.passTime(0), [])
        self.assertEqual(self.ids(), ["1", "2", "3", "4"])
        self.endTask(3)
        self.assertEqual(self.passTime(0), [])
        self.endTask(4)
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)

    def test_receiptHeldAlready(self) -> None:
        """
        A task whose receipt is held already is ignored, with a warning a minute that
        counts such tasks.
        """
        self.make(4)
        with capturedLogs() as logs:
            self.claim.bring(task(1), task(1))
            for seconds in (0, 59, 1):
                [claim] = self.passTime(seconds)
                self.assertEqual(claim.limit, 3)
                claim.bring(task(1))
        self.assertEqual(self.ids(), ["1"])
        self.assertEqual(
            [(e["log_level"], e["count"], e["id"]) for e in logs],
            [(LogLevel.warn, 1, "1"), (LogLevel.warn, 3, "1")],
        )

    def test_malformed(self) -> None:
        """
        What is malformed is settled as failed, with the reason, and an error in the
        log; its neighbours run.
        """
        self.make(4)
        bad = Settlement("bad", "fail", error="no payload")
        with capturedLogs() as logs:
            self.claim.bring(task(1), malformed=[bad])
        [event] = [e for e in logs if e["log_level"] == LogLevel.error]
        self.assertEqual(event["reason"], "no payload")
        self.passTime(0)
        [request] = self.queue.settles
        self.assertEqual(request.settlements, [bad])
        self.assertEqual(self.ids(), ["1"])
        self.assertEqual(self.claim.limit, 3)

    def test_malformedTwice(self) -> None:
        """
        One that is malformed and comes again, before it is settled, is settled once.
        """
        self.make(4)
        bad = Settlement("bad", "fail", error="no payload")
        self.claim.bring(malformed=[bad, bad])
        self.passTime(0)
        self.assertEqual(self.queue.settles[0].settlements, [bad])

    def test_lostWhileWaiting(self) -> None:
        """
        A waiting task whose lease is lost is never started, and its place claimed.
        """
        self.make(1, prefetch=2)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.leases.lose(["r-2"])
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.ids(), ["1", "3"])

    def test_waitingIsExtended(self) -> None:
        """
        What waits is kept alive.
        """
        self.make(1, prefetch=1)
        self.claim.bring(*tasks(1, 2))
        self.passTime(20)
        [beat] = self.queue.beats
        self.assertEqual(beat.receipts, ["r-1", "r-2"])


class EmptyTests(SourceCase):
    """
    Answers that bring nothing new.
    """

    def test_early(self) -> None:
        """
        After an empty answer that came early the interval, counted from the claim,
        is waited out.
        """
        self.make(interval=3.0)
        self.passTime(1)
        self.claim.bring()
        self.assertEqual(self.passTime(1.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_late(self) -> None:
        """
        After one that came late the next claim is made at once.
        """
        self.make(interval=3.0)
        self.passTime(3)
        self.claim.bring()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_slotFreedMeanwhile(self) -> None:
        """
        A slot that is freed meanwhile does not cut that short.
        """
        self.make(4, interval=3.0)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.claim.bring()
        self.endTask(1)
        self.assertEqual(self.passTime(2.9), [])
        [claim] = self.passTime(0.1)
        self.assertEqual(claim.limit, 2)

    def test_notEmpty(self) -> None:
        """
        After an answer that brings something the next claim is made at once.
        """
        self.make(4, interval=3.0)
        self.claim.bring(task(1))
        self.assertEqual(len(self.passTime(0)), 1)

    def test_nothingNew(self) -> None:
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

    def test_malformedOnly(self) -> None:
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

    def test_fault(self) -> None:
        """
        After a fault it claims again, with backoff, under another name.
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

    def test_faultEndsTheClaim(self) -> None:
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

    def test_faultWithoutEnding(self) -> None:
        """
        Where the endpoint cannot end claims it is not asked to.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(4)
        before = len(self.queue.cancels)
        self.claim.fail(fault())
        self.assertEqual(len(self.queue.cancels), before)

    def test_retryAfter(self) -> None:
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

    def test_retryAfterNothing(self) -> None:
        """
        C{Retry-After: 0} leaves the backoff.
        """
        self.make(4)
        self.claim.fail(busy(0))
        self.assertEqual(self.passTime(0.4), [])
        self.assertEqual(len(self.passTime(1.2)), 1)

    def test_slotFreedMeanwhile(self) -> None:
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

    def test_refusal(self) -> None:
        """
        After a refusal it claims again after 30 s; nothing is to be ended.
        """
        self.make(4)
        before = len(self.queue.cancels)
        with capturedLogs() as logs:
            self.claim.fail(refusal())
        self.assertEqual([e["log_level"] for e in logs], [LogLevel.error])
        self.assertEqual(len(self.queue.cancels), before)
        self.assertEqual(self.passTime(29.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_refusalIsLoggedOnce(self) -> None:
        """
        The same refusal again and again is not logged each time.
        """
        self.queue.onClaim = lambda claim: claim.fail(refusal())
        with capturedLogs() as logs:
            self.make(4)
            self.passTime(59)
        self.assertEqual(len(self.queue.claims), 2)
        self.assertEqual(len(logs), 1)

    def test_unexpected(self) -> None:
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

    def test_unexpectedAnswer(self) -> None:
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

    def test_unexpectedEnding(self) -> None:
        """
        So it is with one that raises when a claim is to be ended.
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

    def test_undone(self) -> None:
        """
        What was leased under such a claim goes back.
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

    def test_sideBySide(self) -> None:
        """
        Claims that were open side by side halve it once.
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

    def test_oneTask(self) -> None:
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

    def test_untilEmpty(self) -> None:
        """
        To be halved often is no reason to give up.
        """
        self.fits = 1
        self.make(1000, untilEmpty=True)
        self.passTime(1.05)
        self.assertIsNone(self.source.hopeless)
        self.assertIn(1, self.limits())


class ProbeTests(SourceCase):
    """
    Whether the endpoint can be told to end a claim.
    """

    def test_atTheStart(self) -> None:
        """
        It is asked once, at the start, by the end of a claim never made.
        """
        self.make(1)
        [probe] = self.queue.cancels
        self.assertNotEqual(probe.claim, self.claim.claim)
        for number in range(3):
            self.claim.bring(task(number))
            self.endTask(number)
            self.passTime(100)
        self.assertEqual(self.queue.cancels, [probe])

    def test_unknown(self) -> None:
        """
        While that is not known no claim waits longer than 5 s.
        """
        self.queue.onCancel = lambda request: None
        self.make(1)
        self.assertEqual(self.claim.wait, 5)
        self.queue.cancels[0].take()
        self.claim.bring(task(1))
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.claim.wait, 20)

    def test_lacking(self) -> None:
        """
        Where it cannot, no claim waits longer than 5 s; it is asked again every ten
        minutes, and a change is logged.
        """
        self.queue.onCancel = lambda request: request.take(False)
        with capturedLogs() as logs:
            self.make(1)
            for _ in range(2 * int(PROBE_INTERVAL / 5)):
                self.assertEqual(self.claim.wait, 5)
                self.passTime(5)
                self.claim.bring()
                self.passTime(0)
        self.assertEqual(
            [cancel.made for cancel in self.queue.cancels],
            [1000, 1000 + PROBE_INTERVAL, 1000 + 2 * PROBE_INTERVAL],
        )
        [event] = logs
        self.assertIn("cannot end claims", event["log_format"])
        self.assertEqual(event["log_level"], LogLevel.info)

    def test_foundLater(self) -> None:
        """
        Where it can after all, claims wait for as long as they are to; that is logged.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(1)
        self.queue.onCancel = Cancel.take
        with capturedLogs() as logs:
            for _ in range(int(PROBE_INTERVAL / 5) + 1):
                self.passTime(5)
                self.claim.bring()
                self.passTime(0)
        self.assertEqual(self.claim.wait, 20)
        self.assertEqual(len(self.queue.cancels), 2)
        self.assertEqual(
            [e["log_format"] for e in logs], ["The endpoint can end claims now"]
        )

    def test_notFoundOnce(self) -> None:
        """
        An endpoint that could end claims, and says once that it cannot end a certain
        one, is probed with the next claim.
        """
        self.make(1)
        self.queue.onCancel = lambda request: request.take(False)
        with capturedLogs() as logs:
            self.claim.fail(fault())
            self.queue.onCancel = Cancel.take
            self.passTime(2)
        self.assertEqual(self.claim.wait, 20)
        self.assertEqual([e["log_level"] for e in logs], [LogLevel.warn])
        names = [cancel.claim for cancel in self.queue.cancels]
        self.assertEqual(len(names), 4)
        self.assertEqual(names.count(self.queue.claims[0].claim), 2)

    def test_askedAfterAnOutage(self) -> None:
        """
        Where it was lacking it is asked again once claims work after failures, and
        what could not be undone meanwhile is.
        """
        self.make(1)
        self.queue.onCancel = lambda request: request.take(False)
        self.claim.fail(fault())
        self.passTime(2)
        self.assertEqual(self.claim.wait, 5)
        self.claim.fail(fault())
        self.passTime(3)
        self.queue.onCancel = Cancel.take
        before = len(self.queue.cancels)
        self.claim.bring(task(1))
        self.assertCountEqual(
            [cancel.claim for cancel in self.queue.cancels[before + 1 :]],
            [claim.claim for claim in self.queue.claims[:2]],
        )
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.claim.wait, 20)

    def test_notAskedAfterAnOutage(self) -> None:
        """
        Where it is known that it can, an outage is no reason to ask.
        """
        self.make(1)
        self.claim.fail(busy(1))
        self.passTime(2)
        self.claim.bring(task(1))
        self.assertEqual(len(self.queue.cancels), 1)

    def test_refused(self) -> None:
        """
        Where the endpoint refuses to be asked, the log has the reason, once.
        """
        self.queue.onCancel = lambda request: request.fail(refusal())
        with capturedLogs() as logs:
            self.make(1)
            for _ in range(12):
                self.passTime(5)
                self.claim.bring()
                self.passTime(0)
        self.assertEqual(len(self.queue.cancels), 3)
        [event] = logs
        self.assertEqual(
            (event["log_level"], event["what"], event["reason"]),
            (LogLevel.error, "Requests to end claims", "the token is wrong"),
        )

    def test_selfTimed(self) -> None:
        """
        A queue that is not told of a wait has all of it in any case: it cannot end
        claims, and it may be read to its end.
        """
        directlyProvides(self.queue, ISelfTimedTaskQueue)
        self.queue.onCancel = lambda request: request.take(False)
        for untilEmpty in (False, True):
            with self.subTest(untilEmpty=untilEmpty):
                self.make(1, wait=60.0, untilEmpty=untilEmpty)
                self.assertEqual(self.claim.wait, 60)
                self.close()
                self.claim.bring()

    def test_shorterWait(self) -> None:
        """
        A wait that is shorter than that is kept.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(1, wait=2.0)
        self.assertEqual(self.claim.wait, 2)

    def test_askedAgain(self) -> None:
        """
        Where asking fails it is asked again, with a claim, half a minute later.
        """
        self.queue.onCancel = lambda request: request.fail(fault())
        self.make(1)
        for _ in range(12):
            self.passTime(5)
            self.claim.bring()
            self.passTime(0)
        self.assertEqual(
            [cancel.made for cancel in self.queue.cancels], [1000, 1030, 1060]
        )
        self.queue.onCancel = Cancel.take
        for _ in range(6):
            self.passTime(5)
            self.claim.bring()
            self.passTime(0)
        self.passTime(5)
        self.claim.bring()
        self.passTime(0)
        self.assertEqual(self.claim.wait, 20)


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

    def test_pauses(self) -> None:
        """
        With more than that unsettled nothing is claimed; once it is settled, claims
        go on at once.
        """
        self.make(2, mostUnsettled=8)
        self.settle(9)
        self.claim.bring()
        self.assertEqual(self.passTime(10), [])
        self.queue.outcomes[0].take()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_atTheBound(self) -> None:
        """
        With just that many, claims go on.
        """
        self.make(2, mostUnsettled=8)
        self.settle(8)
        self.claim.bring()
        self.assertEqual(len(self.passTime(1)), 1)

    def test_givenUp(self) -> None:
        """
        They go on too when those are given up.
        """
        self.make(2, mostUnsettled=8)
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
        """
        Make such a source.
        """
        super().make(limit, untilEmpty=True, **options)

    def test_doesNotWait(self) -> None:
        """
        Claims do not wait.
        """
        self.make()
        self.assertEqual(self.claim.wait, 0)

    def test_empty(self) -> None:
        """
        It ends at an empty answer, with nothing running.
        """
        self.make()
        self.claim.bring()
        self.successResultOf(self.end)
        self.assertIsNone(self.source.hopeless)
        self.assertEqual(self.passTime(1000), [])

    def test_dropped(self) -> None:
        """
        An answer of which nothing could be used is not an empty one; nor is it
        asked for again at once.
        """
        self.make()
        self.claim.bring(dropped=1)
        self.assertNoResult(self.end)
        self.assertEqual(self.passTime(0.9), [])
        [claim] = self.passTime(0.1)
        claim.bring()
        self.successResultOf(self.end)

    def test_running(self) -> None:
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

    def test_unsettled(self) -> None:
        """
        Nor does one to a claim made while something was unsettled.
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

    def test_runningWhenAnswered(self) -> None:
        """
        Nor does one that comes while something runs.
        """
        self.make()
        self.consumer.taskStarted(lambda: self.runTask(task(1), None))
        self.claim.bring()
        self.assertNoResult(self.end)
        self.endTask(1)
        self.passTime(1)
        self.claim.bring()
        self.successResultOf(self.end)

    def test_failures(self) -> None:
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
        assert self.source.hopeless is not None
        self.assertIs(self.source.hopeless.value, error)
        self.assertEqual(self.passTime(1000), [])

    def test_failuresInARow(self) -> None:
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

    def test_refusal(self) -> None:
        """
        One refusal ends it.
        """
        self.make()
        self.claim.fail(refusal())
        self.passTime(0)
        self.successResultOf(self.end)
        assert self.source.hopeless is not None
        self.assertIsInstance(self.source.hopeless.value, QueueError)

    def test_refusalWhileRunning(self) -> None:
        """
        While something runs it goes on, and ends with it.
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
        self.assertIsNotNone(self.source.hopeless)

    def test_refusalThenSuccess(self) -> None:
        """
        A claim that succeeds meanwhile gives new hope.
        """
        self.make()
        self.claim.bring(task(1))
        self.passTime(0)
        self.claim.fail(refusal())
        self.passTime(30)
        self.claim.bring()
        self.assertIsNone(self.source.hopeless)
        self.endTask(1)
        self.passTime(1)
        self.assertNoResult(self.end)
        self.claim.bring()
        self.successResultOf(self.end)
        self.assertIsNone(self.source.hopeless)

    def test_withoutIt(self) -> None:
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


class RateTests(SourceCase):
    """
    A source that starts so many tasks a second.
    """

    def setUp(self) -> None:
        """
        Note when tasks start.
        """
        super().setUp()
        self.starts: list[float] = []
        self.onRun = self.note

    def note(self) -> None:
        """
        A task starts.
        """
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
        It never asks for more than may start now, nor for more than is free.
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
        One that may start is claimed exactly when it may, not before, though slots
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

    def test_ahead(self) -> None:
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

    def test_waitingIsNotAhead(self) -> None:
        """
        Claims that wait for their tasks make it claim a second ahead, no more; the
        first that need not wait ends that.
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
            self.assertEqual(len(self.source.waiting), 0)
        self.assertEqual(len(self.starts), 7)

    def test_prefetch(self) -> None:
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
                self.assertEqual(len(self.source.waiting), waiting)
                self.successResultOf(self.close())
                for lease in list(self.leases.held.values()):
                    self.leases.drop(lease)

    def test_prefetchIsFilled(self) -> None:
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
        self.assertEqual(len(self.source.waiting), 3)
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

    def test_slotFreed(self) -> None:
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
        With nothing to be done it does not wake again and again.
        """
        self.make(1, rate=100.0)
        self.claim.bring(task(1))
        self.passTime(1)
        self.assertEqual(self.wakings(), [])

    def test_sleepsWhileAClaimIsOpen(self) -> None:
        """
        Nor while it waits for an answer.
        """
        self.make(4, rate=2.0)
        self.passTime(1)
        self.assertEqual(self.wakings(), [])

    def test_saved(self) -> None:
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

    def test_throughput(self) -> None:
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

    def test_backoffIsLonger(self) -> None:
        """
        Where the endpoint is to be left alone it is, though a task may start.
        """
        self.make(4, rate=2.0)
        self.claim.bring(task(1))
        [claim] = self.passTime(0.5)
        claim.fail(busy(5))
        self.assertEqual(self.passTime(4.9), [])
        self.assertEqual(len(self.passTime(1.7)), 1)

    def test_backoffIsShorter(self) -> None:
        """
        And where it need not be left alone any more nothing is claimed before a
        task may start.
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

    def test_interval(self) -> None:
        """
        An early empty answer makes it wait for the interval, not for its rate.
        """
        self.make(4, rate=100.0, interval=3.0)
        self.claim.bring()
        self.assertEqual(self.passTime(2.9), [])
        self.assertEqual(len(self.passTime(0.1)), 1)

    def test_earliestWakes(self) -> None:
        """
        What waits starts in its time while the endpoint is left alone for longer;
        that is left alone for as long all the same; and there is never more than
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

    def test_oneTimer(self) -> None:
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

    def test_untilEmpty(self) -> None:
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

    def test_untilEmptyWaits(self) -> None:
        """
        What such a claim finds waits for its time, and nothing is claimed meanwhile.
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

    def test_closed(self) -> None:
        """
        Closed, it does not wake any more, and what waits is given back.
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

    def test_lostWhileWaiting(self) -> None:
        """
        What waits and is lost takes no turn.
        """
        self.make(4, rate=1.0)
        self.claim.bring(*tasks(1, 3))
        self.leases.lose(["r-2"])
        self.passTime(1)
        self.assertEqual((self.ids(), self.starts), (["1", "3"], [0, 1]))


class UndoneTests(SourceCase):
    """
    A source whose endpoint goes away with a claim, and comes back.
    """

    def setUp(self) -> None:
        """
        Have a claim fail, and its end not heard.
        """
        super().setUp()
        self.make(4, lease=3600.0)
        self.before = len(self.queue.cancels)
        self.queue.onCancel = lambda cancel: cancel.fail(fault())
        self.lost = self.failed()

    def failed(self) -> str:
        """
        Have the last claim fail.

        @return: Its name.
        """
        self.claim.fail(fault())
        return self.claim.claim

    def told(self) -> list[str]:
        """
        Give the names of the claims that the endpoint was told to end since this was
        last asked.
        """
        told = [cancel.claim for cancel in self.queue.cancels[self.before :]]
        self.before = len(self.queue.cancels)
        return told

    def test_toldAgain(self) -> None:
        """
        It is told again with each claim until it is heard: of one claim at a time,
        and once that is heard of the others.
        """
        self.assertEqual(self.told(), [self.lost])
        self.passTime(2)
        self.assertEqual(self.told(), [self.lost])
        others = [self.failed()]
        self.passTime(3)
        others.append(self.failed())
        self.assertEqual(len(self.told()), 3)
        self.queue.onCancel = lambda cancel: cancel.take()
        self.passTime(5)
        self.assertCountEqual(self.told(), [self.lost, *others])
        self.failed()
        self.told()
        self.passTime(10)
        self.assertEqual(self.told(), [])

    def test_notForLongerThanTheLease(self) -> None:
        """
        Once what may be leased has gone back by itself nothing is told.
        """
        self.told()
        self.source.pause("a")
        self.passTime(3601)
        self.told()
        self.source.resume("a")
        self.passTime(0)
        self.assertNotIn(self.lost, self.told())

    def test_notMany(self) -> None:
        """
        In a long outage no more are kept than may have been heard of.
        """
        for _ in range(3 * MOST_UNDONE):
            self.passTime(1 if self.queue.openClaims else 40)
            if self.queue.openClaims:
                self.failed()
        self.told()
        self.queue.onCancel = lambda cancel: cancel.take()
        self.passTime(40)
        self.assertLessEqual(len(self.told()), MOST_UNDONE)

    def test_close(self) -> None:
        """
        It is told when the source is closed.
        """
        self.told()
        self.queue.onCancel = lambda cancel: cancel.take()
        self.close()
        self.assertIn(self.lost, self.told())


class PauseTests(SourceCase):
    """
    A source that is told to claim nothing for a while.
    """

    def pause(self, *reasons: str) -> list[str]:
        """
        Pause it.

        @return: The names of the claims that are ended because of that.
        """
        before = len(self.queue.cancels)
        for reason in reasons or ("a",):
            self.source.pause(reason)
        return [cancel.claim for cancel in self.queue.cancels[before:]]

    def test_nothingIsClaimed(self) -> None:
        """
        Paused, nothing is claimed, whatever happens; resumed, what is free is, at
        once.
        """
        self.make(4)
        self.claim.bring(*tasks(1, 4))
        self.passTime(0)
        self.pause()
        self.endTask(1, 2)
        self.leases.lose(["r-3"])
        self.source.start(self.consumer)
        self.assertEqual(self.passTime(100), [])
        self.source.resume("a")
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 2)

    def test_claimsAreEnded(self) -> None:
        """
        The open claims are ended by name.
        """
        self.make(4, pollers=2)
        self.claim.bring(*tasks(1, 4))
        self.passTime(0)
        for id in (1, 2):
            self.endTask(id)
            self.passTime(0)
        opened = [claim.claim for claim in self.queue.openClaims]
        self.assertEqual(len(opened), 2)
        self.assertCountEqual(self.pause(), opened)

    def test_endedOnce(self) -> None:
        """
        They are ended once, whatever else there is to pause for.
        """
        self.make(4)
        self.assertEqual(len(self.pause("a")), 1)
        self.assertEqual(self.pause("b", "a"), [])

    def test_endedClaimIsAnswered(self) -> None:
        """
        When the answer of an ended claim has come nothing else is claimed; resumed,
        it is.
        """
        self.make(4)
        self.pause()
        self.claim.bring()
        self.assertEqual(self.passTime(100), [])
        self.source.resume("a")
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 4)

    def test_endedClaimIsNotAwaitedForLong(self) -> None:
        """
        A claim that the endpoint says is ended, but is not answered, is dropped
        after a second; that is no failure, and needs no word.
        """
        self.make(4)
        self.assertEqual(len(self.pause()), 1)
        with capturedLogs() as logs:
            self.passTime(0.9)
            self.assertFalse(self.claim.dropped)
            self.passTime(0.1)
        self.assertTrue(self.claim.dropped)
        self.assertEqual(logs, [])
        before = len(self.queue.cancels)
        self.source.resume("a")
        self.assertEqual(len(self.passTime(0)), 1)
        self.assertEqual(self.queue.cancels[before:], [])

    def test_resumedBeforeTheAnswer(self) -> None:
        """
        Resumed before an ended claim is answered, there is another once it is, or
        is dropped; and what it brings all the same is run.
        """
        self.make(4)
        self.pause()
        self.source.resume("a")
        self.assertEqual(self.passTime(0.9), [])
        [claim] = self.passTime(0.1)
        self.pause()
        self.source.resume("a")
        claim.bring(task(1))
        [claim] = self.passTime(0)
        self.assertEqual((self.ids(), claim.limit), (["1"], 3))

    def test_resumedBeforeAnEmptyAnswer(self) -> None:
        """
        An ended claim that is answered early and empty is no reason to wait for the
        interval.
        """
        self.make(4)
        self.pause()
        self.source.resume("a")
        self.claim.bring()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_claimsAreAwaited(self) -> None:
        """
        Where the endpoint cannot end claims they are not told of, and not dropped.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(2)
        self.assertEqual(self.pause(), [])
        self.passTime(14)
        self.assertFalse(self.claim.dropped)
        self.claim.bring(task(1))
        self.assertEqual(self.passTime(10), [])
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.queue.outcomes[0].receipts, ["r-1"])

    def test_endingRepeated(self) -> None:
        """
        An end that fails is tried again, three times in all, with some time between;
        and then with the claims that are made later.
        """
        self.make(2)
        self.queue.onCancel = lambda request: request.fail(fault())
        name, before = self.claim.claim, len(self.queue.cancels)
        self.pause()
        self.passTime(14)
        self.assertEqual(
            [(each.claim, each.made) for each in self.queue.cancels[before:]],
            [(name, 1000), (name, 1000 + PAUSE), (name, 1000 + 2 * PAUSE)],
        )
        self.assertFalse(self.claim.dropped)
        self.claim.fail(fault())
        self.queue.onCancel = Cancel.take
        self.source.resume("a")
        self.passTime(1)
        self.assertEqual(
            [each.claim for each in self.queue.cancels[before + 3 :]], [name]
        )

    def test_endingRepeatedWhileAnswered(self) -> None:
        """
        A claim that is answered meanwhile needs no other try to end it.
        """
        self.make(2)
        self.queue.onCancel = lambda request: request.fail(fault())
        before = len(self.queue.cancels)
        self.pause()
        self.claim.bring()
        self.passTime(14)
        self.assertEqual(len(self.queue.cancels), before + 1)

    def test_endingWhileTheEndpointIsAway(self) -> None:
        """
        An ended claim that breaks before the endpoint has been told is undone as soon
        as it can be told.
        """
        self.make(2)
        self.queue.onCancel = lambda request: request.fail(fault())
        name, before = self.claim.claim, len(self.queue.cancels)
        self.pause()
        self.claim.fail(fault())
        self.queue.onCancel = Cancel.take
        self.passTime(14)
        self.assertEqual(
            [each.claim for each in self.queue.cancels[before:]], [name] * 2
        )

    def test_answeredAsItIsEnded(self) -> None:
        """
        What an ended claim brings is given back, if it comes while that is asked
        for, too.
        """
        self.make(4)
        claim = self.claim

        def end(cancel: Cancel) -> None:
            claim.bring(task(1))
            cancel.take()

        self.queue.onCancel = end
        self.pause()
        self.assertEqual(self.passTime(10), [])
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.queue.outcomes[0].receipts, ["r-1"])

    def test_waitingIsGivenBack(self) -> None:
        """
        What waits is released, uncounted; what runs goes on.
        """
        self.make(1, prefetch=2)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.pause()
        self.passTime(0)
        [request] = self.queue.outcomes
        self.assertEqual(
            request.settlements,
            [
                Settlement("r-2", "release", counted=False),
                Settlement("r-3", "release", counted=False),
            ],
        )
        request.take()
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.ids(), ["1"])

    def test_arrivingIsGivenBack(self) -> None:
        """
        So is what still arrives, and malformed ones are failed.
        """
        self.make(4)
        self.pause()
        bad = Settlement("r-9", "fail", error="no payload")
        self.claim.bring(task(1), malformed=[bad])
        self.passTime(0)
        self.assertEqual(
            [request.settlements for request in self.queue.outcomes],
            [[bad], [Settlement("r-1", "release", counted=False)]],
        )
        self.assertEqual(self.ids(), [])

    def test_withoutReceiptWaits(self) -> None:
        """
        What came without a receipt cannot be given back: it waits and is run later,
        whether it waited before or arrives only then.
        """
        self.make(1)
        self.claim.bring(Task("1", None), Task("2", None))
        self.passTime(0)
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.ids(), ["1", "2"])
        self.endTask(2)
        [claim] = self.passTime(0)
        with capturedLogs() as logs:
            self.pause()
            claim.bring(Task("3", None), task(4), Task("5", None))
            self.passTime(100)
            self.assertEqual(self.ids(), ["1", "2"])
            self.assertEqual(self.queue.outcomes[0].receipts, ["r-4"])
            self.source.resume("a")
            self.passTime(0)
            self.assertEqual(self.ids(), ["1", "2", "3"])
            self.pause()
            self.endTask(3)
            self.passTime(100)
            self.source.resume("a")
            self.passTime(0)
        self.assertEqual(self.ids(), ["1", "2", "3", "5"])
        self.assertEqual(logs, [])

    def test_runningGoesOn(self) -> None:
        """
        What runs goes on, its lease kept alive, and its end is its own.
        """
        self.make(2)
        self.claim.bring(*tasks(1, 2))
        self.pause()
        self.passTime(20)
        [beat] = self.queue.beats
        self.assertEqual(beat.receipts, ["r-1", "r-2"])
        beat.take()
        self.assertEqual(len(self.running), 2)
        self.endTask(1, 2)
        self.assertEqual(self.consumer.running, 0)

    def test_severalReasons(self) -> None:
        """
        It lasts as long as there is any reason, however often each was told.
        """
        self.make(4)
        self.pause("a", "b", "b")
        self.claim.bring()
        for reason in ("a", "c", "a"):
            self.source.resume(reason)
            self.assertEqual(self.passTime(10), [])
        self.source.resume("b")
        self.assertEqual(len(self.passTime(0)), 1)

    def test_resumedWithoutPause(self) -> None:
        """
        To resume what is not paused is harmless.
        """
        self.make(4)
        for _ in range(3):
            self.source.resume("a")
        self.assertEqual(self.passTime(1), [])

    def test_beforeItBegins(self) -> None:
        """
        Paused before it is started, it claims nothing when it is.
        """
        self.source = QueueTaskSource(
            self.queue, self.leases, self.settling, self.runTask, self.clock,
            wait=20, lease=60, interval=1, prefetch=0, pollers=1, mostUnsettled=16,
        )  # fmt: skip
        self.source.pause("a")
        consumer = ParallelLimitedTaskConsumer(4)
        consumer.consume(self.source)
        self.assertEqual(self.passTime(100), [])
        self.assertEqual(self.queue.cancels, [])
        self.source.resume("a")
        self.assertEqual(len(self.passTime(0)), 1)

    def test_resumedBeforeItBegins(self) -> None:
        """
        Nor does it claim when it is resumed before that.
        """
        source = QueueTaskSource(
            self.queue, self.leases, self.settling, self.runTask, self.clock,
            wait=20, lease=60, interval=1, prefetch=0, pollers=1, mostUnsettled=16,
        )  # fmt: skip
        source.pause("a")
        source.resume("a")
        self.assertEqual(self.passTime(10), [])
        self.source = source

    def test_noFailureIsCounted(self) -> None:
        """
        A claim that was ended and fails has not failed: the next comes at once, and
        nothing is logged; a failure after that is the first.
        """
        self.make(4)
        with capturedLogs() as logs:
            for error in (fault(), refusal(), busy(100)):
                self.pause()
                self.claim.fail(error)
                self.source.resume("a")
                self.assertEqual(len(self.passTime(0)), 1)
        self.assertEqual(logs, [])
        self.claim.fail(fault())
        self.assertEqual(self.passTime(0.4), [])
        self.assertEqual(len(self.passTime(1.2)), 1)

    def test_noFailureIsCountedUntilEmpty(self) -> None:
        """
        Nor do such make a run to the end give up.
        """
        self.make(4, untilEmpty=True)
        for error in (refusal(), *[fault()] * 5):
            self.pause()
            self.claim.fail(error)
            self.source.resume("a")
            self.assertEqual(len(self.passTime(0)), 1)
        self.assertIsNone(self.source.hopeless)
        self.assertNoResult(self.end)

    def test_backoffGoesOn(self) -> None:
        """
        Where the endpoint is to be left alone, to pause and resume changes nothing
        of that.
        """
        self.make(4)
        self.claim.fail(busy(50))
        self.pause()
        self.passTime(10)
        self.source.resume("a")
        self.assertEqual(self.passTime(39.9), [])
        self.assertEqual(len(self.passTime(1.2)), 1)

    def test_backoffEndsWhilePaused(self) -> None:
        """
        Once that is over nothing is claimed, as long as it is paused.
        """
        self.make(4)
        self.claim.fail(busy(5))
        self.pause()
        self.assertEqual(self.passTime(100), [])
        self.source.resume("a")
        self.assertEqual(len(self.passTime(0)), 1)

    def test_untilEmpty(self) -> None:
        """
        An empty answer while it is paused does not end the run; the first one
        after it does.
        """
        self.make(4, untilEmpty=True)
        self.pause()
        self.claim.bring()
        self.passTime(100)
        self.assertNoResult(self.end)
        self.source.resume("a")
        [claim] = self.passTime(0)
        claim.bring()
        self.successResultOf(self.end)

    def test_untilEmptyResumedBeforeTheAnswer(self) -> None:
        """
        Nor does the empty answer of a claim that was ended, if it comes once all
        goes on: it is empty since it was ended.
        """
        self.make(4, untilEmpty=True)
        self.pause()
        self.source.resume("a")
        self.claim.bring()
        self.assertNoResult(self.end)
        [claim] = self.passTime(1)
        claim.bring()
        self.successResultOf(self.end)

    def test_untilEmptyGivenBack(self) -> None:
        """
        What was given back is there when it goes on: the run does not end before
        that is acknowledged.
        """
        self.make(1, untilEmpty=True)
        self.pause()
        self.claim.bring(task(1))
        self.passTime(0)
        self.source.resume("a")
        [claim] = self.passTime(1)
        claim.bring()
        self.assertNoResult(self.end)
        self.queue.outcomes[0].take()
        [claim] = self.passTime(1)
        claim.bring()
        self.successResultOf(self.end)

    def test_afterTheEnd(self) -> None:
        """
        Once the run has ended nothing is claimed, paused and resumed or not.
        """
        self.make(4, untilEmpty=True)
        self.claim.bring()
        self.successResultOf(self.end)
        self.assertEqual(self.pause(), [])
        self.source.resume("a")
        self.assertEqual(self.passTime(100), [])

    def test_closed(self) -> None:
        """
        Closed, neither has any meaning.
        """
        self.make(4)
        closed = self.close()
        self.claim.bring()
        self.successResultOf(closed)
        self.assertEqual(self.pause(), [])
        self.source.resume("a")
        self.assertEqual(self.passTime(100), [])

    def test_closedWhilePaused(self) -> None:
        """
        It can be closed while it is paused: it fires when the ended claim has come
        back.
        """
        self.make(4)
        self.pause()
        closed = self.close()
        self.assertNoResult(closed)
        self.claim.bring(task(1))
        self.successResultOf(closed)
        self.passTime(0)
        self.assertEqual(self.queue.outcomes[0].receipts, ["r-1"])
        self.source.resume("a")
        self.assertEqual(self.passTime(100), [])

    def test_pausedByATask(self) -> None:
        """
        Where a task pauses it, those that came with it are given back.
        """
        self.make(3)
        self.onRun = self.pause
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.assertEqual(self.ids(), ["1"])
        [request] = self.queue.outcomes
        self.assertEqual(request.receipts, ["r-2", "r-3"])
        self.assertEqual(self.passTime(100), [])

    def test_rate(self) -> None:
        """
        A rate goes on meanwhile: resumed, what may start is claimed, no more.
        """
        self.make(4, rate=1.0)
        self.claim.bring(task(1))
        self.pause()
        self.passTime(0.5)
        self.source.resume("a")
        self.assertEqual(self.passTime(0.4), [])
        [claim] = self.passTime(0.1)
        claim.bring(*tasks(2, 3))
        self.pause()
        self.passTime(10)
        self.assertEqual(self.ids(), ["1", "2"])
        self.source.resume("a")
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
