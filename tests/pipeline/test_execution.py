"""
The run of one task, with its time limit.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from myconsumer.errors import Reject, Release
from myconsumer.task import Settlement
from myconsumer.testing import Handling, passTime
from tests.pipeline.case import ExecutionCase


class DeferredTests(ExecutionCase):
    """
    Handlers that end later.
    """

    def test_settlesOnceItFires(self) -> None:
        """
        The task ends, and is settled, once the handler's Deferred fires.
        """
        lease, ended = self.run_()
        assert ended is not None
        self.assertNoResult(ended)
        self.assertEqual(self.settled, [])
        self.handler.of("1").succeed(5)
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(
            self.settled, [(lease, Settlement("r-1", "complete", result=Raw(b"5")))]
        )

    def test_settlesOnceItFails(self) -> None:
        """
        What the Deferred fails with decides, as what a handler raises.
        """
        for error, outcome in (
            (ValueError("bad"), "release"),
            (Release(delay=3), "release"),
            (Reject("no"), "fail"),
        ):
            _, ended = self.run_()
            assert ended is not None
            self.handler.of("1").fail(error)
            self.assertIsNone(self.successResultOf(ended))
            self.assertEqual(self.settled.pop()[1].outcome, outcome)
        self.flushLoggedErrors(ValueError)

    def test_takesAFiredDeferred(self) -> None:
        """
        A Deferred that has fired already is as good as one that fires later.
        """
        for result, outcome in ((succeed(1), "complete"), (fail(Reject()), "fail")):
            self.scripted(result)
            _, ended = self.run_()
            assert ended is not None
            self.assertIsNone(self.successResultOf(ended))
            self.assertEqual(self.settled.pop()[1].outcome, outcome)

    def test_forgetsTheTimeLimit(self) -> None:
        """
        A Deferred that has fired leaves no time limit behind.
        """
        self.make(timeout=5)
        self.scripted(succeed(1))
        self.run_()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_forgetsItsLease(self) -> None:
        """
        A lease that is lost after the task has ended changes nothing.
        """
        lease, _ = self.run_()
        self.assertIsNotNone(lease.onLost)
        self.handler.of("1").succeed()
        self.assertIsNone(lease.onLost)
        lease, _ = self.run_()
        self.handler.of("1").fail(Reject())
        self.assertIsNone(lease.onLost)


class CancelTests(ExecutionCase):
    """
    Tasks that are told to end.
    """

    def test_cancelsAfterTheTimeLimit(self) -> None:
        """
        A task that runs for too long is cancelled, and released as a failure is.
        """
        self.make(timeout=5)
        _, ended = self.run_(attempt=2)
        assert ended is not None
        passTime(self.clock, 4.9)
        self.assertNoResult(ended)
        passTime(self.clock, 0.1)
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(self.handler.of("1").cancels, 1)
        self.assertEqual(
            self.settled[0][1],
            Settlement(
                "r-1", "release", delay=20, error="timed out after 5 s", counted=True
            ),
        )

    def test_failsAfterATimeOutInTheLastAttempt(self) -> None:
        """
        A time-out in the last attempt fails the task for good.
        """
        self.make(timeout=5, maxAttempts=2)
        self.run_(attempt=2)
        passTime(self.clock, 5)
        self.assertEqual(self.settled[0][1].outcome, "fail")

    def test_doesNotCancelWhatEndsInTime(self) -> None:
        """
        A task that ends in time is not cancelled later.
        """
        self.make(timeout=5)
        for end in (Handling.succeed, lambda handling: handling.fail(Reject())):
            self.run_()
            end(self.handler.of("1"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hasNoTimeLimit(self) -> None:
        """
        Without a time limit no task is cancelled, however long it runs.
        """
        self.run_()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.handler.of("1").succeed()

    def test_cancelsALostTask(self) -> None:
        """
        A task whose lease is lost is cancelled, and nothing is settled.
        """
        lease, ended = self.run_()
        assert ended is not None
        assert lease.onLost is not None
        lease.onLost()
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(self.handler.of("1").cancels, 1)
        self.assertEqual(self.settled, [])

    def test_settlesNothingOfALostTask(self) -> None:
        """
        Once a lease is lost nothing is told of it: not that the task ended well, nor
        that it was cut short by its time limit or by a stop, before or after that.
        """

        def lose() -> None:
            assert lease.onLost is not None
            lease.onLost()

        def timeOut() -> None:
            passTime(self.clock, 5)

        self.make(timeout=5)
        for cancels in (
            (lose, self.stop),
            (timeOut, lose),
            (timeOut, lose, self.stop),
            (self.stop, lose),
        ):
            for end in (Handling.succeed, lambda handling: handling.fail(Reject())):
                lease, ended = self.run_()
                assert ended is not None
                self.handler.of("1").stubborn = True
                for cancel in cancels:
                    cancel()
                end(self.handler.of("1"))
                self.successResultOf(ended)
                self.assertEqual(self.settled, [])

    def stop(self) -> None:
        self.execution.stop()

    def test_doesNotGiveBackALostTask(self) -> None:
        """
        A task that has lost its lease and does not end is not given back either.
        """
        lease, _ = self.run_()
        self.handler.of("1").stubborn = True
        assert lease.onLost is not None
        lease.onLost()
        self.execution.stop()
        self.execution.abandon()
        self.assertEqual(self.settled, [])

    def test_cancelsOnce(self) -> None:
        """
        A task that takes its time to clean up after its time limit is not disturbed
        when its lease is lost.
        """
        self.make(timeout=5)
        lease, _ = self.run_()
        handling = self.handler.of("1")
        handling.stubborn = True
        passTime(self.clock, 5)
        assert lease.onLost is not None
        lease.onLost()
        self.assertEqual(handling.cancels, 1)
        handling.succeed()

    def test_cancelsAgainAtAStop(self) -> None:
        """
        A stop cancels again what does not end after its time limit; what is told is
        that its time was over.
        """
        self.make(timeout=5)
        self.run_()
        handling = self.handler.of("1")
        handling.stubborn = True
        passTime(self.clock, 5)
        self.execution.stop()
        self.assertEqual(handling.cancels, 2)
        handling.fail(CancelledError())
        self.assertEqual(self.settled[0][1].error, "timed out after 5 s")

    def test_givesBackAtAStop(self) -> None:
        """
        A stop cancels all tasks, and releases them uncounted.
        """
        leases = [self.run_()[0] for _ in range(3)]
        self.execution.stop()
        self.assertCountEqual([lease for lease, _ in self.settled], leases)
        for _, settlement in self.settled:
            self.assertEqual(settlement, Settlement("r-1", "release", counted=False))

    def test_givesBackTheLastAttempt(self) -> None:
        """
        A stop is no failure: the last attempt is given back too.
        """
        self.make(maxAttempts=1)
        self.run_()
        self.execution.stop()
        self.assertEqual(self.settled[0][1].outcome, "release")

    def test_ignoresWhatACancelRaises(self) -> None:
        """
        What a handler fails with, upon being cancelled by a stop, does not count.
        """
        handling: Deferred[Any] = Deferred(lambda d: d.errback(Reject("stopped")))
        self.scripted(handling)
        self.run_()
        self.execution.stop()
        self.assertTrue(handling.called)
        self.assertEqual(
            self.settled[0][1], Settlement("r-1", "release", counted=False)
        )

    def test_endsWellUponCancel(self) -> None:
        """
        A handler that ends well when it is cancelled has completed its task.
        """
        self.make(timeout=5)
        self.run_()
        self.handler.of("1").well = True
        self.execution.stop()
        self.assertEqual(
            self.settled.pop()[1],
            Settlement("r-1", "complete", result=Raw(b'"in time"')),
        )
        self.run_()
        self.handler.of("1").well = True
        passTime(self.clock, 5)
        self.assertEqual(self.settled.pop()[1].outcome, "complete")

    def test_swallowsCancel(self) -> None:
        """
        A handler that swallows its cancel keeps its slot, and is settled when it
        has ended.
        """
        self.make(timeout=5)
        _, ended = self.run_()
        assert ended is not None
        self.handler.of("1").stubborn = True
        passTime(self.clock, 100)
        self.assertNoResult(ended)
        self.assertEqual(self.settled, [])
        self.handler.of("1").succeed()
        self.successResultOf(ended)
        self.assertEqual(self.settled[0][1].outcome, "complete")

    def test_failsWhenCancelledByItself(self) -> None:
        """
        A handler whose own Deferred is cancelled by somebody else has failed.
        """
        self.run_()
        self.handler.of("1").fail(CancelledError())
        self.assertEqual(self.settled[0][1].counted, True)
        self.flushLoggedErrors(CancelledError)

    def test_abandonsWhatDoesNotEnd(self) -> None:
        """
        What does not end although it was cancelled is released, uncounted; its end
        is not settled any more, but frees its slot.
        """
        for end in (Handling.succeed, lambda handling: handling.fail(ValueError())):
            lease, ended = self.run_()
            assert ended is not None
            self.handler.of("1").stubborn = True
            self.execution.stop()
            self.execution.abandon()
            self.assertEqual(
                self.settled, [(lease, Settlement("r-1", "release", counted=False))]
            )
            self.assertNoResult(ended)
            end(self.handler.of("1"))
            self.assertIsNone(self.successResultOf(ended))
            self.assertEqual(len(self.settled), 1)
            self.settled.clear()

    def test_abandonsNothing(self) -> None:
        """
        Where all have ended, nothing is abandoned.
        """
        self.run_()
        self.execution.stop()
        self.execution.abandon()
        self.assertEqual(len(self.settled), 1)

    def test_cancelsTheOthers(self) -> None:
        """
        A handler whose Deferred cannot be cancelled without an exception does not
        keep the others from being cancelled.
        """

        def broken(_: Deferred[Any]) -> None:
            raise ZeroDivisionError

        deferreds: list[Deferred[Any]] = [
            Deferred(broken),
            Deferred(),
            Deferred(broken),
        ]
        for each in deferreds:
            self.scripted(each)
            self.run_()
        self.execution.stop()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(len(self.settled), 1)
        self.execution.abandon()
        self.assertEqual(len(self.settled), 3)
