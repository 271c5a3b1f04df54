"""
Running commands: real ones, on the real reactor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec import json
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError
from myconsumer.handlers.command import stages
from myconsumer.handlers.command.handler import (
    KILL_GRACE,
    CommandHandler,
    makeHandler,
)
from myconsumer.handlers.command.stages import OUTPUT_GRACE
from myconsumer.interfaces import ITaskHandler
from myconsumer.task import Task
from tests.processes import descriptors, isAlive, zombies

OPTIONS: dict[str, Any] = {"exec": ["sh"], "exec-env": [], "kill-after": 5.0}


def pipes() -> list[str]:
    """
    Our open pipes and memory files.
    """
    return [d for d in descriptors(os.getpid()) if d.startswith(("pipe:", "/memfd:"))]


class CommandCase(TestCase):
    """
    Runs commands, and sees to it that nothing is left of them.
    """

    timeout = 30

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.note = self.folder / "note"
        watching = capturedLogs()
        self.events = watching.__enter__()
        self.addCleanup(watching.__exit__, None, None, None)
        self.addCleanup(self.assertNothingLeft)

    async def assertNothingLeft(self) -> None:
        """
        No descriptor, no zombie and no timer is left.
        """
        self.assertEqual(zombies(os.getpid()), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual([name for name in pipes() if "memfd" in name], [])
        self.assertEqual(self.handler._running, set())

    def make(self, *words: str, **options: Any) -> CommandHandler:
        given = {name.replace("_", "-"): value for name, value in options.items()}
        handler = makeHandler(self.reactor, OPTIONS | {"exec": list(words)} | given)
        handler.startService()
        self.addCleanup(handler.stopService)
        self.handler = handler
        return handler

    def shell(self, script: str, payload: Any = None, **options: Any) -> Deferred[Any]:
        handler = self.make("sh", "-c", script, str(self.note), **options)
        return handler.handle(Task("t-1", payload, 3))

    async def failure(self, handling: Deferred[Any], kind: type[Exception]) -> Any:
        with self.assertRaises(kind) as caught:
            await handling
        return caught.exception

    async def until(self, condition: Callable[[], Any], seconds: float = 10) -> None:
        deadline = self.reactor.seconds() + seconds
        while not condition():
            if self.reactor.seconds() > deadline:
                self.fail("not in time")
            await deferLater(self.reactor, 0.01)

    async def noted(self, lines: int = 1) -> list[str]:
        await self.until(
            lambda: self.note.exists() and self.note.read_text().count("\n") >= lines
        )
        return self.note.read_text().split()


class MakingTests(SynchronousTestCase):
    """
    L{makeHandler}.
    """

    def refused(self, **options: Any) -> str:
        given = {name.replace("_", "-"): value for name, value in options.items()}
        with self.assertRaises(ValueError) as caught:
            makeHandler(None, OPTIONS | given)
        return str(caught.exception)

    def test_providesItsInterfaces(self) -> None:
        """
        L{CommandHandler} is a handler, and a service.
        """
        handler = makeHandler(Clock(), OPTIONS)
        verifyObject(ITaskHandler, handler)
        verifyObject(IService, handler)
        self.successResultOf(handler.stopService())

    def test_refusesWhatCannotBeStarted(self) -> None:
        """
        A command that could not be started is refused.
        """
        self.assertEqual(
            self.refused(exec=["no-such", "x"]),
            "--exec cannot start its command: "
            "there is no program 'no-such' on the PATH",
        )
        self.assertIn("nothing was given", self.refused(exec=[]))
        self.assertIn("NUL", self.refused(exec=["sh", "a\0b"]))

    def test_refusesWithoutSetsid(self) -> None:
        """
        Without C{setsid} nothing can be run.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "sh").symlink_to("/bin/sh")
        self.patch(os, "environ", os.environ | {"PATH": str(folder)})
        self.assertIn("--exec needs setsid, of util-linux", self.refused())

    def test_refusesOurVariables(self) -> None:
        """
        A variable that holds an option of the consumer is refused for commands.
        """
        self.assertIn(
            "--exec-env does not take CONSUMER_TOKEN_FILE",
            self.refused(exec_env=["HOME", "CONSUMER_TOKEN_FILE"]),
        )

    def test_warnsOfAMissingVariable(self) -> None:
        """
        A variable that is not set is a warning, once, when it is started.
        """
        handler = makeHandler(Clock(), OPTIONS | {"exec-env": ["HOME", "NO_SUCH"]})
        with capturedLogs() as events:
            handler.startService()
        [event] = events
        self.assertEqual(event["names"], "NO_SUCH")


