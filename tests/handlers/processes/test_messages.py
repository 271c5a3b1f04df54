"""
The messages between the consumer and its worker processes.
"""

from __future__ import annotations

from unittest import TestCase

from twisted.internet.task import Clock

from myconsumer.handlers.blocking import BlockingTask
from myconsumer.handlers.lines import Outlet
from myconsumer.handlers.processes.messages import Job, readToWorker
from myconsumer.handlers.processes.reports import Reports
from myconsumer.handlers.processes.work import Work
from myconsumer.interfaces import IRunningTask
from myconsumer.task import Task
from myconsumer.testing import FakeTask


class Marked(Task, frozen=True, kw_only=True):
    """
    A task of a queue that keeps something of its own with each.
    """

    mark: str = "m"


class MarkedTask(FakeTask):
    """
    A marked task that runs.
    """

    @property
    def value(self) -> Task:
        return Marked(self.id, self.payload)


class JobTests(TestCase):
    """
    L{Job}.
    """

    def readJob(self, task: IRunningTask) -> Job:
        clock = Clock()
        reports = Reports(clock, Outlet(clock))
        job = readToWorker(Work(task, 1, lambda work: None, reports).job)
        assert isinstance(job, Job)
        return job

    def test_hasWhatARunningTaskHas(self) -> None:
        """
        A callable finds all of L{IRunningTask} at its task in a worker process, too.
        """
        started = FakeTask("t", {"n": 1}, 3, "r", 9.0, 5.5)
        extended: list[float] = []
        task = BlockingTask(self.readJob(started), extended.append)
        for name in set(IRunningTask) - {"extend"}:
            with self.subTest(name):
                self.assertEqual(getattr(task, name), getattr(started, name))
        task.extend(7.0)
        self.assertEqual(extended, [7.0])

    def test_leavesOutWhatAQueueAdds(self) -> None:
        """
        A task with more fields than a L{Task} is given to a worker process without
        these.
        """
        self.assertEqual(self.readJob(MarkedTask("t", 1)).value, Task("t", 1))
