"""
What is wrong with the tasks of an answer, told in few lines.
"""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

#: The seconds for which nothing is said of a field that was just complained of.
QUIET = 60.0

_MOST_NAMED = 3


class Findings:
    """
    What is wrong with the tasks of one answer.

    @ivar dropped: How many can be neither run nor settled.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._reasons: list[str] = []
        self._absent: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def takeAsAbsent(self, field: str, task: str, takes: str) -> None:
        """
        Note that a field counts as absent.

        @param field: Its name.
        @param task: What the task is called.
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
        @return: A line for each field that counts as absent, by its name.
        """
        return {
            field: line + _more(self._counts[field] - 1)
            for field, line in self._absent.items()
        }

    def reasons(self) -> str:
        """
        @return: Why tasks are dropped, in one line.
        """
        more = _more(self.dropped - len(self._reasons))
        return "; ".join(self._reasons) + more


class Complaints:
    """
    Tells what is wrong with the tasks of a queue: of each field once a minute.
    """

    def __init__(self, log: Logger, clock: IReactorTime) -> None:
        """
        @param log: Where to.
        @param clock: Measures the minute.
        """
        self._log = log
        self._clock = clock
        self._quietUntil: dict[str, float] = {}

    def tell(self, findings: Findings) -> None:
        """
        Log what is wrong with the tasks of an answer, if anything is.
        """
        if lines := self._due(findings):
            self._log.warn(
                "The endpoint sent fields that are taken as absent: {fields}. "
                "Nothing more is said of them for a minute.",
                fields="; ".join(lines),
            )
        if findings.dropped:
            self._log.error(
                "The endpoint sent {count} malformed task(s) that cannot be settled "
                "and are dropped: {reasons}.",
                count=findings.dropped,
                reasons=findings.reasons(),
            )

    def _due(self, findings: Findings) -> list[str]:
        now = self._clock.seconds()
        due = []
        for field, line in findings.fields().items():
            if self._quietUntil.get(field, now) <= now:
                self._quietUntil[field] = now + QUIET
                due.append(line)
        return due


def _more(count: int) -> str:
    return f"; and {count} more" if count else ""
