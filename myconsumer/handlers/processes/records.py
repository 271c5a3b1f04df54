"""
Records of C{logging} in a worker process, on their way to the consumer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from myconsumer.command.standardlog import fit
from myconsumer.handlers.processes.messages import Logged, Unlogged
from myconsumer.task import currentID
from myconsumer.text import encodable

#: The most records that are sent while one task is done; others are counted.
MOST_RECORDS = 200

#: The most characters of a record, its traceback with it.
LONGEST_RECORD = 4000

#: The most characters of the name of a logger.
LONGEST_NAME = 200

# The largest number of a level that is told from others.
_HIGHEST = logging.CRITICAL


class RecordHandler(logging.Handler):
    """
    Has records sent to the consumer, by a thread of its own: whoever logs never waits,
    never fails, and takes no lock that somebody else who logs could find taken: another
    thread, a signal's handler, a finalizer.

    @ivar number: The number of the job that is being done; 0: none.
    """

    _thread: threading.Thread | None = None
    _left = MOST_RECORDS
    _omitted = 0

    def __init__(self, send: Callable[[Logged | Unlogged], object]) -> None:
        """
        @param send: Sends a message; may block.
        """
        super().__init__()
        self._sendMessage = send
        self.number = 0
        self._id: str | int | None = None
        self._forget()

    def install(self) -> None:
        """
        Handle the records of the root logger, unless it has a handler already.
        """
        if not logging.root.handlers:
            logging.root.addHandler(self)

    def abandon(self) -> None:
        """
        In a copy of the process: handle records no longer, and send none of those that
        wait, which are the original's.
        """
        logging.root.removeHandler(self)
        self._forget()

    def begin(self, number: int, id: str | int) -> None:
        """
        A job is to be done.

        @param number: Its number.
        @param id: The id of its task.
        """
        self.number, self._id = number, id
        self._left = MOST_RECORDS

    def createLock(self) -> None:
        """
        Have no lock.
        """
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """
        Have one record sent, if the filters let it pass.
        """
        passed: Any = self.filter(record)
        if passed:
            # a filter may put another record in its place
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """
        Have one record sent.
        """
        if self._left <= 0:
            self._omitted += 1
            return
        self._left -= 1
        try:
            message = self._messageOf(record)
        except Exception:
            self.handleError(record)
            return
        self._waiting.put(message)
        self._wanted.put(None)
        if self._thread is None:
            # where there is no thread for it, the end of the task sends the record
            with suppress(RuntimeError):
                self._startThread()

    def flush(self) -> None:
        """
        Send what waits, from the calling thread, and how many records were omitted; and
        wait for what another thread sends.
        """
        with self._flushing:
            self._sendWaiting()
            if count := self._omitted:
                self._omitted = 0
                self._sendMessage(Unlogged(count))

    def _forget(self) -> None:
        self._waiting: SimpleQueue[Logged] = SimpleQueue()
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._flushing = threading.RLock()
        self._left = MOST_RECORDS
        self._omitted = 0

    def _messageOf(self, record: logging.LogRecord) -> Logged:
        return Logged(
            # a thread that an earlier task has left behind is not marked with this one
            self.number if currentID.get() == self._id else 0,
            max(0, min(int(record.levelno), _HIGHEST)),
            encodable(str(record.name)[:LONGEST_NAME]),
            fit(self.format(record), LONGEST_RECORD),
        )

    def _startThread(self) -> None:
        thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except BaseException:
            self._thread = None
            raise

    def _work(self) -> None:
        while True:
            self._wanted.get()
            with self._flushing:
                self._sendWaiting()

    def _sendWaiting(self) -> None:
        with suppress(Empty):
            while True:
                self._sendMessage(self._waiting.get_nowait())
