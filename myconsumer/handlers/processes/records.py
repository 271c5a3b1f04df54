"""
Records of C{logging} in a worker process, on their way to the consumer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from myconsumer.command.standardlog import fit
from myconsumer.handlers.processes.messages import Logged

#: The most records that wait to be sent; others are dropped.
MOST_WAITING = 1000

#: The most characters of a record, its traceback with it.
LONGEST_RECORD = 4000


class RecordHandler(logging.Handler):
    """
    Has records sent to the consumer, by a thread of its own: whoever logs never waits,
    holds no lock that a signal or a finalizer could find taken, and never fails.
    """

    _thread: threading.Thread | None = None

    def __init__(self, send: Callable[[Logged], object]) -> None:
        """
        @param send: Sends a message; may block.
        """
        super().__init__()
        self._sendMessage = send
        self._waiting: SimpleQueue[Logged] = SimpleQueue()
        self._wanted = threading.Semaphore(0)

    def install(self) -> None:
        """
        Handle the records of the root logger, unless it has a handler already.
        """
        if not logging.root.handlers:
            logging.root.addHandler(self)

    def uninstall(self) -> None:
        """
        Handle records no longer.
        """
        logging.root.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """
        Have one record sent.
        """
        try:
            text = fit(self.format(record), LONGEST_RECORD)
        except Exception:
            self.handleError(record)
            return
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(Logged(record.levelno, record.name[:200], text))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="records", daemon=True
                )
                self._thread.start()
            self._wanted.release()

    def flush(self) -> None:
        """
        Send what waits, from the calling thread.
        """
        while True:
            try:
                message = self._waiting.get_nowait()
            except Empty:
                return
            self._sendMessage(message)

    def _work(self) -> None:
        while self._wanted.acquire():
            self.flush()