class RefusingReactor(Clock):
    """
    A reactor that starts no process.
    """

    def spawnProcess(self, *args: Any, **kwargs: Any) -> None:
        """
        Fail as the system does when there are too many.
        """
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class StartTests(SynchronousTestCase):
    """
    A command that is not started.
    """

    def test_hasNotBegunWithoutProcesses(self) -> None:
        """
        A task for which the system has no process could not be begun, and leaves
        nothing behind.
        """
        before = pipes()
        handler = makeHandler(RefusingReactor(), OPTIONS)
        with self.assertRaises(NotBegunError) as caught:
            handler.handle(Task("1", None))
        self.assertEqual(
            str(caught.exception),
            "the command cannot be started: Resource temporarily unavailable",
        )
        self.assertEqual(pipes(), before)
        self.successResultOf(handler.stopService())


class ImmortalReactor(Clock):
    """
    A reactor whose processes do not end, not even when they are killed.
    """

    def spawnProcess(self, protocol: Any, *args: Any, **kwargs: Any) -> None:
        # no number of a process is as high as that
        protocol.makeConnection(SimpleNamespace(pid=2**31 - 2))


class ImmortalTests(SynchronousTestCase):
    """
    A command that cannot be killed.
    """

    def test_stopsDespiteAnImmortalCommand(self) -> None:
        """
        Stopping does not wait for ever for a command that does not end, and logs that.
        """
        clock = ImmortalReactor()
        handler = makeHandler(clock, OPTIONS | {"kill-after": 60.0})
        handling = handler.handle(Task("1", None))
        handling.cancel()
        with capturedLogs() as events:
            stopped = handler.stopService()
            self.assertNoResult(stopped)
            clock.advance(KILL_GRACE)
        self.successResultOf(stopped)
        self.assertEqual([event["count"] for event in events], [1])
        self.assertNoResult(handling)
        self.assertEqual(clock.getDelayedCalls(), [])


