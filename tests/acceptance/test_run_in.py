"""
Callables that block, in threads and in processes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import Any

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import sleeping
from tests.acceptance.model import Job
from tests.acceptance.test_stopping import SLACK
from tests.acceptance.twistd import Twistd
from tests.processes import children, isAlive, session


def computing(seconds: float) -> dict[str, Any]:
    """
    The payload of a task that keeps a processor busy.
    """
    return {"do": "compute", "seconds": seconds}


def untilCancelled(seconds: float = 0) -> dict[str, Any]:
    """
    The payload of a task that goes on for so long after it was cancelled.
    """
    return {"do": "untilCancelled", "seconds": seconds}


def running(*words: str) -> dict[str, Any]:
    """
    The payload of a task that runs a command and waits for it.
    """
    return {"do": "run", "words": words}


# hangs when it is imported for the second time, by the first worker process
HANGS = """
import time

with open("imports", "a+") as imports:
    imports.write("x")
    if imports.tell() == 2:
        time.sleep(600)


def work(task):
    return "done"
"""

COMPOSED = """
import os
import sys

from twisted.application.service import Application
from twisted.internet import reactor

from myconsumer import ConsumerService
from myconsumer.handlers.processes.pool import ProcessHandler
from myconsumer.http import makeClient, parseURL
from myconsumer.queues.json import JSONQueue

