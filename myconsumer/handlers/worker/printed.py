"""
What a worker process prints, line by line in the log.
"""

from __future__ import annotations

from twisted.logger import Logger

#: The most bytes of a line that are logged in one piece.
LONGEST_LINE = 8192


class Printed:
    """
    What comes of one descriptor.

    @ivar task: The id of the task that prints, once there is one.
    """

    _log = Logger()

    task: str | int | None = None

    def __init__(self) -> None:
        self._begun = b""

    def write(self, data: bytes) -> None:
        """
        Some more was printed.
        """
        *lines, rest = (self._begun + data).split(b"\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._begun = rest
        for line in lines:
            self._logLine(line)

    def end(self) -> None:
        """
        What has begun a line does not go on with it.
        """
        if self._begun:
            self._logLine(self._begun)
            self._begun = b""

    def _logLine(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if not text.isprintable():
            # what it does to a terminal is not the log's affair
            text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        if text:
            who = "a worker" if self.task is None else f"task {self.task}"
            self._log.info("From {who}: {line}", who=who, line=text, id=self.task)
