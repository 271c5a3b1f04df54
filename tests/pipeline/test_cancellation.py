"""
The requests that end claims, and whether the endpoint can do that at all.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs
from zope.interface import directlyProvides

from myconsumer.interfaces import ISelfTimedTaskQueue
from myconsumer.pipeline.cancellation import MOST_UNDONE, PROBE_INTERVAL
from myconsumer.pipeline.requests import Requests
from myconsumer.testing import Cancel
from tests.model import busy, fault, refusal, task
from tests.pipeline.case import SourceCase


class ProbeTests(SourceCase):
    """
    Whether the endpoint can be told to end a claim.
    """

    def test_probesAtTheStart(self) -> None:
        """
        The endpoint is probed once, at the start, by the end of a claim never made.
        """
        self.make(1)
        [probe] = self.queue.cancels
        self.assertNotEqual(probe.claim, self.claim.claim)
        for number in range(3):
            self.claim.bring(task(number))
            self.endTask(number)
            self.passTime(100)
        self.assertEqual(self.queue.cancels, [probe])

    def test_waitsBrieflyUntilItIsKnown(self) -> None:
        """
        While it is not known whether claims can be ended, no claim waits longer than 5
        s.
        """
        self.queue.onCancel = lambda request: None
        self.make(1)
        self.assertEqual(self.claim.wait, 5)
        self.queue.cancels[0].take()
        self.claim.bring(task(1))
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.claim.wait, 20)

    def test_waitsBrieflyWhereItIsLacking(self) -> None:
        """
        Where claims cannot be ended, none waits longer than 5 s; the endpoint is probed
        again every ten minutes, and a change is logged.
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

    def test_waitsLongOnceItIsFound(self) -> None:
        """
        Where claims turn out later to be endable, they wait for as long as they are to;
        that is logged.
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

    def test_probesAgainAfterA404(self) -> None:
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

    def test_probesAfterAnOutage(self) -> None:
        """
        An endpoint that could not end claims is probed again once claims work after
        failures, and what could not be undone meanwhile is undone.
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

    def test_doesNotProbeAfterAnOutage(self) -> None:
        """
        An endpoint that is known to end claims is not probed after an outage.
        """
        self.make(1)
        self.claim.fail(busy(1))
        self.passTime(2)
        self.claim.bring(task(1))
        self.assertEqual(len(self.queue.cancels), 1)

    def test_logsARefusalOnce(self) -> None:
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

    def test_waitsLongForASelfTimedQueue(self) -> None:
        """
        A queue that is not told of a wait has all of it in any case: it cannot end
        claims, and it may be read to its end.
        """
        directlyProvides(self.queue, ISelfTimedTaskQueue)
        self.requests = Requests(self.queue, self.requests.observers, self.clock)
        self.queue.onCancel = lambda request: request.take(False)
        for untilEmpty in (False, True):
            with self.subTest(untilEmpty=untilEmpty):
                self.make(1, wait=60.0, untilEmpty=untilEmpty)
                self.assertEqual(self.claim.wait, 60)
                self.close()
                self.claim.bring()

    def test_keepsAShorterWait(self) -> None:
        """
        A wait that is shorter than 5 s is kept.
        """
        self.queue.onCancel = lambda request: request.take(False)
        self.make(1, wait=2.0)
        self.assertEqual(self.claim.wait, 2)

    def test_probesAgainAfterAFailure(self) -> None:
        """
        Where a probe fails the endpoint is probed again, with a claim, half a minute
        later.
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

    def test_retriesWithEachClaim(self) -> None:
        """
        The end of a failed claim is sent again with each claim until it is answered: of
        one claim at a time, and then of the others.
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

    def test_givesUpAfterTheLease(self) -> None:
        """
        Once what may be leased has expired, no request to end its claim is sent.
        """
        self.told()
        self.source.pause("a")
        self.passTime(3601)
        self.told()
        self.source.resume("a")
        self.passTime(0)
        self.assertNotIn(self.lost, self.told())

    def test_keepsFew(self) -> None:
        """
        In a long outage no more failed claims are remembered than the endpoint may know
        of.
        """
        for _ in range(3 * MOST_UNDONE):
            self.passTime(1 if self.queue.openClaims else 40)
            if self.queue.openClaims:
                self.failed()
        self.told()
        self.queue.onCancel = lambda cancel: cancel.take()
        self.passTime(40)
        self.assertLessEqual(len(self.told()), MOST_UNDONE)

    def test_undoesAtTheEnd(self) -> None:
        """
        Failed claims are undone when the source is closed.
        """
        self.told()
        self.queue.onCancel = lambda cancel: cancel.take()
        self.close()
        self.assertIn(self.lost, self.told())
