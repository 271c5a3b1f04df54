"""
What a worker process does: it calls the callable with one task after the other, until
the consumer has nothing more for it or is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import isfinite
from queue import SimpleQueue
from typing import Any

from msgspec import Raw, json
from twisted.python.failure import Failure

from myconsumer.errors import (
    LeaseLostError,
    QueueError,
    Reject,
    Release,
    TaskFailedError,
)
from myconsumer.handlers.blocking import BlockingTask, call
from myconsumer.handlers.callables import loadCallable
from myconsumer.handlers.worker.messages import (
    Broken,
    Done,
    Extend,
    Extended,
    FromWorker,
    Job,
    Path,
    Raised,
    Ready,
    encode,
    readToWorker,
)

#: The seconds that an idle worker gets to exit once the consumer is gone.
EXIT_GRACE = 5.0

# the most characters of an error, and of a traceback
_LONGEST_TEXT = 16_384

_ERRORS: dict[str, type[Exception]] = {
    "lost": LeaseLostError,
    "value": ValueError,
    "other": QueueError,
}


class Child:
    """
    Does what it is told on one descriptor, and answers on another.
    """

    def __init__(self, orders: int, answers: int) -> None:
        # not a buffered file, which an exit must not find locked by the thread below
        self._orders = _lines(orders)
        self._answers = answers
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._extended: SimpleQueue[Extended] = SimpleQueue()
        self._extending = threading.Lock()
        self._sending = threading.Lock()
        self._busy = True

    def run(self, name: str) -> int:
        """
        Work until there is nothing more to do.

        @param name: What is called with each task.

        @return: The exit status.
        """
        for line in self._orders:
            order = readToWorker(line)
            if isinstance(order, Path):
                sys.path[:] = map(os.fsdecode, order.path)
            break
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        try:
            function = loadCallable(name)
        except ValueError as error:
            self._send(Broken(f"{name}: {error}"))
            return 1
        self._send(Ready())
        self._busy = False
        while (job := self._jobs.get()) is not None:
            self._busy = True
            answer = self._do(function, job)
            del job
            # what it printed is logged with the task that it belongs to
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, ValueError, OSError):
                    stream.flush()
            self._busy = False
            self._send(answer)
        return 0

    def _do(self, function: Callable[[Any], Any], job: Job) -> Done | Raised:
        """
        Do one task.
        """
        try:
            result = call(function, BlockingTask(job, self._extend))
        except Release as error:
            return Raised("release", _text(error), error.delay)
        except Reject as error:
            return Raised("reject", _text(error))
        except TaskFailedError as error:
            return Raised("failed", _text(error), error.delay)
        except BaseException as error:
            return _bug(error)
        if result is None:
            return Done()
        try:
            return Done(Raw(json.encode(result)))
        except Exception as error:
            return Done(unsendable=_text(error))

    def _extend(self, seconds: float) -> None:
        """
        Have the consumer extend the lease, and wait until it has.
        """
        if not isfinite(seconds):
            raise ValueError(f"extend takes seconds, not {seconds!r}")
        with self._extending:
            self._send(Extend(seconds))
            answer = self._extended.get()
        if answer.error is not None:
            raise _ERRORS[answer.kind](answer.error)

    def _send(self, message: FromWorker) -> None:
        left = memoryview(encode(message))
        with self._sending, suppress(BrokenPipeError):
            while left:
                left = left[os.write(self._answers, left) :]

    def _listen(self) -> None:
        """
        Take orders, in a thread of its own, so that the consumer's end is noticed
        whatever the callable does.
        """
        for line in self._orders:
            order = readToWorker(line)
            if isinstance(order, Job):
                self._jobs.put(order)
            elif isinstance(order, Extended):
                self._extended.put(order)
        if not self._busy:
            self._jobs.put(None)
            time.sleep(EXIT_GRACE)
        os._exit(1)


def _lines(descriptor: int) -> Iterator[bytes]:
    """
    @return: The lines that can be read, until there are no more.
    """
    begun: list[bytes] = []
    with suppress(OSError):
        while data := os.read(descriptor, 65_536):
            *ends, rest = data.split(b"\n")
            for end in ends:
                yield b"".join([*begun, end])
                begun = []
            begun.append(rest)


def _text(error: BaseException) -> str:
    return _sendable(Failure(error).getErrorMessage())  # type: ignore[no-untyped-call]


def _bug(error: BaseException) -> Raised:
    """
    @return: An exception that nobody foresaw, with its traceback.
    """
    failure = Failure(error)  # type: ignore[no-untyped-call]
    name, text = type(error).__name__, _text(error)
    return Raised(
        "other",
        f"{name}: {text}" if text else name,
        traceback=_sendable(failure.getTraceback()),
    )


def _sendable(text: str) -> str:
    """
    @return: The end of a text, without what has no place in UTF-8.
    """
    return text[-_LONGEST_TEXT:].encode(errors="replace").decode()
