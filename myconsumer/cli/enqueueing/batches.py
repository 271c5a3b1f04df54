"""
Lines of input, gathered to batches of tasks.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import deque
from typing import Any

from msgspec import Struct, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from myconsumer.cli.enqueueing.readers import Reader
from myconsumer.cli.running import CommandError
from myconsumer.taskqueue.limits import LARGEST_PAYLOAD
from myconsumer.text import oneLine

#: The seconds for which a task waits at most for others to come.
LINGER = 0.2

#: The bytes of a batch that is full.  With a long line on top it may have more values
#: than a queue takes, and is divided when the queue says so.
ENOUGH = 256 * 1024


class Batch(Struct):
    """
    Some tasks, for one request.

    @ivar tasks: Each as JSON.
    @ivar lines: The number of each task's line.
    @ivar size: The bytes of C{tasks}.
    @ivar read: The bytes of the lines that were read for it.
    @ivar lastLine: The number of the last line that was read for it.
    """

    tasks: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    size: int = 0
    read: int = 0
    lastLine: int = 0

    @property
    def body(self) -> bytes:
        """
        The body of the request.
        """
        return b"[" + b",".join(self.tasks) + b"]"

    def halves(self) -> tuple[Batch, Batch]:
        """
        Divide a batch of two tasks or more.

        @return: Batches of the first tasks and of the others, to be sent only: of their
            sizes nothing is known.
        """
        half = len(self.tasks) // 2
        tasks, lines = self.tasks, self.lines
        return (
            Batch(tasks[:half], lines[:half], lastLine=lines[half - 1]),
            Batch(tasks[half:], lines[half:], lastLine=self.lastLine),
        )


class Batches(Protocol):
    """
    Reads ahead, but no further than one batch.
    """

    def __init__(self, clock: IReactorTime, read: Reader, name: str, most: int) -> None:
        """
        @param clock: Measures L{LINGER}.
        @param read: Makes a task of a line.
        @param name: The input's name in messages.
        @param most: The number of tasks of a full batch.
        """
        self._clock = clock
        self._read = read
        self._name = name
        self._most = most
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._batch = Batch()
        self._due = False
        self._timer: Any = None
        self._ended = False
        self._error: CommandError | None = None
        self._asked: Deferred[Batch | None] | None = None

    def next(self) -> Deferred[Batch | None]:
        """
        Read the next batch; not to be called before the last one has come.

        @return: Fires with the batch when it is full, when its first task has waited
            for L{LINGER}, or when the input has ended; after the last batch with
            C{None}.  Fails with L{CommandError} where a line is wrong or the input
            cannot be read.
        """
        asked: Deferred[Batch | None] = Deferred(self._cancelled)
        self._asked = asked
        self._goOn()
        return asked

    def stop(self) -> None:
        """
        Read no more.
        """
        self._ended = True
        self._stopWaiting()
        self._reading(False)

    def dataReceived(self, data: bytes) -> None:
        """
        Called with each piece of the input.

        @param data: The piece.
        """
        first, *others = data.split(b"\n")
        self._rest += first
        if others:
            self._lines.append(self._rest)
            self._lines.extend(others[:-1])
            self._rest = others[-1]
        self._goOn()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Called when the input has ended.

        @param reason: How the input has ended.
        """
        self._ended = True
        error = reason.value
        # a pipe that is closed may look like a connection that breaks
        if not isinstance(error, ConnectionDone | ConnectionLost):
            why = getattr(error, "strerror", None) or error
            self._error = CommandError(f"{self._name} cannot be read: {why}")
        elif self._rest:
            self._lines.append(self._rest)
            self._rest = b""
        self._goOn()

    def _goOn(self) -> None:
        self._fill()
        over = self._ended or self._error is not None
        if self._asked is not None and (over or self._due or self._full()):
            self._give(self._asked)
        else:
            self._reading(not over and not self._full())

    def _full(self) -> bool:
        return len(self._batch.tasks) >= self._most or self._batch.size > ENOUGH

    def _fill(self) -> None:
        while self._error is None and not self._full():
            if self._lines:
                self._take(self._lines.popleft())
            elif len(self._rest) > LARGEST_PAYLOAD:
                # its end need not be waited for
                self._take(self._rest)
            else:
                return

    def _take(self, line: bytes) -> None:
        batch = self._batch
        batch.lastLine += 1
        batch.read += len(line) + 1
        text = line.removeprefix(BOM_UTF8).strip()
        if not text:
            return
        try:
            if len(text) > LARGEST_PAYLOAD:
                raise ValueError(f"it is longer than {LARGEST_PAYLOAD >> 20} MiB")
            task = self._read(text, batch.lastLine)
        except ValueError as error:
            why = oneLine(str(error))
            where = f"{self._name}, line {batch.lastLine}"
            self._error = CommandError(f"{where}: {why}")
            return
        if not batch.tasks:
            self._timer = self._clock.callLater(LINGER, self._waited)
        batch.tasks.append(task)
        batch.lines.append(batch.lastLine)
        batch.size += len(task) + 1

    def _waited(self) -> None:
        self._due = True
        self._goOn()

    def _give(self, asked: Deferred[Batch | None]) -> None:
        self._asked = None
        self._stopWaiting()
        if self._error is not None:
            asked.errback(self._error)
            return
        batch, self._batch = self._batch, Batch(lastLine=self._batch.lastLine)
        self._goOn()
        asked.callback(batch if batch.tasks else None)

    def _stopWaiting(self) -> None:
        self._due = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _reading(self, on: bool) -> None:
        transport: Any = self.transport
        if transport is not None:
            (transport.resumeProducing if on else transport.pauseProducing)()

    def _cancelled(self, asked: Deferred[Batch | None]) -> None:
        self._asked = None
