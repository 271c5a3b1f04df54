"""
A task that runs, and how it is made to end.

Promise 7: a task whose lease is lost is cancelled.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from myconsumer.errors import LeaseLostError
from myconsumer.fields import YEAR, mismatch
from myconsumer.fields import Lease as LeaseSeconds
from myconsumer.interfaces import IRunningTask
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.task import Task
from myconsumer.text import shownID


class Run(Struct, eq=False):
    """
    A task that runs and has not ended yet.

    @ivar task: The task.
    @ivar lease: The lease on it, if any.
    @ivar deadline: When its time limit ends, in seconds since the epoch, if it has
        one.
    @ivar began: When it was given to its handler, by our clock.
    @ivar cancelled: Why it was cancelled, if it was.
    @ivar isAbandoned: Whether it was settled without waiting for its end.
    @ivar timeout: The seconds after which it is cancelled; 0 for no limit.
    @ivar handling: Fires when it has ended; cancelling that is to end it.
    @ivar timer: Ends it in time.
    """

    task: Task
    lease: Lease | None
    leases: Leases
    deadline: float | None
    began: float
    cancelled: Literal["timeout", "stop", "lost"] | None = None
    isAbandoned: bool = False
    timeout: float = 0.0
    handling: Deferred[Any] | None = None
    timer: IDelayedCall | None = None

    def __repr__(self) -> str:
        return f"<Run of {self.task!r}>"

    def follow(
        self, handling: Deferred[Any], clock: IReactorTime, timeout: float
    ) -> None:
        """
        It does not end at once.

        @param handling: Fires when it has ended.
        @param clock: What keeps the time.
        @param timeout: The seconds after which to cancel it; 0 for no limit.
        """
        self.handling = handling
        if self.lease is not None:
            self.lease.onLost = self.lose
        if timeout:
            self.timeout = timeout
            self.timer = clock.callLater(timeout, self.timeOut)

    def timeOut(self) -> None:
        """
        Cancel it: it has run for too long.
        """
        self.timer = None
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
        self.handling = None
        if self.lease is not None:
            self.lease.onLost = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _cancel(self, why: Literal["timeout", "stop", "lost"]) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        again = self.cancelled is not None
        # the task of a lost lease is not settled, whatever else has cancelled it
        if not again or why == "lost":
            self.cancelled = why
        # what is ending already may clean up, unless there is no time
        if self.handling is None or (again and why != "stop"):
            return
        try:
            self.handling.cancel()
        except Exception:
            self.leases.log.failure(
                "Task {id} could not be cancelled", id=shownID(self.task.id)
            )


@implementer(IRunningTask)
class RunningTask(Task, frozen=True, eq=False, kw_only=True):
    """
    See L{IRunningTask}.

    @ivar run: Its run.
    """

    run: Run

    @property
    def value(self) -> Task:
        """
        See L{IRunningTask.value}.
        """
        return self.run.task

    @property
    def deadline(self) -> float | None:
        """
        See L{IRunningTask.deadline}.
        """
        return self.run.deadline

    @property
    def cancelled(self) -> bool:
        """
        See L{IRunningTask.cancelled}.
        """
        return self.run.cancelled is not None

    def extend(self, seconds: float) -> Deferred[None]:
        """
        See L{IRunningTask.extend}.
        """
        if not 0 < seconds <= YEAR:
            raise ValueError(mismatch("extend", LeaseSeconds, seconds))
        lease = self.run.lease
        if lease is None:
            return fail(
                LeaseLostError(f"task {shownID(self.id)} came without a receipt")
            )
        # whatever type of number it is, JSON has to be able to say it
        return self.run.leases.extend(lease, float(seconds))
