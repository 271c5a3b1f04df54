"""
A handler whose tasks the test ends.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import Reject
from myconsumer.interfaces import ITaskHandler
from myconsumer.task import Task
from myconsumer.testing import NOTHING, ControlledHandler, Handling


class ControlledHandlerTests(SynchronousTestCase):
    """
    L{ControlledHandler}.
    """

    def setUp(self) -> None:
        self.handler = ControlledHandler()

    def begin(self, id: str = "1") -> tuple[Handling, Deferred[Any]]:
        ended = self.handler.handle(Task(id, None))
        return self.handler.of(id), ended

    def test_provides(self) -> None:
        """
        A controlled handler provides L{ITaskHandler}.
        """
        verifyObject(ITaskHandler, self.handler)

    def test_succeeds(self) -> None:
        """
        A task runs until the test ends it with a result.
        """
        run, ended = self.begin()
        self.assertNoResult(ended)
        self.assertEqual((self.handler.running, run.ended), ([run], None))
        run.succeed("done")
        self.assertEqual(self.successResultOf(ended), "done")
        self.assertEqual((self.handler.running, run.ended), ([], "well"))

    def test_fails(self) -> None:
        """
        A task fails with what the test says.
        """
        run, ended = self.begin()
        run.fail(Reject("no"))
        self.failureResultOf(ended, Reject)
        self.assertEqual((self.handler.running, run.ended), ([], "badly"))

    def test_isCancelled(self) -> None:
        """
        A task that is cancelled ends badly, and counts that.
        """
        run, ended = self.begin()
        called: list[str] = []
        run.onCancel = lambda: called.append("cancelled")
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.assertEqual((run.cancels, run.ended), (1, "badly"))
        self.assertEqual(called, ["cancelled"])

    def test_endsWellWhenCancelled(self) -> None:
        """
        A task that is to end well when it is cancelled has a result then.
        """
        run, ended = self.begin()
        run.well = True
        ended.cancel()
        self.assertEqual(self.successResultOf(ended), "in time")
        self.assertEqual((run.cancels, run.ended), (1, "well"))

    def test_isStubborn(self) -> None:
        """
        A stubborn task runs on, however often it is cancelled, until the test ends it.
        """
        for end, how in (
            (lambda run: run.succeed(), "well"),
            (lambda run: run.fail(Reject("no")), "badly"),
        ):
            run, ended = self.begin()
            run.stubborn = True
            ended.cancel()
            ended.cancel()
            self.assertNoResult(ended)
            self.assertEqual((run.cancels, run.ended), (2, None))
            end(run)
            ended.addErrback(lambda failure: failure.trap(Reject))
            self.successResultOf(ended)
            self.assertEqual(run.ended, how)

    def test_followsAScript(self) -> None:
        """
        What the script returns is returned at once, and what it raises is raised.
        """

        def reject(run: Handling) -> None:
            raise Reject("no")

        self.handler.script = lambda run: run.task.id
        self.assertEqual(self.handler.handle(Task("1", None)), "1")
        self.handler.script = lambda run: NOTHING
        self.assertIsNone(self.handler.handle(Task("2", None)))
        self.handler.script = reject
        self.assertRaises(Reject, self.handler.handle, Task("3", None))
        ends = [run.ended for run in self.handler.handled]
        self.assertEqual(ends, ["well", "well", "badly"])

    def test_findsTheLastRun(self) -> None:
        """
        The run of a task that was handled twice is the last one.
        """
        first, _ = self.begin()
        second, _ = self.begin()
        self.assertIs(self.handler.of("1"), second)
        self.assertEqual(self.handler.handled, [first, second])
