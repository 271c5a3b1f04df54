"""
What happens while tasks cannot be begun.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.logger import LogLevel, capturedLogs

from myconsumer.errors import NotBegunError
from myconsumer.pipeline.breaker import TRIAL
from myconsumer.retrying import LONGEST, QUIET, QUIET_LASTING
from myconsumer.task import Settlement
from myconsumer.testing import NOTHING, Claim, Handling, Settle, passTime
from tests.model import task, tasks
from tests.test_service import ServiceCase

#: The longest of the first, second and third pause, in seconds; each is at least one
#: second shorter.
FIRST, SECOND, THIRD = 1.5, 2.0, 3.0


class BreakerCase(ServiceCase):
    """
    A service whose handler cannot begin tasks for some time.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reason: str | None = "no descriptors"
        self.handler.script = self.script
        watching = capturedLogs()
        self.events = watching.__enter__()
        self.addCleanup(watching.__exit__, None, None, None)

    def script(self, handling: Handling) -> Any:
        """
        Begin a task, or not.
        """
        if self.reason is not None:
            raise NotBegunError(self.reason)

    def said(self) -> list[str]:
        """
        What the log was told of, by words that tell the lines apart.
        """
        lines = [event["log_format"] for event in self.events]
        return [
            word
            for line in lines
            for word in ("cannot be begun", "begun again", "are lost")
            if word in line
        ]

    def pauseFor(self, seconds: float) -> Claim:
        """
        Let a pause that is no longer than C{seconds} pass, and give the claim after it.
        """
        self.assertEqual(self.queue.openClaims, [])
        passTime(self.clock, seconds - 1.01)
        self.assertEqual(self.queue.openClaims, [])
        passTime(self.clock, 1.01)
        [claim] = self.queue.openClaims
        return claim


class PausingTests(BreakerCase):
    """
    Claiming pauses.
    """

    def test_givesBackWhatCannotBeBegun(self) -> None:
        """
        A task that cannot be begun is released, uncounted, and so is what waits; none
        of the others is tried.
        """
        self.make(2, prefetch=2)
        self.queue.claims[0].bring(*tasks(1, 4))
        passTime(self.clock, 0)
        self.assertEqual([each.task.id for each in self.handler.handled], ["1"])
        self.assertEqual(
            sorted(each.receipt for each in self.settlements()),
            ["r-1", "r-2", "r-3", "r-4"],
        )
        for each in self.settlements():
            self.assertEqual(each, Settlement(each.receipt, "release", counted=False))

    def test_givesBackWhatFailsLate(self) -> None:
        """
        A task that turns out later not to be begun is released, uncounted, too; what
        runs goes on, and what cannot be begun either does not make the pause longer.
        """
        self.reason = None
        self.make(4)
        self.queue.claims[0].bring(*tasks(1, 4))
        for id in "123":
            self.handler.of(id).fail(NotBegunError("the program is gone"))
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [self.released(n) for n in (1, 2, 3)])
        self.assertEqual(self.handler.of("4").cancels, 0)
        self.assertEqual(self.pauseFor(FIRST).limit, 1)
        self.handler.of("4").succeed()

    def test_endsNoAnsweredClaim(self) -> None:
        """
        The claim whose task could not be begun has been answered, and is not ended.
        """
        self.make(2)
        probes = len(self.queue.cancels)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.cancels), probes)

    def test_endsOpenClaims(self) -> None:
        """
        A pause ends the other claims that are open, and what they still bring is given
        back.
        """
        self.reason = None
        self.make(2)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        [claim] = self.queue.openClaims
        self.handler.of("1").fail(NotBegunError("no memory"))
        self.assertEqual(self.queue.cancels[-1].claim, claim.claim)
        claim.bring(task(2))
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [self.released(1), self.released(2)])

    def test_growsPauses(self) -> None:
        """
        While no task can be begun, one is tried after each pause, and the pauses grow
        to half a minute.
        """
        self.queue.onClaim = lambda claim: claim.bring(
            *tasks(10 * len(self.queue.claims), min(claim.limit, 10))
        )
        self.make(50)
        passTime(self.clock, 600)
        limits = [claim.limit for claim in self.queue.claims]
        self.assertEqual(limits, [50] + [1] * (len(limits) - 1))
        made = [claim.made for claim in self.queue.claims]
        pauses = [b - a for a, b in pairwise(made)]
        self.assertLess(max(pauses), LONGEST + 1)
        self.assertGreater(min(pauses[7:]), LONGEST - 1.01)
        self.assertEqual(len(self.handler.handled), len(limits))

    def test_stopsInAPause(self) -> None:
        """
        The service may be stopped in a pause, and then nothing is left.
        """
        self.make()
        self.queue.claims[0].bring(task(1))
        self.child.stopping.callback(None)
        stopped = self.stop()
        passTime(self.clock, 2)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_givesBackWhileItStops(self) -> None:
        """
        What turns out not to be begun while it stops is given back.
        """
        self.reason = None
        self.make()
        self.queue.claims[0].bring(task(1))
        self.stop()
        self.handler.of("1").fail(NotBegunError("no memory"))
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [self.released(1)])


