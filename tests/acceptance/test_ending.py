"""
How the process of a consumer ends, whatever its handlers have left behind.

Promise 5: a stop leaves nothing leased, whatever handlers have left behind.
"""

from __future__ import annotations

import signal

from tests.acceptance.case import AcceptanceCase

HANDLERS = """
import asyncio, multiprocessing, sys, time
from twisted.internet.threads import deferToThread

async def hang(task):
    await deferToThread(time.sleep, 60)

async def leave():
    sys.exit(3)

async def exitElsewhere(task):
    if task.payload == "exit":
        elsewhere = asyncio.create_task(leave())
    await asyncio.sleep(60)

def terminateChild(task):
    context = multiprocessing.get_context("fork")
    child = context.Process(target=time.sleep, args=(60,))
    child.start()
    time.sleep(0.5)
    child.terminate()
    child.join(10)
    return child.exitcode
"""


class EndingTests(AcceptanceCase):
    """
    Nothing is left leased, and the process ends.
    """

    async def test_leavesABusyThreadBehind(self) -> None:
        """
        A busy thread of the reactor's does not keep the process from ending once
        everything is settled.
        """
        self.queue.put(None)
        consumer = self.start(
            python="handlers.hang", drain=0.2, files={"handlers.py": HANDLERS}
        )
        await self.until(lambda: self.queue.held(), "the task is held")
        await self.untilIdle()
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.SIGTERM)
        self.assertLess(consumer.stopSeconds, 3)
        self.assertIn("left behind", consumer.output)
        self.assertNothingLeased()

    async def test_drainsWhenATaskExits(self) -> None:
        """
        When C{sys.exit} in a task of asyncio's ends the loop, the consumer drains and
        ends with status 1.
        """
        self.queue.putAll("sleep", 2)
        self.queue.put("exit")
        consumer = self.start(
            "-n",
            "--reactor=asyncio",
            python="handlers.exitElsewhere",
            drain=0.2,
            files={"handlers.py": HANDLERS},
        )
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.status, 1)
        self.assertIn("ended by SystemExit(3) in a task", consumer.output)
        self.assertNothingLeased()

    async def test_signalEndsAForkedChildAlone(self) -> None:
        """
        A SIGTERM for a child that a handler has forked ends the child, and not the
        consumer.
        """
        job = self.queue.put(None)
        consumer = self.start(
            python="handlers.terminateChild",
            run_in="thread",
            files={"handlers.py": HANDLERS},
        )
        await self.untilState("completed", [job])
        self.assertEqual(job.result, -signal.SIGTERM)
        await self.untilIdle()
        self.assertIsNone(consumer.ending)
        self.assertNotIn("SIGTERM", consumer.output)
