"""
The inside of a worker process: it calls the callable with one task after the other,
until the consumer has no more tasks for it or is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from math import isfinite
from queue import SimpleQueue
from typing import Any

from myconsumer.errors import LeaseLostError, QueueError
from myconsumer.handlers.callables import loadCallable
from myconsumer.handlers.processes.messages import (
    ANSWERS,
    ORDERS,
    Begun,
    Broken,
    Extend,
    Extended,
    FromWorker,
    Job,
    Path,
    Ready,
    encode,
    readToWorker,
)
from myconsumer.handlers.processes.records import RecordHandler
from myconsumer.handlers.processes.replies import answer
from myconsumer.handlers.processes.termination import Terminated, Termination

#: The seconds that an idle worker gets to exit once the consumer is gone.
EXIT_GRACE = 5.0

_ERRORS: dict[str, type[Exception]] = {
    "lost": LeaseLostError,
    "value": ValueError,
    "other": QueueError,
}


def main(name: str) -> int:
    """
    Be a worker process.  It reads messages from descriptor 3 and writes them to 4, so
    that the callable may do with standard input and output what it likes.

    @param name: What is called with each task.

    @return: The exit status.
    """
    for descriptor in (ORDERS, ANSWERS):
        os.set_inheritable(descriptor, False)
    with suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return TaskLoop(ORDERS, ANSWERS).run(name)


class TaskLoop:
    """
    Reads tasks from one descriptor, and writes what came of them to another.  The
    process leads a session of its own.
    """

    def __init__(self, orders: int, answers: int) -> None:
        self._descriptors = (orders, answers)
        # not a buffered file, which an exit must not find locked by the thread below
        self._orders = _lines(orders)
        self._answers = answers
        self._pid = os.getpid()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._extended: SimpleQueue[Extended] = SimpleQueue()
        self._extending = threading.Lock()
        self._sending = threading.Lock()
        self._termination = Termination()
        self._records = RecordHandler(self._send)
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
        os.register_at_fork(after_in_child=self._forked)
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        try:
            function = loadCallable(name)
        except ValueError as error:
            self._send(Broken(f"{name}: {error}"))
            return 1
        # after the callable's module, which may set up a log of its own
        self._records.install()
        self._termination.install()
        self._send(Ready())
        try:
            self._work(function)
        except Terminated:
            # as a shell has it
            return 128 + signal.SIGTERM
        return 0

    def _work(self, function: Callable[[Any], Any]) -> None:
        while (job := self._next()) is not None:
            self._records.begin(job.number, job.id)
            self._send(Begun(job.number))
            with self._termination.interrupts():
                done = answer(function, job, partial(self._extend, job.number))
            del job
            # what it printed is logged with the task that it belongs to
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, ValueError, OSError):
                    stream.flush()
            self._busy = False
            self._records.flush()
            self._send(done)

    def _next(self) -> Job | None:
        """
        @return: What is to be done next, once that is known; C{None}: nothing.
        """
        self._busy = False
        with self._termination.interrupts():
            job = self._jobs.get()
            self._busy = job is not None
        return job

    def _extend(self, number: int, seconds: float) -> None:
        """
        Have the consumer extend the lease; blocks until it has answered.
        """
        if not isfinite(seconds):
            raise ValueError(f"extend takes seconds, not {seconds!r}")
        with self._extending:
            self._send(Extend(number, float(seconds)))
            extended = self._extended.get()
        if extended.error is not None:
            raise _ERRORS[extended.kind](extended.error)

    def _send(self, message: FromWorker) -> None:
        if os.getpid() != self._pid:
            # a copy of this process, which came back from the callable as well
            os._exit(1)
        left = memoryview(encode(message))
        with self._sending, suppress(BrokenPipeError):
            while left:
                left = left[os.write(self._answers, left) :]

    def _forked(self) -> None:
        """
        In a copy of this process, which the callable has made: it is the callable's.
        """
        self._termination.uninstall()
        self._records.abandon()
        for descriptor in self._descriptors:
            with suppress(OSError):
                os.close(descriptor)

    def _listen(self) -> None:
        """
        Take orders, in a thread of its own, so that the consumer's end is noticed
        whatever the callable does.
        """
        try:
            self._take()
        except Exception:
            traceback.print_exc()
        if not self._busy:
            self._jobs.put(None)
            time.sleep(EXIT_GRACE)
        # with what the callable has started
        os.killpg(self._pid, signal.SIGKILL)

    def _take(self) -> None:
        for line in self._orders:
            order = readToWorker(line)
            if isinstance(order, Job):
                self._jobs.put(order)
            elif isinstance(order, Extended):
                self._extended.put(order)


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