class TrialTests(BreakerCase):
    """
    Claiming goes on.
    """

    def trial(self, limit: int = 4) -> Claim:
        """
        Have a task not begun, and give the claim of the one on trial.
        """
        self.make(limit)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        claim = self.pauseFor(FIRST)
        self.assertEqual(claim.limit, 1)
        return claim

    def test_resumesWhenATrialEnds(self) -> None:
        """
        A task on trial that ends, in whatever way, ends the pause: what is free is
        claimed.
        """
        claim = self.trial()
        self.reason = None
        claim.bring(task(2))
        passTime(self.clock, 0)
        self.assertEqual(self.queue.openClaims, [])
        self.handler.of("2").fail(ValueError())
        self.flushLoggedErrors(ValueError)
        passTime(self.clock, 0)
        self.assertEqual([each.limit for each in self.queue.openClaims], [4])

    def test_resumesWhenATrialEndsAtOnce(self) -> None:
        """
        A task on trial that ends at once ends the pause.
        """
        claim = self.trial()
        self.reason = None
        self.handler.script = lambda handling: NOTHING
        claim.bring(task(2))
        passTime(self.clock, 0)
        self.assertEqual([each.limit for each in self.queue.openClaims], [4])

    def test_resumesWhenATrialRunsLong(self) -> None:
        """
        A task on trial that runs for long could be begun.
        """
        claim = self.trial()
        self.reason = None
        claim.bring(task(2))
        passTime(self.clock, TRIAL - 0.1)
        self.assertEqual(self.queue.openClaims, [])
        passTime(self.clock, 0.1)
        self.assertEqual([each.limit for each in self.queue.openClaims], [3])
        self.handler.of("2").succeed()

    def test_growsPausesAfterALateFailure(self) -> None:
        """
        Where a task that ran for long turns out not to be begun, the next pause is
        longer all the same.
        """
        claim = self.trial()
        self.reason = None
        claim.bring(task(2))
        passTime(self.clock, TRIAL + 1)
        self.handler.of("2").fail(NotBegunError("no answer"))
        self.queue.openClaims[0].bring()
        self.pauseFor(SECOND)

    def test_growsPausesAfterAFailedTrial(self) -> None:
        """
        One that cannot be begun either makes the next pause longer; once one could be
        begun, the first pause is short again.
        """
        self.trial().bring(task(2))
        passTime(self.clock, 0)
        self.pauseFor(SECOND).bring(task(3))
        passTime(self.clock, 0)
        claim = self.pauseFor(THIRD)
        self.reason = None
        claim.bring(task(4))
        self.handler.of("4").succeed()
        passTime(self.clock, 0)
        [claim] = self.queue.openClaims
        self.reason = "no threads"
        claim.bring(task(5))
        passTime(self.clock, 0)
        self.pauseFor(FIRST)

    def test_triesOneOfSeveral(self) -> None:
        """
        Where a claim for one brings several, one is tried, and the others go back.
        """
        claim = self.trial()
        self.reason = None
        claim.bring(*tasks(2, 3))
        passTime(self.clock, 0)
        self.assertEqual([each.task.id for each in self.handler.running], ["2"])
        self.assertEqual(self.settlements()[1:], [self.released(3), self.released(4)])
        self.handler.of("2").succeed()

    def test_triesNothingInAnotherPause(self) -> None:
        """
        While claiming is paused for another reason nothing is tried.
        """
        self.make()
        self.queue.claims[0].bring(task(1))
        self.service.pause("no web application")
        passTime(self.clock, 100)
        self.assertEqual(self.queue.openClaims, [])
        self.service.resume("no web application")
        passTime(self.clock, 0)
        self.assertEqual([each.limit for each in self.queue.openClaims], [1])


class UnleasedTests(BreakerCase):
    """
    Tasks without a receipt, which cannot be given back.
    """

    def test_keepsTasksInOrder(self) -> None:
        """
        Tasks without a receipt wait, and are tried one by one, in their order; none is
        lost.
        """
        self.make(2)
        self.queue.claims[0].bring(*(task(n, receipt=None) for n in (1, 2)))
        passTime(self.clock, FIRST)
        self.reason = None
        passTime(self.clock, SECOND)
        self.assertEqual([each.task.id for each in self.handler.running], ["1"])
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.assertEqual([each.task.id for each in self.handler.running], ["2"])
        self.assertEqual(self.said(), ["cannot be begun", "begun again"])
        self.handler.of("2").succeed()

    def test_losesTasksAtAStop(self) -> None:
        """
        A stop loses tasks without a receipt, and the log says so: one that waits, and
        one that turns out then not to be begun.
        """
        self.reason = None
        self.make(2)
        self.queue.claims[0].bring(*(task(n, receipt=None) for n in (1, 2)))
        self.handler.of("1").fail(NotBegunError("no memory"))
        self.stop()
        self.assertEqual(self.said(), ["cannot be begun", "are lost"])
        self.handler.of("2").fail(NotBegunError("no memory"))
        self.assertEqual(self.said()[2:], ["are lost"])


