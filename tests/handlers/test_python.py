"""
Finding and calling a Python callable.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.handlers.callables import NamedCallable, loadCallable
from myconsumer.handlers.processes.pool import ProcessHandler
from myconsumer.handlers.python import PythonHandler, makeHandler
from myconsumer.handlers.threads import ThreadHandler
from myconsumer.interfaces import ITaskHandler
from myconsumer.task import Task, currentID

TASK = Task("1", {"n": 2})


async def coroutineFunction(task: Task) -> None:
    """
    Do nothing, later.
    """


class Methods:
    """
    Something whose method can be named.
    """

    @staticmethod
    def method(task: Task) -> str:
        """
        Do nothing.
        """
        return "called"


class LoadCallableTests(SynchronousTestCase):
    """
    L{loadCallable}.
    """

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.patch(sys, "path", [str(self.folder), *sys.path])
        self.patch(sys, "modules", dict(sys.modules))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(dedent(text))

    def refused(self, name: str) -> str:
        with self.assertRaises(ValueError) as caught:
            loadCallable(name)
        return str(caught.exception)

    def test_findsAFunction(self) -> None:
        """
        A function of a module is found, whether or not the module was imported.
        """
        self.write("loaded_one.py", "def work(task): return 5\n")
        self.assertEqual(loadCallable("loaded_one.work")(TASK), 5)

    def test_findsAMethodOfAClass(self) -> None:
        """
        The name may go on below a module's names.
        """
        found = loadCallable("tests.handlers.test_python.Methods.method")
        self.assertEqual(found(TASK), "called")

    def test_findsAFunctionNamedAsItsModule(self) -> None:
        """
        What a package calls by the name is meant, not its module of that name.
        """
        package = self.folder / "loaded_pack"
        package.mkdir()
        (package / "__init__.py").write_text("from .work import work\n")
        (package / "work.py").write_text("def work(task): return 7\n")
        self.assertEqual(loadCallable("loaded_pack.work")(TASK), 7)

    def test_refusesWhatIsNoDottedName(self) -> None:
        """
        What cannot be a dotted name is not looked for.
        """
        for name in ("", "work", ".", "a.", ".a", "a..b", "a b.c", "a.b-c", "a/b.c"):
            self.assertEqual(
                self.refused(name),
                "it is not a dotted name, such as package.module.function",
            )

    def test_refusesAMissingModule(self) -> None:
        """
        The module that is missing is named.
        """
        self.assertEqual(self.refused("no_such.work"), "there is no module no_such")

    def test_refusesAMissingName(self) -> None:
        """
        What lacks the name is named.
        """
        self.assertEqual(self.refused("os.no_such"), "os has no no_such")
        self.assertEqual(self.refused("os.path.no.such"), "os.path has no no")

    def test_refusesWhatIsNotCallable(self) -> None:
        """
        What is found has to be callable.
        """
        self.assertEqual(self.refused("os.sep"), "it is of type str, and not callable")
        self.assertEqual(
            self.refused("os.path"), "it is of type module, and not callable"
        )

    def test_refusesWhatRunsNothing(self) -> None:
        """
        What runs nothing when it is called is refused, whatever it is wrapped in; what
        only looks like that is not.
        """
        self.write(
            "loaded_lazy.py",
            """
            from functools import partial
            from twisted.internet.defer import inlineCallbacks

            def forgotten(task):
                yield

            async def yielding(task):
                yield

            class Lazy:
                def __call__(self, task):
                    yield

                def method(self, task):
                    yield

            wrapped = partial(partial(forgotten), task=1)
            instance = Lazy()
            method = instance.method
            bound = partial(instance)
            decorated = inlineCallbacks(forgotten)
            """,
        )
        for name in ("forgotten", "wrapped", "instance", "method", "bound"):
            with self.subTest(name):
                self.assertEqual(
                    self.refused(f"loaded_lazy.{name}"),
                    "it is a generator function, and calling it runs nothing: was "
                    "@inlineCallbacks forgotten?",
                )
        self.assertIn(
            "an async generator function", self.refused("loaded_lazy.yielding")
        )
        for name in ("decorated", "Lazy"):
            loadCallable(f"loaded_lazy.{name}")

    def test_saysWhyAnImportFails(self) -> None:
        """
        An exception while a module is imported is told with its type and text.
        """
        for text, said in (
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("import no_such_either", "No module named 'no_such_either'"),
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("def work(", "SyntaxError: "),
        ):
            with self.subTest(text):
                sys.modules.pop("loaded_bad", None)
                self.write("loaded_bad.py", text)
                self.assertIn(
                    "importing loaded_bad failed with ", self.refused("loaded_bad.work")
                )
                self.assertIn(said, self.refused("loaded_bad.work"))


class NamedCallableTests(SynchronousTestCase):
    """
    L{NamedCallable}.
    """

    def test_keepsTheName(self) -> None:
        """
        What is found keeps the name that it was found by.
        """
        name = "tests.handlers.test_python.Methods.method"
        named = NamedCallable.load(name)
        self.assertEqual(named.name, name)
        self.assertIs(named.function, Methods.method)

    def test_refusesWhatIsNotFound(self) -> None:
        """
        What is not found is refused as ever.
        """
        with self.assertRaises(ValueError) as caught:
            NamedCallable.load("os.no_such")
        self.assertEqual(str(caught.exception), "os has no no_such")


class MakeHandlerTests(SynchronousTestCase):
    """
    L{makeHandler}.
    """

    def make(self, where: str, name: str = "os.getcwd") -> ITaskHandler:
        options = {"python": NamedCallable.load(name), "run-in": where, "limit": 3}
        return makeHandler(Clock(), options)

    def test_makesTheHandlerOfEachPlace(self) -> None:
        """
        Each place has a handler of its own; what it keeps is a service.
        """
        for where, kind, isService in (
            ("reactor", PythonHandler, False),
            ("thread", ThreadHandler, True),
            ("process", ProcessHandler, True),
        ):
            handler = self.make(where)
            verifyObject(ITaskHandler, handler)
            self.assertIs(type(handler), kind)
            self.assertIs(IService.providedBy(handler), isService)

    def test_runsOnTheReactor(self) -> None:
        """
        On the reactor the callable itself is called.
        """
        handler = self.make("reactor", "tests.handlers.test_python.Methods.method")
        self.assertEqual(handler.handle(TASK), "called")

    def test_refusesACoroutineFunctionElsewhere(self) -> None:
        """
        A coroutine function runs on the reactor, and nowhere else.
        """
        name = "tests.handlers.test_python.coroutineFunction"
        self.make("reactor", name)
        for where in ("thread", "process"):
            with self.assertRaises(ValueError) as caught:
                self.make(where, name)
            text = str(caught.exception)
            self.assertIn(f"--run-in {where}", text)
            self.assertEqual(len(text.splitlines()), 1)


class PythonHandlerTests(SynchronousTestCase):
    """
    L{PythonHandler} where no asyncio loop runs.
    """

    def handle(self, function: Callable[[Task], Any]) -> Any:
        return PythonHandler(function).handle(TASK)

    def test_providesITaskHandler(self) -> None:
        """
        L{PythonHandler} is a handler.
        """
        verifyObject(ITaskHandler, PythonHandler(str))

    def test_givesAPlainValue(self) -> None:
        """
        A plain value is the result, whatever it is.
        """
        for value in (None, 0, "text", {"a": 1}, [1]):
            self.assertIs(self.handle(lambda task, value=value: value), value)

    def test_passesTheTask(self) -> None:
        """
        The callable gets the task.
        """
        self.assertIs(self.handle(lambda task: task), TASK)

    def test_raisesAsTheCallableDoes(self) -> None:
        """
        What the callable raises is raised.
        """
        with self.assertRaises(ZeroDivisionError):
            self.handle(lambda task: 1 / 0)

    def test_givesADeferred(self) -> None:
        """
        A Deferred is handed on as it is.
        """
        result = succeed(3)
        self.assertIs(self.handle(lambda task: result), result)

    def test_runsACoroutine(self) -> None:
        """
        A coroutine is run, and awaits Deferreds.
        """
        waiting: Deferred[int] = Deferred()

        async def work(task: Task) -> int:
            return await waiting + 1

        result = self.handle(work)
        self.assertNoResult(result)
        waiting.callback(4)
        self.assertEqual(self.successResultOf(result), 5)

    def test_failsAsTheCoroutineDoes(self) -> None:
        """
        What a coroutine raises fails the Deferred.
        """

        async def work(task: Task) -> None:
            raise ZeroDivisionError

        self.failureResultOf(self.handle(work), ZeroDivisionError)

    def test_cancelsACoroutine(self) -> None:
        """
        Cancelling cancels what the coroutine awaits.
        """
        waiting: Deferred[int] = Deferred()

        async def work(task: Task) -> int:
            return await waiting

        result = self.handle(work)
        result.cancel()
        self.assertTrue(waiting.called)
        self.failureResultOf(result, CancelledError)

    def test_awaitsOtherAwaitables(self) -> None:
        """
        Whatever else can be awaited is awaited.
        """

        class Awaitable:
            def __await__(self) -> Generator[Any, Any, int]:
                return (yield from succeed(6).__await__())

        result = self.handle(lambda task: Awaitable())
        self.assertEqual(self.successResultOf(result), 6)

    def test_awaitsAConcurrentFuture(self) -> None:
        """
        What an executor does is waited for.
        """
        calls: list[Callable[[], Any]] = []
        reactor = Clock()
        reactor.callFromThread = lambda f, *args: calls.append(partial(f, *args))
        future: Future[int] = Future()
        result = PythonHandler(lambda task: future, reactor).handle(TASK)
        self.assertNoResult(result)
        future.set_result(3)
        [call] = calls
        call()
        self.assertEqual(self.successResultOf(result), 3)

    def test_refusesAtConstruction(self) -> None:
        """
        A generator function is refused.
        """

        def forgotten(task: Task) -> Generator[None, None, None]:
            yield

        with self.assertRaises(ValueError):
            PythonHandler(forgotten)

    def test_marksTheTask(self) -> None:
        """
        What runs for a task is marked with its id, also after an await, and nothing
        else is, however the task ends.
        """
        waiting: Deferred[None] = Deferred()
        seen: list[Any] = []

        async def later() -> None:
            seen.append(currentID.get())
            await waiting
            seen.append(currentID.get())

        def work(task: Task) -> Any:
            seen.append(currentID.get())
            if task.id == "2":
                raise ZeroDivisionError
            return later() if task.id == "1" else waiting if task.id == "3" else None

        handler = PythonHandler(work)
        handler.handle(Task("1", None))
        with self.assertRaises(ZeroDivisionError):
            handler.handle(Task("2", None))
        handler.handle(Task("3", None))
        handler.handle(Task("4", None))
        self.assertIsNone(currentID.get())
        waiting.callback(None)
        self.assertEqual(seen, ["1", "1", "2", "3", "4", "1"])
        self.assertIsNone(currentID.get())

    def test_separatesContexts(self) -> None:
        """
        What a task sets in its context is seen by all that it does, and not by the next
        one.
        """
        tenant: ContextVar[str | None] = ContextVar("tenant", default=None)
        waiting: Deferred[None] = Deferred()

        async def later() -> str | None:
            await waiting
            return tenant.get()

        def work(task: Task) -> Any:
            before = tenant.get()
            tenant.set("mine")
            return later() if task.payload["n"] else before

        handler = PythonHandler(work)
        waits = handler.handle(TASK)
        self.assertIsNone(handler.handle(Task("2", {"n": 0})))
        waiting.callback(None)
        self.assertEqual(self.successResultOf(waits), "mine")
        self.assertIsNone(tenant.get())

    def test_hintsAtTheAsyncioReactor(self) -> None:
        """
        A coroutine that awaits what asyncio offers where no loop runs fails with a hint
        at the reactor that it takes.
        """

        async def sleep(task: Task) -> None:
            await asyncio.sleep(1)

        async def future(task: Task) -> None:
            await asyncio.Future(loop=loop)

        async def other(task: Task) -> None:
            raise RuntimeError("something else")

        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        for function, isHinted in ((sleep, True), (future, True), (other, False)):
            reason = self.failureResultOf(self.handle(function), RuntimeError)
            self.assertIs("--reactor=asyncio" in str(reason.value), isHinted)


class PythonHandlerOnLoopTests(SynchronousTestCase):
    """
    L{PythonHandler} where an asyncio loop runs.
    """

    def outcome(
        self,
        function: Callable[[Task], Any],
        cancelAfter: float | None = None,
    ) -> Any:
        """
        Have C{function} called on a loop, and give the result, or the failure.
        """

        async def main() -> Any:
            loop = asyncio.get_running_loop()
            handler = PythonHandler(function)
            deferred = handler.handle(TASK)
            if cancelAfter is not None:
                loop.call_later(cancelAfter, deferred.cancel)
            result = await deferred.addErrback(lambda reason: [reason]).asFuture(loop)
            await asyncio.sleep(0)
            self.assertEqual(handler._tasks, set())
            return result

        return asyncio.run(main())

    def test_awaitsAsyncio(self) -> None:
        """
        A coroutine awaits asyncio's things, and its value is the result.
        """

        async def work(task: Task) -> Any:
            await asyncio.sleep(0.001)
            return await succeed(task.payload)

        self.assertEqual(self.outcome(work), {"n": 2})

    def test_failsAsTheTaskDoes(self) -> None:
        """
        What a coroutine raises fails the Deferred.
        """

        async def work(task: Task) -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        [reason] = self.outcome(work)
        self.assertIsInstance(reason.value, ZeroDivisionError)

    def test_awaitsAFuture(self) -> None:
        """
        A function may return an asyncio task of its own.
        """
        result = self.outcome(
            lambda task: asyncio.ensure_future(asyncio.sleep(0, "slept"))
        )
        self.assertEqual(result, "slept")

    def test_cancelsTheTask(self) -> None:
        """
        Cancelling cancels the task, waits for its end, and fails in Twisted's way.
        """
        seen: list[str] = []

        async def work(task: Task) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.002)
                seen.append("cleaned up")

        [reason] = self.outcome(work, cancelAfter=0.001)
        self.assertIsInstance(reason, Failure)
        self.assertIsInstance(reason.value, CancelledError)
        self.assertEqual(seen, ["cleaned up"])

    def test_cancelsAnAwaitedDeferred(self) -> None:
        """
        Cancelling cancels the Deferred that is awaited, and fails in Twisted's way.
        """
        waiting: Deferred[None] = Deferred()

        async def work(task: Task) -> None:
            await waiting

        [reason] = self.outcome(work, cancelAfter=0.001)
        self.assertIsInstance(reason.value, CancelledError)
        self.assertTrue(waiting.called)

    def test_keepsTasksAlive(self) -> None:
        """
        A coroutine that nobody else refers to is not collected while it waits.
        """

        async def work(task: Task) -> None:
            await asyncio.get_running_loop().create_future()

        async def main() -> int:
            handler = PythonHandler(work)
            handler.handle(TASK).addErrback(lambda reason: None)
            await asyncio.sleep(0)
            gc.collect()
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            for task in waiting:
                task.cancel()
                await asyncio.wait([task])
            return len(waiting)

        self.assertEqual(asyncio.run(main()), 1)

    def test_cancelsTwice(self) -> None:
        """
        A second cancel waits for the end of the coroutine, too.
        """
        seen: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()

            async def work(task: Task) -> str:
                for _ in range(2):
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(60)
                    seen.append("cancelled")
                await asyncio.sleep(0)
                return "done"

            deferred = PythonHandler(work).handle(TASK).addCallback(seen.append)
            for _ in range(2):
                await asyncio.sleep(0)
                deferred.cancel()
            await deferred.asFuture(loop)

        asyncio.run(main())
        self.assertEqual(seen, ["cancelled", "cancelled", "done"])

    def test_completesDespiteTheCancel(self) -> None:
        """
        A coroutine may end well upon being cancelled.
        """

        async def work(task: Task) -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "done"
            return "slept"

        self.assertEqual(self.outcome(work, cancelAfter=0.001), "done")


class AsyncioReactorTests(SynchronousTestCase):
    """
    The same on a real reactor.
    """

    def test_worksOnTheAsyncioReactor(self) -> None:
        """
        On the asyncio reactor a coroutine awaits both kinds of things.
        """
        script = """
            from twisted.internet import asyncioreactor
            asyncioreactor.install()
            import asyncio
            from twisted.internet import reactor
            from twisted.internet.task import deferLater
            from myconsumer.handlers.python import PythonHandler
            from myconsumer.task import Task, currentID

            async def work(task):
                await deferLater(reactor, 0.01)
                async with asyncio.timeout(5):
                    await asyncio.sleep(0.01)
                try:
                    async with asyncio.timeout(0.01):
                        await deferLater(reactor, 60)
                except TimeoutError:
                    return task.id

            def begin():
                deferred = PythonHandler(work).handle(Task("17", None))
                deferred.addBoth(print)
                deferred.addBoth(lambda ignored: reactor.stop())

            reactor.callLater(0, begin)
            reactor.run()
            print(reactor.getDelayedCalls())
        """
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", dedent(script)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual((ended.stdout, ended.stderr), ("17\n[]\n", ""))
