"""
A task of the pool of worker processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure

from myconsumer.errors import (
    LeaseLostError,
    NotBegunError,
    Reject,
    Release,
    TaskFailedError,
)
from myconsumer.handlers.blocking import StubbornDeferred
from myconsumer.handlers.processes.messages import Done, Extended, Job, Raised, encode
from myconsumer.handlers.processes.reports import Reports
from myconsumer.interfaces import IRunningTask


class Work:
    """
    A task, from its arrival until its outcome is known.

    @ivar task: The task.
    @ivar number: Tells the task from all others of the same handler.
    @ivar mayMove: Whether another worker may do it, should the one that was given it
        end: none has begun it, and none has ended with it.
    @ivar job: The message that gives the task to a worker, encoded.
    @ivar done: Fires with the outcome of the task.
    """

    def __init__(
        self,
        task: IRunningTask,
        number: int,
        end: Callable[[Work], object],
        reports: Reports,
    ) -> None:
        """
        @param end: Called when the task is cancelled, maybe more than once.
        @param reports: Logs what is to be logged of its answer.
        """
        self.task = task
        self._reports = reports
        self.number = number
        self.mayMove = True
        # one by one: the task of another queue may have further fields
        job = Job(
            number,
            task.id,
            task.payload,
            task.attempt,
            task.receipt,
            task.lease,
            task.enqueued,
            task.deadline,
        )
        self.job = encode(job)
        self.done: Deferred[Any] = StubbornDeferred(lambda: end(self))

    def begun(self) -> None:
        """
        A worker has called the callable with it.
        """
        self.mayMove = False

    def answered(self, answer: Done | Raised) -> None:
        """
        The task has ended with C{answer}.
        """
        if isinstance(answer, Raised):
            self.done.errback(self._asException(answer))
            return
        if answer.unsendable is not None:
            self._reports.withoutResult(self.task.id, answer.unsendable)
        self.done.callback(None if answer.result is UNSET else answer.result)

    def cancelled(self) -> None:
        """
        The task has ended because it was cancelled.
        """
        self.done.errback(CancelledError())

    def notBegun(self, reason: str) -> None:
        """
        No worker has begun the task, and none will.

        @param reason: Why.
        """
        self.done.errback(NotBegunError(reason))

    def failed(self, reason: str) -> None:
        """
        The task has failed: its worker is gone.

        @param reason: Why.
        """
        self.done.errback(TaskFailedError(reason))

    def extend(self, seconds: float) -> Deferred[Extended]:
        """
        Extend the lease.

        @param seconds: The new length of the lease, from now.

        @return: Fires with the message that answers the worker.
        """
        extending = maybeDeferred(self.task.extend, seconds)
        return extending.addCallbacks(lambda _: Extended(), _refused)

    def _asException(self, raised: Raised) -> Exception:
        if raised.kind == "release":
            return Release(raised.message, delay=raised.delay)
        if raised.kind == "reject":
            return Reject(raised.message)
        if raised.kind == "other":
            self._reports.raised(self.task.id, raised.traceback)
        return TaskFailedError(raised.message, delay=raised.delay)


def _refused(reason: Failure) -> Extended:
    text = reason.getErrorMessage()
    if isinstance(reason.value, LeaseLostError):
        return Extended(text, "lost")
    return Extended(text, "value" if isinstance(reason.value, ValueError) else "other")
