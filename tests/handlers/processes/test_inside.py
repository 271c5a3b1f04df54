"""
Real worker processes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from msgspec import json
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import TestCase

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError
from myconsumer.handlers.processes.pool import ProcessHandler
from myconsumer.handlers.processes.records import MOST_RECORDS
from myconsumer.handlers.processes.session import KILL_AFTER
from myconsumer.task import LONGEST_RESULT
from myconsumer.testing import FakeTask
from tests.processes import children, isAlive

WORK = "tests.handlers.deeds.work"

MEGABYTES = 5_000_000


class WorkerTests(TestCase):
    """
    What a callable may do in its process, and what comes of it.
    """

    timeout = 60

    async def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        # which would hide whether lines come as they are printed
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        self.patch(os, "environ", environment)
        # the reactor has descriptors of its own once it runs
        await deferLater(self.reactor, 0)
        self.descriptors = os.listdir("/proc/self/fd")
        self.handler = self.makeHandler(WORK)

    def makeHandler(self, name: str) -> ProcessHandler:
        handler = ProcessHandler(name, 2, self.reactor, lambda n: 0.1)
        handler.startService()
        self.addCleanup(self.stop, handler)
        return handler

    async def stop(self, handler: ProcessHandler) -> None:
        await handler.stopService()
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        self.assertEqual(os.listdir("/proc/self/fd"), self.descriptors)

    def handle(self, *payload: Any) -> Deferred[Any]:
        return self.handler.handle(FakeTask("1", payload))

    async def do(self, *payload: Any) -> Any:
        """
        Have something done, and give the result.
        """
        result = await self.handle(*payload)
        return None if result is None else json.decode(result)

    async def failing(self, *payload: Any) -> str:
        """
        Have something done that fails, and give the reason.
        """
        with self.assertRaises(TaskFailedError) as caught:
            await self.handle(*payload)
        return str(caught.exception)

    async def untilLogged(self, logs: list[LogEvent], text: str) -> None:
        while text not in [event.get("line") for event in logs]:
            await deferLater(self.reactor, 0.01)

    async def test_sendsWhatIsReturned(self) -> None:
        """
        What the callable returns is the result.
        """
        for value in ([1, {"a": "ü\n\r\u2028"}], 0, False, "", [], 2**70):
            self.assertEqual(await self.do("return", value), value)
        self.assertIsNone(await self.do("return", None))
        self.assertIsNone(await self.do("object"))

    async def test_givesTheWholeTask(self) -> None:
        """
        The callable gets all that there is to know of the task.
        """
        task = FakeTask(17, ["describe"], 3, "r", 60.0, 1.5, deadline=2.5)
        described = json.decode(await self.handler.handle(task))
        self.assertEqual(described, [17, 3, "r", 60.0, 1.5, 2.5, False])

    async def recorded(self, *payload: Any) -> list[tuple[Any, ...]]:
        """
        Have something done, and give what is logged of it: the level, the task's id,
        and the text.
        """
        with capturedLogs() as logs:
            await self.do(*payload)
        return [(e["log_level"].name, e["id"], e["line"]) for e in logs if "line" in e]

    async def test_logsRecords(self) -> None:
        """
        Records of logging are logged with their level, their logger and the task's id,
        before the task has ended; those of a thread that the callable has started have
        no task.
        """
        with capturedLogs() as logs:
            await self.do("log")
        records = [each for each in logs if each["log_namespace"] == "app.mail"]
        self.assertEqual(
            [(each["log_level"].name, each["id"], each["line"]) for each in records],
            [
                ("warn", "1", "not sent:\n\\x1b[1m"),
                ("error", None, "in a thread"),
            ],
        )

    async def test_boundsRecords(self) -> None:
        """
        A flood of records, with long texts, holds up neither the task nor its result;
        few of them are logged, and the others are counted.
        """
        for length in (10, 10_000):
            with capturedLogs() as logs:
                self.assertEqual(len(await self.do("logALot", length)), 200_000)
            lines = [each["line"] for each in logs if "line" in each]
            self.assertLess(sum(map(len, lines)), 200_000)
            counts = [e["count"] for e in logs if "more lines" in e["log_format"]]
            self.assertEqual(counts, [20_000 - MOST_RECORDS][: length < 100])
        self.assertEqual(await self.do("return", 1), 1)

    async def test_survivesOddRecords(self) -> None:
        """
        Records that no message can hold as they are, with a level past all numbers or
        half a surrogate pair, end neither the process nor the sending of others.
        """
        pid = await self.do("pid")
        self.assertEqual(
            await self.recorded("logOddly"),
            [
                ("warn", "1", "odd"),
                ("critical", "1", "odd"),
                ("warn", "1", "half ?"),
                ("warn", "1", "odd"),
            ],
        )
        self.assertEqual(await self.do("pid"), pid)

    async def test_survivesRecordsOfAFork(self) -> None:
        """
        A copy of the worker process that the callable makes may log: it does so by
        itself, on standard error, and sends nothing of what its original has logged.
        """
        for _ in range(10):
            with capturedLogs() as logs:
                self.assertEqual(await self.do("logInFork"), 7)
            lines = [each.get("line") for each in logs]
            self.assertEqual(lines.count("before the fork"), 1)

    async def test_attributesRecordsToNoOtherTask(self) -> None:
        """
        A record of a thread that a task has left behind is not the next task's.
        """
        await self.do("logBehind")
        self.assertEqual(
            await self.recorded("logAfter"),
            [("warn", None, "left behind"), ("warn", "1", "of this task")],
        )

    async def test_logsWhileItIsTerminated(self) -> None:
        """
        What a cancelled task logs is logged until the end, also by the handler of a
        signal; a record that another thread formats for ever holds up none of it, nor
        the end of the process.
        """
        with capturedLogs() as logs:
            handled = self.handle("logEndlessly")
            await self.untilLogged(logs, "in a handler")
            await self.untilLogged(logs, "formatting")
            began = self.reactor.seconds()
            handled.cancel()
            with self.assertRaises(CancelledError):
                await handled
        self.assertLess(self.reactor.seconds() - began, KILL_AFTER)
        records = {each.get("line"): each["id"] for each in logs}
        self.assertEqual(records["at the end"], "1")

    async def test_takesLargePayloadsAndResults(self) -> None:
        """
        Payload and result may be of any size.
        """
        self.assertEqual(await self.do("length", "x" * MEGABYTES), MEGABYTES)
        result = await self.do("repeat", "0123456789", MEGABYTES // 10)
        self.assertEqual(result, "0123456789" * (MEGABYTES // 10))

    async def test_takesHalfASurrogatePair(self) -> None:
        """
        A payload may hold what JSON can say and UTF-8 cannot: half a surrogate pair.
        """
        self.assertEqual(await self.do("codePoint", "\ud83d"), 0xD83D)

    async def test_leavesOutATooLongResult(self) -> None:
        """
        A result that is too long is left out by the process, and never sent.
        """
        with capturedLogs() as logs:
            self.assertIsNone(await self.do("repeat", "x", LONGEST_RESULT))
        [event] = [event for event in logs if event.get("id") == "1"]
        self.assertIn(f"it has {LONGEST_RESULT + 2} bytes", event["error"])
        self.assertEqual(
            len(await self.do("repeat", "x", LONGEST_RESULT - 2)), LONGEST_RESULT - 2
        )

    async def test_sendsWhatIsRaised(self) -> None:
        """
        What the callable raises is what the task fails with.
        """
        for kind, error, delay in (
            ("release", Release, 7),
            ("failed", TaskFailedError, 3),
        ):
            with self.assertRaises(error) as caught:
                await self.handle("raise", kind)
            self.assertEqual(caught.exception.delay, delay)
        with self.assertRaises(Reject):
            await self.handle("raise", "reject")
        with capturedLogs() as logs:
            reason = await self.failing("raise", "bug")
        self.assertEqual(reason, "ZeroDivisionError: one too many")
        self.assertIn("deeds.py", logs[0]["traceback"])
        reason = await self.failing("raise", "unspeakable")
        self.assertEqual(reason, "ValueError: no text: ?")

    async def test_scrubsTheSurroundings(self) -> None:
        """
        The process has our environment, less what is the consumer's; the name of the
        callable as its last argument; nothing on its standard input; descriptors that
        it passes on to no child; and a session of its own, so that Ctrl-C does not
        reach it.
        """
        self.patch(os, "environ", os.environ | {"CONSUMER_URL": "x", "OTHER": "y"})
        environment = await self.do("environment")
        self.assertEqual(environment["OTHER"], "y")
        self.assertNotIn("CONSUMER_URL", environment)
        self.assertEqual((await self.do("arguments"))[-1], WORK)
        self.assertEqual(await self.do("read"), "")
        # the fourth is the one that the list is read from
        self.assertLessEqual(len(await self.do("descriptorsOfChild")), 4)
        self.assertEqual(await self.do("session"), await self.do("pid"))

    async def test_findsModules(self) -> None:
        """
        What the process is made of comes from the standard library, even if the
        current folder has modules of the same names; others are found there, and in
        C{PYTHONPATH}.  The names of the folders need not be UTF-8.
        """
        here, there = (os.path.abspath(self.mktemp()) + "\udcff" for _ in range(2))
        for folder, names in (here, ("queue", "signal", "mine")), (there, ("theirs",)):
            os.mkdir(folder)
            for name in names:
                with open(f"{folder}/{name}.py", "w") as stream:
                    stream.write("value = 1")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(here)
        self.patch(sys, "path", [here, *sys.path, there])
        self.patch(os, "environ", os.environ | {"PYTHONPATH": there})
        for name, place in (
            ("queue", "/lib/"),
            ("signal", "/lib/"),
            ("mine", "udcff/mine.py"),
            ("theirs", "udcff/theirs.py"),
        ):
            self.assertIn(place, await self.do("module", name))

    async def test_logsWhatIsPrinted(self) -> None:
        """
        What the callable prints is logged by the time that its task is done.
        """
        with capturedLogs() as logs:
            await self.do("print")
            await self.do("print")
        lines = [
            "no end of line",
            "past Python",
            "to standard error",
            "to standard output \\x1b[1m",
        ]
        for half in (logs[:4], logs[4:]):
            self.assertEqual(sorted(event["line"] for event in half), lines)

    async def test_extendsTheLease(self) -> None:
        """
        The callable may have its lease extended, and hears of it if not.
        """
        task = FakeTask("1", ["extend", 30], receipt="r")
        self.assertIsNone(await self.handler.handle(task))
        self.assertEqual(task.extended, [30])
        self.assertEqual(
            await self.failing("extend", -1),
            "ValueError: extend takes a number of seconds above 0, up to 31536000, "
            "not -1.0",
        )
        self.assertIn("LeaseLostError", await self.failing("extend", 30))

    async def test_failsWithACoroutine(self) -> None:
        """
        A coroutine that is returned fails the task.
        """
        self.assertIn("it returned a coroutine", await self.failing("coroutine"))

    async def test_survivesSysExit(self) -> None:
        """
        C{sys.exit} fails the task, and the process goes on.
        """
        pid = await self.do("pid")
        self.assertEqual(await self.failing("exit", 3), "it called sys.exit(3)")
        self.assertEqual(await self.do("pid"), pid)

    async def test_failsOnlyItsOwnTask(self) -> None:
        """
        A process that ends, however it does, fails its task and nothing else.
        """
        other = self.handle("sleep", 3)
        for payload, reason in (
            (("die", 3), "the worker process exited with status 3"),
            (("die", 0), "the worker process exited with status 0"),
            (("kill", 9), "the worker process was killed by SIGKILL"),
            (("kill", 11), "the worker process was killed by SIGSEGV"),
            (("leaveChild", 4), "the worker process exited with status 4"),
            (("closeAll",), "the worker process exited with status 1"),
        ):
            self.assertEqual(await self.failing(*payload), reason)
        self.assertIn("wrote to descriptor 4", await self.failing("writeRubbish"))
        self.assertIsNone(await other)

    async def test_worksSideBySide(self) -> None:
        """
        Two tasks are done by two processes, neither of which is ours.
        """
        handled = [self.handle("sleep", 0.5) for _ in range(2)]
        await gatherResults(handled)
        began = self.reactor.seconds()
        await gatherResults([self.handle("sleep", 1) for _ in range(2)])
        self.assertLess(self.reactor.seconds() - began, 1.8)
        both = gatherResults([self.handle("pid"), self.handle("pid")])
        pids = {json.decode(pid) for pid in await both}
        self.assertEqual(len(pids | {os.getpid()}), 3)

    async def test_endsWhenCancelled(self) -> None:
        """
        Cancelling ends the process, and the next task finds another.
        """
        pid = await self.do("pid")
        handled = self.handle("sleep", 60)
        await deferLater(self.reactor, 0.1)
        handled.cancel()
        with self.assertRaises(CancelledError):
            await handled
        self.assertNotEqual(await self.do("pid"), pid)

    async def test_killsWhatIgnoresSIGTERMAtAStop(self) -> None:
        """
        A stop does not wait for one that does not want to end.
        """
        with capturedLogs() as logs:
            handled = self.handle("ignoreTerm")
            await self.untilLogged(logs, "ignoring")
            handled.cancel()
            began = self.reactor.seconds()
            await self.stop(self.handler)
        with self.assertRaises(CancelledError):
            await handled
        self.assertLess(self.reactor.seconds() - began, 1)

    async def test_cleansUpWhenCancelled(self) -> None:
        """
        What is cancelled may clean up, and do what is registered with C{atexit}; if it
        returns its result after that it has done its task.
        """
        for answers in (False, True):
            with capturedLogs() as logs:
                handled = self.handle("cleanUp", answers)
                await self.untilLogged(logs, "working")
                handled.cancel()
                if answers:
                    self.assertEqual(json.decode(await handled), "cleaned up")
                else:
                    with self.assertRaises(CancelledError):
                        await handled
                await self.untilLogged(logs, "at exit")
            self.assertIn("finally Terminated", [event.get("line") for event in logs])

    async def test_endsStartedProcesses(self) -> None:
        """
        What the callable has started ends with it when the task is cancelled, even if
        it does not mind SIGTERM, and when the process ends in any other way.
        """
        for payload, kill in (
            (["startChild"], False),
            (["startStubbornChild"], False),
            (["startChild"], True),
        ):
            with capturedLogs() as logs:
                handled = self.handle(*payload)
                while not logs:
                    await deferLater(self.reactor, 0.01)
            pid = int(logs[0]["line"])
            if kill:
                [worker] = children(os.getpid())
                os.kill(int(worker), signal.SIGKILL)
                with self.assertRaises(TaskFailedError):
                    await handled
            else:
                handled.cancel()
                with self.assertRaises(CancelledError):
                    await handled
            while isAlive(pid):
                await deferLater(self.reactor, 0.01)

    async def test_ignoresACopyOfTheProcess(self) -> None:
        """
        A copy of the process that returns from the callable, too, answers for no task:
        neither its own nor the one that is done then.
        """
        path = os.path.abspath(self.mktemp())
        self.assertEqual(await self.do("forkedChildReturns", path), "ours")
        self.assertEqual(await self.do("untilCopyEnds", path), 1)

    async def test_saysWhyItCannotBegin(self) -> None:
        """
        A callable that is not there any more when a process looks for it fails the
        task with the reason.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        module = folder / "module_that_changes.py"
        module.write_text("def work(task): return 1\n")
        self.patch(sys, "path", [str(folder.absolute()), *sys.path])
        self.patch(sys, "modules", dict(sys.modules))
        self.patch(sys, "dont_write_bytecode", True)
        self.handler = self.makeHandler("module_that_changes.work")
        module.write_text("raise RuntimeError('half written')\n")
        with self.assertRaises(NotBegunError) as caught:
            await self.handle()
        self.assertEqual(
            str(caught.exception),
            "the worker process cannot begin: module_that_changes.work: importing "
            "module_that_changes failed with RuntimeError: half written",
        )
        module.write_text("def work(task): return 2\n")
        self.assertEqual(await self.do(), 2)
