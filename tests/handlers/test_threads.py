"""
Calling a callable in threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import (
    LeaseLostError,
    NotBegunError,
    Reject,
    Release,
    TaskFailedError,
)
from myconsumer.handlers.threads import ThreadHandler
from myconsumer.interfaces import IScalableTaskHandler
from myconsumer.task import Task, currentID
from myconsumer.testing import FakeTask

#: The seconds that a thread gets to do what it does at once.
PATIENCE = 10.0


class FakeReactor:
    """
    What a handler needs of the reactor; it runs when the test says so.

    @ivar wakeUps: How often it was woken up.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self.wakeUps = 0

    def callFromThread(self, f: Callable[..., object], *args: Any) -> None:
        """
        Have something called by the reactor's thread.
        """
        self.wakeUps += 1
        self._queue.put(partial(f, *args))

    def turn(self) -> None:
        try:
            call = self._queue.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("no thread calls") from None
        call()


class Gate:
    """
    A callable that blocks until it is opened.

    @ivar begun: The ids of the tasks that came so far.
    @ivar threads: The threads that called it.
    """

    def __init__(self) -> None:
        self._arrived: SimpleQueue[str | int] = SimpleQueue()
        self._open = threading.Semaphore(0)
        self.begun: list[str | int] = []
        self.threads: set[int] = set()

    def __call__(self, task: Task) -> str | int:
        self.threads.add(threading.get_ident())
        self.begun.append(task.id)
        self._arrived.put(task.id)
        if not self._open.acquire(timeout=PATIENCE):
            raise AssertionError("it was not opened")
        return task.id

    def awaitArrival(self) -> str | int:
        """
        Wait for a thread to come, and give the task that it comes with.
        """
        return self._arrived.get(timeout=PATIENCE)

    def open(self, count: int = 1) -> None:
        self._open.release(count)


class Asynchronous:
    """
    An object that is called like a coroutine function.
    """

    async def __call__(self, task: Task) -> None:
        """
        Do nothing.
        """


async def coroutine(task: Task) -> None:
    """
    Do nothing.
    """


def generator(task: Task) -> Iterator[None]:
    """
    Do nothing.
    """
    yield


seen: ContextVar[Any] = ContextVar("seen", default=None)


