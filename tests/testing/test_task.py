"""
A task for a handler that is called without a service.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import LeaseLostError
from myconsumer.interfaces import IRunningTask
from myconsumer.task import Task
from myconsumer.testing import FakeTask


class FakeTaskTests(SynchronousTestCase):
    """
    L{FakeTask}.
    """

    def test_provides(self) -> None:
        """
        A fake task provides L{IRunningTask}.
        """
        verifyObject(IRunningTask, FakeTask("1", None))

    def test_takesTheFieldsOfATask(self) -> None:
        """
        A fake task takes what a L{Task} takes, in the same order and with the same
        defaults, and has it as attributes and as a value.
        """
        for arguments in ("1", None), (17, [1], 3, "r", 60.0, 1.5):
            fake, task = FakeTask(*arguments), Task(*arguments)
            self.assertEqual(fake.value, task)
            for name in Task.__struct_fields__:
                self.assertEqual(getattr(fake, name), getattr(task, name))

    def test_keepsTheFieldsOfATask(self) -> None:
        """
        What a L{Task} says cannot be changed, nor can the task be replaced.
        """
        task = FakeTask("1", None)
        for name in *Task.__struct_fields__, "value":
            self.assertRaises(AttributeError, setattr, task, name, None)

    def test_isChangedByTheTest(self) -> None:
        """
        A fake task has neither a deadline nor been cancelled, unless the test says so,
        at the beginning or later.
        """
        task = FakeTask("1", None)
        self.assertEqual((task.deadline, task.cancelled), (None, False))
        task.deadline, task.cancelled = 5.0, True
        self.assertEqual((task.deadline, task.cancelled), (5.0, True))
        task = FakeTask("1", None, deadline=5.0, cancelled=True)
        self.assertEqual((task.deadline, task.cancelled), (5.0, True))

    def test_extends(self) -> None:
        """
        Each extension is recorded, and agreed to at once.
        """
        task = FakeTask("1", None, receipt="r")
        for seconds in 30, 0.5:
            self.assertIsNone(self.successResultOf(task.extend(seconds)))
        self.assertEqual(task.extended, [30, 0.5])

    def test_leavesExtensionsToTheTest(self) -> None:
        """
        An extension ends as C{onExtend} has it, which is called with the seconds.
        """
        task = FakeTask("1", None, receipt="r")
        asked: list[float] = []
        answer: Deferred[None] = Deferred()

        def onExtend(seconds: float) -> Deferred[None]:
            asked.append(seconds)
            return answer

        task.onExtend = onExtend
        extending = task.extend(30)
        self.assertEqual((asked, task.extended), ([30], [30]))
        self.assertNoResult(extending)
        answer.errback(LeaseLostError("gone"))
        self.failureResultOf(extending, LeaseLostError)

    def test_hasNoLeaseWithoutAReceipt(self) -> None:
        """
        The extension of a task without a receipt fails, and is recorded.
        """
        task = FakeTask("1", None)
        task.onExtend = lambda seconds: self.fail("there is no lease")
        self.failureResultOf(task.extend(30), LeaseLostError)
        self.assertEqual(task.extended, [30])

    def test_refusesOtherSeconds(self) -> None:
        """
        An extension out of range raises an exception, and is not recorded.
        """
        task = FakeTask("1", None, receipt="r")
        for seconds in 0, -1, float("nan"), 366 * 24 * 3600:
            self.assertRaises(ValueError, task.extend, seconds)
        self.assertEqual(task.extended, [])

    def test_hidesPayloadAndReceipt(self) -> None:
        """
        A fake task is shown as its id and its attempt, without payload and receipt.
        """
        task = FakeTask("17", {"secret": 1}, 2, "r-1")
        self.assertEqual(repr(task), "<FakeTask of <Task '17', attempt 2>>")
