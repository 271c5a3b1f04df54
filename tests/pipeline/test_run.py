"""
A task that runs, and what its handler can know and do.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from threading import Thread
from time import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import LeaseLostError
from myconsumer.interfaces import IRunningTask
from myconsumer.pipeline.conclusions import Conclusions
from myconsumer.pipeline.execution import Execution
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.run import RunningTask
from myconsumer.pipeline.terms import Terms
from myconsumer.task import Settlement, Task
from myconsumer.testing import NOTHING, ControlledHandler, ScriptedQueue, passTime
from tests.model import fault


class RunCase(SynchronousTestCase):
    """
    Tasks that run with a lease, or without one.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.queue = ScriptedQueue(self.clock)
        self.observers = Observers([], self.clock)
        requests = Requests(self.queue, self.observers, self.clock)
        self.leases = Leases(requests, self.clock)
        self.handler = ControlledHandler()
        self.settled: list[Settlement] = []
        self.make()
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        self.leases.close()
        self.assertEqual(self.execution.running, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(self, timeout: float = 0.0) -> None:
        terms = Terms(1, timeout=timeout, maxAttempts=0)
        conclusions = Conclusions(self.settle, terms)
        self.execution = Execution(
            self.handler,
            conclusions,
            self.leases,
            self.observers,
            self.clock,
            terms,
        )

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        """
        A task has ended, and that is acknowledged.
        """
        self.settled.append(settlement)
        self.leases.drop([lease])

    def begin(self, receipt: str | None = "r-1", **fields: Any) -> Task:
        """
        Run a task.

        @return: What the handler got.
        """
        task = Task("1", {"n": 1}, receipt=receipt, **fields)
        lease = None
        if receipt is not None:
            lease = self.leases.hold(receipt, "1", 60.0, self.clock.seconds())
        self.execution.run(task, lease, self.clock.seconds())
        return self.handler.handled[-1].task

    def end(self) -> None:
        self.handler.handled[-1].succeed()


class RunningTaskTests(RunCase):
    """
    L{RunningTask}.
    """

    def test_hasTheFieldsOfItsTask(self) -> None:
        """
        A handler gets the task as it came, and a little more.
        """
        task = self.begin(attempt=3, lease=9.0, enqueued=5.5)
        self.assertIsInstance(task, RunningTask)
        self.assertIsInstance(task, Task)
        self.assertTrue(verifyObject(IRunningTask, task))
        self.assertEqual(
            task.value, Task("1", {"n": 1}, 3, "r-1", lease=9.0, enqueued=5.5)
        )
        self.assertEqual(
            (task.id, task.payload, task.attempt, task.receipt, task.lease),
            ("1", {"n": 1}, 3, "r-1", 9.0),
        )
        self.assertEqual(task.enqueued, 5.5)
        self.end()

    def test_cannotBeChanged(self) -> None:
        """
        A handler cannot change what others see.
        """
        task = self.begin()
        for name in ("id", "attempt", "run", "value", "deadline", "cancelled"):
            with self.assertRaises(AttributeError):
                setattr(task, name, 1)
        self.end()

    def test_hidesPayloadAndReceipt(self) -> None:
        """
        In a log a running task is its id and its attempt, without payload and receipt,
        and so is its run.
        """
        task = self.begin(attempt=3)
        assert isinstance(task, RunningTask)
        self.assertEqual(str(task), "<RunningTask '1', attempt 3>")
        self.assertEqual(repr(task.run), "<Run of <Task '1', attempt 3>>")
        self.end()

    def test_canBeAKey(self) -> None:
        """
        A running task can be a key, whatever its payload is; and each is one of its
        own.
        """
        first, second = self.begin(), self.begin("r-2")
        self.assertEqual(len({first, second}), 2)
        self.end()
        self.handler.handled[0].succeed()

    def test_hasNoDeadline(self) -> None:
        """
        Without a time limit there is no deadline.
        """
        self.assertIsNone(self.begin().deadline)
        self.end()

    def test_hasADeadline(self) -> None:
        """
        The deadline is when the time limit ends, in seconds since the epoch
        whatever our clock says, and stays.
        """
        self.make(timeout=50.0)
        before = time()
        task = self.begin()
        deadline = task.deadline
        assert deadline is not None
        self.assertTrue(before + 50 <= deadline <= time() + 50)
        passTime(self.clock, 20)
        self.assertEqual(task.deadline, deadline)
        self.end()
        self.assertEqual(task.deadline, deadline)

    def test_isNotCancelled(self) -> None:
        """
        A task that ends by itself was not cancelled.
        """
        task = self.begin()
        self.assertIs(task.cancelled, False)
        self.end()
        self.assertIs(task.cancelled, False)

    def test_isCancelled(self) -> None:
        """
        A task is cancelled once its time is over, its lease is lost, or the service
        stops; and is so before its handler's Deferred is cancelled, and stays so.
        """

        def timeOut() -> None:
            passTime(self.clock, 5)

        def lose() -> None:
            self.leases.lose(["r-1"])

        def stop() -> None:
            self.execution.stop()

        for cancel in (timeOut, lose, stop):
            self.make(timeout=5.0)
            seen: list[bool] = []
            task = self.begin()
            handling = self.handler.handled[-1]
            handling.onCancel = partial(self.look, task, seen)
            cancel()
            self.assertEqual(seen, [True])
            self.assertIs(task.cancelled, True)

    def look(self, task: Task, seen: list[bool]) -> None:
        seen.append(task.cancelled)

    def test_isCancelledThoughItGoesOn(self) -> None:
        """
        A task that does not end when it is cancelled can still see that it was,
        from any thread.
        """
        self.handler.script = lambda handling: setattr(handling, "stubborn", True)
        task = self.begin()
        self.execution.stop()
        seen: list[bool] = []
        thread = Thread(target=lambda: seen.append(task.cancelled))
        thread.start()
        thread.join()
        self.assertEqual(seen, [True])
        self.execution.abandon()
        self.assertIs(task.cancelled, True)


class ExtendTests(RunCase):
    """
    L{RunningTask.extend}.
    """

    def test_extendsTheLease(self) -> None:
        """
        The lease is extended, and the Deferred fires with nothing once that is so.
        """
        extended = self.begin().extend(300)
        passTime(self.clock, 0)
        [beat] = self.queue.beats
        self.assertEqual(beat.settlements, [Settlement("r-1", "extend", lease=300)])
        self.assertNoResult(extended)
        beat.take()
        self.assertIsNone(self.successResultOf(extended))
        self.end()

    def test_extendsWhileItBegins(self) -> None:
        """
        A handler may extend the lease before it has returned.
        """
        extended: list[Deferred[None]] = []
        self.handler.script = lambda handling: extended.append(handling.task.extend(90))
        self.begin()
        passTime(self.clock, 0)
        self.queue.beats[0].take()
        self.successResultOf(extended[0])
        self.end()

    def test_failsWhereTheTaskEndsAtOnce(self) -> None:
        """
        Where the task ends before the extension is sent it fails, and nothing is sent.
        """
        extended: list[Deferred[None]] = []

        def script(handling: Any) -> Any:
            extended.append(handling.task.extend(90))
            return NOTHING

        self.handler.script = script
        self.begin()
        failure = self.failureResultOf(extended[0], LeaseLostError)
        self.assertIn("task 1", str(failure.value))
        passTime(self.clock, 0)
        self.assertEqual(self.queue.settles, [])

    def test_failsOnceTheTaskHasEnded(self) -> None:
        """
        Once the task has ended, and that is acknowledged, an extension fails.
        """
        task = self.begin()
        self.end()
        self.failureResultOf(task.extend(90), LeaseLostError)

    def test_failsWithoutReceipt(self) -> None:
        """
        Without a receipt there is no lease to extend.
        """
        failure = self.failureResultOf(self.begin(None).extend(90), LeaseLostError)
        self.assertIn("without a receipt", str(failure.value))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.end()

    def test_refusesWhatIsOutOfRange(self) -> None:
        """
        Seconds that no lease can last are refused, with a receipt and without, and
        nothing is changed.
        """
        for receipt in ("r-1", None):
            task = self.begin(receipt)
            for seconds in (0, -1, float("nan"), float("inf"), 31_536_001):
                with self.assertRaises(ValueError) as caught:
                    task.extend(seconds)
                self.assertIn(repr(seconds), str(caught.exception))
            self.end()
        passTime(self.clock, 0)
        self.assertEqual(self.queue.settles, [])

    def test_takesWhatIsInRange(self) -> None:
        """
        A year is not too long, and a part of a second is not too short.
        """
        for seconds in (31_536_000, 0.001):
            task = self.begin()
            extended = task.extend(seconds)
            passTime(self.clock, 0)
            self.queue.beats[-1].take()
            self.successResultOf(extended)
            self.end()

    def test_takesAnyNumericType(self) -> None:
        """
        Seconds of any numeric type become a float, which can be encoded.
        """
        fraction: Any = Fraction(123, 2)
        extended = self.begin().extend(fraction)
        passTime(self.clock, 0)
        [beat] = self.queue.beats
        [settlement] = beat.settlements
        self.assertEqual((type(settlement.lease), settlement.lease), (float, 61.5))
        beat.take()
        self.successResultOf(extended)
        self.end()

    def test_cancelsATaskThatWaitsWhenLost(self) -> None:
        """
        A task that waits for an extension when its lease turns out to be lost is
        cancelled as any other: no traceback, and nothing is settled.
        """

        async def work(task: Task) -> None:
            await task.extend(300)

        self.handler.script = lambda handling: Deferred.fromCoroutine(
            work(handling.task)
        )
        task = self.begin()
        passTime(self.clock, 0)
        with capturedLogs() as logs:
            self.queue.beats[0].take("r-1")
        self.assertIs(task.cancelled, True)
        self.assertEqual(self.settled, [])
        self.assertEqual([e for e in logs if "log_failure" in e], [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancelsATaskThatWaitsWhenLate(self) -> None:
        """
        A task whose time is over while it waits for an extension is cancelled; what
        comes of that later changes nothing.
        """
        self.make(timeout=5.0)

        async def work(task: Task) -> None:
            await task.extend(300)

        self.handler.script = lambda handling: Deferred.fromCoroutine(
            work(handling.task)
        )
        self.begin()
        passTime(self.clock, 5)
        [settlement] = self.settled
        self.assertEqual(settlement.error, "timed out after 5 s")
        self.queue.beats[0].take()

    def test_retriesAFailedHeartbeat(self) -> None:
        """
        An extension whose heartbeat fails is retried: it takes longer, and works.
        """
        extended = self.begin().extend(300)
        passTime(self.clock, 0)
        self.queue.beats[0].fail(fault())
        self.assertNoResult(extended)
        passTime(self.clock, 2)
        self.queue.beats[1].take()
        self.successResultOf(extended)
        self.end()
