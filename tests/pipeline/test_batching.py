"""
What goes in one request about leases.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError
from myconsumer.pipeline.batching import (
    FIRST,
    MEMORY,
    MOST_BYTES,
    BatchSize,
    deadlineFor,
    fitting,
    isDivisible,
    isForTheWhole,
    paceOf,
    partOf,
)
from myconsumer.task import Settlement
from tests.model import busy, fault, refusal, tooMuch


class DeadlineTests(SynchronousTestCase):
    """
    L{deadlineFor} and L{paceOf}.
    """

    def test_dividesTheShortestLease(self) -> None:
        """
        A request may take a third of the shortest lease, and 10 s at most.
        """
        self.assertEqual(deadlineFor([30, 9]), 3)
        self.assertEqual(deadlineFor([300, 90]), 10)

    def test_groupsLengths(self) -> None:
        """
        Lengths of one pace differ by less than four times; all that are below a
        second have the same.
        """
        lengths = [1e-9, 0.1, 0.9, 1, 3.9, 4, 15, 16, 60, 64, 3600, 31_536_000]
        for first in lengths:
            for second in lengths:
                if paceOf(first) == paceOf(second):
                    least, most = sorted([first, second])
                    self.assertLess(most / max(least, 0.99), 4)
        self.assertEqual(paceOf(1e-9), paceOf(0.9))
        self.assertEqual(paceOf(60), paceOf(61))


class FailureTests(SynchronousTestCase):
    """
    What a failure says of a batch.
    """

    def test_tellsFailuresApart(self) -> None:
        """
        400, 413 and 422 are about what was sent; that there is no connection, or
        that the endpoint wants to be left alone, is not.
        """
        for error, divisible, whole in (
            (tooMuch(), True, False),
            (refusal(), False, False),
            (fault(), False, False),
            (ValueError(), False, False),
            (busy(5), False, True),
            (FaultError("refused", unreachable=True), False, True),
        ):
            self.assertEqual(
                (isDivisible(error), isForTheWhole(error)), (divisible, whole)
            )

    def test_dividesByEight(self) -> None:
        """
        A batch that failed is divided by eight, down to single settlements.
        """
        self.assertEqual(
            [partOf(size) for size in (800, 100, 12, 3, 1)], [100, 12, 1, 1, 1]
        )


class FittingTests(SynchronousTestCase):
    """
    L{fitting}.
    """

    def count(self, results: list[bytes], most: int = 100) -> int:
        """
        @return: How many settlements with such results go in one request.
        """
        settlements = [
            (number, Settlement(f"r{number}", "complete", result=Raw(result)))
            for number, result in enumerate(results)
        ]
        found = fitting(settlements, most)
        self.assertEqual(found, list(range(len(found))))
        return len(found)

    def test_takesNoMoreThanAskedFor(self) -> None:
        """
        No more settlements are taken than are asked for.
        """
        self.assertEqual(self.count([b"1"] * 5, 3), 3)

    def test_takesNoMoreBytes(self) -> None:
        """
        No more bytes are taken than a request should have, unless one settlement alone
        has more.
        """
        quarter = b"1" * (MOST_BYTES // 4)
        self.assertEqual(self.count([quarter] * 5), 4)
        self.assertEqual(self.count([quarter * 5] * 2), 1)


class BatchSizeTests(SynchronousTestCase):
    """
    L{BatchSize}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.size = BatchSize(self.clock)

    def send(self, count: int, takes: Callable[[int], float], most: int = 10**6) -> int:
        """
        Send batches to an endpoint that has a time for each size, and refuses more
        than C{most}.

        @return: The size of the last.
        """
        size = 0
        for _ in range(count):
            size = self.size.within(10)
            if size > most:
                self.size.failed(size, True)
            else:
                self.size.taken(size, takes(size), 10)
        return size

    def test_grows(self) -> None:
        """
        A batch is small at first, and its size doubles each time that a batch of that
        size is taken.
        """
        self.assertEqual(self.size.within(10), FIRST)
        self.size.taken(FIRST - 1, 0.01, 10)
        self.assertEqual(self.size.within(10), FIRST)
        self.size.taken(FIRST, 0.01, 10)
        self.assertEqual(self.size.within(10), 2 * FIRST)

    def test_learns(self) -> None:
        """
        A batch is as large as the endpoint answers within a third of the deadline.
        """
        self.assertAlmostEqual(self.send(20, lambda size: 0.01 * size), 333, delta=1)
        self.assertAlmostEqual(self.size.within(3), 100, delta=1)

    def test_allowsForALatency(self) -> None:
        """
        An answer that takes long whatever the size is no reason to send less.
        """
        self.assertGreater(self.send(20, lambda size: 4.0), 10_000)

    def test_adaptsToASlowerEndpoint(self) -> None:
        """
        An endpoint that becomes slower is sent less, and more when that is over.
        """
        self.send(30, lambda size: 0.001 * size)
        self.assertLess(self.send(20, lambda size: 0.1 * size), 40)
        self.assertGreater(self.send(30, lambda size: 0.001 * size), 1000)

    def test_shrinksAfterAFailure(self) -> None:
        """
        After a failure the size is an eighth of what failed, and grows again.
        """
        self.size.failed(64, False)
        self.assertEqual(self.size.within(10), 8)
        self.assertGreater(self.send(20, lambda size: 0.01), 1000)

    def test_remembersARefusal(self) -> None:
        """
        A size that was refused is not tried again for some minutes: an endpoint that
        takes 100 is found out in few refusals.
        """
        refusals = 0
        for _ in range(50):
            size = self.size.within(10)
            refusals += size > 100
            self.send(1, lambda size: 0.01, 100)
        self.assertLess(refusals, 5)
        self.assertGreater(self.size.within(10), 85)

    def test_forgetsAnAcquittedRefusal(self) -> None:
        """
        A refusal that turns out to be for something in the request is forgotten at
        once, so that many of them do not make each request smaller.
        """
        for _ in range(20):
            self.size.failed(self.size.within(10), True)
            self.size.acquit()
            self.send(3, lambda size: 0.01)
        self.assertGreater(self.size.within(10), FIRST)

    def test_forgetsALatency(self) -> None:
        """
        A latency that is over does not keep requests small.
        """
        self.size.failed(16, False)
        for size, seconds in ((2, 4.0), (1, 3.9), (1, 3.9), (1, 0.01)):
            self.size.taken(size, seconds, 10)
        self.send(5, lambda size: 0.01)
        self.assertGreater(self.size.within(2), 1)

    def test_forgetsARefusal(self) -> None:
        """
        A size that was refused is tried again after some minutes.
        """
        self.send(50, lambda size: 0.01, 100)
        self.clock.advance(MEMORY)
        self.assertGreater(self.send(10, lambda size: 0.01), 1000)

    def test_isOneAtLeast(self) -> None:
        """
        The size is never less than one.
        """
        self.size.failed(1, True)
        self.size.taken(1, 10.0, 10)
        self.assertEqual(self.size.within(10), 1)
        self.assertEqual(self.size.within(0.001), 1)
