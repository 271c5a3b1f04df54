"""
The polling source: when it polls, for whom, and when it has stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer import (
    ITaskConsumer,
    ITaskSource,
    ParallelLimitedTaskConsumer,
    PollingTaskSource,
)
from tests.test_consumer import loggerOf, nothing


@implementer(ITaskConsumer)
class NotedConsumer:
    """
    A consumer that only notes what it is told.

    @ivar told: C{"task"}, C{"none"} and C{"failed"}, in order.
    @ivar onCall: Is done in each call, and gives what that returns.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.onCall: Callable[[], Any] = nothing

    def taskStarted(self, task: Callable[[], Any]) -> None:
        """
        See L{ITaskConsumer.taskStarted}.
        """
        assert task is nothing
        self.told.append("task")
        return self.onCall()  # type: ignore[no-any-return]

    def noTasksFound(self) -> None:
        """
        See L{ITaskConsumer.noTasksFound}.
        """
        self.told.append("none")
        return self.onCall()  # type: ignore[no-any-return]

    def taskProductionFailed(self, reason: Failure) -> None:
        """
        See L{ITaskConsumer.taskProductionFailed}.
        """
        assert reason.check(ZeroDivisionError)
        self.told.append("failed")
        return self.onCall()  # type: ignore[no-any-return]


class PollingCase(SynchronousTestCase):
    """
    A source with a clock and a producer, which leaves nothing in the clock.

    @ivar polls: The times of the polls.
    @ivar answer: What the producer does.
    """

    def setUp(self) -> None:
        """
        Make a source that polls every second, and finds nothing.
        """
        self.clock = Clock()
        self.addCleanup(self.assertNothingLeft)
        self.polls: list[float] = []
        self.answer: Callable[[], Any] = nothing
        self.consumer = NotedConsumer()
        self.source = self.makeSource(1)

    def makeSource(self, interval: float, **options: Any) -> PollingTaskSource:
        """
        Make a source with an interval in seconds, which is stopped with the test.
        """

        def produce() -> Any:
            self.polls.append(self.clock.seconds())
            return self.answer()

        source = PollingTaskSource(interval, produce, self.clock, **options)
        self.addCleanup(source.stop)
        return source

    def assertNothingLeft(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def pollSlowly(self) -> list[Deferred[Any]]:
        """
        Let the producer return a Deferred from now on.

        @return: Where these are to be found.
        """
        answers: list[Deferred[Any]] = []

        def answer() -> Deferred[Any]:
            answers.append(Deferred())
            return answers[-1]

        self.answer = answer
        return answers

    def pump(self, *steps: float) -> list[float]:
        """
        Let time pass, step by step.

        @return: The times of the polls that there have been since the last time.
        """
        self.clock.pump(steps)
        polls, self.polls[:] = list(self.polls), []
        return polls


class TimeTests(PollingCase):
    """
    When the producer is called.
    """

    def test_providesItsInterface(self) -> None:
        """
        The source provides L{ITaskSource}, and the fake here is a consumer.
        """
        verifyObject(ITaskSource, self.source)
        verifyObject(ITaskConsumer, self.consumer)

    def test_pollsNothingBeforeStart(self) -> None:
        """
        Making one polls nothing and leaves the clock alone.
        """
        self.assertEqual(self.pump(5), [])

    def test_pollsAtTheInterval(self) -> None:
        """
        The source polls at once, and then whenever the interval has passed.
        """
        self.source.start(self.consumer)
        self.assertEqual(self.polls, [0])
        self.assertEqual(self.pump(0.75, 0.25, 0.5, 0.5), [0, 1, 2])

    def test_doesNotDrift(self) -> None:
        """
        The times of the polls are multiples of the interval, also of one that
        floats do not divide exactly, however late the clock is.
        """
        source = self.makeSource(0.1)
        source.start(self.consumer)
        for late in (0.0, 0.03, 0.09):
            polls = self.pump(*[0.1] * 1000, late)
            self.assertIn(len(polls), (1000, 1001))
        for _ in range(3000):
            [call] = self.clock.getDelayedCalls()
            self.clock.advance(call.getTime() - self.clock.seconds())
        self.assertEqual(
            [round(poll * 10, 6) for poll in self.polls[-3000:]],
            [round(self.polls[-1] * 10) - 2999 + n for n in range(3000)],
        )

    def test_leavesOutMissedIntervals(self) -> None:
        """
        Intervals that pass unseen are left out.
        """
        self.source.start(self.consumer)
        self.assertEqual(self.pump(3.5, 0.25, 0.25, 1), [0, 3.5, 4, 5])

    def test_pollsAtOnceWhenRestarted(self) -> None:
        """
        Another start has the source poll at once, and the interval begin anew.
        """
        self.source.start(self.consumer)
        self.pump(0.5)
        self.source.start(self.consumer)
        self.assertEqual(self.pump(0.75, 0.25, 0.75, 0.25), [0.5, 1.5, 2.5])

    def test_beginsTheIntervalAnewInASlowPoll(self) -> None:
        """
        The interval begins anew also where the poll for that start takes until
        after the next poll would have been.
        """
        self.source.start(self.consumer)
        self.pump(0.5)
        answers = self.pollSlowly()
        self.source.start(self.consumer)
        self.assertEqual(self.pump(0.75), [0.5])
        answers.pop().callback(None)
        self.assertEqual(self.pump(0), [])
        self.assertEqual(self.pump(0.25), [1.5])

    def test_waitsForASlowPoll(self) -> None:
        """
        A poll that takes several intervals is the only one meanwhile; then the
        next is at a multiple of the interval.
        """
        answers = self.pollSlowly()
        self.source.start(self.consumer)
        self.assertEqual(self.pump(1, 1, 0.5), [0])
        answers.pop().callback(None)
        self.assertEqual(self.pump(0, 0.25, 0.25), [3])

    def test_pollsOnceAfterStartsDuringAPoll(self) -> None:
        """
        A start during a poll polls as soon as that has ended, and once for all
        of them.
        """
        answers = self.pollSlowly()
        self.source.start(self.consumer)
        self.source.start(self.consumer)
        self.source.start(self.consumer)
        self.assertEqual(self.polls, [0])
        answers.pop().callback(None)
        self.assertEqual(self.polls, [0, 0])
        answers.pop().callback(None)
        self.assertEqual(self.pump(0.5, 0.5), [0, 0, 1])

    def test_pollsEachTurnWithoutInterval(self) -> None:
        """
        Without an interval the next poll is at the reactor's next turn.
        """
        self.makeSource(0).start(self.consumer)
        self.assertEqual(self.polls, [0])
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [0])

    def test_refusesAWrongInterval(self) -> None:
        """
        An interval that is negative or no number is refused.
        """
        for interval in (-1, float("nan")):
            with self.assertRaises(ValueError):
                PollingTaskSource(interval, nothing)

    def test_usesTheReactorByDefault(self) -> None:
        """
        Without a clock the reactor keeps the time.
        """
        from twisted.internet import reactor

        before = reactor.getDelayedCalls()
        source = PollingTaskSource(interval=60, task_producer=nothing)
        source.start(self.consumer)
        after = reactor.getDelayedCalls()
        source.stop()
        self.assertEqual(len(after), len(before) + 1)


