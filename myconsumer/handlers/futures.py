"""
Futures as Deferreds that do not fire before the work has ended.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from myconsumer.handlers.blocking import StubbornDeferred

_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)


def whenDone(future: asyncio.Future[Any]) -> Deferred[Any]:
    """
    Wait for a future of the loop that the reactor runs on.

    @return: Fires with its result.  Cancelling asks the future to end, each time, and
        does not fire this: unlike C{Deferred.fromFuture}'s.
    """
    done = StubbornDeferred(future.cancel)
    future.add_done_callback(lambda future: done.callback(_outcome(future)))
    return done


def whenDoneElsewhere(
    future: concurrent.futures.Future[Any], reactor: IReactorFromThreads
) -> Deferred[Any]:
    """
    Wait for a future of an executor, whose work is done in other threads or processes.

    @return: Fires with its result.  Cancelling ends only work that has not begun.
    """
    done = StubbornDeferred(future.cancel)

    def tell(future: concurrent.futures.Future[Any]) -> None:
        reactor.callFromThread(done.callback, _outcome(future))

    future.add_done_callback(tell)
    return done


def _outcome(future: Any) -> Any:
    """
    @return: The result of a future that is done, or its failure, in Twisted's terms.
    """
    try:
        return future.result()
    except _CANCELLED:
        return Failure(CancelledError())
    except BaseException:
        return Failure()