sys.path.insert(0, os.getcwd())
sys.dont_write_bytecode = True
handler = ProcessHandler("hangs.work", 1, reactor, startDeadline=2.0)
queue = JSONQueue(makeClient(reactor, connections=4), parseURL(os.environ["URL"]))
consumer = ConsumerService(queue, handler, limit=1)
handler.setServiceParent(consumer)
application = Application("composed")
consumer.setServiceParent(application)
"""


class BlockingCase(AcceptanceCase):
    """
    Starts consumers whose callable blocks.
    """

    where: str

    def startBlocking(self, **options: Any) -> Twistd:
        return self.start(
            python="tests.acceptance.blocking.work", run_in=self.where, **options
        )

    async def stopped(self, consumer: Twistd) -> float:
        """
        Stop a consumer, and give the seconds that it took.
        """
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.SIGTERM)
        self.assertNothingLeased()
        return consumer.stopSeconds

    def assertGivenBack(self, jobs: Iterable[Job]) -> None:
        """
        Each job was delivered once and released, uncounted.
        """
        for job in jobs:
            [delivery] = job.deliveries
            self.assertEqual((delivery.ended, job.attempts), ("release", 0))


class ThreadTests(BlockingCase):
    """
    C{--run-in thread}.
    """

    where = "thread"

    async def test_blocksInAllSlots(self) -> None:
        """
        As many tasks block at once as there are slots, more than the reactor has
        threads, and meanwhile leases are extended, and names looked up.
        """
        jobs = self.queue.putAll(sleeping(2.5), 12)
        url = self.endpoint.url.replace("127.0.0.1", "localhost")
        self.startBlocking(limit=12, lease=1, url=url)
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(self.mostAtOnce(), 12)
        self.assertGreaterEqual(min(j.deliveries[0].extended for j in jobs), 3)

    async def test_reusesThreads(self) -> None:
        """
        There are never more threads than the limit, and not one for each task.
        """
        self.queue.putAll(sleeping(0.02), 100)
        consumer = self.startBlocking(limit=4)
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(self.mostAtOnce(), 4)
        # the interpreter's own, the reactor's for looking up names, and ours
        threads = len(os.listdir(f"/proc/{consumer.pid}/task"))
        self.assertLess(threads, 4 + 5)

    async def test_leavesBlockedThreadsBehind(self) -> None:
        """
        Threads that do not end do not keep the process: their tasks are released when
        the time of a stop is over, uncounted.
        """
        jobs = self.queue.putAll(sleeping(600), 4)
        consumer = self.startBlocking(limit=4, drain=1)
        await self.untilEvents("start", 4)
        seconds = await self.stopped(consumer)
        self.assertGreater(seconds, 1)
        self.assertLess(seconds, 2 + SLACK)
        self.assertGivenBack(jobs)
        self.assertIn("4 threads that do not end are left behind", consumer.output)

    async def test_drains(self) -> None:
        """
        At a stop running tasks may end, and C{task.cancelled} becomes true when their
        time is over.
        """
        ends, late = self.queue.put(sleeping(1.5)), self.queue.put(untilCancelled())
        consumer = self.startBlocking(drain=3)
        await self.untilEvents("start", 2)
        self.assertLess(await self.stopped(consumer), 3 + SLACK)
        self.assertCompletedOnce([ends])
        self.assertEqual([e.id for e in self.entries("cancelled")], [late.id])
        # it ended well when it was told to
        self.assertEqual(late.state, "completed")
        self.assertNotIn("left behind", consumer.output)

    async def test_lostLeaseCancels(self) -> None:
        """
        A task whose lease is lost sees that it is cancelled; its slot is used again
        once its thread has ended, and not before.
        """
        lost = self.queue.put(untilCancelled(1))
        self.startBlocking(limit=1, lease=1)
        await self.untilEvents("start", 1)
        self.queue.withdraw(lost)
        job = self.queue.put({"do": "echo", "text": "x"})
        await self.untilState("completed", [job])
        events = [(e.event, e.id) for e in self.entries()]
        self.assertEqual(
            events,
            [
                ("start", lost.id),
                ("cancelled", lost.id),
                ("end", lost.id),
                ("start", job.id),
                ("end", job.id),
            ],
        )

    async def test_extendsFromAThread(self) -> None:
        """
        A thread may extend its lease.
        """
        job = self.queue.put({"do": "extend", "seconds": 120})
        self.startBlocking()
        await self.untilState("completed")
        [extend] = [s for s in self.endpoint.seen if "extend" in s.outcomes]
        self.assertEqual(extend.body["settle"][0]["lease"], 120)
        self.assertEqual(job.deliveries[0].extended, 1)

    async def test_refusesACoroutineFunction(self) -> None:
        """
        With C{--run-in thread} a coroutine function is refused at the start, in one
        line.
        """
        consumer = self.start(
            python="tests.acceptance.blocking.coroutine", run_in=self.where
        )
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.status, 1)
        [line] = consumer.errors.splitlines()
        self.assertIn(f"--run-in {self.where}", line)


class ProcessTests(BlockingCase):
    """
    C{--run-in process}.
    """

    where = "process"

    async def untilGone(self, pids: Iterable[int], seconds: float = 5) -> None:
        waiting = set(pids)
        await self.until(
            lambda: not any(map(isAlive, waiting)), "they are gone", seconds
        )

    def workers(self, consumer: Twistd) -> set[int]:
        """
        The processes that a consumer has started, zombies too.
        """
        return set(map(int, children(consumer.pid)))

    async def untilAlone(self, pid: int) -> None:
        """
        Wait until nothing is left of the session of a process.
        """
        await self.until(lambda: not session(pid), "the session is empty", 2)

    async def test_computesInParallel(self) -> None:
        """
        Tasks compute in processes of their own, which are used again, and leases are
        extended meanwhile.
        """
        jobs = self.queue.putAll(computing(0.5), 4)
        consumer = self.startBlocking(limit=2, lease=1)
        await self.untilState("completed")
        self.assertCompletedOnce()
        pids = {job.result for job in jobs}
        self.assertEqual(len(pids - {consumer.pid}), 2)
        self.assertEqual(self.workers(consumer), pids)
        first, second = self.entries("start")[:2]
        self.assertLess(second.at, min(e.at for e in self.entries("end")))
        self.assertNotEqual(first.pid, second.pid)
        await self.stopped(consumer)
        self.assertFalse(any(map(isAlive, pids)))

    async def test_killingAProcessFailsItsTaskAlone(self) -> None:
        """
        A process that is killed during its task fails that task, counted and with the
        reason, and it is delivered again; the other tasks go on.
        """
        jobs = self.queue.putAll(sleeping(2), 3)
        consumer = self.startBlocking(limit=3)
        await self.untilEvents("start", 3)
        victim = self.entries("start")[1]
        os.kill(victim.pid, signal.SIGKILL)
        await self.untilState("completed")
        for job in jobs:
            outcomes = [d.ended for d in job.deliveries]
            if job.id == victim.id:
                self.assertEqual(outcomes, ["release", "complete"])
                told = job.deliveries[0].settlement
                self.assertEqual(
                    told["error"], "the worker process was killed by SIGKILL"
                )
                self.assertEqual(job.deliveries[1].attempt, 2)
            else:
                self.assertEqual(outcomes, ["complete"])
        self.assertNotIn("Traceback", consumer.output)
        # it may come again when another process is idle: then none is started for it
        self.assertNotIn(victim.pid, self.workers(consumer))
        self.assertLessEqual(len(self.workers(consumer)), 3)

    async def test_completesAllAlthoughProcessesAreKilled(self) -> None:
        """
        Although processes are killed again and again, all tasks are completed in the
        end.
        """
        self.queue.putAll(sleeping(0.3), 12)
        consumer = self.startBlocking(limit=3)
        for count in (1, 4, 7):
            await self.untilEvents("start", count)
            for pid in self.workers(consumer):
                os.kill(pid, signal.SIGKILL)
        await self.untilState("completed", seconds=60)
        self.assertLessEqual(len(self.workers(consumer)), 3)

    async def test_exitFailsTheTask(self) -> None:
        """
        A process that exits by itself fails its task; C{sys.exit} fails the task alone,
        and the process goes on.
        """
        died = self.queue.put({"do": "dieAtFirst"})
        left = self.queue.put({"do": "exit"})
        self.startBlocking()
        await self.untilState("completed", [died])
        self.assertEqual(
            died.deliveries[0].settlement["error"],
            "the worker process exited with status 3",
        )
        self.assertEqual((died.result, died.attempts), ("done", 2))
        self.assertIn("sys.exit(4)", left.deliveries[0].settlement["error"])

    async def test_passesLargeValues(self) -> None:
        """
        Large payloads and results are passed, a result that is not JSON is left out,
        and what is printed is in the log.
        """
        text = "0123456789" * 500_000
        large = self.queue.put({"do": "echo", "text": text})
        unsendable = self.queue.put({"do": "object"})
        printing = self.queue.put({"do": "print"})
        extending = self.queue.put({"do": "extend", "seconds": 120})
        consumer = self.startBlocking()
        await self.untilState("completed")
        self.assertTrue(large.result == text, "it has changed")
        self.assertNotIn("result", unsendable.deliveries[0].settlement)
        self.assertIn(f"Task {unsendable.id} is completed without", consumer.output)
        self.assertIn(f"a line of {printing.id}", consumer.output)
        self.assertEqual(extending.deliveries[0].extended, 1)

    async def test_lostLeaseEndsTheProcess(self) -> None:
        """
        The process of a task whose lease is lost is ended, and its slot used again.
        """
        lost = self.queue.put(sleeping(600))
        self.startBlocking(limit=1, lease=1)
        await self.untilEvents("start", 1)
        self.queue.withdraw(lost)
        job = self.queue.put({"do": "echo", "text": "x"})
        await self.untilState("completed", [job])
        first, second = self.entries("start")
        self.assertFalse(isAlive(first.pid))
        self.assertNotEqual(first.pid, second.pid)

    async def test_timeoutEndsTheProcess(self) -> None:
        """
        A task that takes too long is ended, and released with that reason.
        """
        warm = self.queue.put({"do": "echo", "text": "x"})
        self.startBlocking(timeout=1.5, limit=1)
        await self.untilState("completed", [warm])
        job = self.queue.put(sleeping(600))
        await self.until(lambda: job.error, "it is given back")
        self.assertEqual(job.error, "timed out after 1.5 s")
        await self.untilGone([self.entries("start")[-1].pid])

    async def test_drains(self) -> None:
        """
        At a stop running tasks may end; a task that does not is ended and released,
        uncounted. No process is left.
        """
        ends = self.queue.put(sleeping(1.5))
        late = self.queue.put(sleeping(600))
        consumer = self.startBlocking(drain=3)
        await self.untilEvents("start", 2)
        self.assertLess(await self.stopped(consumer), 4 + SLACK)
        self.assertCompletedOnce([ends])
        self.assertGivenBack([late])
        self.assertFalse(any(isAlive(e.pid) for e in self.entries("start")))

    async def test_interruptDrains(self) -> None:
        """
        Ctrl-C, which signals the consumer's process group, drains: the processes are
        not in that group.
        """
        self.queue.putAll(sleeping(1.5), 2)
        consumer = self.startBlocking()
        await self.untilEvents("start", 2)
        for entry in self.entries("start"):
            self.assertNotEqual(os.getpgid(entry.pid), os.getpgid(consumer.pid))
        consumer.signal("INT")
        await self.untilEnded(consumer)
        self.assertCompletedOnce()

    async def test_timeoutEndsStartedProcesses(self) -> None:
        """
        Processes that the callable has started end with it when the task takes too
        long, even if they ignore SIGTERM.
        """
        stubborn = "trap : TERM; while :; do sleep 0.1; done"
        job = self.queue.put(running("sh", "-c", stubborn))
        self.startBlocking(timeout=1.5)
        await self.untilEvents("start", 1)
        [first] = self.entries("start")
        await self.until(
            lambda: len(session(first.pid)) > 1, "it has started something"
        )
        await self.until(lambda: job.error, "it is given back")
        await self.untilAlone(first.pid)

    async def test_stopEndsStartedProcesses(self) -> None:
        """
        Processes that the callable has started end with it at a stop.
        """
        self.queue.put(running("sleep", "600"))
        consumer = self.startBlocking(drain=0)
        await self.untilEvents("start", 1)
        [first] = self.entries("start")
        await self.until(
            lambda: len(session(first.pid)) > 1, "it has started something"
        )
        await self.stopped(consumer)
        await self.untilAlone(first.pid)

    async def test_copyAnswersForNoTask(self) -> None:
        """
        A forked copy of a process that returns from the callable as well answers for no
        task.
        """
        forks = self.queue.put({"do": "fork"})
        follows = self.queue.put({"do": "untilCopyEnds"})
        self.startBlocking(limit=1)
        await self.untilState("completed")
        self.assertEqual((forks.result, follows.result), ("mine", "mine"))
        first, second = self.entries("start")
        self.assertEqual(first.pid, second.pid)

    async def test_endsAProcessThatHangsAtItsStart(self) -> None:
        """
        A process that hangs while it imports the callable is ended, and its task is run
        by another.
        """
        job = self.queue.put({})
        consumer = self.spawn(
            ["-noy", "composed.tac"],
            {"URL": self.endpoint.url},
            {"composed.tac": COMPOSED, "hangs.py": HANGS},
        )
        await self.untilState("completed", [job])
        self.assertIn("not ready after 2 s", consumer.output)
        self.assertEqual(len(self.workers(consumer)), 1)

    async def test_toleratesModulesOfTheSameName(self) -> None:
        """
        Modules in the current folder that are named like some of the standard library's
        do not affect the processes.
        """
        job = self.queue.put({"do": "echo", "text": "x"})
        names = ("queue.py", "signal.py", "math.py")
        self.startBlocking(files=dict.fromkeys(names, "raise SystemExit(1)"))
        await self.untilState("completed", [job])

    async def test_processesEndWithAKilledConsumer(self) -> None:
        """
        Processes end with the consumer, busy or not, even if that is killed, and so do
        the processes that they have started.
        """
        idle = self.queue.put({"do": "echo", "text": "x"})
        busy = self.queue.put(running("sleep", "600"))
        computes = self.queue.put(computing(600))
        consumer = self.startBlocking(limit=3)
        await self.untilState("completed", [idle])
        await self.untilEvents("start", 3)
        self.assertEqual({busy.state, computes.state}, {"leased"})
        pids = self.workers(consumer)
        self.assertEqual(len(pids), 3)
        await consumer.kill()
        await self.untilGone(pids)
        for pid in pids:
            await self.untilAlone(pid)

    async def test_refusesACoroutineFunction(self) -> None:
        """
        With C{--run-in process} a coroutine function is refused at the start, in one
        line.
        """
        consumer = self.start(
            python="tests.acceptance.blocking.coroutine", run_in=self.where
        )
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.status, 1)
        [line] = consumer.errors.splitlines()
        self.assertIn(f"--run-in {self.where}", line)
