"""
Tests for C{counts}, C{failed} and C{retry}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from myconsumer.cli.counts import counts
from myconsumer.cli.failed import FailedTask, failed, readable
from myconsumer.cli.retry import PAGE, retry
from myconsumer.cli.running import CommandError
from myconsumer.errors import QueueError
from myconsumer.http import parseURL
from tests.cli.memory import answers, serve


def failure(id: str, **fields: Any) -> dict[str, Any]:
    task = {
        "id": id,
        "payload": {"n": 1.0},
        "attempts": 3,
        "error": "exit status 1:\nno such file",
        "enqueued": 1700000000.0,
        "ended": 1700000001.5,
    }
    return task | fields


class CommandCase(TestCase):
    """
    A queue, and commands that run in this process.
    """

    timeout = 20

    def setUp(self) -> None:
        self.queue, self.url = serve(self)
        self.lines: list[str] = []

    async def run_(self, command: Any, **options: Any) -> list[str]:
        """
        Run a command.

        @return: What it writes.
        """
        given = {"url": parseURL(self.url), "token-file": None, "json": 0} | options
        self.assertEqual(await command(reactor, given, self.lines.append), 0)
        return self.lines


class CountsTests(CommandCase):
    """
    Tests for L{counts}.
    """

    async def test_printsALineAState(self) -> None:
        """
        The counts are a line for each state, in the queue's order.
        """
        self.queue.plan = [answers(200, {"ready": 7, "delayed": 123, "failed": 0})]
        self.assertEqual(
            await self.run_(counts), ["ready      7", "delayed  123", "failed     0"]
        )

    async def test_printsALineAQueue(self) -> None:
        """
        Where the URL is that of all queues the counts are a line for each queue.
        """
        queues = {
            "mail": {"ready": 7, "delayed": 123},
            "x": {"ready": 1000, "delayed": 0},
        }
        self.queue.plan = [answers(200, {"queues": queues})]
        self.assertEqual(
            await self.run_(counts),
            ["      ready  delayed", "mail      7      123", "x      1000        0"],
        )

    async def test_printsCountsAsJSON(self) -> None:
        """
        With C{--json} the counts are one object.
        """
        self.assertEqual(
            await self.run_(counts, json=1),
            ['{"ready":0,"leased":0,"delayed":0,"failed":0,"completed":0}'],
        )

    async def test_refusesOtherAnswers(self) -> None:
        """
        An answer that has no counts is refused in words.
        """
        for body in (b"<html>", [1], {"ready": "x"}):
            self.queue.plan = [answers(200, body)]
            with self.assertRaisesRegex(QueueError, r'"ready": 0, \.\.\.. is expected'):
                await self.run_(counts)


class FailedTests(CommandCase):
    """
    Tests for L{failed}.
    """

    async def test_printsALineATask(self) -> None:
        """
        There is a line for each failed task.
        """
        self.queue.fail(["a"], "exit status 1:\nno such file", attempts=3)
        self.queue.fail(["long"])
        self.assertEqual(
            await self.run_(failed),
            [
                "a     2023-11-14T22:13:21Z  3 attempts   exit status 1: no such file",
                "long  2023-11-14T22:13:21Z  1 attempt    no reason given",
            ],
        )

    async def test_printsTasksAsJSON(self) -> None:
        """
        With C{--json} each failed task is an object on its line, just as the queue
        gives it.
        """
        failures = [failure("a", more=1), failure("\u00fc\n")]
        self.queue.plan = [answers(200, {"failed": failures})]
        lines = await self.run_(failed, json=1)
        self.assertEqual([json.loads(line) for line in lines], failures)
        self.assertIn('"payload":{"n":1.0}', lines[0])
        self.assertEqual(len("".join(lines).splitlines()), 1)

    async def test_asksForAllPages(self) -> None:
        """
        All pages of failed tasks are asked for.
        """
        self.queue.fail([str(number) for number in range(25)])
        self.queue.page = 10
        lines = await self.run_(failed)
        ids = [line.split()[0] for line in lines]
        self.assertEqual(ids, [str(number) for number in range(25)])
        self.assertEqual(
            [path for _, path, _ in self.queue.seen],
            [f"/q/failed?{after}limit=100" for after in ("", "after=10&", "after=20&")],
        )

    async def test_printsNothingForNone(self) -> None:
        """
        Where no task has failed nothing is written.
        """
        self.assertEqual(await self.run_(failed), [])

    async def test_refusesOtherPages(self) -> None:
        """
        An answer that has no failed tasks is refused in words.
        """
        for body in (
            {},
            {"failed": [{"id": 1}]},
            {"failed": [failure("a", ended=1e15)]},
        ):
            self.queue.plan = [answers(200, body)]
            with self.assertRaisesRegex(QueueError, "is expected"):
                await self.run_(failed)

    def test_escapesControlCharacters(self) -> None:
        """
        A line has no characters that a terminal might obey.
        """
        line = readable(FailedTask("a\x1b[2J", 1, "b\x07\x9b"))
        self.assertTrue(line.isprintable(), line)
        self.assertIn("a\\x1b[2J  -  1 attempt", line)


class RetryTests(CommandCase):
    """
    Tests for L{retry}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.queue.fail(["a", "b", "c"])

    async def test_retriesNamedTasks(self) -> None:
        """
        The tasks that are named are retried.
        """
        lines = await self.run_(retry, all=0, ids=["a", "c"])
        self.assertEqual(lines, ["2 tasks to be tried again"])
        self.assertEqual([task["id"] for task in self.queue.failures], ["b"])

    async def test_retriesAllTasks(self) -> None:
        """
        With C{--all} all failed tasks are retried.
        """
        lines = await self.run_(retry, all=1, ids=[])
        self.assertEqual(lines, ["3 tasks to be tried again"])
        self.assertEqual(self.queue.seen[0][2], {"all": True, "limit": PAGE})

    async def test_retriesPageByPage(self) -> None:
        """
        All tasks are retried page by page, each going on where the queue has said.
        """
        self.queue.plan = [
            answers(200, {"retried": 2, "next": [7, 1.5]}),
            answers(200, {"retried": 2, "next": [9, 1.5]}),
            answers(200, {"retried": 1}),
        ]
        lines = await self.run_(retry, all=1, ids=[])
        self.assertEqual(lines, ["5 tasks to be tried again"])
        after = [body.get("after") for _, _, body in self.queue.seen]
        self.assertEqual(after, [None, [7, 1.5], [9, 1.5]])

    async def test_countsWhatWasRetried(self) -> None:
        """
        If the queue fails after some pages, the tasks of those are counted.
        """
        self.queue.plan = [
            answers(200, {"retried": 2, "next": [7, 1.5]}),
            answers(404, {}),
        ]
        with self.assertRaises(QueueError):
            await self.run_(retry, all=1, ids=[])
        self.assertEqual(self.lines, ["2 tasks to be tried again"])

    async def test_namesUnknownTasks(self) -> None:
        """
        Ids that are no failed tasks are named, and the others are retried.
        """
        with self.assertRaises(CommandError) as caught:
            await self.run_(retry, all=0, ids=["a", "x", "y"])
        self.assertEqual(str(caught.exception), "no failed task is called 'x', 'y'")
        self.assertEqual(self.lines, ["1 task to be tried again"])

    async def test_namesFewUnknownTasks(self) -> None:
        """
        Of many unknown ids only some are named.
        """
        with self.assertRaisesRegex(CommandError, "'x9' and 90 more$"):
            await self.run_(retry, all=0, ids=[f"x{n}" for n in range(100)])
