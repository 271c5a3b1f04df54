"""
A handler whose tasks the test ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from myconsumer.interfaces import IRunningTask, ITaskHandler

#: What a script returns to have the handler return C{None}.
NOTHING = object()


@dataclass(eq=False)
class Handling:
    """
    One run of a task, which the test ends.

    @ivar task: What the handler was given.
    @ivar stubborn: Whether it runs on when it is cancelled.
    @ivar well: Whether it ends well when it is cancelled, with a result.
    @ivar cancels: How often it was cancelled.
    @ivar onCancel: Called when it is cancelled.
    @ivar ended: How it ended: C{well}, C{badly}, or C{None} while it runs.
    """

    task: IRunningTask
    stubborn: bool = False
    well: bool = False
    cancels: int = 0
    onCancel: Callable[[], object] = field(default=lambda: None)
    ended: str | None = None
    _current: Deferred[Any] = field(init=False)

    def begin(self) -> Deferred[Any]:
        """
        Run until L{succeed} or L{fail} is called, or it is cancelled.

        @return: What the handler returns.
        """
        self._current = Deferred(self._cancel)
        return self._current.addErrback(self._goOn).addCallbacks(
            self._endedWell, self._endedBadly
        )

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancels += 1
        self.onCancel()
        if self.well:
            deferred.callback("in time")

    def _goOn(self, failure: Any) -> Any:
        if not self.stubborn:
            return failure
        self._current = Deferred(self._cancel)
        return self._current.addErrback(self._goOn)

    def _endedWell(self, result: Any) -> Any:
        self.ended = "well"
        return result

    def _endedBadly(self, failure: Any) -> Any:
        self.ended = "badly"
        return failure

    def succeed(self, result: Any = None) -> None:
        """
        End it well, with a result.
        """
        self._current.callback(result)

    def fail(self, error: BaseException) -> None:
        """
        End it badly, stubborn or not.
        """
        self.stubborn = False
        self._current.errback(error)


@implementer(ITaskHandler)
class ControlledHandler:
    """
    A handler that leaves the end of each task to the test.

    @ivar handled: Each run of a task, in the order in which they began.
    @ivar script: Called with each run before it begins.  If it raises, or returns
        anything but C{None}, so does the handler, at once; L{NOTHING} has the handler
        return C{None}.
    """

    def __init__(self) -> None:
        self.handled: list[Handling] = []
        self.script: Callable[[Handling], Any] = lambda handling: None

    def handle(self, task: IRunningTask) -> Any:
        """
        See L{ITaskHandler.handle}.
        """
        handling = Handling(task)
        self.handled.append(handling)
        try:
            result = self.script(handling)
        except BaseException:
            handling.ended = "badly"
            raise
        if result is None:
            return handling.begin()
        handling.ended = "well"
        return None if result is NOTHING else result

    @property
    def running(self) -> list[Handling]:
        """
        The runs that have not ended.
        """
        return [handling for handling in self.handled if handling.ended is None]

    def of(self, id: str | int) -> Handling:
        """
        The last run of a task.

        @param id: The task's id.
        """
        return [each for each in self.handled if each.task.id == id][-1]
