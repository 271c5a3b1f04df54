"""
What can be observed of a consumer: each event is announced once, to whoever observes.

The parts of a run know L{Observers} only.  The log, the totals and whatever else wants
to know what happens, such as metrics, are observers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.interfaces import IConsumerObserver
from myconsumer.retrying import Quiet
from myconsumer.task import COMPLETE, Ending, Request, Task


@implementer(IConsumerObserver)
class Observer:
    """
    Observes nothing.  Subclasses override the methods for what they want to know; what
    they do not override costs nothing, and events of later versions do not break them.

    @cvar skipsComplete: Whether L{taskEnded} need not be called for tasks that were
        done, which are most of them.
    """

    skipsComplete = False

    def requestSent(self, request: Request) -> None:
        """
        See L{IConsumerObserver.requestSent}.
        """

    def requestAnswered(self, request: Request, seconds: float, count: int) -> None:
        """
        See L{IConsumerObserver.requestAnswered}.
        """

    def requestFailed(self, request: Request, seconds: float, reason: Failure) -> None:
        """
        See L{IConsumerObserver.requestFailed}.
        """

    def taskStarted(self, task: Task) -> None:
        """
        See L{IConsumerObserver.taskStarted}.
        """

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded}.
        """

    def leasesLost(self, ids: Sequence[str | int]) -> None:
        """
        See L{IConsumerObserver.leasesLost}.
        """

    def settlementsGivenUp(self, ids: Sequence[str | int]) -> None:
        """
        See L{IConsumerObserver.settlementsGivenUp}.
        """

    def paused(self, reason: str) -> None:
        """
        See L{IConsumerObserver.paused}.
        """

    def resumed(self, reason: str) -> None:
        """
        See L{IConsumerObserver.resumed}.
        """

    def settingChanged(self, name: str, old: Any, new: Any) -> None:
        """
        See L{IConsumerObserver.settingChanged}.
        """

    def started(self) -> None:
        """
        See L{IConsumerObserver.started}.
        """

    def stopping(self, running: int, waiting: int) -> None:
        """
        See L{IConsumerObserver.stopping}.
        """

    def stopped(self) -> None:
        """
        See L{IConsumerObserver.stopped}.
        """


def _ignore(*_: Any) -> None:
    """
    Nobody observes this.
    """


@implementer(IConsumerObserver)
class Observers:
    """
    Announces each event to all observers that want to know of it.  One that raises
    keeps neither the others nor the consumer from going on.
    """

    _log = Logger()

    requestSent: Callable[[Request], None]
    requestAnswered: Callable[[Request, float, int], None]
    requestFailed: Callable[[Request, float, Failure], None]
    taskStarted: Callable[[Task], None]
    taskEnded: Callable[[Task, Ending, float], None]
    leasesLost: Callable[[Sequence[str | int]], None]
    settlementsGivenUp: Callable[[Sequence[str | int]], None]
    paused: Callable[[str], None]
    resumed: Callable[[str], None]
    settingChanged: Callable[[str, Any, Any], None]
    started: Callable[[], None]
    stopping: Callable[[int, int], None]
    stopped: Callable[[], None]

    def __init__(
        self, observers: Iterable[IConsumerObserver], clock: IReactorTime
    ) -> None:
        """
        @param observers: Those that are called, in this order.
        @param clock: Measures the time between lines of the log.
        """
        self._quiet = Quiet(clock)
        observers = list(observers)
        for name in IConsumerObserver.names():
            setattr(self, name, self._announcement(name, observers))

    def isObserved(self, event: str) -> bool:
        """
        @param event: The name of a method of L{IConsumerObserver}.

        @return: Whether anybody wants to know of it: else it need not be announced.
        """
        return getattr(self, event) is not _ignore

    def _announcement(
        self, name: str, observers: Sequence[IConsumerObserver]
    ) -> Callable[..., None]:
        methods = [
            getattr(observer, name)
            for observer in observers
            if getattr(type(observer), name, None) is not getattr(Observer, name)
        ]
        if not methods:
            return _ignore
        if name == "taskEnded":
            most = [each for each in methods if not _skipsComplete(each)]
            return self._endAnnouncement(most, methods)

        def announce(*event: Any) -> None:
            for method in methods:
                try:
                    method(*event)
                except Exception:
                    self._failed(method)

        return announce

    def _endAnnouncement(
        self,
        most: Sequence[Callable[..., object]],
        all: Sequence[Callable[..., object]],
    ) -> Callable[[Task, Ending, float], None]:
        """
        @param most: What is called for a task that was done.
        @param all: What is called for any other.

        @return: Announces that a task has ended: what happens most often is announced
            without packing its arguments, which is a third of what that costs.
        """

        def announce(task: Task, ending: Ending, seconds: float) -> None:
            for method in most if ending is COMPLETE else all:
                try:
                    method(task, ending, seconds)
                except Exception:
                    self._failed(method)

        return announce

    def _failed(self, method: Callable[..., object]) -> None:
        if count := self._quiet.count():
            self._log.failure(
                "Observers have failed {count} times, the last of them {method}",
                count=count,
                method=repr(method),
            )


def _skipsComplete(method: Callable[..., object]) -> bool:
    return bool(getattr(getattr(method, "__self__", None), "skipsComplete", False))
