"""
The lines that a process of ours writes, in the log: one rule for commands and for
worker processes.

Promise 8: what is kept of them is bounded, and so is what is logged.
"""

from __future__ import annotations

from twisted.logger import Logger

from myconsumer.text import printable, shownID

#: The most characters of a line that are logged.
LONGEST_LINE = 1000

#: The most lines of one task that are logged.
MOST_LINES = 200

# A character of UTF-8 takes up to four.
_LINE_BYTES = 4 * LONGEST_LINE


class Lines:
    """
    Logs what a process writes for one task after the other.

    Of a line C{LONGEST_LINE} characters are logged, and of a task C{MOST_LINES} lines;
    further lines are counted.
    """

    _log = Logger()

    def __init__(self, task: str | int | None = None) -> None:
        """
        @param task: The id of the task that the lines belong to; C{None}: a worker
            process has had no task yet.
        """
        self._task = None if task is None else shownID(task)
        self._unended: dict[str, bytes] = {}
        self._linesLeft = MOST_LINES
        self._linesOmitted = 0

    def begin(self, task: str | int) -> None:
        """
        Finish with the task so far: what is written from now on belongs to C{task}.

        @param task: The id of the next task.
        """
        self.end()
        self._task = shownID(task)
        self._linesLeft = MOST_LINES

    def write(self, stream: str, data: bytes) -> None:
        """
        Log the lines that C{data} ends, and keep the beginning of the next one.

        @param stream: The name of where C{data} was written to.
        """
        unended = self._unended.get(stream, b"")
        *lines, rest = (unended + data).split(b"\n", self._linesLeft)
        for line in lines:
            self._logLine(stream, line)
        if not self._linesLeft:
            self._linesOmitted += rest.count(b"\n")
            rest = rest[rest.rfind(b"\n") + 1 :]
        self._unended[stream] = rest[: _LINE_BYTES + 1]

    def end(self) -> None:
        """
        Log the unfinished last line of each stream, and how many lines were omitted.
        """
        for stream, unended in self._unended.items():
            if unended:
                self.write(stream, b"\n")
        if self._linesOmitted:
            self._log.info(
                "{who} wrote {count} more lines",
                who=self._who,
                count=self._linesOmitted,
                id=self._task,
            )
            self._linesOmitted = 0

    @property
    def _who(self) -> str:
        return "A worker process" if self._task is None else f"Task {self._task}"

    def _logLine(self, stream: str, line: bytes) -> None:
        self._linesLeft -= 1
        text = readable(line)
        if text:
            self._log.info(
                "{who} {stream}: {line}",
                who=self._who,
                id=self._task,
                stream=stream,
                line=text,
            )


def readable(line: bytes) -> str:
    """
    @return: The text of C{line}, of at most C{LONGEST_LINE} characters before "...",
        with control characters escaped.
    """
    text = line[: _LINE_BYTES + 1].decode(errors="replace").rstrip()
    cut = printable(text[:LONGEST_LINE])
    return cut + "..." if len(text) > LONGEST_LINE else cut