class TellingTests(PollingCase):
    """
    What the consumer is told.
    """

    def test_tellsWhatItFinds(self) -> None:
        """
        The consumer is told of a task, of none and of a failure, also late; and
        the next poll follows.
        """

        def bad() -> None:
            raise ZeroDivisionError

        for told, answer in (
            ("task", lambda: nothing),
            ("none", lambda: None),
            ("failed", bad),
            ("task", lambda: succeed(nothing)),
            ("none", lambda: succeed(None)),
            ("failed", lambda: fail(ZeroDivisionError())),
        ):
            self.consumer.told.clear()
            self.answer = answer
            self.source.start(self.consumer)
            self.assertEqual(self.consumer.told, [told])
            self.clock.advance(1)
            self.assertEqual(self.consumer.told, [told, told])

        answers = self.pollSlowly()
        for told, result in (
            ("task", nothing),
            ("none", None),
            ("failed", Failure(ZeroDivisionError())),
        ):
            self.consumer.told.clear()
            self.clock.advance(1)
            self.assertEqual(self.consumer.told, [])
            answers.pop().callback(result)
            self.assertEqual(self.consumer.told, [told])

    def test_replacesTheConsumer(self) -> None:
        """
        Another start replaces the consumer; what was under way is told to the one
        that it was polled for.
        """
        other = NotedConsumer()
        answers = self.pollSlowly()
        self.source.start(self.consumer)
        self.source.start(other)
        answers.pop().callback(nothing)
        self.assertEqual((self.consumer.told, other.told), (["task"], []))
        answers.pop().callback(None)
        self.clock.advance(1)
        answers.pop().callback(nothing)
        self.assertEqual((self.consumer.told, other.told), (["task"], ["none", "task"]))

    def test_survivesTheConsumersTrouble(self) -> None:
        """
        What the consumer's methods return or raise does not delay a poll, and is
        logged where it is a fault.
        """

        def raises() -> None:
            raise ValueError

        for answer in (lambda: nothing, nothing, lambda: fail(ZeroDivisionError())):
            self.answer = answer
            for trouble, logged in ((Deferred, 0), (raises, 1)):
                self.consumer.onCall = trouble
                self.source.start(self.consumer)
                self.pump(0)
                self.assertEqual(len(self.flushLoggedErrors(ValueError)), logged)
                self.assertEqual(len(self.pump(1, 1)), 2)
                self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2 * logged)

    def test_survivesAConsumerWithoutMethods(self) -> None:
        """
        A consumer that lacks the methods does not end the polls.
        """
        for answer in (lambda: nothing, nothing, lambda: fail(ZeroDivisionError())):
            self.answer = answer
            self.source.start(object())  # type: ignore[arg-type]
            self.assertEqual(len(self.pump(1, 1)), 3)
            self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 3)

    def test_usesTheLoggerGiven(self) -> None:
        """
        A consumer's fault goes to the logger that was given, of Twisted or of the
        standard library.
        """
        events: list[LogEvent] = []
        source = self.makeSource(1, logger=loggerOf(events))
        source.start(object())  # type: ignore[arg-type]
        self.assertEqual(
            [event["log_failure"].type for event in events], [AttributeError]
        )
        logger = logging.getLogger("tests.polling")
        with self.assertLogs(logger) as logs:
            self.makeSource(1, logger=logger).start(object())  # type: ignore[arg-type]
        [record] = logs.records
        self.assertIn("AttributeError", logging.Formatter().format(record))

    def test_startsWithinTheProducer(self) -> None:
        """
        A producer that starts the source is called again when it has returned.
        """

        def answer() -> None:
            polls = len(self.polls)
            if polls < 3:
                self.source.start(self.consumer)
            self.assertEqual(len(self.polls), polls)

        self.answer = answer
        self.source.start(self.consumer)
        self.assertEqual(self.consumer.told, ["none"] * 3)

    def test_startsWithinACall(self) -> None:
        """
        A consumer that starts the source whenever it is told of something is
        polled for again, not within the call.
        """
        depths: list[int] = []
        depth = 0

        def again() -> None:
            nonlocal depth
            depth += 1
            depths.append(depth)
            if len(depths) < 3:
                self.source.start(self.consumer)
            depth -= 1

        self.consumer.onCall = again
        self.source.start(self.consumer)
        self.assertEqual((self.polls, depths), ([0, 0, 0], [1, 1, 1]))


