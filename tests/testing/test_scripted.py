"""
A queue whose requests the test answers.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError
from myconsumer.interfaces import ITaskQueue
from myconsumer.task import Claimed, Settlement, Task
from myconsumer.testing import ScriptedQueue


class ScriptedQueueTests(SynchronousTestCase):
    """
    L{ScriptedQueue}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(7)
        self.queue = ScriptedQueue(self.clock)

    def test_provides(self) -> None:
        """
        A scripted queue provides L{ITaskQueue}.
        """
        verifyObject(ITaskQueue, self.queue)

    def test_recordsClaims(self) -> None:
        """
        A claim is recorded with its arguments and time, and is open until the test
        answers it with tasks.
        """
        claimed = self.queue.claim("c-1", 3, 20, 60)
        self.assertNoResult(claimed)
        [claim] = self.queue.openClaims
        self.assertEqual(
            (claim.claim, claim.limit, claim.wait, claim.lease, claim.made),
            ("c-1", 3, 20, 60, 7),
        )
        task, malformed = Task("1", None), Settlement("r-2", "fail")
        claim.bring(task, malformed=[malformed], dropped=1)
        self.assertEqual(self.successResultOf(claimed), Claimed([task], [malformed], 1))
        self.assertEqual((self.queue.openClaims, self.queue.claims), ([], [claim]))

    def test_recordsSettlements(self) -> None:
        """
        Requests that settle are told from heartbeats, and answered with the receipts
        whose lease is lost.
        """
        ended = [Settlement("r-1", "complete"), Settlement("r-2", "fail")]
        settled = self.queue.settle(ended, 5)
        extended = self.queue.settle([Settlement("r-3", "extend", lease=60)], 9)
        [outcome], [beat] = self.queue.outcomes, self.queue.beats
        self.assertEqual(self.queue.settles, [outcome, beat])
        self.assertEqual((outcome.settlements, outcome.deadline), (ended, 5))
        self.assertEqual((outcome.receipts, beat.receipts), (["r-1", "r-2"], ["r-3"]))
        outcome.take("r-2")
        beat.take()
        self.assertEqual(list(self.successResultOf(settled)), ["r-2"])
        self.assertEqual(list(self.successResultOf(extended)), [])

    def test_endsClaimsAtOnce(self) -> None:
        """
        The end of a claim is recorded and answered at once, unless C{onCancel} is
        replaced.
        """
        self.assertTrue(self.successResultOf(self.queue.cancelClaim("c-1")))
        self.queue.onCancel = lambda request: request.take(False)
        self.assertFalse(self.successResultOf(self.queue.cancelClaim("c-2")))
        self.queue.onCancel = lambda request: None
        self.assertNoResult(self.queue.cancelClaim("c-3"))
        names = [request.claim for request in self.queue.cancels]
        self.assertEqual(names, ["c-1", "c-2", "c-3"])

    def test_callsHooks(self) -> None:
        """
        C{onClaim} and C{onSettle} are called with each request, and may answer it.
        """
        self.queue.onClaim = lambda claim: claim.bring()
        self.queue.onSettle = lambda request: request.take(*request.receipts)
        claimed = self.successResultOf(self.queue.claim("c-1", 1, 0, 60))
        self.assertEqual(claimed, Claimed([]))
        settled = self.queue.settle([Settlement("r-1", "complete")], 5)
        self.assertEqual(list(self.successResultOf(settled)), ["r-1"])

    def test_fails(self) -> None:
        """
        A request fails with what the test says.
        """
        claimed = self.queue.claim("c-1", 1, 0, 60)
        self.queue.claims[0].fail(FaultError("it is down"))
        self.failureResultOf(claimed, FaultError)

    def test_notesWhatIsDropped(self) -> None:
        """
        A request whose Deferred is cancelled has been dropped, and is not open.
        """
        claimed = self.queue.claim("c-1", 1, 0, 60)
        [claim] = self.queue.claims
        self.assertFalse(claim.dropped)
        claimed.addErrback(lambda failure: None).cancel()
        self.assertTrue(claim.dropped)
        self.assertFalse(claim.open)

    def test_expires(self) -> None:
        """
        A request that is to expire fails with a fault, unless it is answered in time.
        """
        late, early = (self.queue.claim(name, 1, 0, 60) for name in ("c-1", "c-2"))
        for claim in self.queue.claims:
            claim.expireAfter(self.clock, 5)
        self.queue.claims[1].bring()
        self.clock.advance(5)
        self.failureResultOf(late, FaultError)
        self.successResultOf(early)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_countsClosing(self) -> None:
        """
        Closing is counted, and done at once.
        """
        self.successResultOf(self.queue.close())
        self.assertEqual(self.queue.closed, 1)
