"""
The run of one task, with its time limit.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from myconsumer.errors import Reject, Release
from myconsumer.pipeline.conclusions import LOST, STOPPED, STUCK
from myconsumer.pipeline.lease import Lease
from myconsumer.task import COMPLETE, Ending, Settlement, Task
from myconsumer.testing import NOTHING, Handling, passTime
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
        self.assertEqual(
            (self.ending.cause, self.ending.outcome), ("failure", "release")
        )

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


class AnnouncementTests(ExecutionCase):
    """
    What is announced of tasks.
    """

    def names(self) -> str:
        return " ".join(self.observer.names())

    def test_announcesTheStartFirst(self) -> None:
        """
        That a task starts is announced before its handler is called, and its end after
        it was settled.
        """
        seen: list[tuple[str, int]] = []
        self.handler.script = lambda handling: seen.append(
            (self.names(), len(self.settled))
        )
        self.run_()
        self.handler.of("1").succeed(5)
        self.assertEqual(seen, [("taskStarted", 0)])
        self.assertEqual(self.names(), "taskStarted taskEnded")
        self.assertIs(self.ending, COMPLETE)

    def test_announcesTheTask(self) -> None:
        """
        What is announced is the task as it was delivered, at its end with the seconds
        that it has run.
        """
        lease, task = Lease("r-1", "1", 60, 60), Task("1", {"n": 1}, receipt="r-1")
        self.execution.run(task, lease, self.clock.seconds())
        passTime(self.clock, 7)
        self.handler.of("1").fail(Reject("no"))
        [(started,)] = self.observer.of("taskStarted")
        [(ended, ending, seconds)] = self.observer.of("taskEnded")
        self.assertIs(started, task)
        self.assertIs(ended, task)
        self.assertEqual((ending, seconds), (Ending("fail", "no"), 7))

    def test_announcesTimeInTheHandler(self) -> None:
        """
        A task whose handler returns at once has run for as long as that took, whether
        it returns or raises.
        """
        for result in (5, Reject("no")):
            self.scripted(result)
            script = self.handler.script

            def slow(handling: Handling, script: Any = script) -> Any:
                self.clock.rightNow += 2
                return script(handling)

            self.handler.script = slow
            self.run_()
            self.assertEqual(self.observer.of("taskEnded")[-1][2], 2)

    def test_announcesCancelledTasks(self) -> None:
        """
        How a task ends that was cancelled says why it was, and whether it has ended
        well all the same.
        """

        def timeOut() -> None:
            passTime(self.clock, 5)

        def lose() -> None:
            for run in self.execution.running:
                run.lose()

        for cancel, well, ending in (
            (timeOut, False, ("release", "timed out after 5 s", 10.0, "timeout")),
            (timeOut, True, ("complete", None, None, "handler")),
            (lose, False, ("lost", LOST.error, None, "lost")),
            (lose, True, ("lost", None, None, "lost")),
            (self.stopAll, False, ("uncounted", STOPPED.error, None, "stop")),
            (self.stopAll, True, ("complete", None, None, "handler")),
            (self.abandonAll, True, ("uncounted", STUCK.error, None, "stuck")),
            (self.abandonAll, False, ("uncounted", STUCK.error, None, "stuck")),
        ):
            with self.subTest(cancel=cancel, well=well):
                self.make(timeout=5)
                self.run_()
                handling = self.handler.handled[-1]
                handling.stubborn = True
                cancel()
                if well:
                    handling.succeed()
                else:
                    handling.fail(ValueError())
                [(_, told, _)] = self.observer.of("taskEnded")
                self.assertEqual(
                    (told.outcome, told.error, told.delay, told.cause), ending
                )

    def stopAll(self) -> None:
        self.execution.stop()

    def abandonAll(self) -> None:
        self.execution.stop()
        self.execution.abandon()

    def test_announcesAbandonedTasksThatAreLost(self) -> None:
        """
        A task whose lease is lost, and that does not end, is lost also when the
        service stops; one without a receipt that does not end is dropped.
        """
        lease = Lease("r-1", "1", 60, 60)
        self.execution.run(Task("1", None, receipt="r-1"), lease, self.clock.seconds())
        [run] = self.execution.running
        self.handler.of("1").stubborn = True
        run.lose()
        self.execution.run(Task("2", None), None, self.clock.seconds())
        self.handler.of("2").stubborn = True
        self.abandonAll()
        self.assertEqual(
            {
                task.id: ending.outcome
                for task, ending, _ in self.observer.of("taskEnded")
            },
            {"1": "lost", "2": "dropped"},
        )

    def test_announcesRefusedTasks(self) -> None:
        """
        A task that was delivered too often has ended, in no time, and was not started.
        """
        self.make(maxAttempts=2)
        self.run_(attempt=3)
        self.assertEqual(self.names(), "taskEnded")
        self.assertEqual((self.ending.outcome, self.ending.cause), ("fail", "attempts"))
        self.assertEqual(self.observer.of("taskEnded")[0][2], 0)

    def test_toleratesObserversThatStop(self) -> None:
        """
        An observer that has all tasks cancelled and abandoned, when one starts or ends,
        ends none of them twice.
        """
        for event in ("taskStarted", "taskEnded"):
            with self.subTest(event=event):
                self.make()
                self.observer.when = lambda name, event=event: (
                    self.abandonAll() if name == event else None
                )
                ids = ["1", "2", "3"]
                for id in ids:
                    self.execution.run(Task(id, None), None, self.clock.seconds())
                    self.handler.of(id).stubborn = True
                self.handler.handled[-1].succeed()
                self.abandonAll()
                ended = [task.id for task, *_ in self.observer.of("taskEnded")]
                self.assertEqual(sorted(map(str, ended)), ids)

    def test_runsUnobserved(self) -> None:
        """
        Where nobody observes tasks they run and are settled all the same.
        """
        self.make(maxAttempts=2, observers=[])
        for result in (5, NOTHING, succeed(1), ValueError(), Release(), fail(Reject())):
            self.scripted(result)
            self.run_()
        self.run_(attempt=3)
        self.assertEqual(
            [settlement.outcome for _, settlement in self.settled],
            ["complete"] * 3 + ["release"] * 2 + ["fail"] * 2,
        )
        self.assertEqual(self.observer.events, [])