class EndTests(CommandCase):
    """
    How a command ends.
    """

    async def test_givesTheResult(self) -> None:
        """
        After exit 0, standard output is the result if it is JSON.
        """
        self.assertEqual(await self.shell("""echo '{"a": [1]}'"""), {"a": [1]})
        self.assertIsNone(await self.shell("echo done"))
        self.assertIsNone(await self.shell("echo no; echo '[1]'"))
        self.assertIsNone(await self.shell("exit 0"))

    async def test_givesABigResult(self) -> None:
        """
        A result may come in many pieces.
        """

        script = f"{sys.executable} -c 'print([1] * 300_000)'"
        self.assertEqual(await self.shell(script), [1] * 300_000)

    async def test_tellsExitStatusesApart(self) -> None:
        """
        75 releases, 65 rejects, all others fail, with the last lines of standard error.
        """
        for code, kind in ((75, Release), (65, Reject), (1, TaskFailedError)):
            error = await self.failure(
                self.shell(f"echo '[1]'; echo why >&2; echo so >&2; exit {code}"), kind
            )
            self.assertEqual(str(error), f"exit status {code}: why\nso")

    async def test_namesSignals(self) -> None:
        """
        A command that a signal has killed has failed.
        """
        for name in ("SEGV", "KILL", "TERM"):
            error = await self.failure(self.shell(f"kill -{name} $$"), TaskFailedError)
            self.assertEqual(str(error), f"killed by SIG{name}")
        error = await self.failure(self.shell("kill -40 $$"), TaskFailedError)
        self.assertEqual(str(error), "killed by signal 40")

    async def test_hasNotBegunWhatVanished(self) -> None:
        """
        A command that is not there any more could not be begun, and of no task the log
        says more.
        """
        command = self.folder / "work"
        command.symlink_to("/bin/true")
        handler = self.make(str(command))
        await handler.handle(Task("1", None))
        command.unlink()
        error = await self.failure(handler.handle(Task("1", None)), NotBegunError)
        self.assertRegex(
            str(error), f"^the command cannot be started: setsid: .*{command}.*"
        )
        self.assertEqual(self.events, [])

    async def test_hasNotBegunWhatCannotBeStarted(self) -> None:
        """
        A command that cannot be executed any more, or whose interpreter is gone, could
        not be begun.
        """
        command, interpreter = self.folder / "work", self.folder / "python"
        command.write_text(f"#!{interpreter}\n")
        command.chmod(0o755)
        interpreter.symlink_to("/bin/sh")
        handler = self.make(str(command))
        await handler.handle(Task("1", None))
        interpreter.unlink()
        await self.failure(handler.handle(Task("1", None)), NotBegunError)
        command.write_text("")
        command.chmod(0o644)
        await self.failure(handler.handle(Task("1", None)), NotBegunError)
        self.assertEqual(self.events, [])

    async def test_findsNothingItself(self) -> None:
        """
        A command that does not find something of its own fails, with whatever status.
        """
        table = {
            "no-such-thing": "not found",
            "setsid no-such-thing": "setsid: failed to execute no-such-thing",
            "echo setsid: $0 >&2; echo so >&2; exit 127": "exit status 127: setsid: ",
            "echo setsid: /bin/sh >&2; exit 3": "exit status 3: setsid: ",
            "exit 126": "exit status 126",
        }
        for script, text in table.items():
            error = await self.failure(self.shell(script), TaskFailedError)
            self.assertIn(text, str(error))

    async def test_logsOutput(self) -> None:
        """
        What a command writes is logged with the task's id.
        """
        await self.shell("echo out; echo err >&2")
        self.assertEqual(
            {(e["id"], e["stream"], e["line"]) for e in self.events if "stream" in e},
            {("t-1", "stdout", "out"), ("t-1", "stderr", "err")},
        )

    async def test_rejectsABadID(self) -> None:
        """
        An id that no environment can hold is not for a command.
        """
        handler = self.make("sh")
        with self.assertRaises(Reject):
            handler.handle(Task("a\0b", None))

    async def test_rejectsALongID(self) -> None:
        """
        An id that is too long is rejected; if something else is too long, the task
        could not be begun.
        """
        handler = self.make("sh")
        with self.assertRaises(Reject) as caught:
            handler.handle(Task("x" * 200_000, None))
        self.assertIn("its id is too long", str(caught.exception))
        handler = self.make("sh", "-c", ":", "x" * 200_000)
        with self.assertRaises(NotBegunError):
            handler.handle(Task("1", None))


