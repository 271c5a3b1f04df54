"""
What a worker process prints, line by line in the log.
"""

from __future__ import annotations

from twisted.logger import Logger

from myconsumer.handlers.command.output import MOST_LINES
from myconsumer.text import printable

#: The most bytes of a line that are logged in one piece.
LONGEST_LINE = 8192


class Printed:
    """
    What comes of a process: of each task C{MOST_LINES} at most are logged, and of
    further lines only the number.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._task: str | int | None = None
        self._begun: dict[int, bytes] = {}
        self._linesLeft = MOST_LINES
        self._linesOmitted = 0

    def begin(self, task: str | int) -> None:
        """
        A task begins, which prints from now on.

        @param task: Its id.
        """
        self.end()
        self._task = task
        self._linesLeft = MOST_LINES

    def write(self, descriptor: int, data: bytes) -> None:
        """
        Some more was printed.

        @param descriptor: Where.
        """
        begun = self._begun.get(descriptor, b"")
        *lines, rest = (begun + data).split(b"\n", self._linesLeft)
        while len(rest) > LONGEST_LINE and len(lines) < self._linesLeft:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        for line in lines:
            self._logLine(line)
        if not self._linesLeft:
            self._linesOmitted += rest.count(b"\n")
            # enough to know that there is a line
            rest = rest[rest.rfind(b"\n") + 1 :][:1]
        self._begun[descriptor] = rest

    def end(self) -> None:
        """
        What has begun a line does not go on with it.
        """
        for descriptor, begun in self._begun.items():
            if begun:
                self.write(descriptor, b"\n")
        if self._linesOmitted:
            self._log.info(
                "From {who}: {count} more lines",
                who=self._who,
                count=self._linesOmitted,
                id=self._task,
            )
            self._linesOmitted = 0

    @property
    def _who(self) -> str:
        return "a worker" if self._task is None else f"task {self._task}"

    def _logLine(self, line: bytes) -> None:
        self._linesLeft -= 1
        text = printable(line.decode(errors="replace").rstrip())
        if text:
            self._log.info(
                "From {who}: {line}", who=self._who, line=text, id=self._task
            )
