"""
A task that runs, for tests of what handles it.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import astuple
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from myconsumer.errors import LeaseLostError
from myconsumer.interfaces import IRunningTask
from myconsumer.task import Task


@implementer(IRunningTask)
class StartedTask(Task, frozen=True, eq=False):
    """
    A task as a handler gets it, without a time limit and without a lease.
    """

    deadline: ClassVar[float | None] = None
    cancelled: ClassVar[bool] = False

    @property
    def value(self) -> Task:
        """
        See L{IRunningTask.value}.
        """
        return Task(*astuple(self)[: len(Task.__struct_fields__)])

    def extend(self, seconds: float) -> Deferred[None]:
        """
        See L{IRunningTask.extend}.
        """
        return fail(LeaseLostError(f"task {self.id} has no lease"))