class ThreadHandlerTests(SynchronousTestCase):
    """
    L{ThreadHandler}.
    """

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.before = set(threading.enumerate())
        self.addCleanup(self.assertNoThread)

    def makeHandler(
        self, function: Callable[[Any], Any], limit: int = 4
    ) -> ThreadHandler:
        handler = ThreadHandler(function, limit, self.reactor)
        self.addCleanup(handler.stopService)
        return handler

    @property
    def threads(self) -> set[threading.Thread]:
        return set(threading.enumerate()) - self.before

    def assertNoThread(self) -> None:
        """
        All threads end.
        """
        for thread in self.threads:
            thread.join(PATIENCE)
        self.assertEqual(self.threads, set())

    def result(
        self, function: Callable[[Any], Any], task: FakeTask | None = None
    ) -> Any:
        handled = self.makeHandler(function).handle(task or FakeTask("1", {"n": 2}))
        self.reactor.turn()
        return self.successResultOf(handled)

    def failure(self, function: Callable[[Any], Any]) -> Any:
        handled = self.makeHandler(function).handle(FakeTask("1", None))
        self.reactor.turn()
        return self.failureResultOf(handled).value

    def test_providesItsInterfaces(self) -> None:
        """
        L{ThreadHandler} is a handler, and a service.
        """
        handler = self.makeHandler(repr)
        self.assertTrue(verifyObject(IScalableTaskHandler, handler))
        self.assertTrue(verifyObject(IService, handler))

    def test_givesTheResult(self) -> None:
        """
        What the callable returns is the result; it is called in another thread.
        """

        def work(task: Task) -> Any:
            return [task.payload["n"], threading.get_ident()]

        value, thread = self.result(work)
        self.assertEqual(value, 2)
        self.assertNotEqual(thread, threading.get_ident())

    def test_passesTheTask(self) -> None:
        """
        The callable gets all that there is to know of the task.
        """
        task = FakeTask("1", {"n": 2}, 3, "r", 60.0, 1.5)

        def work(task: Task) -> Any:
            return {name: getattr(task, name) for name in names}

        names = [*Task.__struct_fields__, "deadline", "cancelled"]
        self.assertEqual(self.result(work, task), {n: getattr(task, n) for n in names})

    def test_raisesAsTheCallableDoes(self) -> None:
        """
        What the callable raises is what the task fails with.
        """
        for error in (Release(delay=5), Reject("no"), ZeroDivisionError("one")):

            def work(task: Task, error: Exception = error) -> None:
                raise error

            self.assertIs(self.failure(work), error)

    def test_survivesSysExit(self) -> None:
        """
        C{sys.exit} fails the task, and its thread goes on to the next.
        """
        handler = self.makeHandler(lambda task: exec(task.payload), 1)
        handled = [
            handler.handle(FakeTask("1", payload))
            for payload in ("import sys; sys.exit(3)", "pass")
        ]
        while not handled[1].called:
            self.reactor.turn()
        error = self.failureResultOf(handled[0], TaskFailedError).value
        self.assertEqual(str(error), "it called sys.exit(3)")
        self.assertIsNone(self.successResultOf(handled[1]))
        self.assertEqual(len(self.threads), 1)

    def test_refusesACoroutineFunction(self) -> None:
        """
        A coroutine function is refused, whatever it is wrapped in.
        """
        for function in (coroutine, partial(coroutine), Asynchronous()):
            with self.assertRaises(ValueError) as caught:
                ThreadHandler(function, 1, self.reactor)
            self.assertIn("--run-in thread", str(caught.exception))

    def test_failsWithAnAwaitable(self) -> None:
        """
        A callable that returns what nobody can wait for in a thread fails its task,
        with a sentence on what to do.
        """
        for function, name in (
            (lambda task: coroutine(task), "coroutine"),
            (lambda task: Deferred(), "Deferred"),
        ):
            error = self.failure(function)
            self.assertIsInstance(error, TaskFailedError)
            self.assertIn(f"it returned a {name}", str(error))
            self.assertIn("--run-in reactor", str(error))

    def test_refusesAGeneratorFunction(self) -> None:
        """
        A generator function is refused.
        """
        for function in (generator, partial(generator)):
            with self.assertRaises(ValueError) as caught:
                ThreadHandler(function, 1, self.reactor)
            self.assertIn("generator function", str(caught.exception))

    def test_failsWithUnfinishedWork(self) -> None:
        """
        A callable that returns what has not run, or a failure, fails its task.
        """
        for returned, words in (
            (generator(Task("1", None)), "it returned a generator"),
            (Future(), "it returned a Future"),
        ):
            error = self.failure(lambda task, returned=returned: returned)
            self.assertIsInstance(error, TaskFailedError)
            self.assertIn(words, str(error))
        failure = Failure(Reject("no"))
        self.assertIsInstance(self.failure(lambda task: failure), Reject)

    def test_hasNotBegunWithoutAThread(self) -> None:
        """
        Where no thread can be started the task has not begun, and the next one that
        needs a thread tries again.
        """

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        handler = self.makeHandler(lambda task: task.id)
        exhausted = self.patch(threading.Thread, "start", start)
        with self.assertRaises(NotBegunError) as caught:
            handler.handle(FakeTask(1, None))
        exhausted.restore()
        self.assertIn("can't start new thread", str(caught.exception))
        handled = handler.handle(FakeTask(2, None))
        self.reactor.turn()
        self.assertEqual(self.successResultOf(handled), 2)

    def test_separatesContexts(self) -> None:
        """
        What a task sets in its context is not seen by the next one of its thread.
        """
        handler = self.makeHandler(lambda task: (seen.get(), seen.set(task.id)), 1)
        for id in ("1", "2"):
            handled = handler.handle(FakeTask(id, None))
            self.reactor.turn()
            self.assertIsNone(self.successResultOf(handled)[0])

    def test_marksTheTask(self) -> None:
        """
        What runs in a thread is marked with the task's id.
        """
        self.assertEqual(self.result(lambda task: currentID.get()), "1")

    def test_runsSideBySide(self) -> None:
        """
        As many calls run at once as there may be threads, and no more; threads are
        used again.
        """
        gate = Gate()
        handler = self.makeHandler(gate, 3)
        handled = [handler.handle(FakeTask(n, None)) for n in range(5)]
        first = {gate.awaitArrival() for _ in range(3)}
        self.assertEqual(first, {0, 1, 2})
        self.assertEqual(len(self.threads), 3)
        gate.open(5)
        while not all(each.called for each in handled):
            self.reactor.turn()
        self.assertEqual([self.successResultOf(each) for each in handled], [*range(5)])
        self.assertEqual(len(gate.threads), 3)

    def test_startsThreadsWhenNeeded(self) -> None:
        """
        There is no thread before the first task, and no second one for tasks that
        come one after the other.
        """
        handler = self.makeHandler(lambda task: threading.get_ident())
        self.assertEqual(self.threads, set())
        idents = set()
        for _ in range(5):
            handled = handler.handle(FakeTask("1", None))
            self.reactor.turn()
            idents.add(self.successResultOf(handled))
        self.assertEqual(len(idents), 1)

    def test_startsMoreThreads(self) -> None:
        """
        With a higher limit as many more calls run at once.
        """
        gate = Gate()
        handler = self.makeHandler(gate, 1)
        handled = [handler.handle(FakeTask(0, None))]
        handler.setLimit(3)
        handled += [handler.handle(FakeTask(n, None)) for n in (1, 2, 3)]
        self.assertEqual({gate.awaitArrival() for _ in range(3)}, {0, 1, 2})
        gate.open(4)
        while not all(each.called for each in handled):
            self.reactor.turn()
        self.assertEqual(len(gate.threads), 3)

    def test_endsThreadsTooMany(self) -> None:
        """
        With a lower limit what runs goes on, and the threads too many end when they are
        free; a limit that is raised again has new threads started.
        """
        gate = Gate()
        handler = self.makeHandler(gate, 4)
        handled = [handler.handle(FakeTask(n, None)) for n in range(4)]
        for _ in handled:
            gate.awaitArrival()
        idle = self.threads
        handler.setLimit(1)
        handled.append(handler.handle(FakeTask(4, None)))
        gate.open(4)
        while not all(each.called for each in handled[:4]):
            self.reactor.turn()
        self.assertEqual(gate.awaitArrival(), 4)
        while len([thread for thread in idle if thread.is_alive()]) > 1:
            next(thread for thread in idle if thread.is_alive()).join(0.01)
        gate.open()
        self.reactor.turn()
        handler.setLimit(2)
        handled = [handler.handle(FakeTask(n, None)) for n in (5, 6)]
        self.assertEqual({gate.awaitArrival() for _ in handled}, {5, 6})
        gate.open(2)
        while not all(each.called for each in handled):
            self.reactor.turn()

    def test_startsAgainWithTheNewLimit(self) -> None:
        """
        The limit in force holds after a stop and a start, too.
        """
        gate = Gate()
        handler = self.makeHandler(gate, 1)
        handler.setLimit(2)
        handler.stopService()
        handler.startService()
        handled = [handler.handle(FakeTask(n, None)) for n in range(2)]
        self.assertEqual({gate.awaitArrival() for _ in handled}, {0, 1})
        gate.open(2)
        while not all(each.called for each in handled):
            self.reactor.turn()

    def test_startsDaemons(self) -> None:
        """
        The threads are daemons, for which the interpreter does not wait at its end.
        """
        self.result(lambda task: None)
        self.assertEqual([thread.daemon for thread in self.threads], [True])

    def test_wakesTheReactorOnce(self) -> None:
        """
        Calls that end while the reactor is busy cost it one wake-up.
        """
        gate = Gate()
        handler = self.makeHandler(gate)
        handled = [handler.handle(FakeTask(n, None)) for n in range(4)]
        for _ in handled:
            gate.awaitArrival()
        gate.open(4)
        handler.stopService()
        self.assertNoThread()
        self.reactor.turn()
        self.assertEqual([self.successResultOf(each) for each in handled], [*range(4)])
        self.assertEqual(self.reactor.wakeUps, 1)

    def test_waitsForACancelledCall(self) -> None:
        """
        Cancelling, once or twice, does not end a call: the task ends when the call
        does, as that does.
        """
        gate = Gate()
        handler = self.makeHandler(gate)
        handled = handler.handle(FakeTask("1", None))
        gate.awaitArrival()
        handled.cancel()
        handled.cancel()
        self.assertNoResult(handled)
        gate.open()
        self.reactor.turn()
        self.assertEqual(self.successResultOf(handled), "1")

    def test_skipsACancelledCall(self) -> None:
        """
        A call that has not begun never does once its task is cancelled.
        """
        gate = Gate()
        handler = self.makeHandler(gate, 1)
        running, waiting = (handler.handle(FakeTask(n, None)) for n in (1, 2))
        gate.awaitArrival()
        waiting.cancel()
        gate.open()
        while not waiting.called:
            self.reactor.turn()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.successResultOf(running), 1)
        self.assertEqual(gate.begun, [1])

    def test_ignoresALateCancel(self) -> None:
        """
        Cancelling what a callback waits for, after the end, is cancelling that.
        """
        handled = self.makeHandler(lambda task: None).handle(FakeTask("1", None))
        further: Deferred[None] = Deferred()
        handled.addCallback(lambda _: further)
        self.reactor.turn()
        handled.cancel()
        self.failureResultOf(handled, CancelledError)

    def test_extendsTheLease(self) -> None:
        """
        C{extend} is called on the reactor's thread, and blocks until it is done.
        """

        def work(task: FakeTask) -> list[float]:
            task.extend(30)
            return [*given.extended]

        given = FakeTask("1", None, receipt="r")
        handled = self.makeHandler(work).handle(given)
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(self.successResultOf(handled), [30])

    def test_failsAsTheExtensionDoes(self) -> None:
        """
        C{extend} raises what stands against it.
        """
        handled = self.makeHandler(lambda task: task.extend(30)).handle(
            FakeTask("1", None)
        )
        self.reactor.turn()
        self.reactor.turn()
        self.failureResultOf(handled, LeaseLostError)

    def test_endsThreads(self) -> None:
        """
        The threads end with the service; one that is busy is left behind, ends when
        its call does, and hears that what it brings is taken all the same.
        """
        gate = Gate()
        handler = self.makeHandler(gate)
        handled = [handler.handle(FakeTask(n, None)) for n in range(2)]
        for _ in handled:
            gate.awaitArrival()
        gate.open()
        self.reactor.turn()
        with capturedLogs() as logs:
            handler.stopService()
        [event] = logs
        self.assertEqual((event["log_level"], event["busy"]), (LogLevel.warn, 1))
        gate.open()
        self.reactor.turn()
        self.assertTrue(all(each.called for each in handled))
        self.assertNoThread()

    def test_endsIdleThreads(self) -> None:
        """
        Idle threads end without a word.
        """
        handler = self.makeHandler(lambda task: None)
        handler.handle(FakeTask("1", None))
        self.reactor.turn()
        with capturedLogs() as logs:
            handler.stopService()
        self.assertNoThread()
        self.assertEqual(logs, [])

    def test_startsAgain(self) -> None:
        """
        After a stop the handler can be used again, with all its threads, even if some
        of the time before were left behind.
        """
        gate = Gate()
        handler = self.makeHandler(gate, 1)
        left = handler.handle(FakeTask(1, None))
        gate.awaitArrival()
        handler.stopService()
        handler.startService()
        again = handler.handle(FakeTask(2, None))
        self.assertEqual(gate.awaitArrival(), 2)
        gate.open(2)
        while not (left.called and again.called):
            self.reactor.turn()
        self.assertEqual(self.successResultOf(again), 2)
