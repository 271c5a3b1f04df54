"""
C{--exec}: a command for each task.

Promise 8: memory is bounded, however much a command writes.

Promise 9: no secret of the consumer's is in a command's environment.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from twisted.internet.task import deferLater

from myconsumer.task import LONGEST_RESULT
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.model import Job
from tests.acceptance.test_bad_options import assertSays, refused
from tests.acceptance.twistd import CHECKOUT, Twistd
from tests.processes import children, descriptors, isAlive

TOKEN = "consumers-token-a83c12"

#: A shell's script that notes its process id, and goes on as the payload says.
NOTING = 'echo $$ >>"$NOTES"\n'

STUBBORN = (
    NOTING
    + "trap '' TERM\nsh -c 'echo $$ >>\"$NOTES\"; sleep 100' &\nwait\nsleep 100\n"
)


class ExecCase(AcceptanceCase):
    """
    Runs scripts of a shell for the tasks.
    """

    def setUp(self) -> None:
        super().setUp()
        self.notes = self.directory / "notes"
        self.notes.touch()
        self.addCleanup(self.killNoted)

    def killNoted(self) -> None:
        """
        Kill the noted processes, however the test has ended.
        """
        for pid in self.noted():
            if isAlive(pid):
                os.killpg(os.getpgid(int(pid)), signal.SIGKILL)

    def script(
        self,
        script: str,
        *twistd: str,
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> Twistd:
        """
        Start a consumer that runs a script for each task.
        """
        return self.start(
            *twistd,
            environment={"NOTES": str(self.notes)} | (environment or {}),
            files={"work.sh": script},
            **{"python": None, "exec": "sh work.sh", "exec_env": "NOTES"} | options,
        )

    def noted(self) -> list[str]:
        return self.notes.read_text().split()

    async def untilNoted(self, count: int) -> list[str]:
        await self.until(lambda: len(self.noted()) >= count, f"{count} are noted")
        return self.noted()

    async def untilNoneLives(self, seconds: float = 1) -> None:
        await self.until(
            lambda: not any(isAlive(pid) for pid in self.noted()), "none lives", seconds
        )

    async def untilSettled(self, *jobs: Job) -> None:
        """
        Wait until the first delivery of each of these has ended.
        """
        await self.until(
            lambda: all(job.deliveries and job.deliveries[0].ended for job in jobs),
            "each is settled",
        )

    def assertFirstSettlement(self, job: Job, **expected: Any) -> None:
        """
        The first settlement of a job said this.
        """
        settlement = job.deliveries[0].settlement
        self.assertEqual({key: settlement.get(key) for key in expected}, expected)


class EndingTests(ExecCase):
    """
    What becomes of a task when its command ends.
    """

    async def test_exitStatusDecides(self) -> None:
        """
        Exit status 0 completes, 75 releases, 65 fails, any other releases the task; all
        but 0 with the last lines of standard error, and none with a traceback.
        """
        outcomes = {0: "complete", 1: "release", 3: "release", 255: "release"}
        outcomes |= {65: "fail", 75: "release"}
        jobs = {code: self.queue.put(code) for code in outcomes}
        consumer = self.script(
            "code=$(cat)\necho one >&2\necho two >&2\nexit $code\n", wait=1
        )
        await self.untilSettled(*jobs.values())
        for code, outcome in outcomes.items():
            error = f"exit status {code}: one\ntwo" if code else None
            self.assertFirstSettlement(jobs[code], outcome=outcome, error=error)
        for code in (1, 75):
            settlement = jobs[code].deliveries[0].settlement
            self.assertGreater(settlement["delay"], 0)
            self.assertIs(settlement.get("counted", True), True)
        self.assertNotIn("Traceback", consumer.output)

    async def test_failsByASignal(self) -> None:
        """
        A command that dies of a signal has failed in this attempt.
        """
        names = ["SEGV", "KILL", "TERM", "ABRT"]
        jobs = [self.queue.put(name) for name in names]
        self.script("kill -$(tr -d '\"') $$\n")
        await self.untilSettled(*jobs)
        for name, job in zip(names, jobs, strict=True):
            error = f"killed by SIG{name}"
            self.assertFirstSettlement(job, outcome="release", error=error)

    async def test_killingOneFailsItsTaskAlone(self) -> None:
        """
        A command that is killed from outside fails its own task alone, which is
        retried.
        """
        jobs = self.queue.putAll(None, 3)
        self.script(NOTING + "[ $TASK_ATTEMPT = 2 ] || sleep 2\n")
        pids = await self.untilNoted(3)
        os.kill(int(pids[0]), signal.SIGKILL)
        await self.untilState("completed")
        self.assertEqual(sorted(job.attempts for job in jobs), [1, 1, 2])
        [victim] = [job for job in jobs if job.attempts == 2]
        self.assertFirstSettlement(victim, outcome="release", error="killed by SIGKILL")

    async def test_outputIsTheResult(self) -> None:
        """
        Standard output is the result if it is JSON, and is logged if it is not;
        standard error is always logged, with the task's id.
        """
        texts = ['{"a": [1, "ü"]}', "41\n", "no JSON\n[1]", ""]
        jobs = [self.queue.put(text) for text in texts]
        consumer = self.script(
            "echo to standard error >&2\n"
            'python3 -c "import sys, json; sys.stdout.write(json.load(sys.stdin))"\n',
        )
        await self.untilState("completed")
        self.assertEqual(
            [job.result for job in jobs], [{"a": [1, "ü"]}, 41, None, None]
        )
        self.assertIn("Task job-2 stdout: no JSON", consumer.output)
        self.assertIn("Task job-2 stdout: [1]", consumer.output)
        self.assertNotIn("stdout: 41", consumer.output)
        for job in jobs:
            self.assertIn(f"Task {job.id} stderr: to standard", consumer.output)

    async def test_discardsOutput(self) -> None:
        """
        With C{--exec-output discard} standard output is the result all the same, and
        nothing that commands write is in the log, also not what a failure quotes: that
        goes to the endpoint.
        """
        done, failed = self.queue.put(0), self.queue.put(1)
        consumer = self.script(
            'code=$(cat)\necho written >&2\necho "\\"written $code\\""\nexit $code\n',
            exec_output="discard",
            max_attempts=1,
        )
        await self.untilState("completed", [done])
        await self.untilState("failed", [failed])
        self.assertEqual(done.result, "written 0")
        self.assertFirstSettlement(failed, error="exit status 1:\nwritten")
        logged = f"Task {failed.id} failed for good"
        await self.until(lambda: logged in consumer.output, "it is logged")
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertNotIn("written", consumer.output)

    async def test_runsOnAnAsyncioReactor(self) -> None:
        """
        Commands run on an asyncio reactor, too.
        """
        jobs = self.queue.putAll({"a": 1}, 10)
        self.script("cat\n", "--reactor=asyncio", "-n")
        await self.untilState("completed")
        self.assertEqual([job.result for job in jobs], [{"a": 1}] * 10)

    async def test_runsInADaemon(self) -> None:
        """
        A daemon, which has gone to another directory, runs the command that was named
        where the daemon was started.
        """
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir()
        consumer = self.directory / "0"
        job = self.queue.put(None)
        self.script("", "--help", exec="true")
        (consumer / "work").write_text('#!/bin/sh\necho "[$PPID]"\n')
        (consumer / "work").chmod(0o755)
        self.start(
            f"--rundir={elsewhere}",
            "--logfile=log",
            python=None,
            exec=os.path.relpath(consumer / "work", self.directory / "1"),
        )
        await self.untilState("completed")
        [pid] = job.result
        self.assertIn(str(elsewhere), os.readlink(f"/proc/{pid}/cwd"))
        os.kill(pid, signal.SIGTERM)
        await self.until(lambda: not isAlive(pid), "the daemon ends")


class InputTests(ExecCase):
    """
    What a command gets: standard input, environment, descriptors.
    """

    async def test_inputMayBeLeftUnread(self) -> None:
        """
        A command that does not read its input, or closes it, completes its task.
        """
        big = {"kind": "big", "text": "x" * 5_000_000}
        jobs = [self.queue.put(big) for _ in range(3)]
        self.script("exec <&-\nsleep 0.2\necho 7\n", limit=1)
        await self.untilState("completed", jobs)
        self.assertEqual([job.result for job in jobs], [7, 7, 7])

    async def test_inputArrivesWhole(self) -> None:
        """
        A large payload arrives whole on standard input.
        """
        job = self.queue.put("x" * 5_000_000)
        self.script("wc -c\n")
        await self.untilState("completed")
        self.assertEqual(job.result, 5_000_002)

    async def test_environmentHasNoSecret(self) -> None:
        """
        The environment has the task's id and attempt, the usual variables and those of
        C{--exec-env}; no secret, and no option of the consumer's.
        """
        token = self.directory / "token"
        token.write_text(TOKEN)
        self.endpoint.token = TOKEN
        job = self.queue.put(None)
        consumer = self.script(
            f"exec {sys.executable} -c "
            "'import json, os; print(json.dumps(dict(os.environ)))'\n",
            environment={
                "CONSUMER_TOKEN_FILE": str(token),
                "DATABASE_PASSWORD": "hunter2",
                "WANTED": "yes",
                "HOME": "/nowhere",
                "TZ": "Asia/Tokyo",
            },
            exec_env="NOTES,WANTED,NOT_SET",
        )
        await self.untilState("completed")
        for added in ("PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"):
            # a shell's own, and Python's
            job.result.pop(added, None)
        self.assertEqual(
            job.result,
            {
                "PATH": os.environ["PATH"],
                "HOME": "/nowhere",
                "TZ": "Asia/Tokyo",
                "TASK_ID": job.id,
                "TASK_ATTEMPT": "1",
                "NOTES": str(self.notes),
                "WANTED": "yes",
            },
        )
        self.assertEqual(consumer.output.count("without NOT_SET"), 1)

    async def test_inheritsThreeDescriptors(self) -> None:
        """
        A command has its three standard descriptors, and no other.
        """
        jobs = self.queue.putAll(None, 4)
        self.script(
            "exec python3 -c 'import os; print(sorted(map(int, os.listdir("
            '"/proc/self/fd"))))\'\n'
        )
        await self.untilState("completed")
        # the last one is what the folder itself is read through
        self.assertEqual([job.result for job in jobs], [[0, 1, 2, 3]] * 4)


class CancellingTests(ExecCase):
    """
    Commands that are cancelled.
    """

    async def test_timeoutEndsTheSession(self) -> None:
        """
        A command that runs for too long gets SIGTERM, and SIGKILL if it ignores that,
        with all processes that it has started; until then its slot is taken.
        """
        job = self.queue.put(None)
        self.script(
            f"[ $TASK_ID = job-0 ] || exec echo 1\n{STUBBORN}",
            limit=1,
            timeout=0.5,
            kill_after=1,
        )
        await self.untilNoted(2)
        other = self.queue.put(None)
        await deferLater(self.reactor, 1)
        self.assertTrue(all(isAlive(pid) for pid in self.noted()))
        self.assertEqual((job.deliveries[0].ended, other.deliveries), (None, []))
        await self.untilState("completed", [other])
        self.assertFirstSettlement(
            job, outcome="release", error="timed out after 0.5 s"
        )
        first = self.noted()[:2]
        self.assertEqual([pid for pid in first if isAlive(pid)], [])

    async def test_timeoutEndsProcessGroupsOfTheSession(self) -> None:
        """
        At its time limit a command is ended with the process groups that it has made,
        by C{timeout} or by the job control of a shell, and none outlives it.
        """
        table = {
            "timeout": "timeout 100 sh -c 'echo $$ >>\"$NOTES\"; sleep 100; :'\n:\n",
            "jobs": "exec bash -c 'set -m; sleep 100 & echo $! >>\"$NOTES\"; wait'\n",
        }
        script = f'if [ "$(cat)" = 1 ]; then\n{table["timeout"]}fi\n{table["jobs"]}'
        jobs = [self.queue.put(1), self.queue.put(2)]
        self.script(NOTING + script, timeout=1)
        pids = await self.untilNoted(4)
        self.assertEqual(len({os.getsid(int(pid)) for pid in pids}), 2)
        self.assertEqual(len({os.getpgid(int(pid)) for pid in pids}), 4)
        await self.untilSettled(*jobs)
        self.assertEqual([pid for pid in pids if isAlive(pid)], [])

    async def test_lostLeaseEndsTheCommand(self) -> None:
        """
        When the lease of its task is lost, a command is terminated.
        """
        job = self.queue.put(None)
        self.script(NOTING + "exec sleep 100\n", lease=1)
        await self.untilNoted(1)
        self.queue.withdraw(job)
        await self.untilNoneLives(5)
        self.assertEqual(job.deliveries[0].ended, "withdrawn")

    async def test_killsWhatHoldsTheOutputOpen(self) -> None:
        """
        A process that a command leaves running, with the command's output open, delays
        nothing, and is killed.
        """
        job = self.queue.put(None)
        self.script('sh -c \'trap "" TERM; sleep 100\' &\necho $! >>"$NOTES"\necho 5\n')
        await self.untilState("completed", seconds=5)
        self.assertEqual(job.result, 5)
        await self.untilNoneLives()


class StoppingTests(ExecCase):
    """
    Commands that run when the consumer is stopped.
    """

    async def stop(self, consumer: Twistd) -> None:
        consumer.signal("TERM")
        await self.untilEnded(consumer)

    async def test_completesWithinTheDrain(self) -> None:
        """
        At a stop a command that ends in time completes its task.
        """
        job = self.queue.put(None)
        consumer = self.script(NOTING + "sleep 0.5\necho 3\n")
        await self.untilNoted(1)
        await self.stop(consumer)
        self.assertEqual((job.state, job.result), ("completed", 3))
        self.assertLess(consumer.stopSeconds, 2)

    async def test_terminatesAfterTheDrain(self) -> None:
        """
        After the drain a command gets SIGTERM, and its task is released, uncounted,
        however the command takes the signal.
        """
        job = self.queue.put(None)
        consumer = self.script(
            NOTING + "trap 'echo term >>\"$NOTES\"; exit 0' TERM\nsleep 100 &\nwait\n",
            drain=0.5,
        )
        await self.untilNoted(1)
        await deferLater(self.reactor, 0.2)
        await self.stop(consumer)
        self.assertEqual(self.noted().pop(), "term")
        self.notes.write_text(self.noted()[0])
        await self.untilNoneLives()
        self.assertFirstSettlement(job, outcome="release", counted=False)
        self.assertLess(consumer.stopSeconds, 1.5)
        self.assertNothingLeased()

    async def test_killsWhatIgnoresSIGTERM(self) -> None:
        """
        A command that ignores SIGTERM at a stop is killed, with all processes that it
        has started, before the consumer ends.
        """
        jobs = self.queue.putAll(None, 4)
        consumer = self.script(STUBBORN, drain=0.5, kill_after=60)
        await self.untilNoted(8)
        await deferLater(self.reactor, 0.2)
        await self.stop(consumer)
        await self.untilNoneLives()
        self.assertLess(consumer.stopSeconds, 3)
        for job in jobs:
            self.assertFirstSettlement(job, outcome="release", counted=False)
        self.assertNothingLeased()
        self.assertNotIn("Traceback", consumer.output)

    async def test_outlivesAKilledConsumer(self) -> None:
        """
        When the consumer itself is killed, its commands go on, and their tasks are
        delivered again.
        """
        job = self.queue.put(None)
        script = NOTING + "[ $TASK_ATTEMPT = 2 ] || sleep 100\necho $TASK_ATTEMPT\n"
        first = self.script(script, limit=1, lease=1)
        [pid] = await self.untilNoted(1)
        await first.kill()
        self.assertTrue(isAlive(pid))
        self.script(script, lease=1)
        await self.untilState("completed", [job])
        self.assertEqual((job.result, job.attempts), (2, 2))


class CostTests(ExecCase):
    """
    The cost of commands that are many, or write a lot.
    """

    async def test_runsFiftyAtOnce(self) -> None:
        """
        At a limit of fifty, fifty commands run at once, and not one more.
        """
        self.queue.putAll(None, 60)
        consumer = self.script(
            ': >"$NOTES.$$"\n'
            'until [ -e "$NOTES.go" ]; do sleep 0.2; done\n'
            'rm "$NOTES.$$"\n',
            limit=50,
        )

        def running() -> int:
            return len(list(self.directory.glob("notes.[0-9]*")))

        await self.until(lambda: running() == 50, "fifty run", 60)
        await self.always(lambda: running() == 50, "fifty run", 1)
        self.assertEqual(len(children(consumer.pid)), 50)
        (self.directory / "notes.go").touch()
        await self.untilState("completed", seconds=60)
        self.assertEqual(running(), 0)

    async def test_leavesNothingBehind(self) -> None:
        """
        After five hundred commands there are no more descriptors, processes or
        temporary files than before.
        """
        temporary = self.directory / "tmp"
        temporary.mkdir()
        script = (
            "case $(cat) in 1) exit 0;; 2) kill -9 $$;; 3) sleep 100 & exit 65;; esac"
        )
        consumer = self.script(
            script, environment={"TMPDIR": str(temporary)}, limit=10, max_attempts=1
        )
        await self.untilState("completed", self.queue.putAll(1, 20))
        await self.untilIdle()
        before = descriptors(consumer.pid)
        for number in range(500):
            self.queue.put(number % 3 + 1)
        await self.until(
            lambda: self.queue.count("completed") + self.queue.count("failed") == 520,
            "all are done",
            60,
        )
        await self.untilIdle()
        await deferLater(self.reactor, 0.2)
        self.assertEqual(children(consumer.pid), [])
        self.assertEqual(
            [len(before), sum("memfd" in name for name in before)],
            [len(descriptors(consumer.pid)), 0],
        )
        self.assertEqual(list(temporary.iterdir()), [])
        self.assertEqual(
            sorted(path.name for path in consumer.directory.iterdir()),
            ["twistd.pid", "work.sh"],
        )

    async def test_boundsWhatAFloodCosts(self) -> None:
        """
        Commands that write 200 MB, in lines or without, to either stream, make neither
        memory nor the log grow; the lines of the first that are not logged are counted.
        """
        deeds = {
            "err": "yes this is a line of text | head -c 200000000 >&2",
            "out": "yes {} | head -c 200000000",
            "zero": "head -c 200000000 /dev/zero",
            "json": "yes '[' | head -c 200000000",
        }
        quiet = self.queue.put("quiet")
        consumer = self.script(
            "case $(cat) in "
            + "".join(f'\\"{name}\\") {deed};;' for name, deed in deeds.items())
            + " esac",
        )
        await self.untilState("completed", [quiet])
        before, logged = consumer.kilobytes("VmHWM"), len(consumer.output)
        jobs = {"err": self.queue.put("err")}
        await self.untilState("completed", jobs.values(), seconds=90)
        jobs |= {name: self.queue.put(name) for name in deeds if name not in jobs}
        await self.untilState("completed", jobs.values(), seconds=90)
        self.assertEqual({job.result for job in jobs.values()}, {None})
        after, lines = consumer.kilobytes("VmHWM"), consumer.output[logged:]
        print(f"before {before} kB, after {after} kB, {len(lines)} characters logged")
        # of each command's output as much is kept as a result may have
        self.assertLess(after - before, len(jobs) * LONGEST_RESULT / 1024 + 20_000)
        self.assertLess(len(lines), 4 * 200 * 200)
        count = 200_000_000 // len("this is a line of text\n") - 199
        self.assertIn(f"wrote {count} more lines", lines)


class OptionTests(ExecCase):
    """
    The options, and the example.
    """

    async def test_refusesWhatCannotBeStarted(self) -> None:
        """
        A command that cannot be started is refused at the start, in one line.
        """
        folder = self.directory
        (folder / "plain").write_text("#!/bin/sh\n")
        (folder / "script").write_text("#!/no/such/interpreter\n")
        (folder / "script").chmod(0o755)
        for command, said in (
            ("no-such-command x", ["--exec", "'no-such-command'", "PATH"]),
            ("./plain", ["--exec", "'./plain'", "not executable"]),
            ("./script", ["--exec", "'/no/such/interpreter'"]),
            ("'unclosed", ["--exec"]),
            ("", ["--exec"]),
        ):
            line = refused(folder, {"python": None, "exec": command})
            assertSays(line, said)
        line = refused(
            folder, {"python": None, "exec": "true", "exec-env": "CONSUMER_URL"}
        )
        assertSays(line, ["--exec-env", "CONSUMER_URL"])

    async def test_exampleRuns(self) -> None:
        """
        The script among the examples squares the number of its payload, and fails tasks
        without one.
        """
        good, bad = self.queue.put({"number": 12}), self.queue.put({"numbers": []})
        consumer = self.start(python=None, exec=CHECKOUT / "examples" / "work.sh")
        await self.untilSettled(good, bad)
        self.assertEqual((good.state, good.result), ("completed", {"square": 144}))
        self.assertEqual(
            (bad.state, bad.error),
            ("failed", "exit status 65: the payload has no number"),
        )
        self.assertIn(f"Task {good.id} stderr: squaring 12, attempt 1", consumer.output)
