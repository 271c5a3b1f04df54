"""
Tests for L{tests.acceptance.model}: a wrong model would give wrong verdicts.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.acceptance.model import Delivery, ModelQueue


def told(delivery: Delivery, outcome: str, **more: object) -> dict[str, object]:
    """
    The settlement of one delivery.
    """
    return {"receipt": delivery.receipt, "outcome": outcome, **more}


class ModelQueueTests(SynchronousTestCase):
    """
    Tests for L{ModelQueue}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = ModelQueue(self.clock)
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        self.queue.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def claim(
        self, limit: int = 10, wait: float = 0, lease: float = 60, name: str = "c"
    ) -> list[Delivery]:
        """
        Claim without waiting.
        """
        return self.successResultOf(self.queue.claim(name, "me", limit, wait, lease))

    def test_leasesUpToTheLimit(self) -> None:
        """
        A claim brings the oldest jobs, no more than it asked for, each once.
        """
        jobs = self.queue.putAll(None, 3)
        self.assertEqual([d.job for d in self.claim(limit=2)], jobs[:2])
        self.assertEqual([d.job for d in self.claim(limit=2)], jobs[2:])
        self.assertEqual(self.claim(), [])
        self.assertEqual((self.queue.mostLeased, len(self.queue.held("me"))), (3, 3))
        self.assertEqual(self.queue.held("you"), [])

    def test_waits(self) -> None:
        """
        A claim waits for the first job, and is answered empty when there is none.
        """
        first = self.queue.claim("1", "me", 5, 20, 60)
        second = self.queue.claim("2", "me", 5, 30, 60)
        self.clock.advance(19)
        self.assertNoResult(first)
        job = self.queue.put(None)
        self.assertEqual([d.job for d in self.successResultOf(first)], [job])
        self.clock.advance(11)
        self.assertEqual(self.successResultOf(second), [])
        self.assertEqual(self.queue.mostPolls, 2)

    def test_expires(self) -> None:
        """
        A lease runs out, counted; its receipt is lost from then on.
        """
        self.queue.put(None)
        [delivery] = self.claim(lease=4)
        self.clock.advance(4)
        self.assertEqual(
            self.queue.settle([told(delivery, "complete")]), [delivery.receipt]
        )
        [again] = self.claim()
        self.assertEqual((delivery.attempt, again.attempt), (1, 2))

    def test_extends(self) -> None:
        """
        A lease that is extended lasts for the given seconds from then on.
        """
        self.queue.put(None)
        [delivery] = self.claim(lease=4)
        self.clock.advance(3)
        self.assertEqual(self.queue.settle([told(delivery, "extend", lease=4)]), [])
        self.clock.advance(3.5)
        self.assertIsNone(delivery.ended)
        self.clock.advance(0.5)
        self.assertEqual(delivery.ended, "expired")

    def test_completesAndFails(self) -> None:
        """
        A completed job and a failed one are never delivered again.
        """
        first, second = self.queue.putAll(None, 2)
        one, two = self.claim()
        lost = self.queue.settle(
            [told(one, "complete", result=42), told(two, "fail", error="no")]
        )
        self.assertEqual(lost, [])
        self.assertEqual((first.state, first.result), ("completed", 42))
        self.assertEqual((second.state, second.error), ("failed", "no"))
        self.assertEqual(self.claim(), [])

    def test_repeats(self) -> None:
        """
        A settlement that is repeated is no loss and changes nothing; another one for
        the same receipt is a loss.
        """
        job = self.queue.put(None)
        [delivery] = self.claim()
        for _ in range(2):
            self.assertEqual(self.queue.settle([told(delivery, "complete")]), [])
        self.assertEqual(len(self.queue.repeats), 1)
        for outcome in ("extend", "fail"):
            self.assertNotEqual(self.queue.settle([told(delivery, outcome)]), [])
        self.assertEqual(job.state, "completed")

    def test_releases(self) -> None:
        """
        A released job is delivered again after its delay, and counted unless the
        settlement says otherwise.
        """
        self.queue.putAll(None, 2)
        one, two = self.claim()
        self.queue.settle(
            [told(one, "release", delay=5), told(two, "release", counted=False)]
        )
        [again] = self.claim()
        self.assertIs(again.job, two.job)
        self.assertEqual(again.attempt, 1)
        self.clock.advance(5)
        [later] = self.claim()
        self.assertEqual((later.job, later.attempt), (one.job, 2))

    def test_answersACancelledPollEmpty(self) -> None:
        """
        A claim that is ended is answered empty, and so is a claim that arrives after
        its end.
        """
        poll = self.queue.claim("c", "me", 5, 20, 60)
        self.queue.cancelClaim("c")
        self.assertEqual(self.successResultOf(poll), [])
        self.queue.put(None)
        self.assertEqual(self.claim(name="c", wait=20), [])
        self.assertEqual(len(self.claim(name="other")), 1)

    def test_releasesWhatACancelledPollLeased(self) -> None:
        """
        Jobs that were leased under a claim that is ended are released, uncounted,
        unless the claim has been answered.
        """
        self.queue.putAll(None, 2)
        kept, given = self.claim()
        kept.answered = True
        self.queue.cancelClaim("c")
        self.assertEqual((kept.ended, given.ended), (None, "returned"))
        self.assertEqual([d.attempt for d in self.claim(name="other")], [1])

    def test_withdraws(self) -> None:
        """
        A withdrawn job's lease is lost, and the job is delivered no more.
        """
        leased, waiting = self.queue.putAll(None, 2)
        [delivery] = self.claim(limit=1)
        self.queue.withdraw(leased)
        self.queue.withdraw(waiting)
        self.assertNotEqual(self.queue.settle([told(delivery, "extend", lease=1)]), [])
        self.assertEqual(self.claim(), [])

    def test_spoils(self) -> None:
        """
        A spoiled job's message lacks a field, or has a wrong one; without a receipt the
        job counts as done once delivered.
        """
        self.queue.put(1, payload=None, id=3.5)
        free = self.queue.put(None, receipt=None)
        spoiled, given = self.claim()
        self.assertEqual(
            spoiled.job.message("r"), {"id": 3.5, "receipt": "r", "attempt": 1}
        )
        self.assertEqual(
            given.job.message("r"), {"id": "job-1", "payload": None, "attempt": 1}
        )
        self.assertEqual((free.state, given.ended), ("completed", "given away"))
