"""
The failures of tasks in the log: each kind at once, and then with the count at growing
intervals, so that a million of them fill no disk.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from myconsumer.retrying import Budget
from myconsumer.status.excerpt import excerpt, placeOf, typeOf
from myconsumer.status.flood import Repeat, Repeats
from myconsumer.status.words import duration
from myconsumer.task import Ending, Outcome, Task
from myconsumer.text import oneLine, shownID

#: The bytes that are logged of failures each minute, and at once: much less than 100 kB
#: a minute, even where a format of the log needs twice as many.
BYTES_PER_MINUTE, BURST = 18_000, 24_000

#: The most bytes of a line without a traceback, as a rule.
_LINE = 500

#: What differs in texts that are alike: UUIDs, and words that hold a digit.
_VARIES = re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|\b[^\W\d]*\d\w*")

#: The most characters of a text that tell it from others.
_TELLING = 160


class Wording(NamedTuple):
    """
    How an outcome is worded.

    @ivar first: The format for one task.
    @ivar again: The format for several that ended alike.
    @ivar level: How bad it is, if no exception of the handler's is to blame.
    """

    first: str
    again: str
    level: Any = LogLevel.error


_WORDINGS: dict[Outcome, Wording] = {
    "release": Wording(
        "Task {id} failed in attempt {attempt}, retried in {delay:g} s: {error}",
        "In {period} {count} tasks failed like {id} in attempt {attempt}: {error}",
        LogLevel.warn,
    ),
    "fail": Wording(
        "Task {id} failed for good in attempt {attempt}: {error}",
        "In {period} {count} tasks failed for good like {id} in attempt {attempt}: "
        "{error}",
    ),
    "dropped": Wording(
        "Task {id} was not done and is lost, since it came without a receipt: {error}",
        "In {period} {count} tasks were lost like {id}, since they came without a "
        "receipt: {error}",
    ),
    "lost": Wording(
        "Task {id} has ended after its lease was lost, and is not settled",
        "In {period} {count} tasks ended like {id} after their leases were lost",
        LogLevel.info,
    ),
    "uncounted": Wording(
        "Task {id} does not end although it was cancelled; it is given back",
        "In {period} {count} tasks like {id} did not end although they were cancelled; "
        "they are given back",
        LogLevel.warn,
    ),
    "complete": Wording(
        "Task {id} is completed without its result: {error}",
        "In {period} {count} tasks were completed like {id} without their results: "
        "{error}",
    ),
}


def isFailure(ending: Ending) -> bool:
    """
    @return: Whether a task has ended as it should not: neither well, nor as its handler
        has asked for by L{Release <myconsumer.errors.Release>}, nor cut short.
    """
    match ending.outcome:
        case "complete":
            return ending.error is not None
        case "release":
            return ending.cause != "handler"
        case "uncounted":
            return ending.cause == "stuck"
    return True


class Failures:
    """
    Logs failures of tasks, each kind once and then with its count, and all together
    within a budget of bytes.  What the budget does not allow is counted.
    """

    def __init__(self, log: Logger, clock: IReactorTime) -> None:
        """
        @param log: Where the lines go.
        @param clock: What keeps the time.
        """
        self._log = log
        self._clock = clock
        self._repeats = Repeats(clock)
        self._budget = Budget(clock, BYTES_PER_MINUTE, BURST)

    def failed(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        A task has ended as it should not.
        """
        repeat = self._repeats.count(_kindOf(ending))
        if repeat is not None and self._budget.allows():
            if self._repeats.forgotten:
                self._sayForgotten()
            self._say(task, ending, seconds, repeat)

    def close(self) -> None:
        """
        Say how many failures were counted, and not logged yet.
        """
        if count := self._repeats.unsaid():
            self._log.warn(
                "{count} more failures of tasks were counted and not logged",
                count=count,
            )

    def _sayForgotten(self) -> None:
        count, self._repeats.forgotten = self._repeats.forgotten, 0
        self._budget.spend(_LINE)
        self._log.warn(
            "{count} failures of tasks were not logged, since there were too many "
            "that differ",
            count=count,
        )

    def _say(self, task: Task, ending: Ending, seconds: float, repeat: Repeat) -> None:
        """
        Log one failure, and that it stands for others, if it does.
        """
        now, failure = self._clock.seconds(), ending.failure
        wording = _WORDINGS[ending.outcome]
        traceback = ""
        if failure is not None and not repeat.isSaid:
            traceback = _traceback(failure)
        text = wording.again if repeat.isSaid else wording.first
        self._log.emit(
            wording.level if failure is None else LogLevel.error,
            f"{text}\n{{traceback}}" if traceback else text,
            id=shownID(task.id),
            attempt=task.attempt,
            outcome=ending.outcome,
            seconds=round(seconds, 3),
            delay=ending.delay or 0.0,
            error=oneLine((ending.error or "").partition("\n")[0]),
            traceback=traceback,
            count=repeat.count,
            period=duration(now - repeat.saidAt),
        )
        repeat.said(now)
        self._budget.spend(_LINE + len(traceback.encode()))


def _kindOf(ending: Ending) -> Hashable:
    """
    @return: What a failure has in common with those that are said together with it.
    """
    if ending.failure is not None:
        try:
            return ending.outcome, typeOf(ending.failure), placeOf(ending.failure)
        except Exception:
            return ending.outcome, "unreadable"
    return ending.outcome, _VARIES.sub("#", (ending.error or "")[:_TELLING])


def _traceback(failure: Failure) -> str:
    try:
        return excerpt(failure)
    except Exception:
        return "(its traceback cannot be read)"
