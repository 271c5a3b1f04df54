"""
A task that runs, and how it is made to end.
"""

from __future__ import annotations

from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from myconsumer.leases import Lease
from myconsumer.task import Task


class Run:
    """
    A task that runs and has not ended yet.

    @ivar task: The task.
    @ivar lease: The lease on it, if any.
    @ivar cancelled: Why it was told to end, if it was.
    @ivar abandoned: Whether it was settled without waiting for its end.
    """

    __slots__ = ("_handling", "_timer", "abandoned", "cancelled", "lease", "task")

    _log = Logger()

    def __init__(self, task: Task, lease: Lease | None, handling: Deferred[Any]):
        self.task = task
        self.lease = lease
        self.cancelled: Literal["timeout", "stop", "lost"] | None = None
        self.abandoned = False
        self._handling = handling
        self._timer: IDelayedCall | None = None

    def limit(self, clock: IReactorTime, timeout: float) -> None:
        """
        Cancel it after C{timeout} seconds.
        """
        self._timer = clock.callLater(timeout, self.timeOut)

    def timeOut(self) -> None:
        """
        Cancel it: it has run for too long.
        """
        self._timer = None
        self._cancel("timeout")

    def lose(self) -> None:
        """
        Cancel it: somebody else is to run it.
        """
        self._cancel("lost")

    def stop(self) -> None:
        """
        Cancel it: the service stops.
        """
        self._cancel("stop")

    def ended(self) -> None:
        """
        There is nothing to cancel any more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cancel(self, why: Literal["timeout", "stop", "lost"]) -> None:
        self.ended()
        self.cancelled = why
        try:
            self._handling.cancel()
        except Exception:
            self._log.failure("Task {id} could not be cancelled", id=self.task.id)
