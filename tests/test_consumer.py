"""
The consumer: how many tasks run, what its source is told, and when a run ends.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer import (
    AlreadyRunningError,
    ITaskConsumer,
    ITaskSource,
    NotRunningError,
    ParallelLimitedTaskConsumer,
)
from myconsumer.interfaces import ITaskSlots

Task = Callable[[], Any]

COMPOSING = Path(__file__).resolve().parent.parent / "docs" / "composing.md"


def loggerOf(events: list[LogEvent]) -> Logger:
    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        events.append(event)

    return Logger("mine", observer=observe)


def nothing() -> None:
    """
    Be a task that ends at once.
    """


def raises() -> None:
    """
    Be a task that fails at once.
    """
    raise ZeroDivisionError("the task's own fault")


async def coroutine() -> None:
    """
    Be a task that is a coroutine, and fails.
    """
    raises()


@implementer(ITaskSource)
class NotedSource:
    """
    A source that only notes what it is told, and stops as a test says.

    @ivar calls: C{"start"} and C{"stop"}, in order.
    @ivar onStart: Is done in each start.
    @ivar onStop: Is done in each stop, and gives what that returns.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.onStart: Callable[[], object] = nothing
        self.onStop: Callable[[], Deferred[bool]] = lambda: succeed(True)

    def start(self, consumer: ITaskConsumer) -> None:
        """
        See L{ITaskSource.start}.
        """
        self.consumer = consumer
        self.calls.append("start")
        self.onStart()

    def stop(self) -> Deferred[bool]:
        """
        See L{ITaskSource.stop}.
        """
        self.calls.append("stop")
        return self.onStop()


