"""
C{--protocol plain}: any endpoint that answers a GET with a task.
"""

from __future__ import annotations

from typing import Any

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import returning, sleeping
from tests.acceptance.model import Job


class PlainTests(AcceptanceCase):
    """
    An endpoint of C{--protocol plain} gets GET requests alone.
    """

    async def expectAllRun(self, count: int, **options: Any) -> None:
        """
        Wait until C{count} tasks have run, within the limit, by GET alone, each on a
        connection of its own.
        """
        self.start(protocol="plain", limit=3, **options)
        await self.untilEvents("end", count)
        await self.until(lambda: self.queue.count("ready") == 0, "none is left")
        self.assertEqual(len(self.entries("start")), count)
        self.assertLessEqual(self.mostAtOnce(), 3)
        gets = self.endpoint.requests("get")
        self.assertEqual(self.endpoint.seen, gets)
        self.assertEqual(self.endpoint.connections, len(gets))

    async def test_runsOneTaskAnAnswer(self) -> None:
        """
        An answer may be one task.
        """
        self.queue.putAll(sleeping(0.05), 12)
        await self.expectAllRun(12)
        self.assertIn("job-0", {entry.id for entry in self.entries()})

    async def test_runsAListOfTasks(self) -> None:
        """
        An answer may be a list of tasks, longer than the free slots.
        """
        self.queue.putAll(sleeping(0.05), 3)
        self.endpoint.plainly = lambda jobs: [
            {"id": f"{jobs[0].id}-{n}", "payload": jobs[0].payload} for n in range(5)
        ]
        await self.expectAllRun(15)

    async def test_takesABareValueAsThePayload(self) -> None:
        """
        A value that is not an object with a payload is itself the payload.
        """
        self.queue.putAll(returning(1), 5)

        def bare(jobs: list[Job]) -> Any:
            return jobs[0].payload

        self.endpoint.plainly = bare
        await self.expectAllRun(5)

    async def test_pullsByHTTP10(self) -> None:
        """
        The endpoint may speak HTTP/1.0.
        """
        self.endpoint.http10 = True
        self.queue.putAll(sleeping(0.05), 6)
        await self.expectAllRun(6)

    async def test_waitsTheIntervalWhenThereIsNone(self) -> None:
        """
        C{204} and C{404} mean that there is no task; the next GET follows after
        C{--interval}.
        """
        self.endpoint.plan = faults.first("get", *[faults.status(404)] * 3)
        consumer = self.start(protocol="plain", interval=0.3)
        await self.until(lambda: len(self.endpoint.seen) >= 7, "it asks 7 times")
        times = [seen.at for seen in self.endpoint.seen]
        self.assertGreater(times[6] - times[0], 6 * 0.3 - 0.2)
        self.assertNotIn("#error]", consumer.output)
        self.assertNotIn("#warn]", consumer.output)

    async def test_endsWithUntilEmpty(self) -> None:
        """
        With C{--until-empty} the consumer ends once the endpoint has no task.
        """
        self.queue.putAll(sleeping(0.05), 5)
        consumer = self.start(protocol="plain", until_empty=True)
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.status, 0)
        self.assertEqual(len(self.entries("end")), 5)
