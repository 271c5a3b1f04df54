"""
A machine that cannot start things for a while.

Promise 1: a task that cannot be begun is not lost, and keeps its attempt.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from tests.acceptance.model import Job
from tests.acceptance.test_bad_options import refused
from tests.acceptance.test_exec import ExecCase
from tests.acceptance.twistd import Twistd
from tests.processes import descriptors

#: Goes on until it is told to end.
WAITING = 'while ! [ -e "$NOTES.end" ]; do sleep 0.05; done\n'


class NotBegunTests(ExecCase):
    """
    Tasks that cannot be begun are released as if they had not been delivered, and
    claiming pauses.
    """

    def setUp(self) -> None:
        super().setUp()
        self.end = Path(f"{self.notes}.end")

    async def untilNotBegun(self, consumer: Twistd) -> None:
        """
        Wait until the consumer says that it cannot begin tasks, and for two trials.
        """
        await self.until(
            lambda: "Tasks cannot be begun" in consumer.output, "it is said"
        )
        claims = len(self.endpoint.requests("claim"))
        await self.until(
            lambda: len(self.endpoint.requests("claim")) >= claims + 2, "it is tried"
        )
        for claim in self.endpoint.requests("claim")[claims:]:
            self.assertEqual(claim.body["limit"], 1)

    def assertNoneSuffered(self, jobs: list[Job], consumer: Twistd) -> None:
        """
        No task has lost an attempt, and the log has two lines about all of it.
        """
        self.assertEqual({job.attempts for job in jobs}, {1})
        for job in jobs:
            for delivery in job.deliveries[:-1]:
                self.assertIs(delivery.settlement["counted"], False)
        # all at first, one at a time, and all again
        self.assertLess(len(self.queue.deliveries), 2 * len(jobs) + 10)
        lines = consumer.output.splitlines()
        told = [line for line in lines if "Task" in line]
        self.assertEqual(len(told), 2, told)
        self.assertIn("begun again", told[1])
        self.assertNotIn("Traceback", consumer.output)

    async def test_pausesWithoutDescriptors(self) -> None:
        """
        With too few descriptors for all commands the running ones go on, and no task
        loses an attempt.
        """
        consumer = self.script(WAITING, limit=20, wait=5)
        await self.untilIdle()
        usual = resource.prlimit(consumer.pid, resource.RLIMIT_NOFILE)
        few = len(descriptors(consumer.pid)) + 15
        resource.prlimit(consumer.pid, resource.RLIMIT_NOFILE, (few, usual[1]))
        jobs = self.queue.putAll(None, 20)
        await self.untilNotBegun(consumer)
        self.assertIn("Too many open files", consumer.output)
        self.assertGreater(len(self.queue.held()), 2)
        resource.prlimit(consumer.pid, resource.RLIMIT_NOFILE, usual)
        self.end.touch()
        await self.untilState("completed")
        self.assertNoneSuffered(jobs, consumer)

    async def test_pausesWithoutTheProgram(self) -> None:
        """
        While the program is missing, as during a deployment, no task is lost.
        """
        program = self.directory / "program"
        program.symlink_to("/bin/true")
        first = self.queue.put(None)
        consumer = self.script("", exec=str(program), limit=10)
        await self.untilState("completed", [first])
        program.unlink()
        jobs = self.queue.putAll(None, 10)
        await self.untilNotBegun(consumer)
        self.assertIn(f"setsid: failed to execute {program}", consumer.output)
        program.symlink_to("/bin/true")
        await self.untilState("completed")
        self.assertNoneSuffered(jobs, consumer)


def test_refusesALimitWithoutDescriptors(tmp_path: Path) -> None:
    """
    A limit for which there are too few descriptors is refused.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    options: dict[str, Any] = {"python": None, "exec": "true", "limit": str(hard)}
    line = refused(tmp_path, options)
    assert line.startswith(f"consumer: --limit {hard} needs {2 * hard + 50} file")
