"""
A source that is paused and resumed.
"""

from __future__ import annotations

from twisted.logger import capturedLogs

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.pipeline.claims import PAUSE
from myconsumer.task import Settlement, Task
from myconsumer.testing import Cancel
from tests.model import busy, fault, refusal, task, tasks
from tests.pipeline.case import SourceCase


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

    def test_claimsNothing(self) -> None:
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

    def test_endsOpenClaims(self) -> None:
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

    def test_endsClaimsOnce(self) -> None:
        """
        Open claims are ended once, whatever further reasons to pause there are.
        """
        self.make(4)
        self.assertEqual(len(self.pause("a")), 1)
        self.assertEqual(self.pause("b", "a"), [])

    def test_claimsNothingAfterAnEndedClaim(self) -> None:
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

    def test_dropsAnEndedClaim(self) -> None:
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

    def test_claimsAgainOnceAnEndedClaimIsOver(self) -> None:
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

    def test_claimsAtOnceAfterAnEndedClaim(self) -> None:
        """
        An ended claim that is answered early and empty is no reason to wait for the
        interval.
        """
        self.make(4)
        self.pause()
        self.source.resume("a")
        self.claim.bring()
        self.assertEqual(len(self.passTime(0)), 1)

    def test_awaitsClaimsThatCannotBeEnded(self) -> None:
        """
        Where the endpoint cannot end claims, no request to end one is sent, and none is
        dropped.
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

    def test_repeatsAnEndThatFails(self) -> None:
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

    def test_stopsEndingAnAnsweredClaim(self) -> None:
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

    def test_undoesAnEndedClaimLater(self) -> None:
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

    def test_givesBackWhatAnEndedClaimBrings(self) -> None:
        """
        What an ended claim brings is given back, also if it comes while the request to
        end it is sent.
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

    def test_givesBackWhatWaits(self) -> None:
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

    def test_givesBackWhatArrives(self) -> None:
        """
        What still arrives is released, uncounted, and malformed tasks are failed.
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

    def test_keepsTasksWithoutReceipt(self) -> None:
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

    def test_leavesRunningTasksAlone(self) -> None:
        """
        A pause lets running tasks go on, with their leases kept alive, until they end
        by themselves.
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

    def test_lastsForAsLongAsAReason(self) -> None:
        """
        A pause lasts as long as there is any reason, however often each was given.
        """
        self.make(4)
        self.pause("a", "b", "b")
        self.claim.bring()
        for reason in ("a", "c", "a"):
            self.source.resume(reason)
            self.assertEqual(self.passTime(10), [])
        self.source.resume("b")
        self.assertEqual(len(self.passTime(0)), 1)

    def test_resumesWithoutPause(self) -> None:
        """
        To resume a source that is not paused is harmless.
        """
        self.make(4)
        for _ in range(3):
            self.source.resume("a")
        self.assertEqual(self.passTime(1), [])

    def test_claimsNothingWhenStartedPaused(self) -> None:
        """
        A source that was paused before its start claims nothing when it is started.
        """
        self.source = self.makeSource()
        self.source.pause("a")
        consumer = ParallelLimitedTaskConsumer(4)
        consumer.consume(self.source)
        self.assertEqual(self.passTime(100), [])
        self.assertEqual(self.queue.cancels, [])
        self.source.resume("a")
        self.assertEqual(len(self.passTime(0)), 1)

    def test_claimsNothingWhenResumedBeforeItStarts(self) -> None:
        """
        Resumed before it is started, the source claims nothing until it is.
        """
        source = self.makeSource()
        source.pause("a")
        source.resume("a")
        self.assertEqual(self.passTime(10), [])
        self.source = source

    def test_countsNoFailureOfAnEndedClaim(self) -> None:
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

    def test_doesNotGiveUpForEndedClaims(self) -> None:
        """
        Ended claims that fail do not make a run to the end give up.
        """
        self.make(4, untilEmpty=True)
        for error in (refusal(), *[fault()] * 5):
            self.pause()
            self.claim.fail(error)
            self.source.resume("a")
            self.assertEqual(len(self.passTime(0)), 1)
        self.assertIsNone(self.source.givenUp)
        self.assertNoResult(self.end)

    def test_keepsTheBackoff(self) -> None:
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

    def test_staysPausedAfterTheBackoff(self) -> None:
        """
        Once the backoff is over nothing is claimed, as long as the source is paused.
        """
        self.make(4)
        self.claim.fail(busy(5))
        self.pause()
        self.assertEqual(self.passTime(100), [])
        self.source.resume("a")
        self.assertEqual(len(self.passTime(0)), 1)

    def test_doesNotEndWhilePaused(self) -> None:
        """
        An empty answer while the source is paused does not end the run; the first one
        after the pause does.
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

    def test_doesNotEndAtTheAnswerOfAnEndedClaim(self) -> None:
        """
        The empty answer of a claim that was ended does not end the run, though it comes
        after the pause: it is empty since it was ended.
        """
        self.make(4, untilEmpty=True)
        self.pause()
        self.source.resume("a")
        self.claim.bring()
        self.assertNoResult(self.end)
        [claim] = self.passTime(1)
        claim.bring()
        self.successResultOf(self.end)

    def test_doesNotEndBeforeReleasesAreAcknowledged(self) -> None:
        """
        What was given back can be claimed after the pause: the run does not end before
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

    def test_claimsNothingAfterTheEnd(self) -> None:
        """
        Once the run has ended nothing is claimed, paused and resumed or not.
        """
        self.make(4, untilEmpty=True)
        self.claim.bring()
        self.successResultOf(self.end)
        self.assertEqual(self.pause(), [])
        self.source.resume("a")
        self.assertEqual(self.passTime(100), [])

    def test_changesNothingOnceClosed(self) -> None:
        """
        Once the source is closed, pause and resume change nothing.
        """
        self.make(4)
        closed = self.close()
        self.claim.bring()
        self.successResultOf(closed)
        self.assertEqual(self.pause(), [])
        self.source.resume("a")
        self.assertEqual(self.passTime(100), [])

    def test_closesWhilePaused(self) -> None:
        """
        A source can be closed while it is paused: the Deferred of the close fires when
        the ended claim has come back.
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

    def test_pausesWhenATaskAsks(self) -> None:
        """
        Where a task pauses the source, those that came with it are given back.
        """
        self.make(3)
        self.onRun = self.pause
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.assertEqual(self.ids(), ["1"])
        [request] = self.queue.outcomes
        self.assertEqual(request.receipts, ["r-2", "r-3"])
        self.assertEqual(self.passTime(100), [])

    def test_keepsItsRate(self) -> None:
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