class InputTests(CommandCase):
    """
    What a command is given.
    """

    async def test_passesThePayload(self) -> None:
        """
        The payload is on standard input, as JSON.
        """
        payload = {"a": ["ü", 1.5, None], "b": "x" * 5_000_000}
        self.assertEqual(await self.shell("cat", {"a": 1}), {"a": 1})
        self.assertEqual(await self.shell("wc -c", payload), len(json.encode(payload)))

    async def test_needNotReadThePayload(self) -> None:
        """
        Whether and when the payload is read is the command's affair.
        """
        payload = "x" * 5_000_000
        self.assertEqual(await self.shell("echo 1", payload), 1)
        self.assertEqual(await self.shell("exec <&-; sleep 0.1; echo 2", payload), 2)
        self.assertEqual(await self.shell("head -c 3 >&2; echo 3", payload), 3)

    async def test_worksOnAnOldSystem(self) -> None:
        """
        The payload is on standard input also if the system cannot make a file in memory
        that is not executable.
        """
        create, old = os.memfd_create, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING

        def memfd_create(name: str, flags: int = os.MFD_CLOEXEC) -> int:
            if flags & ~old:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return create(name, flags)

        self.patch(os, "memfd_create", memfd_create)
        self.assertEqual(await self.shell("cat", [1]), [1])

    async def test_passesAFileThatCannotBeExecuted(self) -> None:
        """
        The file that standard input is cannot be executed, as some systems demand.
        """
        try:
            os.close(os.memfd_create("", 0x8))
        except OSError:
            raise SkipTest("this Linux does not know that") from None
        GET_SEALS, SEAL_EXEC = 1034, 0x20
        script = f"import fcntl; print(fcntl.fcntl(0, {GET_SEALS}) & {SEAL_EXEC})"
        handler = self.make(sys.executable, "-c", script)
        self.assertEqual(await handler.handle(Task("1", None)), SEAL_EXEC)

    async def test_scrubsTheEnvironment(self) -> None:
        """
        The environment has the task, what is usual, and what was asked for.
        """
        for name, value in (("SECRET", "s"), ("WANTED", "w ü"), ("CONSUMER_URL", "u")):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name)
        handler = self.make("env", "-0", exec_env=["WANTED", "NOT_THERE"])
        await handler.handle(Task(17, None, 2))
        [line] = [event["line"] for event in self.events if "stream" in event]
        environment = dict(item.split("=", 1) for item in line.split("\\x00") if item)
        usual = {
            n: os.environ[n] for n in ("PATH", "HOME", "LANG", "TZ") if n in os.environ
        }
        self.assertEqual(
            environment,
            usual | {"TASK_ID": "17", "TASK_ATTEMPT": "2", "WANTED": "w ü"},
        )

    async def test_usesNoShell(self) -> None:
        """
        The words of a command are handed over as they are, to no shell.
        """
        script = "import json, sys; print(json.dumps(sys.argv[1:]))"
        handler = self.make(sys.executable, "-c", script, "$HOME", "a b", "*", "--wait")
        self.assertEqual(
            await handler.handle(Task("1", None)), ["$HOME", "a b", "*", "--wait"]
        )

    async def test_passesNoDescriptors(self) -> None:
        """
        A command gets its three descriptors and no other, not even one that is
        inheritable.
        """
        extra = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, extra)
        os.set_inheritable(extra, True)
        script = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
        handler = self.make(sys.executable, "-c", script)
        # the last one is what the folder itself is read through
        self.assertEqual(await handler.handle(Task("1", None)), [0, 1, 2, 3])

    async def test_leadsASession(self) -> None:
        """
        A command leads a session of its own, and has no signal ignored.
        """
        script = """if True:
            import json, os, signal
            leads = os.getpgid(0) == os.getsid(0) == os.getpid()
            usual = signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
            print(json.dumps([leads, usual, os.getppid()]))
        """
        handler = self.make(sys.executable, "-c", script)
        self.assertEqual(
            await handler.handle(Task("1", None)), [True, True, os.getpid()]
        )


