"""
Work on large answers, off the reactor's thread.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from myconsumer.errors import FaultError
from myconsumer.http.answer import Answer

T = TypeVar("T")

#: Bodies of more bytes are worked on in a thread.
LARGE = 256 * 1024

#: The most bodies that are worked on at once.
MOST_THREADS = 2

#: Calls a function with arguments, maybe in a thread, and returns a C{Deferred} of what
#: the function returns or raises.  C{twisted.internet.defer.execute} calls it at once.
Offload = Callable[..., Deferred[Any]]


class Readings:
    """
    Has answers decoded, the large ones off the reactor's thread.
    """

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._open: set[Deferred[Any]] = set()

    def read(self, answer: Answer, decode: Callable[[Answer], T]) -> T | Deferred[T]:
        """
        Decode an answer.

        @param decode: Called with C{answer}, maybe in a thread.

        @return: What C{decode} returns, or a C{Deferred} of it.  Once the C{Deferred}
            is cancelled, the result of C{decode} is dropped.
        """
        if len(answer.body) <= LARGE:
            return decode(answer)
        reading = self._offload(decode, answer)
        self._open.add(reading)
        return reading.addBoth(self._ended, reading)

    def abandon(self, message: str) -> None:
        """
        Make the decoding in progress fail with L{FaultError}.

        @param message: The text of the error.
        """
        self._message = message
        for reading in list(self._open):
            self._open.discard(reading)
            reading.cancel()

    def _ended(self, result: Any, reading: Deferred[Any]) -> Any:
        if reading not in self._open:
            raise FaultError(self._message)
        self._open.discard(reading)
        return result


def offloadTo(reactor: Any) -> Offload:
    """
    Make an L{Offload} with a pool of threads of its own: in the reactor's pool an
    answer would wait for lookups of names, and for handlers.

    @param reactor: The reactor.
    """
    pool = ThreadPool(0, MOST_THREADS, "answers")
    # there is nothing to wait for at the end
    pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]

    def offload(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if not pool.started:
            # not before the reactor runs: a daemon's threads would not outlive its fork
            pool.start()
        return deferToThreadPool(reactor, pool, _unburdened, function, *args)

    return offload


def _unburdened(function: Callable[..., Any], *args: Any) -> Any:
    with _noCollection():
        return function(*args)


@contextmanager
def _noCollection() -> Iterator[None]:
    """
    Suspend garbage collection: among the hundreds of thousands of new objects of a
    large body it takes several times as long as decoding, and holds up every thread.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
