"""
Coroutines on an asyncio loop that await Deferreds and asyncio's things alike.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.awaiting import createTask

_T = TypeVar("_T")


def onLoop(main: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, _T]]) -> _T:
    """
    Run C{main} on a loop of its own.
    """

    async def run() -> _T:
        return await main(asyncio.get_running_loop())

    return asyncio.run(run())


class BridgeTests(SynchronousTestCase):
    """
    L{createTask}.
    """

    def test_takesAFiredDeferred(self) -> None:
        """
        What has fired already is there at once.
        """

        async def work() -> int:
            return await succeed(3)

        async def main(loop: asyncio.AbstractEventLoop) -> int:
            return await createTask(work(), loop)

        self.assertEqual(onLoop(main), 3)

    def test_waitsForADeferred(self) -> None:
        """
        The coroutine goes on with the result once the Deferred fires.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> Any:
            waiting: Deferred[str] = Deferred()

            async def work() -> str:
                return (await waiting) + (await waiting)

            task = createTask(work(), loop)
            loop.call_later(0.001, waiting.callback, "x")
            return await task

        self.assertEqual(onLoop(main), "xx")

    def test_raisesAFailure(self) -> None:
        """
        A failure is raised where it is awaited, and is no unhandled one.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> Any:
            waiting: Deferred[None] = Deferred()

            async def work() -> str:
                try:
                    await waiting
                except ZeroDivisionError:
                    return "raised"
                return "not raised"

            task = createTask(work(), loop)
            loop.call_soon(waiting.errback, ZeroDivisionError())
            return await task

        self.assertEqual(onLoop(main), "raised")
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_awaitsPausedAndChainedDeferreds(self) -> None:
        """
        A Deferred that waits for another one is waited for.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> Any:
            inner: Deferred[int] = Deferred()
            outer: Deferred[None] = succeed(None)
            chained = outer.addCallback(lambda ignored: inner)

            async def work() -> int:
                return await chained

            task = createTask(work(), loop)
            loop.call_later(0.001, inner.callback, 5)
            return await task

        self.assertEqual(onLoop(main), 5)

    def test_mixesBothKinds(self) -> None:
        """
        Deferreds, sleeps, futures and time limits mix, and the task is the current one.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> list[Any]:
            waiting: Deferred[str] = Deferred()
            future = loop.create_future()
            never: Deferred[None] = Deferred()
            seen: list[Any] = []

            async def work() -> None:
                seen.append(asyncio.current_task() is task)
                await asyncio.sleep(0)
                seen.append(await waiting)
                seen.append(await future)
                await asyncio.sleep(0.001)
                seen.append(await asyncio.gather(asyncio.sleep(0, "gathered")))
                try:
                    async with asyncio.timeout(0.005):
                        await never
                except TimeoutError:
                    seen.append("too long")

            task = createTask(work(), loop)
            loop.call_later(0.001, waiting.callback, "deferred")
            loop.call_later(0.002, future.set_result, "future")
            await task
            seen.append(never.called)
            return seen

        self.assertEqual(
            onLoop(main), [True, "deferred", "future", ["gathered"], "too long", True]
        )

    def cancelled(self, awaited: Callable[[], Awaitable[Any]]) -> list[str]:
        """
        Cancel a task that awaits C{awaited}, and say what the coroutine saw of it.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> list[str]:
            seen: list[str] = []

            async def work() -> None:
                try:
                    await awaited()
                except BaseException as error:
                    kind = type(error)
                    seen.append(f"{kind.__module__}.{kind.__qualname__}")
                    raise

            task = createTask(work(), loop)
            loop.call_later(0.001, task.cancel)
            try:
                await task
            except asyncio.CancelledError:
                seen.append("cancelled")
            return seen

        return onLoop(main)

    def test_cancelsAnAwaitedDeferred(self) -> None:
        """
        Cancelling the task cancels the Deferred, whose failure is not logged.
        """
        told: list[Deferred[None]] = []
        seen = self.cancelled(lambda: Deferred(told.append))
        self.assertEqual(seen, ["asyncio.exceptions.CancelledError", "cancelled"])
        [waiting] = told
        self.assertTrue(waiting.called)
        del waiting
        told.clear()
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancelsAnAwaitedFuture(self) -> None:
        """
        Cancelling the task ends a sleep.
        """
        seen = self.cancelled(lambda: asyncio.sleep(60))
        self.assertEqual(seen, ["asyncio.exceptions.CancelledError", "cancelled"])

    def test_cancelsJustAfterAFailure(self) -> None:
        """
        A Deferred that has failed, whose failure the coroutine could not see any more
        as it was cancelled meanwhile, logs nothing.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> bool:
            waiting: Deferred[None] = Deferred()

            async def work() -> None:
                await waiting

            task = createTask(work(), loop)
            await asyncio.sleep(0)
            waiting.errback(ZeroDivisionError())
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        self.assertTrue(onLoop(main))
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_closesWhatNeverBegins(self) -> None:
        """
        A coroutine that never began is closed: Python warns of one that is not.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> bool:
            async def work() -> None:
                raise AssertionError("it began")

            task = createTask(work(), loop)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        self.assertTrue(onLoop(main))
        gc.collect()

    def test_raisesACancelByAnother(self) -> None:
        """
        Twisted's own cancellation of what is awaited is an ordinary exception.
        """

        async def main(loop: asyncio.AbstractEventLoop) -> type[BaseException]:
            waiting: Deferred[None] = Deferred()

            async def work() -> None:
                await waiting

            task = createTask(work(), loop)
            loop.call_soon(waiting.cancel)
            await asyncio.wait([task])
            return type(task.exception())

        self.assertIs(onLoop(main), CancelledError)

    def test_survivesSysExit(self) -> None:
        """
        A coroutine that calls C{sys.exit}, or raises C{KeyboardInterrupt}, does not end
        the loop.
        """
        for error, text in (
            (SystemExit(3), "the coroutine called sys.exit(3)"),
            (KeyboardInterrupt(), "the coroutine raised KeyboardInterrupt"),
        ):

            async def main(
                loop: asyncio.AbstractEventLoop, error: BaseException = error
            ) -> str:
                async def work() -> None:
                    raise error

                task = createTask(work(), loop)
                await asyncio.wait([task])
                return repr(task.exception())

            self.assertEqual(onLoop(main), f"RuntimeError({text!r})")