class LogTests(BreakerCase):
    """
    What the log says.
    """

    def test_logsBeginningAndEnd(self) -> None:
        """
        One line says why, a warning without a traceback, and one when it is over, with
        the number of tasks; none tells of a task.
        """
        self.reason = None
        self.make(20)
        self.queue.claims[0].bring(*tasks(1, 20))
        del self.events[:]
        for each in list(self.handler.running):
            each.fail(NotBegunError("no descriptors"))
        self.reason = "no descriptors"
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        passTime(self.clock, 60)
        self.reason = None
        passTime(self.clock, 31 + TRIAL)
        why, over = self.events
        self.assertEqual(why["log_level"], LogLevel.warn)
        self.assertEqual(why["reason"], "no descriptors")
        self.assertNotIn("log_failure", why)
        tried = len(self.queue.claims) - 2 - len(self.handler.running) + 1
        self.assertEqual(over["count"], 20 + tried)
        self.queue.onClaim = lambda claim: None
        for each in list(self.handler.running):
            each.succeed()

    def test_logsAnotherReason(self) -> None:
        """
        Another reason is logged at once; a reason that was logged before, after an
        hour.
        """
        self.make()
        self.queue.claims[0].bring(task(1))
        self.reason = "no memory"
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        passTime(self.clock, QUIET_LASTING - 60)
        self.assertEqual(
            [event["reason"] for event in self.events if "reason" in event],
            ["no descriptors", "no memory"],
        )
        passTime(self.clock, 120)
        self.assertEqual(self.said(), ["cannot be begun"] * 3)

    def test_logsOnceAMinute(self) -> None:
        """
        Where the trouble comes and goes all the time, it is logged once a minute.
        """
        self.reason = None
        self.make(1)
        odd = False

        def script(handling: Handling) -> Any:
            nonlocal odd
            odd = not odd
            if odd:
                raise NotBegunError("no descriptors")
            return NOTHING

        self.handler.script = script
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        self.queue.claims[0].bring(task(0))
        passTime(self.clock, 4 * QUIET + 10)
        self.assertGreater(len(self.handler.handled), 200)
        self.assertEqual(self.said(), ["cannot be begun", "begun again"] * 5)
        self.queue.onClaim = lambda claim: None


class UntilEmptyTests(BreakerCase):
    """
    With C{untilEmpty}.
    """

    def test_endsAfterFive(self) -> None:
        """
        Five in a row that could not be begun, with nothing else running, end the run as
        failed.
        """
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        self.make(untilEmpty=True)
        passTime(self.clock, 60)
        [failure] = self.ends
        assert failure is not None
        self.assertEqual(str(failure.value), "no descriptors")
        self.assertEqual(len(self.handler.handled), 5)
        self.assertEqual(
            self.settlements(), [self.released(n) for n in (1, 2, 3, 4, 5)]
        )

    def test_goesOnWhereItPasses(self) -> None:
        """
        Where the trouble passes before five tasks in a row could not be begun, all is
        done.
        """
        self.make(untilEmpty=True)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        claim = self.pauseFor(FIRST)
        self.reason = None
        claim.bring(task(1))
        self.queue.onClaim = Claim.bring
        self.handler.of("1").succeed()
        passTime(self.clock, 1)
        self.assertEqual(self.ends, [None])

    def test_goesOnWhileATaskRuns(self) -> None:
        """
        The run does not end while another task runs, however long the trouble lasts.
        """
        self.reason = None
        self.make(2, untilEmpty=True)
        self.queue.claims[0].bring(task(0))
        self.reason = "no memory"
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        passTime(self.clock, 1000)
        self.assertEqual(self.ends, [])
        self.handler.of("0").succeed()
        passTime(self.clock, LONGEST + 1)
        self.assertEqual(len(self.ends), 1)

    def test_losesTasksWithoutReceipt(self) -> None:
        """
        Where a run to the end gives up, tasks without a receipt are lost, and the log
        says so.
        """
        self.make(2, untilEmpty=True)
        self.queue.claims[0].bring(task(1, receipt=None), task(2, receipt=None))
        passTime(self.clock, 60)
        self.assertEqual(len(self.ends), 1)
        self.assertEqual(self.said(), ["cannot be begun", "are lost"])
        self.queue.onSettle = Settle.take