class StopTests(PollingCase):
    """
    L{PollingTaskSource.stop}.
    """

    def test_stopsAtOnceWhileIdle(self) -> None:
        """
        A stop between two polls, before the start or after another stop is done at
        once.
        """
        self.assertIs(self.successResultOf(self.source.stop()), True)
        self.source.start(self.consumer)
        for _ in range(2):
            self.assertIs(self.successResultOf(self.source.stop()), True)
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.pump(5), [0])
        self.source.start(self.consumer)
        self.assertEqual(self.pump(1), [5, 6])

    def test_waitsForThePollUnderWay(self) -> None:
        """
        A stop fires once the poll under way has ended, of which the consumer is told
        first: with whether the source is still stopped then.
        """
        for steps, results, polls in (
            ("stop", [True], 1),
            ("stop stop", [True, True], 1),
            ("stop start", [False], 2),
            ("stop start stop", [True, True], 1),
            ("start stop", [True], 1),
            ("stop start stop start", [False, False], 2),
        ):
            self.setUp()
            answers = self.pollSlowly()
            self.source.start(self.consumer)
            fired: list[object] = []
            for step in steps.split():
                if step == "start":
                    self.source.start(self.consumer)
                else:
                    self.source.stop().addCallback(
                        lambda stopped: (stopped, *self.consumer.told)
                    ).addCallback(fired.append)
            self.clock.advance(1)
            self.assertEqual((fired, len(self.polls)), ([], 1), steps)
            answers.pop(0).callback(nothing)
            self.assertEqual(fired, [(result, "task") for result in results], steps)
            self.clock.advance(0.5)
            self.assertEqual(len(self.polls), polls, steps)
            if results[0]:
                self.assertEqual(self.clock.getDelayedCalls(), [], steps)

    def test_waitsForAFailingPoll(self) -> None:
        """
        A poll that fails has ended too, also where telling of it fails.
        """
        answers = self.pollSlowly()
        self.source.start(object())  # type: ignore[arg-type]
        stopped = self.source.stop()
        self.assertNoResult(stopped)
        answers.pop().errback(ZeroDivisionError())
        self.assertIs(self.successResultOf(stopped), True)
        self.flushLoggedErrors(AttributeError)

    def test_stopsWithinACall(self) -> None:
        """
        A consumer that stops the source when told of something is told of no more.
        """
        stops: list[Deferred[bool]] = []
        self.consumer.onCall = lambda: stops.append(self.source.stop())
        self.source.start(self.consumer)
        self.assertIs(self.successResultOf(stops[0]), True)
        self.assertEqual(self.pump(5), [0])

    def test_startsWhenStopped(self) -> None:
        """
        Whoever waits for the stop may start the source again, and who was to
        hear of the stop after that hears of the start.
        """
        answers = self.pollSlowly()
        self.source.start(self.consumer)
        self.source.stop().addCallback(lambda _: self.source.start(self.consumer))
        later = self.source.stop()
        answers.pop().callback(None)
        self.assertIs(self.successResultOf(later), False)
        self.assertEqual(self.polls, [0, 0])
        self.source.stop().addCallback(lambda _: self.source.start(self.consumer))
        self.answer = nothing
        answers.pop().callback(None)
        self.assertEqual(self.pump(0.5, 0.5), [0, 0, 0, 1])


