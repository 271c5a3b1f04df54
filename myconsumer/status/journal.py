"""
What happens to a consumer, in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.pipeline.breaker import REASON
from myconsumer.pipeline.observers import Observer
from myconsumer.status.failures import Failures, isFailure
from myconsumer.status.flood import Budget
from myconsumer.task import Ending, Request, Task
from myconsumer.text import describe, oneLine, shown, shownID

#: The bytes that are logged of pauses and other changes each second, and at once.
RATE, MOST = 30, 6_000


class Journal(Observer):
    """
    Logs failures of tasks, pauses and changes, so that no number of them makes the log
    long.  Requests that fail, leases that are lost and tasks that cannot be begun are
    logged where that is noticed.
    """

    skipsComplete = True

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: Measures the time between lines of the log.
        """
        self._failures = Failures(self._log, clock)
        self._budget = Budget(RATE, MOST, clock)
        # Bound once, for speed.
        self._failed = self._failures.failed

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded
        <myconsumer.interfaces.IConsumerObserver.taskEnded>}.
        """
        if isFailure(ending):
            self._failed(task, ending, seconds)

    def paused(self, reason: str) -> None:
        """
        See L{IConsumerObserver.paused
        <myconsumer.interfaces.IConsumerObserver.paused>}.
        """
        if reason != REASON:
            self._change(
                "Pausing, nothing is claimed: {reason}", reason=oneLine(reason)
            )

    def resumed(self, reason: str) -> None:
        """
        See L{IConsumerObserver.resumed
        <myconsumer.interfaces.IConsumerObserver.resumed>}.
        """
        if reason != REASON:
            text = oneLine(reason)
            self._change("A reason to pause is gone: {reason}", reason=text)

    def settingChanged(self, name: str, old: Any, new: Any) -> None:
        """
        See L{IConsumerObserver.settingChanged
        <myconsumer.interfaces.IConsumerObserver.settingChanged>}.
        """
        self._change(
            "The setting {name} is {new} from now on, and was {old}",
            name=name,
            old=shown(old),
            new=shown(new),
        )

    def stopped(self) -> None:
        """
        See L{IConsumerObserver.stopped
        <myconsumer.interfaces.IConsumerObserver.stopped>}.
        """
        self._failures.close()

    def _change(self, format: str, **fields: Any) -> None:
        if self._budget.allows():
            self._budget.spend(150 + sum(len(str(each)) for each in fields.values()))
            self._log.info(format, **fields)


class VerboseJournal(Journal):
    """
    Logs at the level C{debug} every event as well, one line for each: much.
    """

    skipsComplete = False

    def requestSent(self, request: Request) -> None:
        """
        See L{IConsumerObserver.requestSent
        <myconsumer.interfaces.IConsumerObserver.requestSent>}.
        """
        self._log.debug(
            "Request sent: {kind} of {count}, to be answered within {within:g} s",
            within=request.within,
            **_about(request),
        )

    def requestAnswered(self, request: Request, seconds: float, count: int) -> None:
        """
        See L{IConsumerObserver.requestAnswered
        <myconsumer.interfaces.IConsumerObserver.requestAnswered>}.
        """
        self._log.debug(
            "Request answered after {seconds} s: {kind} of {count}, {done} done",
            seconds=round(seconds, 6),
            done=int(count),
            **_about(request),
        )

    def requestFailed(self, request: Request, seconds: float, reason: Failure) -> None:
        """
        See L{IConsumerObserver.requestFailed
        <myconsumer.interfaces.IConsumerObserver.requestFailed>}.
        """
        self._log.debug(
            "Request failed after {seconds} s: {kind} of {count}: {error}",
            seconds=round(seconds, 6),
            error=oneLine(describe(reason)),
            **_about(request),
        )

    def taskStarted(self, task: Task) -> None:
        """
        See L{IConsumerObserver.taskStarted
        <myconsumer.interfaces.IConsumerObserver.taskStarted>}.
        """
        self._log.debug(
            "Task {id} starts, attempt {attempt}",
            id=shownID(task.id),
            attempt=task.attempt,
        )

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded
        <myconsumer.interfaces.IConsumerObserver.taskEnded>}.
        """
        super().taskEnded(task, ending, seconds)
        error = oneLine(ending.error or "")
        self._log.debug(
            "Task {id} has ended after {seconds} s, attempt {attempt}: {how}",
            id=shownID(task.id),
            seconds=round(seconds, 6),
            attempt=task.attempt,
            outcome=ending.outcome,
            cause=ending.cause,
            delay=ending.delay,
            how=f"{ending.outcome}, {error}" if error else ending.outcome,
            error=error,
        )

    def leasesLost(self, ids: Sequence[str | int]) -> None:
        """
        See L{IConsumerObserver.leasesLost
        <myconsumer.interfaces.IConsumerObserver.leasesLost>}.
        """
        self._log.debug("Leases lost: {ids}", ids=_some(ids), count=len(ids))

    def settlementsGivenUp(self, ids: Sequence[str | int]) -> None:
        """
        See L{IConsumerObserver.settlementsGivenUp
        <myconsumer.interfaces.IConsumerObserver.settlementsGivenUp>}.
        """
        self._log.debug("Settlements given up: {ids}", ids=_some(ids), count=len(ids))


def _about(request: Request) -> dict[str, Any]:
    claim = request.claim
    return {
        "kind": request.kind,
        "count": request.count,
        "claim": claim if claim is None else shownID(claim),
    }


def _some(ids: Sequence[str | int]) -> str:
    """
    @return: The first few of some tasks' ids.
    """
    return ", ".join(str(shownID(id)) for id in ids[:10])
