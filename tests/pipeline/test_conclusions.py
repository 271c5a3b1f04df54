"""
What comes of a task once it has ended.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from fractions import Fraction
from math import nan
from typing import Any

from msgspec import UNSET, Raw
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError
from myconsumer.interfaces import ITaskHandler
from myconsumer.pipeline.conclusions import retryPolicy
from myconsumer.task import LONGEST_RESULT, Ending, Settlement, Task
from myconsumer.testing import NOTHING, passTime
from tests.pipeline.case import ExecutionCase


class OutcomeTests(ExecutionCase):
    """
    What comes of a handler's end.
    """

    def test_usesARealHandler(self) -> None:
        """
        The handler under control provides L{ITaskHandler}.
        """
        verifyObject(ITaskHandler, self.handler)

    def test_completesWithoutResult(self) -> None:
        """
        A handler that returns L{None} completes without a result.
        """
        self.assertEqual(self.outcome(NOTHING), Settlement("r-1", "complete"))

    def test_completesWithResult(self) -> None:
        """
        What a handler returns is the result, as JSON.
        """
        self.assertEqual(
            self.outcome({"n": [1, "two"]}),
            Settlement("r-1", "complete", result=Raw(b'{"n":[1,"two"]}')),
        )

    def test_keepsAFalseResult(self) -> None:
        """
        A result is kept even if it is false.
        """
        for result, json in ((0, b"0"), (False, b"false"), ("", b'""'), ([], b"[]")):
            self.assertEqual(self.outcome(result).result, Raw(json))

    def test_dropsAResultThatIsNoJSON(self) -> None:
        """
        A result that is no JSON completes all the same, which the ending says.
        """
        for result in (object(), "\ud800", {1: {2: object()}}):
            settlement = self.outcome(result)
            self.assertEqual(settlement, Settlement("r-1", "complete"))
            self.assertEqual(self.ending.outcome, "complete")
            self.assertIn("it is no JSON", str(self.ending.error))

    def test_settlesAnOpaqueResult(self) -> None:
        """
        A result that cannot even be looked at does not keep its task leased: it is
        completed without, or has failed where not even its type can be told.
        """

        class Closed(dict[str, str]):
            def values(self) -> Any:
                raise ValueError("it is closed")

            __iter__ = items = keys = values  # type: ignore[assignment]

        class Unbound:
            @property
            def __class__(self) -> Any:  # type: ignore[override]
                raise RuntimeError("it is bound to nothing")

        self.assertEqual(self.outcome(Closed(a=object())).outcome, "complete")
        self.assertEqual(self.outcome(Unbound()).outcome, "release")

    def test_dropsALongResult(self) -> None:
        """
        A result may have 8 MiB of JSON; with a byte more the task is completed without
        it, which the ending says.
        """
        longest = "x" * (LONGEST_RESULT - 2)
        self.assertEqual(self.outcome(longest).result, Raw(b'"%b"' % longest.encode()))
        self.assertEqual(self.outcome(longest + "x"), Settlement("r-1", "complete"))
        self.assertEqual(self.ending.outcome, "complete")
        self.assertIn("8388609 bytes", str(self.ending.error))

    def test_failsForUnfinishedWork(self) -> None:
        """
        What is only work that nobody does is no success: the task fails, with what
        was probably meant.
        """
        for result, meant in (
            ((n for n in ()), "@inlineCallbacks"),
            ([Future()], "a list that holds a Future"),
        ):
            settlement = self.outcome(result)
            self.assertEqual(settlement.outcome, "release")
            self.assertIn("it returned a ", str(settlement.error))
            self.assertIn(meant, str(settlement.error))
            self.assertEqual(
                (self.ending.cause, self.ending.failure), ("failure", None)
            )

    def test_failsForAReturnedFailure(self) -> None:
        """
        A L{Failure} that is returned counts as one that is raised, as everywhere in
        Twisted.
        """
        for error, outcome in ((Reject("no"), "fail"), (ValueError(), "release")):
            settlement = self.outcome(Failure(error))
            self.assertEqual(settlement.outcome, outcome)

    def test_releasesAfterItsDelay(self) -> None:
        """
        L{Release} gives the task back after the delay that it names, counted.
        """
        self.assertEqual(
            self.outcome(Release("later", delay=7)),
            Settlement("r-1", "release", delay=7, error="later", counted=True),
        )
        self.assertEqual(self.outcome(Release(delay=0)).delay, 0)

    def test_releasesWithBackoff(self) -> None:
        """
        L{Release} that names no delay gets the backoff of a failure.
        """
        self.assertEqual(self.outcome(Release()).delay, 10)
        self.assertEqual(self.outcome(Release(), attempt=3).delay, 40)

    def test_releasesInTheLastAttempt(self) -> None:
        """
        L{Release} is no failure: it is obeyed in the last attempt too.
        """
        self.make(maxAttempts=2)
        self.assertEqual(self.outcome(Release(), attempt=2).outcome, "release")

    def test_failsForAReject(self) -> None:
        """
        L{Reject} fails the task for good, with the reason.
        """
        self.assertEqual(
            self.outcome(Reject("no such user")),
            Settlement("r-1", "fail", error="no such user"),
        )

    def test_releasesAfterAnException(self) -> None:
        """
        Any other exception releases the task with backoff, and the ending has it.
        """
        self.assertEqual(
            self.outcome(ValueError("bad")),
            Settlement(
                "r-1", "release", delay=10, error="ValueError: bad", counted=True
            ),
        )
        self.assertEqual(self.outcome(ValueError("bad"), attempt=4).delay, 80)
        assert self.ending.failure is not None
        self.ending.failure.trap(ValueError)

    def test_namesAnExceptionWithoutText(self) -> None:
        """
        An exception that says nothing is told by its name.
        """
        self.assertEqual(self.outcome(KeyError()).error, "KeyError")

    def test_cutsALongError(self) -> None:
        """
        What the endpoint is told is of a bounded length.
        """
        for error in (ValueError, Reject, Release):
            settlement = self.outcome(error("x" * 100_000))
            assert settlement.error is not UNSET
            self.assertEqual(len(settlement.error), 1000)

    def test_survivesAnExit(self) -> None:
        """
        A handler that wants to end the process ends its task only.
        """
        for error in (SystemExit(1), KeyboardInterrupt()):
            self.assertEqual(self.outcome(error).outcome, "release")
            assert self.ending.failure is not None
            self.assertIs(self.ending.failure.value, error)

    def test_failsAfterTheLastAttempt(self) -> None:
        """
        A task that fails in the last attempt has failed for good; before, not.
        """
        self.make(maxAttempts=3)
        self.assertEqual(self.outcome(ValueError("bad"), attempt=2).outcome, "release")
        self.assertEqual(
            self.outcome(ValueError("bad"), attempt=3),
            Settlement("r-1", "fail", error="ValueError: bad"),
        )

    def test_refusesPastTheLastAttempt(self) -> None:
        """
        A task that is delivered past the last attempt is failed without being run.
        """
        self.make(maxAttempts=3)
        settlement = self.outcome(NOTHING, attempt=4)
        self.assertEqual(settlement.outcome, "fail")
        self.assertIn("3", str(settlement.error))
        self.assertEqual(self.handler.handled, [])
        self.assertEqual(self.outcome(NOTHING, attempt=3).outcome, "complete")

    def test_leavesAttemptsToTheEndpoint(self) -> None:
        """
        With 0 the endpoint decides how many attempts there are.
        """
        self.make(maxAttempts=0)
        self.assertEqual(self.outcome(ValueError(), attempt=1000).outcome, "release")

    def test_backsOff(self) -> None:
        """
        The backoff begins at about a second and ends at ten minutes.
        """
        self.make(retryDelay=retryPolicy)
        delays = [self.outcome(Release(), attempt=n).delay for n in (1, 2, 3, 500)]
        for delay, least in zip(delays, (1, 2, 4, 599), strict=True):
            assert isinstance(delay, float)
            self.assertTrue(least <= delay <= least + 1, delays)


class EndingTests(ExecutionCase):
    """
    How a task has ended, as observers are told.
    """

    def test_tellsOutcomeAndCause(self) -> None:
        """
        Each ending says what becomes of the task, why, after what delay, and what has
        ended it: what its handler meant is told apart from what has failed.
        """
        bug = ValueError("bad")
        for result, attempt, ending in (
            (NOTHING, 1, ("complete", None, None, "handler")),
            (5, 1, ("complete", None, None, "handler")),
            (Release("later", delay=7), 1, ("release", "later", 7.0, "handler")),
            (Release("later"), 3, ("release", "later", 40.0, "handler")),
            (Reject("no"), 1, ("fail", "no", None, "handler")),
            (TaskFailedError("3"), 1, ("release", "3", 10.0, "failure")),
            (TaskFailedError("3", delay=2), 1, ("release", "3", 2.0, "failure")),
            (TaskFailedError("3", delay=2), 3, ("fail", "3", None, "failure")),
            (bug, 1, ("release", "ValueError: bad", 10.0, "failure")),
            (bug, 3, ("fail", "ValueError: bad", None, "failure")),
            (NotBegunError("no room"), 3, ("uncounted", "no room", None, "notBegun")),
        ):
            with self.subTest(result=result, attempt=attempt):
                self.make(maxAttempts=3)
                self.outcome(result, attempt=attempt)
                told = self.ending
                self.assertEqual(
                    (told.outcome, told.error, told.delay, told.cause), ending
                )
                failed = None if told.failure is None else told.failure.value
                self.assertIs(failed, bug if result is bug else None)


class Careless(Release):
    """
    Does not call C{__init__} of L{Release}, which would set its delay.
    """

    def __init__(self, what: str) -> None:
        self.what = what


class Unspeakable(Reject):
    """
    Has a text that cannot be had.
    """

    def __str__(self) -> str:
        raise ZeroDivisionError


class Unfathomable(Release):
    """
    Has a delay that cannot be had.
    """

    def __init__(self) -> None:
        pass

    @property
    def delay(self) -> float:  # type: ignore[override]
        raise ZeroDivisionError("no delay")


class CarelessExceptionTests(ExecutionCase):
    """
    What handlers raise is settled, whatever they have put into it.
    """

    def test_toleratesAReleaseWithoutInit(self) -> None:
        """
        A L{Release} whose own C{__init__} was never called gets the backoff.
        """
        self.assertEqual(
            self.outcome(Careless("busy")),
            Settlement("r-1", "release", delay=10, error="busy", counted=True),
        )

    def test_textRaises(self) -> None:
        """
        An exception whose text cannot be had is what it is all the same.
        """
        settlement = self.outcome(Unspeakable())
        self.assertEqual(settlement.outcome, "fail")
        self.assertIn("Unspeakable", str(settlement.error))

    def test_delayRaises(self) -> None:
        """
        Where an exception cannot be told at all the task is released as after a
        failure, and why is logged.
        """
        settlement = self.outcome(Unfathomable())
        self.assertEqual((settlement.outcome, settlement.delay), ("release", 10))
        self.assertEqual(settlement.error, "what it raised cannot be told: no delay")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_dropsAWrongDelay(self) -> None:
        """
        A delay that was set later, past all checks, is made a float or left out.
        """
        for delay, told in ((Fraction(3, 2), 1.5), (-1, 10), ("soon", 10), (nan, 10)):
            error: Any = Release("later")
            error.delay = delay
            settlement = self.outcome(error)
            self.assertEqual(settlement.delay, told)
            self.assertIn(type(settlement.delay), (float, int))

    def test_replacesUnencodableText(self) -> None:
        """
        Halves of surrogate pairs, as the names of files have them that are no UTF-8,
        are replaced in whatever the endpoint is told.
        """
        name = os.fsdecode(b"caf\xe9")
        for error in (Release(name), Reject(name), TaskFailedError(name)):
            self.assertEqual(self.outcome(error).error, "caf?")
        self.assertEqual(self.outcome(ValueError(name)).error, "ValueError: caf?")


class TaskFailedTests(ExecutionCase):
    """
    Handlers that say why they have failed.
    """

    def test_releasesWithBackoff(self) -> None:
        """
        The task is released with backoff, counted, and the reason is its error.
        """
        for attempt, delay in ((1, 10), (4, 80)):
            self.assertEqual(
                self.outcome(TaskFailedError("exit status 3"), attempt=attempt),
                Settlement(
                    "r-1", "release", delay=delay, error="exit status 3", counted=True
                ),
            )

    def test_releasesAfterItsDelay(self) -> None:
        """
        A delay that the exception names takes the place of the backoff.
        """
        for delay in (0, 7.5):
            settlement = self.outcome(TaskFailedError("slow down", delay=delay))
            self.assertEqual(settlement.delay, delay)

    def test_tellsTheReason(self) -> None:
        """
        The ending has the reason, and no exception.
        """
        self.outcome(TaskFailedError("exit status 3"), attempt=2)
        self.assertEqual(
            self.ending,
            Ending("release", "exit status 3", delay=20.0, cause="failure"),
        )

    def test_failsAfterTheLastAttempt(self) -> None:
        """
        In the last attempt the task has failed for good, whatever delay the exception
        names.
        """
        self.make(maxAttempts=3)
        error = TaskFailedError("exit status 3", delay=5)
        self.assertEqual(self.outcome(error, attempt=2).outcome, "release")
        self.assertEqual(
            self.outcome(error, attempt=3),
            Settlement("r-1", "fail", error="exit status 3"),
        )
        self.assertEqual(self.ending, Ending("fail", "exit status 3", cause="failure"))

    def test_cutsALongReason(self) -> None:
        """
        What the endpoint and observers are told is of a bounded length.
        """
        settlement = self.outcome(TaskFailedError("x" * 100_000))
        self.assertEqual(settlement.error, "x" * 1000)
        self.assertEqual(self.ending.error, "x" * 1000)

    def test_countsInADeferred(self) -> None:
        """
        A Deferred that fails with the exception releases the task with the reason, too.
        """
        _, ended = self.run_()
        assert ended is not None
        self.handler.of("1").fail(TaskFailedError("no answer", delay=3))
        self.assertIsNone(self.successResultOf(ended))
        [(_, settlement)] = self.settled
        self.assertEqual(
            settlement,
            Settlement("r-1", "release", delay=3, error="no answer", counted=True),
        )
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_doesNotCountUponCancel(self) -> None:
        """
        What a handler fails with upon being cancelled is not its reason.
        """
        handling: Deferred[Any] = Deferred(
            lambda d: d.errback(TaskFailedError("killed by SIGTERM"))
        )
        self.scripted(handling)
        self.make(timeout=5)
        self.run_()
        passTime(self.clock, 5)
        self.assertEqual(self.settled[0][1].error, "timed out after 5 s")

    def test_losesTasksWithoutReceipt(self) -> None:
        """
        Without a receipt the task is dropped, which the ending says with the reason.
        """
        self.scripted(TaskFailedError("exit status 3"))
        self.execution.run(Task("1", None), None, self.clock.seconds())
        self.assertEqual(
            self.ending, Ending("dropped", "exit status 3", cause="failure")
        )
        self.assertEqual(self.settled, [])


class WithoutReceiptTests(ExecutionCase):
    """
    Tasks of which nobody wants to hear again.
    """

    def test_settlesNothing(self) -> None:
        """
        However a task without a receipt ends, nothing is settled.
        """
        for result in (
            NOTHING, 5, Release(), Reject(), ValueError(), succeed(1), fail(Reject())
        ):  # fmt: skip
            self.scripted(result)
            self.execution.run(Task("1", None), None, self.clock.seconds())
        self.assertEqual(self.settled, [])

    def test_dropsWhatWasNotDone(self) -> None:
        """
        A task without a receipt that was not done is dropped, also where its handler
        has asked for it to be delivered again, and where its work is done by nobody.
        """
        for result, cause in (((n for n in ()), "failure"), (Release(), "handler")):
            self.scripted(result)
            self.execution.run(Task("1", None), None, self.clock.seconds())
            self.assertEqual(
                (self.ending.outcome, self.ending.cause), ("dropped", cause)
            )

    def test_refusesPastTheLastAttempt(self) -> None:
        """
        A task without a receipt that was delivered too often is not run either.
        """
        self.make(maxAttempts=1)
        self.execution.run(Task("1", None, attempt=2), None, self.clock.seconds())
        self.assertEqual((self.handler.handled, self.settled), ([], []))

    def test_settlesNothingAtAStop(self) -> None:
        """
        A task without a receipt that was cut short, or does not end, settles nothing.
        """
        self.execution.run(Task("1", None), None, self.clock.seconds())
        self.execution.stop()
        self.execution.run(Task("2", None), None, self.clock.seconds())
        self.handler.of("2").stubborn = True
        self.execution.stop()
        self.execution.abandon()
        self.assertEqual(self.settled, [])
