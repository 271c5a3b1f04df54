"""
What is counted for metrics.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError, RefusalError
from myconsumer.interfaces import IConsumerObserver
from myconsumer.pipeline.observers import Observers
from myconsumer.status.metrics import Metrics
from myconsumer.task import COMPLETE, Ending, Request, Task

NOW = 1_800_000_000.0


class MetricsTests(SynchronousTestCase):
    """
    L{Metrics}, called as the service does.
    """

    def setUp(self) -> None:
        self.metrics = Metrics(lambda: NOW)

    def test_isAnObserver(self) -> None:
        """
        It provides L{IConsumerObserver}.
        """
        verifyObject(IConsumerObserver, self.metrics)

    def test_measuresRuns(self) -> None:
        """
        How long tasks have run is counted when they have ended, however that was.
        """
        self.metrics.taskEnded(Task("a", None), COMPLETE, 2.0)
        self.metrics.taskEnded(Task("b", None), Ending("fail", "why"), 3.0)
        self.assertEqual((self.metrics.run.count, self.metrics.run.sum), (2, 5.0))

    def test_takesNoTimeOfWhatWasNotRun(self) -> None:
        """
        A task that was delivered too often is failed, and was neither run nor started.
        """
        task = Task("a", None, enqueued=NOW - 5)
        self.metrics.taskEnded(task, Ending("fail", cause="attempts"), 0.0)
        self.assertEqual((self.metrics.run.count, self.metrics.queued.count), (0, 0))

    def test_observesNoStarts(self) -> None:
        """
        The start of a task is not observed, so that it is not announced.
        """
        observers = Observers([self.metrics], Clock())
        self.assertFalse(observers.isObserved("taskStarted"))

    def test_measuresTimeInTheQueue(self) -> None:
        """
        The time in the queue is counted where the task says when it was queued: a clock
        that is ahead makes it 0, and a time of more than a year is nonsense.
        """
        for enqueued, count, total in (
            (None, 0, 0.0),
            # it has run for two seconds
            (NOW - 7, 1, 5.0),
            (NOW + 30, 2, 5.0),
            (0.0, 2, 5.0),
            (-1e308, 2, 5.0),
        ):
            task = Task("a", None, enqueued=enqueued)
            self.metrics.taskEnded(task, COMPLETE, 2.0)
            queued = self.metrics.queued
            self.assertEqual((queued.count, queued.sum), (count, total), enqueued)

    def test_tellsResultsApart(self) -> None:
        """
        A request that fails is counted by its kind and by why it has failed; one that
        was wanted no longer has no duration.
        """
        for error, result, count in (
            (FaultError("f"), "fault", 1),
            (RefusalError("r"), "refused", 2),
            (CancelledError(), "cancelled", 2),
            (ValueError("v"), "bug", 3),
        ):
            self.metrics.requestFailed(
                Request("claim", 1, 9.0, 0.0), 0.5, Failure(error)
            )
            self.assertEqual(self.metrics.requests["claim", result], 1)
            self.assertEqual(self.metrics.took["claim"].count, count)
        self.assertEqual(sum(self.metrics.requests.values()), 4)

    def test_countsClaims(self) -> None:
        """
        A claim that brings tasks is a batch of that many; one that brings none is
        empty, and no batch.
        """
        self.metrics.requestAnswered(Request("claim", 8, 9.0, 0.0), 0.5, 3)
        self.metrics.requestAnswered(Request("claim", 8, 9.0, 0.0), 20.0, 0)
        self.assertEqual(self.metrics.requests["claim", "answered"], 1)
        self.assertEqual(self.metrics.requests["claim", "empty"], 1)
        batches = self.metrics.batches["claim"]
        self.assertEqual((batches.count, batches.sum), (1, 3))
        self.assertEqual(self.metrics.took["claim"].sum, 20.5)

    def test_countsBatchesAndRetries(self) -> None:
        """
        Settlements and extensions that are answered are batches, and each settlement in
        a request that has failed is a retry.
        """
        settle, extend = Request("settle", 5, 9.0, 0.0), Request("extend", 2, 9.0, 0.0)
        self.metrics.requestFailed(settle, 0.1, Failure(FaultError("f")))
        self.metrics.requestFailed(extend, 0.1, Failure(FaultError("f")))
        self.metrics.requestFailed(settle, 0.1, Failure(CancelledError()))
        self.metrics.requestAnswered(settle, 0.1, 4)
        self.metrics.requestAnswered(extend, 0.1, 2)
        metrics = self.metrics
        self.assertEqual(metrics.retried, 5)
        self.assertEqual(metrics.batches["settle"].sum, 5)
        self.assertEqual(metrics.batches["extend"].sum, 2)
