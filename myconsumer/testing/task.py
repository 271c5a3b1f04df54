"""
A task for a handler that is called without a service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from myconsumer.errors import LeaseLostError
from myconsumer.fields import YEAR, Lease, mismatch
from myconsumer.interfaces import IRunningTask
from myconsumer.task import Task


@implementer(IRunningTask)
class FakeTask:
    """
    A task as a handler gets it; the test says how long it may run, and when it is to
    end.  What a L{Task} says cannot be changed here either.

    @ivar deadline: See L{IRunningTask.deadline}; the test may change it.
    @ivar cancelled: See L{IRunningTask.cancelled}; the test may change it.
    @ivar extended: The seconds of each call of L{extend}, in order, those included
        that have failed for want of a lease.
    @ivar onExtend: Called with the seconds by L{extend} if the task has a lease;
        L{extend} returns or raises what this does.  By default the endpoint has
        agreed at once.
    """

    def __init__(
        self,
        id: str | int,
        payload: Any,
        attempt: int = 1,
        receipt: str | None = None,
        lease: float | None = None,
        enqueued: float | None = None,
        *,
        deadline: float | None = None,
        cancelled: bool = False,
    ) -> None:
        """
        @param id: See L{Task}.
        @param payload: See L{Task}.
        @param attempt: See L{Task}.
        @param receipt: See L{Task}; C{None}: the task has no lease.
        @param lease: See L{Task}.
        @param enqueued: See L{Task}.
        @param deadline: When the time limit ends, if the task has one.
        @param cancelled: Whether the task is to end early.
        """
        self._value = Task(id, payload, attempt, receipt, lease, enqueued)
        self.deadline = deadline
        self.cancelled = cancelled
        self.extended: list[float] = []
        self.onExtend: Callable[[float], Deferred[None]] = lambda seconds: succeed(None)

    def __repr__(self) -> str:
        return f"<FakeTask of {self._value!r}>"

    @property
    def value(self) -> Task:
        """
        See L{IRunningTask.value}.
        """
        return self._value

    @property
    def id(self) -> str | int:
        """
        See L{IRunningTask.id}.
        """
        return self._value.id

    @property
    def payload(self) -> Any:
        """
        See L{IRunningTask.payload}.
        """
        return self._value.payload

    @property
    def attempt(self) -> int:
        """
        See L{IRunningTask.attempt}.
        """
        return self._value.attempt

    @property
    def receipt(self) -> str | None:
        """
        See L{IRunningTask.receipt}.
        """
        return self._value.receipt

    @property
    def lease(self) -> float | None:
        """
        See L{IRunningTask.lease}.
        """
        return self._value.lease

    @property
    def enqueued(self) -> float | None:
        """
        See L{IRunningTask.enqueued}.
        """
        return self._value.enqueued

    def extend(self, seconds: float) -> Deferred[None]:
        """
        See L{IRunningTask.extend}.
        """
        if not 0 < seconds <= YEAR:
            raise ValueError(mismatch("extend", Lease, seconds))
        self.extended.append(seconds)
        if self.receipt is None:
            return fail(LeaseLostError(f"task {self.id} came without a receipt"))
        return self.onExtend(seconds)
