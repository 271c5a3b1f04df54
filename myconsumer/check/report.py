"""
What a check tells: a line for each thing that was looked at, and a last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum


class Kind(StrEnum):
    """
    What became of a check.
    """

    OK = "ok"
    NOTE = "note"
    FAIL = "FAIL"
    SKIP = "skip"


class Report:
    """
    Writes lines and counts them.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        """
        @param write: Called with each line.
        """
        self._write = write
        self._counts: Counter[Kind] = Counter()

    @property
    def failed(self) -> bool:
        """
        Whether something does not hold.
        """
        return self._counts[Kind.FAIL] > 0

    def line(self, text: str) -> None:
        """
        Write a line that is not counted.
        """
        self._write(text)

    def tell(
        self, kind: Kind, sentence: str, text: str, requests: Iterable[str] = ()
    ) -> None:
        """
        Tell of one check.

        @param sentence: What was looked at.
        @param text: What was seen.
        @param requests: The requests that show it.
        """
        self._counts[kind] += 1
        end = "" if not text else f" ({text})" if kind is Kind.OK else f": {text}"
        self._write(f"{kind:<5} {sentence}{end}")
        for request in requests:
            self._write(f"      {request}")

    def total(self) -> None:
        """
        Write how many hold and how many do not.
        """
        holds, notes = self._counts[Kind.OK], self._counts[Kind.NOTE]
        parts = [
            f"{holds + notes} {_verb(holds + notes, 'holds', 'hold')}",
            f"{self._counts[Kind.FAIL]} "
            f"{_verb(self._counts[Kind.FAIL], 'does not', 'do not')}",
        ]
        if notes:
            parts[0] += f" ({notes} with a note)"
        if skipped := self._counts[Kind.SKIP]:
            parts.append(f"{skipped} {_verb(skipped, 'was', 'were')} skipped")
        self._write(", ".join(parts))


def _verb(count: int, singular: str, plural: str) -> str:
    return singular if count == 1 else plural
