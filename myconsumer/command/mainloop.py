"""
How the reactor ends in a process of our own: not before the service has drained, and
then without waiting for threads.

Promise 5: what ends the reactor's loop early has the process drain all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

#: The seconds that the threads of the reactor get to end once all else has ended.
THREADS_GRACE = 0.5

#: The seconds of one turn of a loop that was ended.
_TURN = 0.1

_log = Logger()


def leaveThreads(reactor: Any) -> None:
    """
    Let the process end while threads of the reactor's pool are busy, with the lookup
    of a name for example: Twisted waits for them without end.

    @param reactor: The reactor, which does not run yet.
    """
    pool = reactor.getThreadPool()
    # the interpreter, too, waits for any other kind
    pool.threadFactory = partial(Thread, daemon=True)
    pool.stop = partial(_stop, pool)


def _stop(pool: ThreadPool) -> None:
    threads, pool.threads = pool.threads, []
    ThreadPool.stop(pool)
    end = time.monotonic() + THREADS_GRACE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    if busy := sum(thread.is_alive() for thread in threads):
        _log.warn("{busy} threads of the reactor's are busy and left behind", busy=busy)


def drainOnExit(reactor: Any, end: Callable[[Failure], object]) -> None:
    """
    Let C{sys.exit} and C{KeyboardInterrupt} in a task of asyncio's, which end its
    loop at once, stop the reactor instead.  Otherwise the process would neither end nor
    handle signals.

    @param reactor: The reactor, which does not run yet.
    @param end: Called with the failure; has to stop the reactor.
    """
    run = reactor.run

    def runAndDrain(*args: Any, **kwargs: Any) -> None:
        turn = partial(run, *args, **kwargs)
        while not _endsByItself(reactor, turn, end):
            turn = partial(_drain, reactor)

    reactor.run = runAndDrain


def _endsByItself(
    reactor: Any, turn: Callable[[], object], end: Callable[[Failure], object]
) -> bool:
    try:
        turn()
    except (SystemExit, KeyboardInterrupt) as error:
        if not reactor.running:
            raise
        _log.error(
            "The reactor's loop was ended by {error!r} in a task of asyncio's: "
            "draining, to end with status 1",
            error=error,
        )
        end(Failure(error))
        return False
    return True


def _drain(reactor: Any) -> None:
    while reactor.running:
        reactor.iterate(_TURN)