class ConsumerTests(PollingCase):
    """
    The source with the real consumer.
    """

    def consume(self, limit: int) -> Deferred[None]:
        """
        Consume the source, C{limit} tasks at once.
        """
        self.real = ParallelLimitedTaskConsumer(limit)
        return self.real.consume(self.source)

    def test_needsABoundedStack(self) -> None:
        """
        Two hundred thousand tasks that end at once need no more stack than one.
        """
        tasks = iter([nothing] * 200_000)
        self.answer = lambda: next(tasks, None)
        self.assertIsNone(self.successResultOf(self.consume(1)))
        self.assertEqual(len(self.polls), 200_001)
        self.assertEqual(self.clock.seconds(), 0)

    def test_needsABoundedStackLater(self) -> None:
        """
        Two hundred thousand tasks that end at once need no more stack than one, where
        they begin with a late answer or at an interval.
        """
        tasks = iter([nothing] * 5_000)
        answers = self.pollSlowly()
        running: Deferred[None] = Deferred()
        ended = self.consume(2)
        answers.pop().callback(lambda: running)
        answers.pop().callback(None)
        self.assertNoResult(ended)
        self.answer = lambda: next(tasks, None)
        self.clock.advance(1)
        self.assertIsNone(next(tasks, None))
        running.callback(None)
        self.assertIsNone(self.successResultOf(ended))

    def test_keepsToTheLimit(self) -> None:
        """
        The source is not polled at the limit, and at once with a free slot.
        """
        running: list[Deferred[None]] = []

        def task() -> Deferred[None]:
            running.append(Deferred())
            return running[-1]

        self.answer = lambda: task
        self.consume(3)
        self.assertEqual((len(running), self.pump(5)), (3, [0, 0, 0]))
        running.pop().callback(None)
        self.assertEqual((len(running), self.pump(5)), (3, [5]))
        self.answer = nothing
        running.pop().callback(None)
        self.assertEqual(self.pump(1, 1), [10, 11, 12])
        self.answer = lambda: task
        self.clock.advance(1)
        self.assertEqual(len(running), 3)

    def test_retriesAfterFailures(self) -> None:
        """
        A failure is retried when a task ends, and ends the run where none runs.
        """
        running: Deferred[None] = Deferred()
        answers = iter([lambda: running])

        def answer() -> Callable[[], Any]:
            for task in answers:
                return task
            raise ZeroDivisionError

        self.answer = answer
        ended = self.consume(3)
        self.assertEqual(self.pump(5), [0, 0])
        self.assertNoResult(ended)
        running.callback(None)
        self.assertEqual(self.pump(5), [5])
        self.assertIsNone(self.successResultOf(ended))

    def test_drainsDuringAPoll(self) -> None:
        """
        A drain waits for the poll under way, and for the task that it brings.
        """
        answers = self.pollSlowly()
        running: Deferred[None] = Deferred()
        ended = self.consume(3)
        drained = self.real.drain()
        self.assertNoResult(drained)
        answers.pop().callback(lambda: running)
        self.assertNoResult(drained)
        self.assertEqual(self.real.running, 1)
        running.callback(None)
        self.assertIsNone(self.successResultOf(ended))
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(self.clock.getDelayedCalls(), [])
