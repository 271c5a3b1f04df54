"""
The exceptions and values that callers meet.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from myconsumer import (
    AlreadyRunningError,
    IRunningTask,
    NotRunningError,
    ParallelLimitedTaskConsumer,
    PollingTaskSource,
    Reject,
    Release,
    Task,
    TaskFailedError,
)
from myconsumer.errors import (
    FaultError,
    QueueError,
    RefusalError,
)
from myconsumer.task import Claimed, Settlement


class ErrorTests(SynchronousTestCase):
    """
    L{myconsumer.errors}.
    """

    def test_runningErrorsNameConsumer(self) -> None:
        """
        The errors about a consumer's run name the consumer, and say what to do.
        """
        consumer = ParallelLimitedTaskConsumer(1)
        source = PollingTaskSource(1, lambda: None)
        already = str(AlreadyRunningError(consumer, source))
        self.assertIn(repr(consumer), already)
        self.assertIn(repr(source), already)
        self.assertIn("make another consumer", already)
        self.assertIn(repr(consumer), str(NotRunningError(consumer)))
        self.assertIn("call consume() first", str(NotRunningError(consumer)))

    def test_releaseKeepsDelay(self) -> None:
        """
        The delay of a release is none, or seconds, and its text is kept.
        """
        self.assertIsNone(Release().delay)
        for delay in (0, 0.5, 3600):
            self.assertEqual(Release("busy", delay=delay).delay, delay)
        self.assertEqual(str(Release("busy", delay=1)), "busy")

    def test_releaseRefusesWrongDelay(self) -> None:
        """
        A release refuses a delay that is no finite number of seconds, or negative.
        """
        wrong: list[Any] = [-1, -0.001, inf, -inf, nan, "5", Decimal("nan"), 10**400]
        for delay in wrong:
            with self.assertRaises(ValueError) as caught:
                Release(delay=delay)
            self.assertIn(repr(delay), str(caught.exception))

    def test_makesDelayFloat(self) -> None:
        """
        A delay is made a float: no protocol can encode a fraction.
        """
        numbers: list[Any] = [Fraction(3, 2), Decimal("1.5")]
        for kind in (Release, TaskFailedError):
            for number in numbers:
                delay = kind("later", delay=number).delay
                self.assertEqual((type(delay), delay), (float, 1.5))

    def test_rejectKeepsReason(self) -> None:
        """
        The reason of a reject is kept.
        """
        self.assertEqual(str(Reject("no such customer")), "no such customer")

    def test_failureKeepsReasonAndDelay(self) -> None:
        """
        The reason of a failed task is kept, and its delay is none, or seconds.
        """
        self.assertEqual(str(TaskFailedError("exit status 3")), "exit status 3")
        self.assertIsNone(TaskFailedError("no").delay)
        for delay in (0, 0.5, 86400.0):
            self.assertEqual(TaskFailedError("no", delay=delay).delay, delay)

    def test_failureRefusesWrongDelay(self) -> None:
        """
        A failed task refuses a delay that is no finite number of seconds, or negative.
        """
        for delay in (-1, -0.001, inf, -inf, nan):
            with self.assertRaises(ValueError) as caught:
                TaskFailedError("no", delay=delay)
            self.assertIn(repr(delay), str(caught.exception))

    def test_queueErrorsHaveOneClass(self) -> None:
        """
        Faults and refusals are caught as one class, and each has what it adds.
        """
        fault, refusal = FaultError("down", retryAfter=5), RefusalError("no such page")
        self.assertIsInstance(fault, QueueError)
        self.assertIsInstance(refusal, QueueError)
        self.assertEqual((fault.retryAfter, FaultError("down").retryAfter), (5, None))
        self.assertFalse(refusal.divisible)
        self.assertTrue(RefusalError("too much", divisible=True).divisible)


class ValueTests(SynchronousTestCase):
    """
    L{myconsumer.task}.
    """

    def test_taskNeedsIdAndPayload(self) -> None:
        """
        A task needs an id and a payload; its other fields say that nothing is known.
        """
        task = msgspec.json.decode(b'{"id": "17", "payload": [1]}', type=Task)
        self.assertEqual(task, Task("17", [1], 1, None, None, None))

    def test_taskHidesPayloadAndReceipt(self) -> None:
        """
        A task in a log is its id and its attempt, without payload and receipt.
        """
        task = Task("17", {"secret": 1}, 2, "r-1")
        for text in (repr(task), str(task)):
            self.assertEqual(text, "<Task '17', attempt 2>")

    def test_taskIsNoRunningTask(self) -> None:
        """
        A plain task has none of what only a running one has.
        """
        names = set(dir(Task("17", None, receipt="r")))
        running = {"cancelled", "deadline", "extend", "value"}
        self.assertEqual(names & running, set())
        self.assertLessEqual(running, set(IRunningTask.names()))

    def test_refusesOtherJSON(self) -> None:
        """
        JSON that is no task is not taken for one.
        """
        for text in (
            b"[]",
            b"{}",
            b'{"id": 1}',
            b'{"payload": 1}',
            b'{"id": 1.5, "payload": 1}',
            b'{"id": null, "payload": 1}',
            b'{"id": 1, "payload": 1, "attempt": 0}',
            b'{"id": 1, "payload": 1, "lease": 0}',
        ):
            with self.assertRaises(msgspec.ValidationError):
                msgspec.json.decode(text, type=Task)

    def test_valuesAreFrozen(self) -> None:
        """
        Nobody can change a value that others hold.
        """
        for value in (Task(1, 2), Settlement("r", "complete"), Claimed([])):
            with self.assertRaises(AttributeError):
                setattr(value, value.__struct_fields__[0], 3)

    def test_settlementLeavesOutUnset(self) -> None:
        """
        A field of a settlement that is not set is left out; one that is set is sent,
        however false it is.
        """
        for settlement, text in (
            (Settlement("r", "complete"), '{"receipt":"r","outcome":"complete"}'),
            (
                Settlement("r", "complete", result=msgspec.Raw(b"null")),
                '{"receipt":"r","outcome":"complete","result":null}',
            ),
            (
                Settlement("r", "release", delay=0.0, error="", counted=False),
                '{"receipt":"r","outcome":"release","delay":0.0,"error":"",'
                '"counted":false}',
            ),
        ):
            self.assertEqual(msgspec.json.encode(settlement).decode(), text)

    def test_claimsDoNotShare(self) -> None:
        """
        Each answer to a claim has a list of its own.
        """
        self.assertIsNot(Claimed([]).malformed, Claimed([]).malformed)