@implementer(ITaskSource)
class ListedSource:
    """
    A source of the tasks in a list: one for each start, then none.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)

    def start(self, consumer: ITaskConsumer) -> None:
        """
        See L{ITaskSource.start}.
        """
        task = next(self._tasks, None)
        if task is None:
            consumer.noTasksFound()
        else:
            consumer.taskStarted(task)

    def stop(self) -> Deferred[bool]:
        """
        See L{ITaskSource.stop}.
        """
        return succeed(True)


class Run:
    """
    A consumer of a L{NotedSource}, and what was done with both.

    @ivar ends: What was told of the end, in order: C{"run"} and C{"drain N"}.
    """

    def __init__(self, limit: int = 2, consume: bool = True) -> None:
        self.source = NotedSource()
        self.consumer = ParallelLimitedTaskConsumer(limit)
        self.ends: list[str] = []
        self.drains = 0
        self.tasks: list[Deferred[object]] = []
        self.stops: list[Deferred[bool]] = []
        self.failure = Failure(ValueError("no database"))
        if consume:
            self.consume()

    def consume(self) -> None:
        self.note("run", self.consumer.consume(self.source))

    def note(self, name: str, ended: Deferred[None]) -> None:
        """
        Note when C{ended} fires with L{None}.
        """

        def fired(result: None) -> None:
            assert result is None
            self.ends.append(name)

        ended.addCallback(fired)

    def do(self, steps: str) -> Run:
        """
        Let each of the steps happen, which are words.
        """
        for step in steps.split():
            getattr(self, step)()
        return self

    def task(self) -> None:
        """
        Tell of a task that runs until L{end}.
        """
        task: Deferred[object] = Deferred()
        self.tasks.append(task)
        self.consumer.taskStarted(lambda: task)

    def quick(self) -> None:
        """
        Tell of a task that ends at once.
        """
        self.consumer.taskStarted(nothing)

    def end(self) -> None:
        """
        End the task that runs for longest.
        """
        self.tasks.pop(0).callback("ignored")

    def none(self) -> None:
        self.consumer.noTasksFound()

    def failed(self) -> None:
        """
        Tell of a failure to find tasks; the classic programs gave no reason.
        """
        self.consumer.taskProductionFailed(None)  # type: ignore[arg-type]

    def broken(self) -> None:
        """
        Tell of a failure to find tasks, with the reason.
        """
        self.consumer.taskProductionFailed(self.failure)

    def one(self) -> None:
        self.consumer.setLimit(1)

    def three(self) -> None:
        self.consumer.setLimit(3)

    def drain(self) -> None:
        """
        Drain, and note as what number of drain it fires.
        """
        self.drains += 1
        self.note(f"drain {self.drains}", self.consumer.drain())

    def slow(self) -> None:
        """
        Let stops from now on be under way until L{stopped} or L{restarted}.
        """

        def stop() -> Deferred[bool]:
            self.stops.append(Deferred())
            return self.stops[-1]

        self.source.onStop = stop

    def fast(self) -> None:
        """
        Let stops from now on be done at once.
        """
        self.source.onStop = lambda: succeed(True)

    def busy(self) -> None:
        """
        Let stops from now on find that the source was restarted.
        """
        self.source.onStop = lambda: succeed(False)

    def stopped(self) -> None:
        """
        Let the oldest stop under way be done.
        """
        self.stops.pop(0).callback(True)

    def restarted(self) -> None:
        """
        Let the oldest stop under way find that the source was restarted.
        """
        self.stops.pop(0).callback(False)


class ConstructorTests(SynchronousTestCase):
    """
    L{ParallelLimitedTaskConsumer.__init__} and what can be seen from outside.
    """

    def test_providesItsInterfaces(self) -> None:
        """
        The consumer provides what a source needs of it, and the fakes here are sources.
        """
        consumer = ParallelLimitedTaskConsumer(1)
        verifyObject(ITaskConsumer, consumer)
        verifyObject(ITaskSlots, consumer)
        verifyObject(ITaskSource, NotedSource())
        verifyObject(ITaskSource, ListedSource([]))
        self.assertEqual(
            sorted(ITaskConsumer),
            ["noTasksFound", "taskProductionFailed", "taskStarted"],
        )

    def test_refusesALimitOfWrongType(self) -> None:
        """
        A limit that is no integer is refused.
        """
        for limit in (True, False, 1.0, "1", None):
            with self.assertRaises(TypeError):
                ParallelLimitedTaskConsumer(limit)  # type: ignore[arg-type]

    def test_refusesALimitTooSmall(self) -> None:
        """
        A limit under which nothing could run is refused.
        """
        for limit in (0, -1):
            with self.assertRaises(ValueError):
                ParallelLimitedTaskConsumer(limit)

    def test_takesKeywords(self) -> None:
        """
        The consumer's parameters C{worker_limit} and C{logger} can be given by name.
        """
        ParallelLimitedTaskConsumer(worker_limit=1, logger=None)


class SourceTests(SynchronousTestCase):
    """
    What a source is told, which programs rely on.
    """

    def test_startsAndStopsTheSource(self) -> None:
        """
        The source is started and stopped in this order, and no oftener.
        """
        for limit, steps, calls in (
            (2, "", "start"),
            # a task below the limit: more is wanted
            (2, "task", "start start"),
            (2, "quick", "start start start"),
            (1, "quick", "start start start"),
            # at the limit, and past it
            (1, "task", "start stop"),
            (2, "task task", "start start stop"),
            (1, "task task", "start stop stop"),
            (1, "task quick", "start stop stop"),
            # a task ends, with a free slot and without
            (1, "task end", "start stop start"),
            (2, "task end", "start start start"),
            (1, "task task end", "start stop stop"),
            (1, "task task end end", "start stop stop start"),
            # nothing found
            (2, "none", "start stop"),
            (2, "task none", "start start"),
            (2, "task none end", "start start start"),
            (2, "task none end none", "start start start stop"),
            # looking failed
            (2, "failed", "start stop"),
            (2, "task failed", "start start stop"),
            (2, "task failed end", "start start stop start"),
            (2, "task failed end failed", "start start stop start stop"),
            # for good
            (2, "none task end none failed", "start stop"),
            (2, "task drain", "start start stop"),
            (2, "task drain drain task end end", "start start stop"),
            (2, "task drain none failed quick", "start start stop"),
            # a higher limit, with a slot that is new and without
            (1, "three", "start"),
            (1, "task three", "start stop start"),
            (1, "task three three", "start stop start"),
            (1, "task task task three", "start stop stop stop"),
            # a lower one
            (3, "one", "start"),
            (3, "task one", "start start stop"),
            (3, "task one one", "start start stop"),
            (3, "task task one end", "start start start stop"),
            (3, "task task one end end", "start start start stop start"),
            # while something else than the limit has stopped the source
            (2, "none three", "start stop"),
            (2, "task failed three", "start start stop"),
            (2, "task drain three end one", "start start stop"),
        ):
            run = Run(limit).do(steps)
            case = f"limit {limit}: {steps}"
            self.assertEqual(" ".join(run.source.calls), calls, case)
            self.assertIs(run.source.consumer, run.consumer, case)

    def test_doesNotNestStarts(self) -> None:
        """
        A start for a task that is told of in a start is done after that one,
        once, however many there are.
        """
        run = Run(9, consume=False)

        def start() -> None:
            run.source.onStart = lambda: run.source.calls.append("again")
            run.do("quick quick task end")
            run.source.calls.append("done")

        run.source.onStart = start
        run.consume()
        self.assertEqual(run.source.calls, ["start", "done", "start", "again"])

    def test_cancelsANestedStart(self) -> None:
        """
        A stop in between cancels the start that is to be done.
        """
        for steps in (
            "task task",
            "task failed",
            "quick none",
            "task drain",
            "task one",
        ):
            run = Run(2, consume=False)
            run.source.onStart = partial(run.do, steps)
            run.consume()
            self.assertEqual(run.source.calls, ["start", "stop"], steps)

    def test_startsAfterANestedStop(self) -> None:
        """
        What is told after a stop, in the same start, starts the source after all.
        """
        run = Run(2, consume=False)

        def start() -> None:
            run.source.onStart = nothing
            run.do("task task end")

        run.source.onStart = start
        run.consume()
        self.assertEqual(run.source.calls, ["start", "stop", "start"])

    def test_survivesAStartThatRaises(self) -> None:
        """
        A start that raises counts as a failure to find tasks, and is logged once.
        """

        def bad() -> None:
            raise ZeroDivisionError

        run = Run()
        run.do("task")
        run.source.onStart = bad
        run.do("task end")
        self.assertEqual(run.source.calls[-2:], ["start", "stop"])
        self.assertEqual(run.ends, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        run.do("end")
        self.assertEqual(run.ends, ["run"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_runsATaskOfAStartThatRaises(self) -> None:
        """
        A start that tells of a task and then raises has told of it.
        """
        run = Run(9, consume=False)

        def bad() -> None:
            run.source.onStart = nothing
            run.task()
            raise ZeroDivisionError

        run.source.onStart = bad
        run.consume()
        self.assertEqual(run.source.calls, ["start", "stop"])
        self.assertEqual((run.consumer.running, run.ends), (1, []))
        run.do("end")
        self.assertEqual(run.source.calls, ["start", "stop", "start"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TaskTests(SynchronousTestCase):
    """
    How tasks run and end.
    """

    def test_runsAtOnce(self) -> None:
        """
        A task runs as soon as it is told of, also past the limit, also when the
        run has ended.
        """
        ran: list[int] = []
        run = Run(1)
        for steps in ("", "task", "task", "end end none"):
            run.do(steps).consumer.taskStarted(lambda: ran.append(run.consumer.running))
        self.assertEqual(ran, [1, 2, 3, 1])

    def test_countsSlots(self) -> None:
        """
        The tasks that run are counted, and what is free is never less than none.
        """
        run = Run(2)
        slots = []
        for steps in ("", "task", "task", "task", "quick", "end", "end", "end"):
            run.do(steps)
            slots.append((run.consumer.running, run.consumer.freeSlots))
        self.assertEqual(
            slots,
            [(0, 2), (1, 1), (2, 0), (3, 0), (3, 0), (2, 0), (1, 1), (0, 2)],
        )

    def test_freesASlotOnce(self) -> None:
        """
        Whatever a task returns or raises, its slot is freed once; a failure is
        logged once.
        """

        async def awaits(pending: Deferred[object]) -> object:
            return await pending

        for pends, failures, task in (
            (False, 0, lambda _: None),
            (False, 0, lambda _: "a value"),
            (False, 0, lambda _: succeed("a value")),
            (False, 1, lambda _: raises()),
            (False, 1, lambda _: fail(ZeroDivisionError())),
            (False, 1, lambda _: Failure(ZeroDivisionError())),
            (False, 1, lambda _: coroutine()),
            (True, 0, lambda pending: pending),
            (True, 0, awaits),
            (True, 1, lambda pending: pending.addCallback(lambda _: raises())),
            (True, 1, lambda pending: awaits(pending.addCallback(lambda _: raises()))),
        ):
            run = Run(9).do("task")
            pending: Deferred[object] = Deferred()
            run.consumer.taskStarted(partial(task, pending))
            self.assertEqual(run.consumer.running, 1 + pends)
            pending.callback("a value")
            self.assertEqual(run.consumer.running, 1)
            logged = self.flushLoggedErrors(ZeroDivisionError)
            self.assertEqual(len(logged), failures)
            run.do("end none")
            self.assertEqual(run.ends, ["run"])

    def test_survivesALoggerThatRaises(self) -> None:
        """
        A logger that raises costs no slot.
        """

        def observer(event: object) -> None:
            raise OSError("no space")

        logger = logging.Logger("full")
        logger.addFilter(observer)
        consumer = ParallelLimitedTaskConsumer(1, logger)
        consumer.consume(NotedSource())
        pending: Deferred[object] = Deferred()
        consumer.taskStarted(lambda: pending)
        pending.errback(ZeroDivisionError())
        self.assertEqual(consumer.running, 0)
        self.failureResultOf(pending, OSError)

    def test_startsTheSourceAfterAFailure(self) -> None:
        """
        The source is started again after a task's failure as after its success.
        """
        run = Run(1).do("task")
        run.tasks.pop().errback(ZeroDivisionError())
        self.assertEqual(run.source.calls, ["start", "stop", "start"])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_freesASlotThoughTheStartExits(self) -> None:
        """
        A slot is freed once also where starting the source raises what ends a
        program.
        """

        def leave() -> None:
            raise SystemExit

        run = Run(9).do("task task")
        run.source.onStart = leave
        run.do("end")
        gc.collect()
        self.assertEqual(run.consumer.running, 1)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_logsATraceback(self) -> None:
        """
        The traceback in the log leads to the line that raised.
        """
        run = Run()
        for task in (raises, coroutine):
            run.consumer.taskStarted(task)
            [failure] = self.flushLoggedErrors(ZeroDivisionError)
            self.assertIn("in raises", failure.getTraceback().replace("builtins.", ""))

    def test_usesALoggerOfTwisted(self) -> None:
        """
        Failures go to the logger of Twisted that was given, and nowhere else.
        """
        events: list[LogEvent] = []
        consumer = ParallelLimitedTaskConsumer(1, loggerOf(events))
        consumer.consume(NotedSource())
        consumer.taskStarted(raises)
        consumer.taskProductionFailed(Failure(ValueError("no luck")))
        self.assertEqual(
            [(event["log_namespace"], event["log_level"].name) for event in events],
            [("mine", "critical"), ("mine", "warn")],
        )
        self.assertEqual(events[0]["log_failure"].type, ZeroDivisionError)

    def test_usesALoggerOfTheStandardLibrary(self) -> None:
        """
        Failures go to the logger of C{logging} that was given, with tracebacks.
        """
        logger = logging.getLogger("tests.consumer")
        consumer = ParallelLimitedTaskConsumer(1, logger)
        consumer.consume(NotedSource())
        with self.assertLogs(logger) as logs:
            consumer.taskStarted(raises)
            consumer.taskStarted(coroutine)
            consumer.taskStarted(lambda: fail(ZeroDivisionError("elsewhere")))
            consumer.taskProductionFailed(Failure(ValueError("no {luck} %s")))
        self.assertEqual(
            [record.levelname for record in logs.records],
            ["CRITICAL"] * 3 + ["WARNING"],
        )
        for record in logs.records[:2]:
            text = logging.Formatter().format(record)
            self.assertIn("in raises", text)
            self.assertIn("the task's own fault", text)
        self.assertIn("no {luck} %s", logs.records[3].getMessage())

    def test_needsABoundedStack(self) -> None:
        """
        Two hundred thousand tasks that end at once need no more stack than one.
        """
        for task in (nothing, lambda: succeed(None)):
            consumer = ParallelLimitedTaskConsumer(1)
            ended = consumer.consume(ListedSource(task for _ in range(200_000)))
            self.assertIsNone(self.successResultOf(ended))

    def test_costsTheSameForEachTask(self) -> None:
        """
        A task costs as many calls after thousands as at first, at any limit.
        """

        def cost(limit: int, tasks: int, running: int) -> float:
            run = Run(limit).do("task " * running)
            calls = 0

            def count(frame: Any, event: str, argument: Any) -> None:
                nonlocal calls
                calls += event in ("call", "c_call")

            # what the collector calls is not the task's
            gc.disable()
            sys.setprofile(count)
            try:
                for _ in range(tasks):
                    run.consumer.taskStarted(nothing)
            finally:
                sys.setprofile(None)
                gc.enable()
            return round(calls / tasks, 1)

        usual = cost(2, 100, 0)
        for limit, tasks, running in ((2, 5000, 0), (5000, 100, 0), (5000, 100, 4000)):
            self.assertEqual(cost(limit, tasks, running), usual)


class EndTests(SynchronousTestCase):
    """
    When a run and its drains end.
    """

    def test_ends(self) -> None:
        """
        The steps of each row end the run or do not, and let drains fire, in the order
        given.
        """
        for steps, ends in (
            # nothing, or a failure, with nothing running
            ("", ""),
            ("none", "run"),
            ("failed", "run"),
            ("quick", ""),
            ("quick none", "run"),
            ("task end", ""),
            ("task end none", "run"),
            # ... and with something running
            ("task none", ""),
            ("task none end", ""),
            ("task none end none", "run"),
            ("task failed end", ""),
            ("task failed end failed", "run"),
            # told once
            ("none none failed quick none", "run"),
            # only where the source is still stopped
            ("busy none", ""),
            ("busy failed", ""),
            ("busy none none fast none", "run"),
            ("slow none", ""),
            ("slow none stopped", "run"),
            ("slow none restarted", ""),
            ("slow none none stopped stopped", "run"),
            ("slow none restarted none stopped", "run"),
            ("slow none none restarted stopped", "run"),
            # a task comes while the end is pending
            ("slow none task stopped", ""),
            ("slow none task stopped end", ""),
            ("slow none task restarted end none stopped", "run"),
            ("slow none quick restarted none stopped", "run"),
            # drained while idle
            ("drain", "run,drain 1"),
            ("slow drain", ""),
            ("slow drain stopped", "run,drain 1"),
            ("busy drain", "run,drain 1"),
            ("slow drain restarted", "run,drain 1"),
            # ... and with something running
            ("task drain", ""),
            ("task drain end", "run,drain 1"),
            ("task task drain end", ""),
            ("task task drain end end", "run,drain 1"),
            ("task slow drain end", ""),
            ("task slow drain end stopped", "run,drain 1"),
            ("task slow drain stopped end", "run,drain 1"),
            # told of a task meanwhile
            ("slow drain quick", ""),
            ("slow drain task stopped", ""),
            ("slow drain task stopped end", "run,drain 1"),
            ("task drain task end", ""),
            ("task drain task end end", "run,drain 1"),
            # nothing found meanwhile
            ("slow drain none failed", ""),
            ("slow drain none stopped", "run,drain 1"),
            # while the end is pending
            ("slow none drain", ""),
            ("slow none drain restarted", ""),
            ("slow none drain restarted stopped", "run,drain 1"),
            ("slow none drain restarted restarted", "run,drain 1"),
            # repeated, and after the end
            ("slow drain drain stopped", "run,drain 1,drain 2"),
            ("drain drain", "run,drain 1,drain 2"),
            ("none drain", "run,drain 1"),
            ("none drain task drain", "run,drain 1"),
            ("none task drain", "run"),
            ("none task drain end", "run,drain 1"),
            ("drain task drain end", "run,drain 1,drain 2"),
        ):
            run = Run(2).do(steps)
            self.assertEqual(",".join(run.ends), ends, steps)

    def test_drainsBeforeConsume(self) -> None:
        """
        With nothing consumed yet there is nothing to drain.
        """
        run = Run(consume=False).do("drain")
        self.assertEqual((run.ends, run.source.calls), (["drain 1"], []))

    def test_drainsWithinATask(self) -> None:
        """
        A task that drains is waited for itself.
        """
        run = Run(2)
        run.consumer.taskStarted(run.drain)
        self.assertEqual(run.ends, ["run", "drain 1"])
        self.assertEqual(run.source.calls, ["start", "stop"])

    def test_drainsAtTheEnd(self) -> None:
        """
        Whoever is told of the end may drain, and is told of that too.
        """
        run = Run(consume=False)
        run.consumer.consume(run.source).addCallback(lambda _: run.drain())
        run.none()
        self.assertEqual(run.ends, ["drain 1"])

    def test_endsWithinAStart(self) -> None:
        """
        A source that has nothing at its first start ends the run at once, and is
        not started again.
        """
        run = Run(consume=False)
        run.source.onStart = lambda: run.do("quick none")
        run.consume()
        self.assertEqual(run.ends, ["run"])
        self.assertEqual(run.source.calls, ["start", "stop"])

    def test_doesNotEndBeforeANestedStart(self) -> None:
        """
        A stop that is done within a start does not end the run where the source
        is to be started after that one.
        """
        run = Run(consume=False)

        def start() -> None:
            run.source.onStart = nothing
            run.do("slow none quick stopped")

        run.source.onStart = start
        run.consume()
        self.assertEqual(run.ends, [])
        self.assertEqual(run.source.calls, ["start", "stop", "start"])
        run.do("none stopped")
        self.assertEqual(run.ends, ["run"])

    def test_survivesAStopThatFails(self) -> None:
        """
        A source whose stop raises or fails counts as stopped; that is logged.
        """

        def bad() -> Deferred[bool]:
            raise ZeroDivisionError

        for stop in (bad, lambda: fail(ZeroDivisionError())):
            for steps in ("none", "failed", "drain"):
                run = Run()
                run.source.onStop = stop
                self.assertEqual(run.do(steps).ends[0], "run", steps)
                self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_survivesAStopThatFailsAtTheLimit(self) -> None:
        """
        Where the stop at the limit raises or fails, that is logged and the run
        goes on.
        """

        def bad() -> Deferred[bool]:
            raise ZeroDivisionError

        for stop in (bad, lambda: fail(ZeroDivisionError())):
            run = Run(1)
            run.source.onStop = stop
            run.do("task")
            gc.collect()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            run.do("fast end none")
            self.assertEqual(run.ends, ["run"])


class LimitTests(SynchronousTestCase):
    """
    A limit that changes.
    """

    def test_changesBeforeConsume(self) -> None:
        """
        The limit may be changed before anything is consumed, which starts nothing.
        """
        run = Run(2, consume=False).do("three")
        self.assertEqual((run.source.calls, run.consumer.freeSlots), ([], 3))
        self.assertEqual(run.consumer.limit, 3)

    def test_changesAfterTheEnd(self) -> None:
        """
        After the end of the run the limit may be changed, which starts nothing.
        """
        run = Run(1).do("none three one")
        self.assertEqual((run.source.calls, run.ends), (["start", "stop"], ["run"]))

    def test_refusesWrongLimits(self) -> None:
        """
        What the constructor refuses is refused later as well, and changes nothing.
        """
        run = Run(2)
        for limit in (True, 1.0, "1", None):
            with self.assertRaises(TypeError):
                run.consumer.setLimit(limit)  # type: ignore[arg-type]
        for limit in (0, -1):
            with self.assertRaises(ValueError):
                run.consumer.setLimit(limit)
        self.assertEqual((run.consumer.limit, run.source.calls), (2, ["start"]))

    def test_startsWithinAStart(self) -> None:
        """
        A limit that is raised from within a start has the source started once more,
        after that start.
        """
        run = Run(1, consume=False)

        def start() -> None:
            run.source.onStart = nothing
            run.do("task three")
            run.source.calls.append("done")

        run.source.onStart = start
        run.consume()
        self.assertEqual(run.source.calls, ["start", "stop", "done", "start"])

    @given(st.lists(st.sampled_from(["end", 1, 2, 5, 9]), max_size=40))
    def test_keepsToTheLimitInForce(self, changes: list[Any]) -> None:
        """
        However the limit changes, no slot is idle while there is work, no task is
        started past the limit in force, and the run ends once.
        """
        tasks: list[Deferred[None]] = []
        consumer = ParallelLimitedTaskConsumer(3)
        past: list[int] = []

        def task() -> Deferred[None]:
            past.extend([consumer.running] * (consumer.running > consumer.limit))
            tasks.append(Deferred())
            return tasks[-1]

        ends: list[None] = []
        consumer.consume(ListedSource([task] * 60)).addCallback(ends.append)
        for change in changes:
            before = consumer.running
            if change == "end":
                tasks.pop(0).callback(None)
                least, most = before - 1, max(before - 1, consumer.limit)
            else:
                consumer.setLimit(change)
                least, most = before, max(before, change)
            self.assertEqual((consumer.running, past), (max(least, most), []))
            self.assertEqual(consumer.freeSlots, 0)
        consumer.drain().addCallback(ends.append)
        while tasks:
            tasks.pop().callback(None)
        self.assertEqual(ends, [None, None])


class LastFailureTests(SynchronousTestCase):
    """
    Whether a run has ended since nothing was left.
    """

    def test_tellsTheEndsApart(self) -> None:
        """
        What has failed last is there to be asked until a task, or nothing, was found.
        """
        for steps, hasFailed in (
            ("", False),
            ("none", False),
            ("broken", True),
            ("task broken", True),
            ("task broken end", True),
            ("task broken end broken", True),
            ("task broken end none", False),
            ("task broken end quick", False),
            ("task broken none", False),
            ("task broken drain end", True),
            ("none broken", False),
        ):
            run = Run()
            self.assertIsNone(run.consumer.lastFailure)
            run.do(steps)
            expected = run.failure if hasFailed else None
            self.assertIs(run.consumer.lastFailure, expected, steps)

    def test_tellsTheEndsApartAsDocumented(self) -> None:
        """
        The example of docs/composing.md says why it has ended.
        """
        text = COMPOSING.read_text(encoding="utf-8")
        block = text.partition("## The core by itself")[2].partition("```python\n")[2]
        for jobs, said in (
            (SimpleNamespace(takeOne=nothing), "nothing is left\n"),
            (
                SimpleNamespace(takeOne=raises),
                "looking for jobs failed: the task's own fault\n",
            ),
        ):
            with redirect_stdout(StringIO()) as output:
                exec(block.partition("```")[0], {"jobs": jobs})
            self.assertEqual(output.getvalue(), said)

    def test_keepsWhatAStartRaises(self) -> None:
        """
        Where the source's start raises, that is what has failed last.
        """
        run = Run(consume=False)
        run.source.onStart = raises
        run.consume()
        failure = run.consumer.lastFailure
        assert failure is not None
        self.assertTrue(failure.check(ZeroDivisionError))
        self.assertEqual(run.ends, ["run"])
        self.flushLoggedErrors(ZeroDivisionError)


class MisuseTests(SynchronousTestCase):
    """
    Calls out of order.
    """

    def test_refusesCallsBeforeConsume(self) -> None:
        """
        Nothing can be told to a consumer that does not consume, and no task is run.
        """
        for step in ("task", "quick", "none", "failed"):
            run = Run(consume=False)
            with self.assertRaises(NotRunningError):
                run.do(step)
            self.assertEqual(run.consumer.running, 0)

    def test_refusesToConsumeTwice(self) -> None:
        """
        An instance serves one run, and refuses another at any time.
        """
        for steps in ("", "task", "none", "slow none", "drain", "slow drain"):
            run = Run().do(steps)
            other = NotedSource()
            with self.assertRaises(AlreadyRunningError):
                run.consumer.consume(other)
            self.assertEqual(other.calls, [])

    def test_refusesToConsumeTwiceWithinAStart(self) -> None:
        """
        A source cannot have its consumer consume another from within its start.
        """
        run = Run(consume=False)
        run.source.onStart = lambda: run.consumer.consume(NotedSource())
        run.consume()
        self.assertEqual(len(self.flushLoggedErrors(AlreadyRunningError)), 1)


TASKS = ["task", "quick", "bad", "end", "endBadly"]
LIMITS = ["lower", "higher"]
ENDS = ["none", "failed", "done", "restarted", "drain"]
ACTIONS = st.sampled_from([*TASKS, *LIMITS, *ENDS])
STOPS = st.sampled_from(["slow", "fast", "busy", "raises"])


@implementer(ITaskSource)
class AnyOrder(RuleBasedStateMachine):
    """
    A consumer whose source, tasks and stops do anything in any order, beside a
    model of what it may make of that.

    @ivar live: The number of tasks that run.
    @ivar started: The source is started.
    @ivar wanted: It is to be, once the start under way has returned.
    @ivar closed: It is not to be started any more.
    @ivar exhausted: Nothing more can come of it.
    @ivar told: How many ends are to have been told: of the run, of each drain.
    @ivar reason: What the next stop is for: the limit, the end, or a drain.
    @ivar failing: Looking for tasks has failed the last time.
    @ivar wrong: What went wrong where raising would not be noticed.
    """

    live = drains = failures = told = 0
    started = wanted = closed = exhausted = starting = failing = False
    reason = "limit"

    @initialize(
        limit=st.integers(1, 3),
        mode=STOPS,
        # nobody can hear of the run's end before consume() has returned
        script=st.lists(ACTIONS.filter(lambda action: action != "drain"), max_size=5),
    )
    def consume(self, limit: int, mode: str, script: list[str]) -> None:
        self.limit, self.mode, self.script = limit, mode, script
        self.wrong: list[str] = []
        self.tasks: list[Deferred[None]] = []
        self.stops: list[tuple[str, Deferred[bool]]] = []
        self.ends: list[int] = []
        self.events: list[LogEvent] = []
        self.consumer = ParallelLimitedTaskConsumer(limit, loggerOf(self.events))
        self.wanted = True
        self.note(0, self.consumer.consume(self))

    @rule(mode=STOPS)
    def changeStops(self, mode: str) -> None:
        """
        Let stops from now on take a while, or not, or raise.
        """
        self.mode = mode

    @precondition(lambda self: not self.closed)
    @rule(script=st.lists(ACTIONS | st.just("raises"), min_size=1, max_size=5))
    def nest(self, script: list[str]) -> None:
        """
        Let these things happen within the next start.
        """
        self.script = script

    @rule(action=ACTIONS)
    def act(self, action: str) -> None:
        """
        Let one thing happen.
        """
        getattr(self, action)()

    @invariant()
    def asContracted(self) -> None:
        """
        Between any two things that happen, all is as the model says.
        """
        failures = [event for event in self.events if "log_failure" in event]
        assert not self.wrong, self.wrong
        assert self.consumer.running == self.live
        assert self.consumer.freeSlots == max(0, self.limit - self.live)
        assert (self.consumer.lastFailure is not None) == self.failing
        assert self.started == self.wanted
        assert self.ends == list(range(self.told))
        assert len(failures) == self.failures

    def check(self, holds: bool, what: str) -> None:
        """
        Note C{what} as wrong unless it holds.
        """
        if not holds:
            self.wrong.append(what)

    def start(self, consumer: ITaskConsumer) -> None:
        """
        See L{ITaskSource.start}.
        """
        self.check(not self.starting, "started within a start")
        self.check(self.live < self.limit, "started without a free slot")
        self.check(not self.closed, "started after the end")
        self.starting = self.started = True
        script, self.script = self.script, []
        try:
            for action in script:
                self.act(action)
        finally:
            self.starting = False

    def stop(self) -> Deferred[bool]:
        """
        See L{ITaskSource.stop}.
        """
        self.started = False
        reason, self.reason = self.reason, "limit"
        if self.mode == "slow":
            self.stops.append((reason, Deferred()))
            return self.stops[-1][1]
        self.hasStopped(reason, self.mode != "busy")
        if self.mode == "raises":
            self.failures += 1
            raise ZeroDivisionError
        return succeed(self.mode == "fast")

    def done(self, restarted: bool = False) -> None:
        if self.stops:
            reason, stop = self.stops.pop(0)
            stillStopped = not (restarted or self.started)
            self.hasStopped(reason, stillStopped)
            stop.callback(stillStopped)

    def restarted(self) -> None:
        """
        Let the oldest stop find that the source was started meanwhile.
        """
        self.done(restarted=True)

    def hasStopped(self, reason: str, stillStopped: bool) -> None:
        """
        Conclude from a stop what it was for.
        """
        if reason == "end" and stillStopped and not self.live and not self.wanted:
            self.exhausted = self.closed = True
        if reason == "drain":
            self.exhausted = True
        self.conclude()

    def conclude(self) -> None:
        """
        Conclude whether all ends are to be told.
        """
        if self.exhausted and not self.live:
            self.told = self.drains + 1

    def decide(self) -> None:
        """
        Conclude whether the source is to be started, as a task began or ended.
        """
        self.wanted = not self.closed and self.live < self.limit

    def note(self, number: int, end: Deferred[None]) -> None:
        """
        Note when C{end} fires, which is to be before the next thing happens.
        """

        def fired(_: None) -> None:
            self.check(number < self.told, f"end {number} told too early")
            self.ends.append(number)

        end.addCallback(fired)

    def task(self) -> None:
        """
        Tell of a task that runs for a while.
        """

        def run() -> Deferred[None]:
            self.failing = False
            self.live += 1
            self.decide()
            self.tasks.append(Deferred())
            return self.tasks[-1]

        self.consumer.taskStarted(run)

    def quick(self, fails: bool = False) -> None:
        """
        Tell of a task that ends at once.
        """

        def run() -> None:
            self.failing = False
            self.check(self.consumer.running == self.live + 1, "not counted")
            if self.live < self.limit:
                self.decide()
            if fails:
                self.failures += 1
                raise ZeroDivisionError

        self.consumer.taskStarted(run)
        self.decide()

    def bad(self) -> None:
        """
        Tell of a task that fails at once.
        """
        self.quick(fails=True)

    def end(self, result: object = None) -> None:
        if self.tasks:
            task = self.tasks.pop(0)
            self.live -= 1
            self.conclude()
            if self.live < self.limit:
                self.decide()
            task.callback(result)  # type: ignore[arg-type]

    def endBadly(self) -> None:
        """
        Let the oldest task fail.
        """
        self.failures += bool(self.tasks)
        self.end(Failure(ZeroDivisionError()))

    def none(self) -> None:
        self.failing = self.failing and self.closed
        if not self.live:
            self.lookInVain()
        self.consumer.noTasksFound()

    def failed(self) -> None:
        self.failing = self.failing or not self.closed
        self.lookInVain()
        self.consumer.taskProductionFailed(Failure(ValueError()))

    def raises(self) -> None:
        self.failures += 1
        self.failing = self.failing or not self.closed
        self.lookInVain()
        raise ZeroDivisionError

    def lookInVain(self) -> None:
        """
        Conclude that the source is to be stopped, and the run to be ended if
        nothing runs.
        """
        self.wanted = False
        if not self.closed and not self.live:
            self.reason = "end"

    def lower(self) -> None:
        self.change(max(1, self.limit - 1))

    def higher(self) -> None:
        self.change(self.limit + 1)

    def change(self, limit: int) -> None:
        """
        Change the limit, which wants the source started or stopped only where it is
        the limit that has stopped or started it.
        """
        before, self.limit = self.limit, limit
        if before <= self.live < limit:
            self.decide()
        elif limit <= self.live < before:
            self.wanted = False
        self.consumer.setLimit(limit)

    def drain(self) -> None:
        self.drains += 1
        if not self.closed:
            self.closed, self.wanted, self.reason = True, False, "drain"
        self.conclude()
        self.note(self.drains, self.consumer.drain())


AnyOrderTests = AnyOrder.TestCase
AnyOrderTests.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, database=None
)
