"""
What is wrong with the tasks of an answer, summed up for the log.
"""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from myconsumer.retrying import QUIET

_MOST_NAMED = 3


class Defects:
    """
    What is wrong with the tasks of one answer.

    @ivar dropped: The number of tasks that can be neither run nor settled.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._reasons: list[str] = []
        self._absent: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def takeAsAbsent(self, field: str, task: str | int, takes: str) -> None:
        """
        Note that a field of a task has an unfit value and counts as absent.

        @param field: The field's name.
        @param task: The task's id, fit for the log.
        @param takes: What the field takes.
        """
        self._counts[field] += 1
        if field not in self._absent:
            self._absent[field] = f"{field} of task {task} is not {takes}"

    def drop(self, reason: str) -> None:
        """
        Note that a task can be neither run nor settled.

        @param reason: Why.
        """
        self.dropped += 1
        if len(self._reasons) < _MOST_NAMED:
            self._reasons.append(reason)

    def fields(self) -> dict[str, str]:
        """
        @return: For the name of each field that counts as absent: the first task that
            has it unfit, and the number of further ones.
        """
        return {
            field: line + _more(self._counts[field] - 1)
            for field, line in self._absent.items()
        }

    def reasons(self) -> str:
        """
        @return: Why tasks are dropped: the first few reasons and the number of further
            tasks, in one line.
        """
        more = _more(self.dropped - len(self._reasons))
        return "; ".join(self._reasons) + more


class DefectLog:
    """
    Logs what is wrong with the tasks of a queue: an unfit field once in L{QUIET}
    seconds, dropped tasks with every answer.
    """

    def __init__(self, log: Logger, clock: IReactorTime) -> None:
        """
        @param log: Where the lines go.
        @param clock: Measures the L{QUIET} seconds.
        """
        self._log = log
        self._clock = clock
        self._quietUntil: dict[str, float] = {}

    def add(self, defects: Defects) -> None:
        """
        Log the defects of an answer, if it has any.
        """
        if lines := self._due(defects):
            self._log.warn(
                "The endpoint sent fields that are taken as absent: {fields} "
                "(logged once a minute for each field)",
                fields="; ".join(lines),
            )
        if defects.dropped:
            self._log.error(
                "The endpoint sent {count} malformed task(s) that cannot be settled "
                "and are dropped: {reasons}",
                count=defects.dropped,
                reasons=defects.reasons(),
            )

    def _due(self, defects: Defects) -> list[str]:
        now = self._clock.seconds()
        due = []
        for field, line in defects.fields().items():
            if self._quietUntil.get(field, now) <= now:
                self._quietUntil[field] = now + QUIET
                due.append(line)
        return due


def _more(count: int) -> str:
    return f"; and {count} more" if count else ""
