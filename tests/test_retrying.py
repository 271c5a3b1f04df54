"""
How long a queue is left alone after failures, and what the log hears of it.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError, RefusalError
from myconsumer.retrying import (
    LONGEST,
    QUIET,
    QUIET_LASTING,
    REFILL,
    Budget,
    Retry,
    faultPolicy,
)


class RetryCase(SynchronousTestCase):
    """
    A L{Retry} whose policy says 1, 2, 4... seconds.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.retry = Retry("Claims", self.clock, lambda failures: 2.0**failures)

    def tearDown(self) -> None:
        """
        A L{Retry} has no timers of its own.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def refuse(self, error: Exception) -> float:
        return self.retry.failed(Failure(error))


class DelayTests(RetryCase):
    """
    The delays.
    """

    def test_policyDoubles(self) -> None:
        """
        The usual policy begins with half a second, doubles, is jittered, and ends at
        half a minute.
        """
        for failures, least in ((0, 0.5), (1, 1), (2, 2), (5, 16), (6, 29), (5000, 29)):
            delays = {faultPolicy(failures) for _ in range(50)}
            self.assertGreater(len(delays), 1)
            self.assertGreaterEqual(min(delays), least)
            self.assertLessEqual(max(delays), min(least + 1, LONGEST))

    def test_takesUsualPolicy(self) -> None:
        """
        Without another policy the usual one is taken.
        """
        delay = Retry("Claims", self.clock).failed(Failure(FaultError("down")))
        self.assertTrue(0.5 <= delay <= 1.5, delay)

    def test_waitsLongerEachTime(self) -> None:
        """
        Each failure in a row waits for longer; a success begins anew.
        """
        delays = [self.refuse(FaultError("down")) for _ in range(4)]
        self.assertEqual((delays, self.retry.failures), ([1, 2, 4, 8], 4))
        self.retry.succeeded()
        self.assertEqual(self.retry.failures, 0)
        self.assertEqual(self.refuse(FaultError("down")), 1)

    def test_obeysRetryAfter(self) -> None:
        """
        Where the endpoint asks for more time than the policy, it gets it.
        """
        self.assertEqual(self.refuse(FaultError("busy", retryAfter=90)), 90)
        self.assertEqual(self.refuse(FaultError("busy", retryAfter=0)), 2)
        self.assertEqual(self.refuse(FaultError("busy", retryAfter=0.5)), 4)

    def test_waitsLongestAfterRefusal(self) -> None:
        """
        A refusal waits for the longest time at once.
        """
        self.assertEqual(self.refuse(RefusalError("gone")), LONGEST)
        self.assertEqual(self.retry.failures, 1)

    def test_takesUnexpectedErrorsForFaults(self) -> None:
        """
        An exception that queues do not fail with waits like a fault.
        """
        self.assertEqual(self.refuse(ZeroDivisionError()), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LogTests(RetryCase):
    """
    The log.
    """

    def logged(self, *errors: Exception) -> list[tuple[str, object, bool]]:
        """
        Let requests fail.

        @return: Of each event: its level, the reason, whether there is a traceback.
        """
        with capturedLogs() as events:
            for error in errors:
                self.refuse(error)
        return [
            (event["log_level"].name, event.get("reason"), "log_failure" in event)
            for event in events
        ]

    def test_choosesLevels(self) -> None:
        """
        A fault is a warning, a refusal an error, neither with a traceback; any other
        exception is critical, with one.
        """
        self.assertEqual(
            self.logged(FaultError("down"), RefusalError("gone"), ZeroDivisionError()),
            [
                ("warn", "down", False),
                ("error", "gone", False),
                ("critical", None, True),
            ],
        )
        self.flushLoggedErrors(ZeroDivisionError)

    def test_namesWhatFails(self) -> None:
        """
        The line says what fails, why, and when the retry is.
        """
        with capturedLogs() as events:
            self.refuse(FaultError("down"))
        [event] = events
        self.assertEqual((event["what"], event["delay"]), ("Claims", 1))

    def test_logsSameFaultOnceAMinute(self) -> None:
        """
        A fault is logged once a minute, however often it happens.
        """
        self.assertEqual(len(self.logged(*[FaultError("down")] * 50)), 1)
        self.clock.advance(QUIET - 1)
        self.assertEqual(len(self.logged(FaultError("down"))), 0)
        self.clock.advance(1)
        self.assertEqual(len(self.logged(*[FaultError("down")] * 50)), 1)

    def test_logsLastingRefusalOnceAnHour(self) -> None:
        """
        A refusal is logged at once, and again after each hour that it lasts.
        """
        refusals = [RefusalError("no token")] * 5
        self.assertEqual(len(self.logged(*refusals)), 1)
        self.clock.advance(QUIET_LASTING - 1)
        self.assertEqual(len(self.logged(*refusals)), 0)
        self.clock.advance(1)
        self.assertEqual(len(self.logged(*refusals)), 1)

    def test_logsReturningRefusal(self) -> None:
        """
        A refusal that comes back after requests have worked is logged again, however
        few of them were refused before.
        """
        for refusals in ([RefusalError("no token")], [RefusalError("no token")] * 5):
            self.assertEqual(len(self.logged(*refusals)), 1)
            self.retry.succeeded()
            self.clock.advance(QUIET)

    def test_logsRefusalInTurnsOnceAMinute(self) -> None:
        """
        A refusal that comes and goes is logged once a minute.
        """
        lines = 0
        for _ in range(60):
            lines += len(self.logged(RefusalError("no token")))
            self.retry.succeeded()
            self.clock.advance(1)
        self.assertEqual(lines, 1)

    def test_logsOtherReasonsAtOnce(self) -> None:
        """
        Another reason is logged at once, also in turns with the first.
        """
        errors = [FaultError("down"), FaultError("slow")] * 20
        self.assertEqual(
            [reason for _, reason, _ in self.logged(*errors)], ["down", "slow"]
        )

    def test_forgetsReasons(self) -> None:
        """
        Reasons that differ each time are not kept for ever.
        """
        errors = [FaultError(str(number)) for number in range(30)]
        self.assertEqual(len(self.logged(*errors)), 30)
        # fewer than 20 are still quiet
        self.assertGreater(len(self.logged(*reversed(errors))), 10)

    def test_boundsReasonsThatDiffer(self) -> None:
        """
        Reasons that differ each time do not fill the log; those that were not logged
        are counted.
        """
        errors = [FaultError(f"request {number}") for number in range(1000)]
        self.assertLess(len(self.logged(*errors)), 100)
        self.clock.advance(QUIET)
        with capturedLogs() as logs:
            self.refuse(FaultError("down"))
        self.assertRegex(formatEvent(logs[0]), r"^9\d\d lines were not logged, since")

    def test_logsRecovery(self) -> None:
        """
        The end of each outage that was logged is logged once, with the number of
        failures.
        """
        for failures, lines in (
            (0, []),
            (1, ["Claims work again, after a failure"]),
            (2, ["Claims work again, after 2 failures"]),
            (5, ["Claims work again, after 5 failures"]),
        ):
            self.clock.advance(QUIET)
            self.logged(*[FaultError("down")] * failures)
            with capturedLogs() as events:
                self.retry.succeeded()
                self.retry.succeeded()
            self.assertEqual([formatEvent(event) for event in events], lines)

    def test_logsRecoveryInTurnsOnceAMinute(self) -> None:
        """
        Where a fault comes and goes, its end is logged as often as the fault is: once a
        minute.
        """
        with capturedLogs() as events:
            for _ in range(180):
                self.refuse(FaultError("down"))
                self.retry.succeeded()
                self.clock.advance(QUIET / 60)
        self.assertEqual(
            [event["log_level"].name for event in events], ["warn", "info"] * 3
        )


class BudgetTests(SynchronousTestCase):
    """
    The bytes that may be logged: 600 a minute, 1,000 at once.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.budget = Budget(self.clock, 600, 1000)

    def takeAll(self, size: int = 50) -> int:
        """
        @return: How many lines of C{size} bytes there is room for now.
        """
        taken = 0
        while self.budget.take(size):
            taken += 1
        return taken

    def test_allowsBurst(self) -> None:
        """
        After a quiet time, however long, the burst may be logged, and no more.
        """
        for quiet in (0, 100, 100_000):
            self.clock.advance(quiet)
            self.assertEqual(self.takeAll(), 20)

    def test_boundsTheLongRun(self) -> None:
        """
        In an hour of one line each tenth of a second no more is logged than the burst
        and the bytes of the minutes, and hardly less.
        """
        taken = 0
        for _ in range(36_000):
            self.clock.advance(0.1)
            taken += 50 * self.budget.take(50)
        self.assertLessEqual(taken, 60 * 600 + 1000)
        self.assertGreater(taken, 60 * 600 - 100)

    def test_staysEmptyForSeconds(self) -> None:
        """
        An empty budget gives nothing for ten seconds, and then what has come together.
        """
        self.takeAll()
        self.clock.advance(REFILL - 0.1)
        self.assertEqual(self.takeAll(), 0)
        self.clock.advance(0.1)
        self.assertEqual(self.takeAll(), 2)

    def test_countsOmitted(self) -> None:
        """
        What there was no room for is counted until somebody asks.
        """
        self.assertEqual(self.budget.omitted(), 0)
        self.takeAll()
        for _ in range(6):
            self.budget.take(50)
        self.assertEqual(self.budget.omitted(), 7)
        self.assertEqual(self.budget.omitted(), 0)

    def test_makesUpForWhatWasTooMuch(self) -> None:
        """
        A line may turn out longer than there was room for; nothing is logged then until
        that is made up for.
        """
        self.assertTrue(self.budget.allows())
        self.budget.spend(1200)
        for _ in range(30):
            self.assertFalse(self.budget.allows())
            self.clock.advance(1)
        self.assertTrue(self.budget.allows())
        self.assertEqual(self.budget.omitted(), 30)

    def test_survivesClockThatIsSetBack(self) -> None:
        """
        A clock that is set back takes nothing from the budget.
        """
        self.budget.spend(500)
        self.clock.rightNow -= 3600
        self.assertTrue(self.budget.take(500))
        self.clock.advance(10)
        self.assertTrue(self.budget.take(100))

    def test_takesLongLine(self) -> None:
        """
        A line that is longer than the burst is logged where the bucket is full.
        """
        self.assertTrue(self.budget.take(5000))
        self.assertFalse(self.budget.take(5000))
        self.clock.advance(99)
        self.assertFalse(self.budget.take(5000))
        self.clock.advance(1)
        self.assertTrue(self.budget.take(5000))