class CancelTests(CommandCase):
    """
    A command that is to end.
    """

    async def test_terminatesWhenCancelled(self) -> None:
        """
        A cancelled command gets SIGTERM, and its task ends when the command has ended.
        """
        handling = self.shell(
            "trap 'sleep 0.3; echo term >>$0; exit 3' TERM;"
            "echo ready >>$0; sleep 60 & wait"
        )
        await self.noted()
        handling.cancel()
        self.assertNoResult(handling)
        await self.failure(handling, CancelledError)
        self.assertEqual(await self.noted(2), ["ready", "term"])

    async def test_completesNothingAfterACancel(self) -> None:
        """
        A cancelled command that exits with 0 is not taken for complete: it may not have
        done all of its work.
        """
        handling = self.shell("trap 'echo 1; exit 0' TERM; echo >>$0; sleep 60 & wait")
        await self.noted()
        handling.cancel()
        await self.failure(handling, CancelledError)

    async def test_killsWhatIgnoresSIGTERM(self) -> None:
        """
        What does not mind SIGTERM gets SIGKILL when its time is over, with all of its
        group; and the time does not begin anew when it is cancelled once more.
        """
        handling = self.shell(
            "trap '' TERM; echo $$ >>$0;"
            "sh -c 'echo $$ >>$0; sleep 60' $0 & wait; sleep 60",
            kill_after=0.5,
        )
        pids = await self.noted(2)
        began = self.reactor.seconds()
        handling.cancel()
        await deferLater(self.reactor, 0.3)
        handling.cancel()
        self.assertNoResult(handling)
        await self.failure(handling, CancelledError)
        taken = self.reactor.seconds() - began
        self.assertTrue(0.5 <= taken < 0.75, taken)
        await self.until(lambda: not any(isAlive(pid) for pid in pids))

    async def test_terminatesOwnGroups(self) -> None:
        """
        What a script puts into process groups of its own gets both signals, too.
        """
        table = {
            "timeout": "timeout 100 sh -c 'echo $$ >>$0; exec sleep 60' $0",
            "set -m": "bash -c 'set -m; sleep 60 & echo $! >>$0; wait' $0",
            "stubborn": "timeout 100 sh -c "
            "'trap \"\" TERM; echo $$ >>$0; while :; do sleep 60; done' $0",
        }
        for name, script in table.items():
            self.note.unlink(missing_ok=True)
            handling = self.shell(f"echo $$ >>$0; {script}; :", kill_after=0.5)
            pids = await self.noted(2)
            self.assertEqual(len({os.getpgid(int(pid)) for pid in pids}), 2, name)
            handling.cancel()
            await self.failure(handling, CancelledError)
            self.assertEqual([pid for pid in pids if isAlive(pid)], [], name)

    async def test_givesTheGroupTime(self) -> None:
        """
        Where the command dies of SIGTERM at once, as a shell does, what it has started
        still has its time.
        """
        handling = self.shell(
            'sh -c \'trap "sleep 0.4; echo term >>$0; exit" TERM;'
            "echo $PPID >>$0; sleep 60 & wait' $0; exit"
        )
        [parent] = await self.noted()
        handling.cancel()
        await self.until(lambda: not isAlive(int(parent)))
        self.assertNoResult(handling)
        await self.failure(handling, CancelledError)
        self.assertEqual(await self.noted(2), [parent, "term"])

    async def test_terminatesAtOnce(self) -> None:
        """
        A command may be cancelled as soon as it was started, before it leads a group.
        """
        for _ in range(20):
            handling = self.shell("sleep 60")
            handling.cancel()
            await self.failure(handling, CancelledError)

    async def test_completesDespiteALateCancel(self) -> None:
        """
        A command that is cancelled after its end, but before that of its output, has
        ended well.
        """
        handling = self.shell("setsid sleep 2 & echo $$ >>$0; echo 7")
        [pid] = await self.noted()
        # not before it is reaped is it known to have ended
        await self.until(lambda: not Path(f"/proc/{pid}").exists())
        handling.cancel()
        self.assertEqual(await handling, 7)


