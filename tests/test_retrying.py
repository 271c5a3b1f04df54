"""
How long a queue is left alone after failures, and what the log hears of it.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError, RefusalError
from myconsumer.retrying import LONGEST, QUIET, QUIET_LASTING, Retry, faultPolicy


class RetryCase(SynchronousTestCase):
    """
    A L{Retry} whose policy says 1, 2, 4... seconds.
    """

    def setUp(self) -> None:
        """
        Make one that has seen nothing yet.
        """
        self.clock = Clock()
        self.retry = Retry("Claims", self.clock, lambda failures: 2.0**failures)

    def tearDown(self) -> None:
        """
        It has no timers of its own.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def refuse(self, error: Exception) -> float:
        """
        Let a request fail.
        """
        return self.retry.failed(Failure(error))


class DelayTests(RetryCase):
    """
    The delays.
    """

    def test_policy(self) -> None:
        """
        The usual policy begins with half a second, doubles, is jittered, and ends
        at half a minute.
        """
        for failures, least in ((0, 0.5), (1, 1), (2, 2), (5, 16), (6, 29), (5000, 29)):
            delays = {faultPolicy(failures) for _ in range(50)}
            self.assertGreater(len(delays), 1)
            self.assertGreaterEqual(min(delays), least)
            self.assertLessEqual(max(delays), min(least + 1, LONGEST))

    def test_usualPolicy(self) -> None:
        """
        Without another policy the usual one is taken.
        """
        delay = Retry("Claims", self.clock).failed(Failure(FaultError("down")))
        self.assertTrue(0.5 <= delay <= 1.5, delay)

    def test_failuresInARow(self) -> None:
        """
        Each failure in a row waits for longer; a success begins anew.
        """
        delays = [self.refuse(FaultError("down")) for _ in range(4)]
        self.assertEqual((delays, self.retry.failures), ([1, 2, 4, 8], 4))
        self.retry.succeeded()
        self.assertEqual(self.retry.failures, 0)
        self.assertEqual(self.refuse(FaultError("down")), 1)

    def test_retryAfter(self) -> None:
        """
        Where the endpoint asks for more time than the policy, it gets it.
        """
        self.assertEqual(self.refuse(FaultError("busy", retryAfter=90)), 90)
        self.assertEqual(self.refuse(FaultError("busy", retryAfter=0)), 2)
        self.assertEqual(self.refuse(FaultError("busy", retryAfter=0.5)), 4)

    def test_refusal(self) -> None:
        """
        A refusal waits for the longest time at once.
        """
        self.assertEqual(self.refuse(RefusalError("gone")), LONGEST)
        self.assertEqual(self.retry.failures, 1)

    def test_surprise(self) -> None:
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

    def test_levels(self) -> None:
        """
        A fault is a warning, a refusal an error, neither with a traceback; a
        surprise is critical, with one.
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

    def test_text(self) -> None:
        """
        The line says what fails, why, and when it is tried again.
        """
        with capturedLogs() as events:
            self.refuse(FaultError("down"))
        [event] = events
        self.assertEqual((event["what"], event["delay"]), ("Claims", 1))

    def test_repeated(self) -> None:
        """
        The same is said once a minute, however often it happens.
        """
        self.assertEqual(len(self.logged(*[FaultError("down")] * 50)), 1)
        self.clock.advance(QUIET - 1)
        self.assertEqual(len(self.logged(FaultError("down"))), 0)
        self.clock.advance(1)
        self.assertEqual(len(self.logged(*[FaultError("down")] * 50)), 1)

    def test_refusalLasts(self) -> None:
        """
        A refusal is said once, and again after each hour that it lasts.
        """
        refusals = [RefusalError("no token")] * 5
        self.assertEqual(len(self.logged(*refusals)), 1)
        self.clock.advance(QUIET_LASTING - 1)
        self.assertEqual(len(self.logged(*refusals)), 0)
        self.clock.advance(1)
        self.assertEqual(len(self.logged(*refusals)), 1)

    def test_refusedAgain(self) -> None:
        """
        A refusal that comes back after requests have worked is said again, however
        few of them were refused before.
        """
        for refusals in ([RefusalError("no token")], [RefusalError("no token")] * 5):
            self.assertEqual(len(self.logged(*refusals)), 1)
            self.retry.succeeded()
            self.clock.advance(QUIET)

    def test_refusedInTurns(self) -> None:
        """
        One that comes and goes is said once a minute.
        """
        lines = 0
        for _ in range(60):
            lines += len(self.logged(RefusalError("no token")))
            self.retry.succeeded()
            self.clock.advance(1)
        self.assertEqual(lines, 1)

    def test_different(self) -> None:
        """
        Another reason is said at once, also in turns with the first.
        """
        errors = [FaultError("down"), FaultError("slow")] * 20
        self.assertEqual(
            [reason for _, reason, _ in self.logged(*errors)], ["down", "slow"]
        )

    def test_memory(self) -> None:
        """
        Reasons that differ each time are not kept for ever.
        """
        self.assertEqual(len(self.logged(*[FaultError(str(n)) for n in range(99)])), 99)
        self.assertLess(len(self.retry._quietUntil), 20)

    def test_recovery(self) -> None:
        """
        The end of an outage is said, with its length in failures; that of a
        hiccup is not.
        """
        for failures, lines in ((0, []), (2, []), (3, [("info", 3)])):
            self.logged(*[FaultError("down")] * failures)
            with capturedLogs() as events:
                self.retry.succeeded()
                self.retry.succeeded()
            self.assertEqual(
                [(event["log_level"].name, event["failures"]) for event in events],
                lines,
            )
