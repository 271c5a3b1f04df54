"""
What workers and their pool promise each other.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from myconsumer.handlers.processes.work import Work


class IWorker(Interface):
    """
    What does tasks for a pool.
    """

    def do(work: Work) -> None:
        """
        Do C{work}.  Only after L{IWorkerPool.free}.
        """

    def cancel(work: Work) -> None:
        """
        Cancel C{work} if it is the worker's task.  The process is terminated, unless it
        is not ready yet or has already answered.
        """

    def stop() -> Deferred[None]:
        """
        End the process: by SIGKILL if it has a task.

        @return: Fires when it is gone.
        """


class IWorkerPool(Interface):
    """
    What gives workers their tasks.
    """

    def ready(worker: IWorker) -> None:
        """
        C{worker} has begun.  If it has a task it does that, else L{free} follows.
        """

    def free(worker: IWorker) -> None:
        """
        C{worker} has nothing to do.
        """

    def discard(worker: IWorker) -> None:
        """
        C{worker}, which was free, takes no more tasks.
        """

    def couldNotBegin(worker: IWorker, problem: str, work: Work | None) -> None:
        """
        C{worker} is gone, without having been ready or stopped.

        @param problem: How it ended, in words.
        @param work: The task that waited for it, if any.
        """

    def gone(worker: IWorker) -> None:
        """
        C{worker} is gone, after it was ready or because it was stopped.
        """

    def returned(work: Work) -> None:
        """
        A worker is gone that was ready, was given C{work}, and did not begin it.
        """
