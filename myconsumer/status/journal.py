"""
The log of how tasks have ended.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from myconsumer.pipeline.observers import Observer
from myconsumer.task import COMPLETE, Ending, Task
from myconsumer.text import shownID


class Journal(Observer):
    """
    Logs tasks that were not completed.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: Measures the time between lines of the log.
        """

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded
        <myconsumer.interfaces.IConsumerObserver.taskEnded>}.
        """
        if ending is COMPLETE:
            return
        if ending.cause == "failure":
            self._failed(task, ending)
        self._notDone(task, ending)

    def _failed(self, task: Task, ending: Ending) -> None:
        if ending.failure is not None:
            self._log.failure(
                "Task {id} failed in attempt {attempt}",
                ending.failure,
                LogLevel.error,
                id=shownID(task.id),
                attempt=task.attempt,
            )
        else:
            self._log.warn(
                "Task {id} failed in attempt {attempt}: {reason}",
                id=shownID(task.id),
                attempt=task.attempt,
                reason=_first(ending),
            )

    def _notDone(self, task: Task, ending: Ending) -> None:
        id, cause, outcome = shownID(task.id), ending.cause, ending.outcome
        if cause == "timeout":
            self._log.warn("Task {id} {error}", id=id, error=_first(ending))
        if outcome == "fail":
            self._log.error(
                "Task {id} has failed for good in attempt {attempt}: {error}",
                id=id,
                attempt=task.attempt,
                error=_first(ending),
            )
        elif outcome == "complete":
            self._log.error(
                "Task {id} is completed without its result: {error}",
                id=id,
                error=_first(ending),
            )
        elif cause == "stuck":
            self._log.warn(
                "Task {id} does not end although it was cancelled; it is given back",
                id=id,
            )
        elif outcome == "dropped":
            self._log.error(
                "Task {id} was not done, and is lost: it came without a receipt", id=id
            )
        elif outcome == "lost":
            isDone = ending.error is None
            text = "ended after its lease" if isDone else "was cancelled"
            self._log.info("Task {id} {text}", id=id, text=text)


def _first(ending: Ending) -> str:
    return (ending.error or "").partition("\n")[0]
