"""
Futures as Deferreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.futures import whenDone, whenDoneElsewhere


class WhenDoneTests(SynchronousTestCase):
    """
    L{whenDone}.
    """

    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)

    def turn(self) -> None:
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))

    def test_firesWithTheOutcome(self) -> None:
        """
        The Deferred fires with the future's result, or fails with its exception.
        """
        succeeding, failing = self.loop.create_future(), self.loop.create_future()
        succeeded, failed = whenDone(succeeding), whenDone(failing)
        self.assertNoResult(succeeded)
        succeeding.set_result([5])
        failing.set_exception(ZeroDivisionError())
        self.turn()
        self.assertEqual(self.successResultOf(succeeded), [5])
        self.failureResultOf(failed, ZeroDivisionError)

    def test_cancelsTheFutureEachTime(self) -> None:
        """
        However often the Deferred is cancelled, it does not fire before the work has
        ended; then it fails with Twisted's kind of cancellation.
        """
        cleaning = self.loop.create_future()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.shield(cleaning)

        task = self.loop.create_task(work())
        done = whenDone(task)
        self.turn()
        done.cancel()
        self.turn()
        self.assertNoResult(done)
        cleaning.set_result(None)
        self.turn()
        self.failureResultOf(done, CancelledError)

    def test_waitsForWhatIgnoresItsCancel(self) -> None:
        """
        Work that goes on after each cancel is waited for.
        """
        cancels: list[int] = []
        released = self.loop.create_future()

        async def work() -> str:
            while not released.done():
                try:
                    await asyncio.shield(released)
                except asyncio.CancelledError:
                    cancels.append(1)
            return "done"

        task = self.loop.create_task(work())
        done = whenDone(task)
        self.turn()
        for _ in range(3):
            done.cancel()
            self.turn()
            self.assertNoResult(done)
        released.set_result(None)
        self.turn()
        self.assertEqual(self.successResultOf(done), "done")
        self.assertEqual(len(cancels), 3)


class Reactor(Clock):
    """
    Notes what other threads want to have called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Any]] = []

    def callFromThread(self, f: Callable[..., Any], *args: Any) -> None:
        """
        See L{IReactorFromThreads.callFromThread}.
        """
        self.calls.append(lambda: f(*args))


class WhenDoneElsewhereTests(SynchronousTestCase):
    """
    L{whenDoneElsewhere}.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.future: Future[Any] = Future()
        self.done = whenDoneElsewhere(self.future, self.reactor)  # type: ignore[arg-type]

    def turn(self) -> None:
        self.assertNoResult(self.done)
        [call] = self.reactor.calls
        call()

    def test_firesWithTheOutcome(self) -> None:
        """
        The Deferred fires with the future's result, on the reactor's thread.
        """
        self.future.set_result([5])
        self.turn()
        self.assertEqual(self.successResultOf(self.done), [5])

    def test_failsAsTheFutureDoes(self) -> None:
        """
        The Deferred fails with the future's exception.
        """
        self.future.set_exception(ZeroDivisionError())
        self.turn()
        self.failureResultOf(self.done, ZeroDivisionError)

    def test_cancelsWhatHasNotBegun(self) -> None:
        """
        What has not begun is cancelled.
        """
        self.done.cancel()
        self.turn()
        self.failureResultOf(self.done, CancelledError)

    def test_waitsForWhatRuns(self) -> None:
        """
        What has begun is waited for, however often it is cancelled.
        """
        self.future.set_running_or_notify_cancel()
        self.done.cancel()
        self.done.cancel()
        self.assertEqual(self.reactor.calls, [])
        self.future.set_result(5)
        self.turn()
        self.assertEqual(self.successResultOf(self.done), 5)
