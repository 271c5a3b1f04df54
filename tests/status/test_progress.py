"""
Whether a service makes progress.
"""

from __future__ import annotations

from msgspec.structs import replace
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import NotBegunError
from myconsumer.interfaces import IConsumerObserver
from myconsumer.service import ConsumerService
from myconsumer.status.progress import Progress
from myconsumer.task import Request
from myconsumer.testing import ControlledHandler, Handling, ScriptedQueue, passTime
from tests.model import busy, fault, refusal, task

#: A request, and what is said of it when it hangs.
HANGING = [
    (
        Request("claim", 4, 50.0, 0.0, "c"),
        "A claim of 4 tasks has hung for 51 s, and must have ended within 50 s",
    ),
    (
        Request("settle", 12, 20.0, 0.0),
        "A request that settles 12 tasks has hung for 21 s, and must have ended within "
        "20 s",
    ),
    (
        Request("extend", 3, 13.3, 0.0),
        "A request that extends 3 leases has hung for 14 s, and must have ended within "
        "13 s",
    ),
    (
        Request("cancel", 1, 30.0, 0.0, "c"),
        "A request that cancels a claim has hung for 31 s, and must have ended within "
        "30 s",
    ),
]


class ProgressTests(SynchronousTestCase):
    """
    L{Progress}, called as the service does.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.progress = Progress(self.clock)

    def test_isAnObserver(self) -> None:
        """
        It provides L{IConsumerObserver}.
        """
        verifyObject(IConsumerObserver, self.progress)

    def test_namesWhatHangs(self) -> None:
        """
        A request that has not ended within its time is named, and is no more once it
        has ended.
        """
        for request, sentence in HANGING:
            with self.subTest(kind=request.kind):
                request = replace(request, sent=self.clock.seconds())
                self.progress.requestSent(request)
                self.clock.advance(request.within)
                self.assertIsNone(self.progress.isStuck())
                self.clock.advance(1)
                self.assertEqual(self.progress.isStuck(), sentence)
                if request.kind == "claim":
                    self.progress.requestAnswered(request, request.within + 1, 0)
                else:
                    reason = Failure(CancelledError())
                    self.progress.requestFailed(request, request.within + 1, reason)
                self.assertIsNone(self.progress.isStuck())

    def test_namesTheOldest(self) -> None:
        """
        Of several requests that hang the one is named that was sent first.
        """
        self.progress.requestSent(Request("settle", 1, 20.0, 0.0))
        self.clock.advance(1)
        self.progress.requestSent(Request("settle", 2, 10.0, 1.0))
        self.clock.advance(15)
        self.assertIn("settles 2 tasks has hung for 15 s", str(self.progress.isStuck()))
        self.clock.advance(15)
        self.assertIn("settles 1 tasks has hung for 31 s", str(self.progress.isStuck()))


class ServiceTests(SynchronousTestCase):
    """
    L{Progress} of a service.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.progress = Progress(self.clock)
        self.queue = ScriptedQueue(self.clock)
        self.handler = ControlledHandler()
        self.service = ConsumerService(
            self.queue, self.handler, 2, clock=self.clock, observers=[self.progress]
        )
        self.service.startService()
        passTime(self.clock, 0)
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        stopped = self.service.stopService()
        passTime(self.clock, 100)
        self.successResultOf(stopped)
        self.assertIsNone(self.progress.isStuck())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def expectProgress(self, seconds: int) -> None:
        """
        Let time pass, and look all the time.
        """
        for _ in range(seconds):
            passTime(self.clock, 1)
            self.assertIsNone(self.progress.isStuck())

    def test_allowsAnEmptyQueue(self) -> None:
        """
        A queue whose claims are answered with nothing, after their wait, is progress.
        """
        self.queue.onClaim = lambda claim: self.clock.callLater(claim.wait, claim.bring)
        self.queue.claims[0].bring()
        self.expectProgress(300)

    def test_allowsAnEndpointThatIsDown(self) -> None:
        """
        An endpoint that fails, refuses, asks to be left alone or does not answer
        in time is progress, whatever is sent to it.
        """
        for error in (fault(), refusal(), busy(200)):
            self.queue.onClaim = self.queue.onSettle = self.queue.onCancel = (
                lambda request, error=error: request.fail(error)
            )
            for claim in self.queue.openClaims:
                claim.bring(task(1))
            self.expectProgress(300)
        self.queue.onClaim = lambda claim: claim.expireAfter(self.clock, claim.wait + 9)
        self.expectProgress(300)
        self.queue.onClaim = lambda claim: None

    def test_allowsAPause(self) -> None:
        """
        A pause is progress, and so are tasks that run for long.
        """
        self.queue.onSettle = lambda request: request.take()
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.service.pause("a")
        self.expectProgress(300)

    def test_allowsTasksThatCannotBegin(self) -> None:
        """
        That no task can be begun is progress.
        """

        def script(handling: Handling) -> None:
            raise NotBegunError("no room")

        self.handler.script = script
        self.queue.onSettle = lambda request: request.take()
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        self.queue.claims[0].bring(task(0))
        self.expectProgress(300)
        self.queue.onClaim = lambda claim: None

    def test_findsWhatHangs(self) -> None:
        """
        A claim, a settlement or a heartbeat that is never answered hangs, until it is
        answered.
        """
        passTime(self.clock, 51)
        self.assertIn("A claim of 2 tasks has hung", str(self.progress.isStuck()))
        self.queue.claims[0].bring(task(1), task(2))
        self.assertIsNone(self.progress.isStuck())
        passTime(self.clock, 41)
        self.assertIn("extends 2 leases has hung", str(self.progress.isStuck()))
        self.queue.beats[0].take()
        self.queue.onSettle = lambda request: request.extends and request.take()
        self.handler.running[0].succeed()
        self.expectProgress(20)
        passTime(self.clock, 1)
        self.assertIn("settles 1 tasks has hung", str(self.progress.isStuck()))
