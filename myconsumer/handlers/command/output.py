"""
What a command writes: logged line by line, looked at for a result, and bounded.

Promise 8: however much a command writes, what is kept of it is bounded.
"""

from __future__ import annotations

from typing import Any

from msgspec import json
from twisted.logger import Logger, LogLevel

from myconsumer.handlers.lines import Lines, Outlet, readable
from myconsumer.task import LONGEST_RESULT
from myconsumer.text import shownID

#: How many of the last lines of standard error the reason of a failure quotes.
LAST_LINES = 10

#: The most bytes of a complaint, and of the lines that the reason of a failure quotes.
LONGEST_TAIL = 4000


class Output:
    """
    What the command of one task writes.

    Standard error is logged as it arrives.  Standard output is held back for as long
    as it may become a JSON text, which then is the result and is not logged; any other
    standard output is logged, too.
    """

    _log = Logger()

    def __init__(self, task: str | int, outlet: Outlet, starter: bytes = b"") -> None:
        """
        @param task: The task's id, which each event in the log bears.
        @param outlet: Where what the command writes is logged.
        @param starter: The words with which the L{complaint} of the program that
            starts the command begins.
        """
        self._task = task
        self._starter = starter
        # None: standard error is no complaint
        self._complaint: bytes | None = b"" if starter else None
        # None: standard output is no JSON
        self._held: bytearray | None = bytearray()
        self._firstLineSeen = False
        self._outlet = outlet
        self._lines = Lines(outlet, task)
        self._tail = b""

    def outReceived(self, data: bytes) -> None:
        """
        Take what arrived of standard output.
        """
        if self._held is None:
            self._lines.write("stdout", data)
            return
        self._held += data
        if len(self._held) > LONGEST_RESULT:
            self._outlet.remark(
                "Task {id} has no result: more than {most} bytes of standard output",
                self._log,
                LogLevel.warn,
                id=shownID(self._task),
                most=LONGEST_RESULT,
            )
            self._logHeld()
        elif not self._firstLineSeen and b"\n" in data:
            self._lookAtFirstLine(self._held.lstrip())

    def errReceived(self, data: bytes) -> None:
        """
        Take what arrived of standard error.
        """
        self._tail = (self._tail + data)[-LONGEST_TAIL:]
        if self._complaint is None:
            self._lines.write("stderr", data)
            return
        self._complaint += data
        if not self._maybeComplaint(self._complaint):
            self._logComplaint()

    @property
    def complaint(self) -> str | None:
        """
        Why the command could not be started, if the only line that was written says
        so; L{end} logs that line.
        """
        if not self._complaint or self._held is None or self._held:
            return None
        return readable(self._complaint)

    def end(self, succeeded: bool) -> Any:
        """
        Log what was held back, unless it is the result: no more output arrives.

        @param succeeded: Whether a result is wanted.

        @return: The value of standard output if that is JSON, else C{None}.
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
        self._lines.end()
        return result

    def explain(self, reason: str, longest: int = 1000) -> str:
        """
        Word a failure.

        @param reason: What happened.
        @param longest: The most characters to return.

        @return: C{reason}, and the last lines of standard error, if any: in lines of
            their own, of which none is logged, where what commands write is not to be.
        """
        lines = self._tail.rstrip().split(b"\n")[-LAST_LINES:]
        text = "\n".join(readable(line) for line in lines)
        room = longest - len(reason) - 2
        between = ":\n" if self._outlet.isSilent else ": "
        if not text or room <= 0:
            return reason[:longest]
        return f"{reason}{between}{text[-room:]}"

    def _lookAtFirstLine(self, held: bytearray) -> None:
        """
        Log standard output, rather than hold it back, if its first line cannot begin
        a JSON text.
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
        return begins and len(text) <= LONGEST_TAIL and b"\n" not in text[:-1]

    def _logComplaint(self) -> None:
        complaint, self._complaint = self._complaint, None
        if complaint:
            self._lines.write("stderr", complaint)

    def _logHeld(self) -> None:
        held, self._held = self._held, None
        if held:
            self._lines.write("stdout", bytes(held))


def _isJSON(text: bytes | bytearray) -> bool:
    try:
        json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
