"""
What is counted of a consumer.
"""

from __future__ import annotations

from math import inf

from msgspec.structs import asdict
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError
from myconsumer.interfaces import IConsumerObserver
from myconsumer.pipeline.observers import Observers
from myconsumer.status.totals import Counts, Totals
from myconsumer.task import COMPLETE, Ending, Request
from tests.status.events import crashed, number

CLAIM = Request("claim", 4, 70.0, 100.0, "c-1")
FAULT = Failure(FaultError("down"))


class TotalsTests(SynchronousTestCase):
    """
    L{Totals}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100.0)
        self.totals = Totals(self.clock)
        self.events = Observers([self.totals], self.clock)

    def test_isAnObserver(self) -> None:
        """
        L{Totals} provides L{IConsumerObserver}.
        """
        verifyObject(IConsumerObserver, self.totals)

    def counted(self) -> dict[str, int]:
        """
        @return: What has happened at all.
        """
        return {name: n for name, n in asdict(self.totals.counts()).items() if n}

    def test_countsTasksByTheirOutcome(self) -> None:
        """
        Tasks that have ended are counted by their outcome.
        """
        endings = [
            COMPLETE,
            COMPLETE,
            crashed(),
            Ending("release", "later"),
            Ending("uncounted", cause="stop"),
            Ending("lost", cause="lost"),
            Ending("dropped", "why"),
        ]
        for ending in endings:
            self.events.taskEnded(number(1), ending, 0.1)
        counts = self.totals.counts()
        self.assertEqual(
            counts,
            Counts(complete=2, fail=1, release=1, uncounted=1, lost=1, dropped=1),
        )
        self.assertEqual(counts.ended, 7)

    def test_countsRequests(self) -> None:
        """
        What requests have brought and settled is counted, and those that have failed.
        """
        settle = Request("settle", 3, 20.0, 100.0)
        extend = Request("extend", 5, 20.0, 100.0)
        cancel = Request("cancel", 1, 5.0, 100.0, "c-1")
        self.events.requestAnswered(CLAIM, 0.1, 4)
        self.events.requestAnswered(CLAIM, 0.1, 0)
        self.events.requestAnswered(settle, 0.1, 3)
        self.events.requestAnswered(extend, 0.1, 5)
        self.events.requestAnswered(cancel, 0.1, 1)
        for request in (CLAIM, settle, extend, cancel):
            self.events.requestFailed(request, 0.1, FAULT)
        self.events.leasesLost(["1", 2])
        self.events.settlementsGivenUp(["1", 2, "3"])
        self.assertEqual(
            self.counted(),
            {
                "claims": 2,
                "claimed": 4,
                "claimFailures": 1,
                "settled": 3,
                "settleFailures": 1,
                "extended": 5,
                "extendFailures": 1,
                "leasesLost": 2,
                "givenUp": 3,
            },
        )

    def test_doesNotCountWhatIsWantedNoLonger(self) -> None:
        """
        A request that was cancelled has not failed.
        """
        self.events.requestFailed(CLAIM, 0.1, Failure(CancelledError()))
        self.assertEqual(self.counted(), {})
        self.assertEqual(self.totals.claimFailures, 0)

    def test_knowsSinceWhenClaimsFail(self) -> None:
        """
        Claims that fail in a row are counted, and the time of the first is kept, until
        a claim is answered.
        """
        self.assertEqual(self.totals.answeredAt, -inf)
        for _ in range(3):
            self.events.requestFailed(CLAIM, 0.1, FAULT)
            self.clock.advance(10.0)
        self.assertEqual(self.totals.claimFailures, 3)
        self.assertEqual(self.totals.claimsFailSince, 100.0)
        self.events.requestAnswered(CLAIM, 30.0, 0)
        self.assertEqual(self.totals.claimFailures, 0)
        self.assertEqual(self.totals.answeredAt, 130.0)
        self.events.requestFailed(CLAIM, 0.1, FAULT)
        self.assertEqual(self.totals.claimsFailSince, 130.0)

    def test_takesDifferences(self) -> None:
        """
        What has happened since an earlier look is the difference.
        """
        self.events.taskEnded(number(1), COMPLETE, 0.1)
        earlier = self.totals.counts()
        self.events.taskEnded(number(2), COMPLETE, 0.1)
        self.events.taskEnded(number(3), crashed(), 0.1)
        self.assertEqual(
            self.totals.counts().since(earlier), Counts(complete=1, fail=1)
        )
