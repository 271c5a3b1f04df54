"""
What a command writes: logged line by line, looked at for a result, and bounded.
"""

from __future__ import annotations

from typing import Any

from msgspec import json
from twisted.logger import Logger

from myconsumer.task import LONGEST_RESULT
from myconsumer.text import printable

#: The most characters of a line that are logged.
LONGEST_LINE = 1000

#: The most lines of one task that are logged.
MOST_LINES = 200

#: The last lines of standard error that a failure is told with.
LAST_LINES = 10

# a character of UTF-8 takes up to four
_LINE_BYTES = 4 * LONGEST_LINE


class Output:
    """
    What the command of one task writes.

    Standard error is logged as it comes.  Standard output is held back for as long as
    it may become a JSON text, which then is the result and not logged; else it is
    logged, too.  However much is written, what is kept of it is bounded, and so is
    what is logged: after C{MOST_LINES} only the number of further lines is.
    """

    _log = Logger()

    def __init__(self, task: str | int, starter: bytes = b"") -> None:
        """
        @param task: The task's id, which each logged line bears.
        @param starter: How standard error begins where it is the L{complaint} of
            what starts the command.
        """
        self._task = task
        self._starter = starter
        # None: there is none
        self._complaint: bytes | None = b"" if starter else None
        # None: it is no JSON
        self._held: bytearray | None = bytearray()
        self._firstLineSeen = False
        self._begun = {"stdout": b"", "stderr": b""}
        self._tail = b""
        self._linesLeft = MOST_LINES
        self._linesOmitted = 0

    def outReceived(self, data: bytes) -> None:
        """
        Some of standard output is there.
        """
        if self._held is None:
            self._logLines("stdout", data)
            return
        self._held += data
        if len(self._held) > LONGEST_RESULT:
            self._log.warn(
                "Task {id} has no result: more than {most} bytes of standard output",
                id=self._task,
                most=LONGEST_RESULT,
            )
            self._logHeld()
        elif not self._firstLineSeen and b"\n" in data:
            self._lookAtFirstLine(self._held.lstrip())

    def errReceived(self, data: bytes) -> None:
        """
        Some of standard error is there.
        """
        self._tail = (self._tail + data)[-_LINE_BYTES:]
        if self._complaint is None:
            self._logLines("stderr", data)
            return
        self._complaint += data
        if not self._maybeComplaint(self._complaint):
            self._logComplaint()

    @property
    def complaint(self) -> str | None:
        """
        The only line that was written at all, if that is one that says why the command
        could not be started; it is logged only by L{end}.
        """
        if not self._complaint or self._held is None or self._held:
            return None
        return _readable(self._complaint)

    def end(self, succeeded: bool) -> Any:
        """
        All there is has been received.

        @param succeeded: Whether a result is wanted.

        @return: What standard output holds, if that is JSON; else C{None}.
        """
        result = None
        if self._held is not None:
            try:
                result = json.decode(self._held) if succeeded else None
            except (ValueError, RecursionError):
                succeeded = False
            if not succeeded:
                self._logHeld()
        self._logComplaint()
        for stream, line in self._begun.items():
            if line:
                self._logLines(stream, b"\n")
        if self._linesOmitted:
            self._log.info(
                "Task {id} wrote {count} more lines",
                id=self._task,
                count=self._linesOmitted,
            )
        return result

    def explain(self, reason: str, longest: int = 1000) -> str:
        """
        Word a failure.

        @param reason: What happened.
        @param longest: The most characters to return.

        @return: C{reason}, and the last lines of standard error, if any.
        """
        lines = self._tail.rstrip().split(b"\n")[-LAST_LINES:]
        text = "\n".join(_readable(line) for line in lines)
        room = longest - len(reason) - 2
        return f"{reason}: {text[-room:]}" if text and room > 0 else reason[:longest]

    def _lookAtFirstLine(self, held: bytearray) -> None:
        """
        Log standard output from now on if its first line cannot begin a JSON text.
        """
        line, end, _ = held.partition(b"\n")
        if not end:
            return
        self._firstLineSeen = True
        # an object or a list may go on in the next line; all else is whole
        if not line.startswith((b"{", b"[")) and not _isJSON(line):
            self._logHeld()

    def _maybeComplaint(self, text: bytes) -> bool:
        """
        Whether C{text} begins as a complaint does, and is no more than one line.
        """
        begins = self._starter.startswith(text[: len(self._starter)])
        return begins and len(text) <= _LINE_BYTES and b"\n" not in text[:-1]

    def _logComplaint(self) -> None:
        complaint, self._complaint = self._complaint, None
        if complaint:
            self._logLines("stderr", complaint)

    def _logHeld(self) -> None:
        held, self._held = self._held, None
        if held:
            self._logLines("stdout", bytes(held))

    def _logLines(self, stream: str, data: bytes) -> None:
        """
        Log the lines that C{data} ends, and keep the beginning of the next one.
        """
        *lines, rest = (self._begun[stream] + data).split(b"\n", self._linesLeft)
        for line in lines:
            self._logLine(stream, line)
        if not self._linesLeft:
            self._linesOmitted += rest.count(b"\n")
            rest = rest[rest.rfind(b"\n") + 1 :]
        self._begun[stream] = rest[: _LINE_BYTES + 1]

    def _logLine(self, stream: str, line: bytes) -> None:
        self._linesLeft -= 1
        text = _readable(line)
        if text:
            self._log.info(
                "Task {id} {stream}: {line}",
                id=self._task,
                stream=stream,
                line=text,
            )


def _isJSON(text: bytes | bytearray) -> bool:
    try:
        json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _readable(line: bytes) -> str:
    """
    @return: A line as text of a bounded length, which does nothing to a terminal.
    """
    text = line[: _LINE_BYTES + 1].decode(errors="replace").rstrip()
    cut = printable(text[:LONGEST_LINE])
    return cut + "..." if len(text) > LONGEST_LINE else cut
