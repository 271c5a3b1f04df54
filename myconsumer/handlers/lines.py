"""
The lines that a process of ours writes, in the log: one rule for commands and for
worker processes.

Promise 8: what is kept of them is bounded, and so is what is logged, of each task and
of all of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from myconsumer.command.standardlog import LONGEST_RECORD, fit, levelOf
from myconsumer.retrying import Budget
from myconsumer.text import oneLine, printable, shownID

#: The most characters of a line that are logged.
LONGEST_LINE = 1000

#: The most lines of one task that are logged.
MOST_LINES = 200

#: The bytes that are logged in a minute, in the long run, of what all tasks write: with
#: what is logged of tasks that fail much less than 100 kB, even where a format of the
#: log has each text twice.
BYTES_PER_MINUTE = 30_000

#: The bytes of it that are logged at once, after a quiet time: all short lines of one
#: task.
BURST = 60_000

#: The bytes that a line of the log has beside its text.
OVERHEAD = 200

#: The longest name of a logger that is logged.
LONGEST_LOGGER = 100

# A character of UTF-8 takes up to four.
_LINE_BYTES = 4 * LONGEST_LINE


class Outlet:
    """
    Logs what all processes of one handler write, as far as there is room for it, and
    what there is to say of their tasks.

    @ivar isSilent: Whether nothing of what they write is logged.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, isSilent: bool = False) -> None:
        """
        @param clock: Measures the time.
        @param isSilent: Whether to log nothing of what processes write.
        """
        self.isSilent = isSilent
        self._budget = Budget(clock, BYTES_PER_MINUTE, BURST)

    def log(self, format: str, logger: Logger, level: Any, **fields: Any) -> None:
        """
        Log one event of what a process has written, if there is room for it.

        @param logger: Whose event it is.
        @param fields: What C{format} needs; C{line} and C{traceback} are what may be
            long.
        """
        if not self.isSilent:
            self.remark(format, logger, level, **fields)

    def remark(self, format: str, logger: Logger, level: Any, **fields: Any) -> None:
        """
        Log one event, if there is room for it, also if nothing of what processes write
        is logged.  The parameters are those of L{log}.
        """
        text = fields.get("line") or fields.get("traceback", "")
        if self._budget.take(len(text.encode("utf-8", "replace")) + OVERHEAD):
            self.countOmitted()
            logger.emit(level, format, **fields)

    def countOmitted(self) -> None:
        """
        Log how many lines there was no room for, since this was last logged.
        """
        if count := self._budget.omitted():
            self._log.warn(
                "{count} lines that tasks wrote are not logged: together they are more "
                "than {most} bytes a minute",
                count=count,
                most=BYTES_PER_MINUTE,
            )


class Lines:
    """
    Logs what a process writes for one task after the other.

    Of a line C{LONGEST_LINE} characters are logged, and of a task C{MOST_LINES} lines;
    further lines are counted.
    """

    _log = Logger()

    def __init__(self, outlet: Outlet, task: str | int | None = None) -> None:
        """
        @param outlet: Where the lines are logged.
        @param task: The id of the task that the lines belong to; C{None}: a worker
            process has had no task yet.
        """
        self._outlet = outlet
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
            self._outlet.log(
                "{who} wrote {count} more lines",
                self._log,
                LogLevel.info,
                who=_who(self._task),
                count=self._linesOmitted,
                id=self._task,
            )
        self._linesOmitted = 0

    def omit(self, count: int) -> None:
        """
        Count lines that are not logged, as further lines are.
        """
        self._linesOmitted += count

    def record(
        self, number: int, logger: str, text: str, isOfTask: bool = True
    ) -> None:
        """
        Log a record of the standard library's C{logging}.

        @param number: The number of its level.
        @param logger: The name of its logger.
        @param text: Its text, which may have several lines.
        @param isOfTask: Whether it was logged for the task; else it is the process's.
        """
        if self._linesLeft <= 0:
            self.omit(1)
            return
        self._linesLeft -= 1
        task = self._task if isOfTask else None
        self._outlet.log(
            "{who}: {line}",
            Logger(oneLine(logger, LONGEST_LOGGER)),
            levelOf(number),
            who=_who(task),
            id=task,
            line=fit(text, LONGEST_RECORD),
        )

    def _logLine(self, stream: str, line: bytes) -> None:
        self._linesLeft -= 1
        text = readable(line)
        if text:
            self._outlet.log(
                "{who} {stream}: {line}",
                self._log,
                LogLevel.info,
                who=_who(self._task),
                id=self._task,
                stream=stream,
                line=text,
            )


def _who(task: str | int | None) -> str:
    return "A worker process" if task is None else f"Task {task}"


def readable(line: bytes) -> str:
    """
    @return: The text of C{line}, of at most C{LONGEST_LINE} characters before "...",
        with control characters escaped.
    """
    text = line[: _LINE_BYTES + 1].decode(errors="replace").rstrip()
    cut = printable(text[:LONGEST_LINE])
    return cut + "..." if len(text) > LONGEST_LINE else cut