class LeftoverTests(CommandCase):
    """
    What a command leaves behind.
    """

    async def test_killsAGrandchild(self) -> None:
        """
        What of its group outlives the command is killed, and its output not waited for.
        """
        began = self.reactor.seconds()
        result = await self.shell(
            "sh -c 'trap \"\" TERM; sleep 60' & echo $! >>$0; echo 1"
        )
        self.assertEqual(result, 1)
        self.assertLess(self.reactor.seconds() - began, OUTPUT_GRACE)
        [pid] = await self.noted()
        await self.until(lambda: not isAlive(pid))

    async def test_killsAnOwnGroup(self) -> None:
        """
        A process that was put into a group of its own is killed, too, when it outlives
        the command.
        """
        began = self.reactor.seconds()
        script = "timeout 60 sleep 60 & echo $! >>$0; sleep 0.1; echo 1"
        self.assertEqual(await self.shell(script), 1)
        self.assertLess(self.reactor.seconds() - began, OUTPUT_GRACE)
        [pid] = await self.noted()
        self.assertFalse(isAlive(pid))

    async def test_readsOutputWhileTheReactorIsBusy(self) -> None:
        """
        Where the reactor has hardly a turn as the command ends, its output is read all
        the same.
        """
        self.patch(stages, "OUTPUT_GRACE", 0.1)
        handling = self.shell(f"{sys.executable} -c 'print([1] * 20_000)'")

        def block() -> None:
            time.sleep(0.03)
            if not handling.called:
                self.reactor.callLater(0, block)

        block()
        self.assertEqual(await handling, [1] * 20_000)
        # so that the last of these is over
        await deferLater(self.reactor, 0)

    async def test_letsGoOfWhatHasLeftTheSession(self) -> None:
        """
        What has left the session and holds the output is let go; the task ends soon.
        """
        # until something is waited for, the reactor does not run
        await deferLater(self.reactor, 0)
        before = pipes()
        began = self.reactor.seconds()
        result = await self.shell(
            "setsid sh -c 'echo $$ >>$0; exec sleep 60' $0 &"
            "while ! [ -s $0 ]; do :; done; echo 1"
        )
        self.assertEqual(result, 1)
        taken = self.reactor.seconds() - began
        self.assertTrue(OUTPUT_GRACE <= taken < OUTPUT_GRACE + 1, taken)
        self.assertEqual(pipes(), before)
        [pid] = await self.noted()
        os.kill(int(pid), signal.SIGKILL)

    async def test_reapsOrphans(self) -> None:
        """
        Where orphans become our children, as those of process 1 do, they are reaped.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        PR_SET_CHILD_SUBREAPER = 36
        self.assertEqual(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0)
        self.addCleanup(libc.prctl, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        self.assertEqual(await self.shell("sleep 60 & sleep 60 & echo 1"), 1)
        self.assertEqual(zombies(os.getpid()), [])
        self.assertEqual(await self.shell("timeout 60 sleep 60 & sleep 0.1; echo 1"), 1)
        self.assertEqual(zombies(os.getpid()), [])
        handling = self.shell("sleep 60; exit", kill_after=30)
        await deferLater(self.reactor, 0.3)
        handling.cancel()
        await self.failure(handling, CancelledError)
        self.assertEqual(zombies(os.getpid()), [])

    async def test_leavesNothingOpen(self) -> None:
        """
        Many commands, one after the other, leave no descriptor open.
        """
        handler = self.make("true")
        await handler.handle(Task("1", None))
        before = pipes()
        for _ in range(5):
            for handling in [handler.handle(Task("1", None)) for _ in range(10)]:
                await handling
        self.assertEqual(len(pipes()), len(before))


class StopTests(CommandCase):
    """
    Stopping the handler.
    """

    async def test_kills(self) -> None:
        """
        What still runs is killed and reaped, even if it has been told to end before.
        """
        script = "trap '' TERM; echo $$ >>$0; sleep 60 & wait; sleep 60"
        handler = self.make("sh", "-c", script, str(self.note))
        handlings = [handler.handle(Task(str(n), None)) for n in range(3)]
        pids = await self.noted(3)
        handlings[0].cancel()
        began = self.reactor.seconds()
        await handler.stopService()
        self.assertLess(self.reactor.seconds() - began, 1)
        self.assertEqual([pid for pid in pids if isAlive(pid)], [])
        for handling in handlings:
            await self.failure(handling, CancelledError)
        self.successResultOf(handler.stopService())
        handler.startService()
        handling = handler.handle(Task("again", None))
        await self.noted(4)
        handling.cancel()
        await handler.stopService()
        await self.failure(handling, CancelledError)
