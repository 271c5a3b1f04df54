"""
C{twistd consumer --local}: a queue and its consumer in one process.
"""

from __future__ import annotations

import signal
from pathlib import Path

from tests.acceptance.embedded import QueueCase, look, states
from tests.acceptance.handlers import FAILING, NEVER, STUBBORN, returning, sleeping


class LocalTests(QueueCase):
    """
    Tasks come in over HTTP, and are worked off in the same process.
    """

    async def test_runsWhatIsQueued(self) -> None:
        """
        A task is run as soon as it is queued, and its result can be looked up.
        """
        consumer = await self.consumeLocal()
        client = self.client(consumer)
        [id] = await client.enqueue({"payload": returning({"grüße": [1, None]})})
        await self.untilCounts(client, completed=1)
        task = await client.task(id)
        self.assertEqual(
            (task["state"], task["attempts"], task["result"]),
            ("completed", 1, {"grüße": [1, None]}),
        )
        self.assertEqual(len(self.entries("end")), 1)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    async def test_runsHighestPriorityFirst(self) -> None:
        """
        Tasks that were queued before the start are run, the highest priority first.
        """
        queue = await self.serve()
        await self.client(queue).enqueue(
            {"id": "later", "payload": returning(1), "priority": -1},
            {"id": "second", "payload": returning(1)},
            {"id": "third", "payload": returning(1)},
            {"id": "first", "payload": returning(1), "priority": 5},
        )
        await self.stop(queue)
        consumer = await self.consumeLocal(limit=1, until_empty=True)
        await self.untilEnded(consumer)
        self.assertEqual(
            [entry.id for entry in self.entries("end")],
            ["first", "second", "third", "later"],
        )

    async def test_runsAfterDelay(self) -> None:
        """
        A delayed task is run when its delay is over, and not before.
        """
        client = self.client(await self.consumeLocal())
        before = self.reactor.seconds()
        await client.enqueue({"payload": returning(1), "delay": 1.5})
        self.assertEqual((await client.counts())["delayed"], 1)
        await self.untilCounts(client, completed=1)
        [entry] = self.entries("start")
        self.assertGreaterEqual(entry.at - before, 1.5)
        self.assertLess(entry.at - before, 3.5)

    async def test_keepsFailedForRetry(self) -> None:
        """
        A task that fails in its last attempt is kept with its payload and the error,
        and is run again when it is retried.
        """
        client = self.client(await self.consumeLocal(max_attempts=1))
        await client.enqueue(
            {"id": "a/b", "payload": FAILING}, {"id": "c", "payload": FAILING}
        )
        await self.untilCounts(client, failed=2)
        failed = (await client.ask("GET", "/failed")).json
        self.assertNotIn("next", failed)
        for task, id in zip(failed["failed"], ["a/b", "c"], strict=True):
            self.assertEqual((task["id"], task["payload"]), (id, FAILING))
            self.assertEqual(task["attempts"], 1)
            self.assertIn("ZeroDivisionError: one too many", task["error"])
            self.assertGreaterEqual(task["ended"], task["enqueued"])
        retry = {"ids": ["a/b", "nothing"]}
        retried = await client.ask("POST", "/failed/retry", retry)
        self.assertEqual(retried.json, {"retried": 1, "unknown": ["nothing"]})
        await self.untilEvents("start", 3)
        await self.untilCounts(client, failed=2)
        self.assertEqual(
            [(e.id, e.attempt) for e in self.entries("start")][-1], ("a/b", 1)
        )
        retried = await client.ask("POST", "/failed/retry", {"all": True})
        self.assertEqual(retried.json, {"retried": 2})
        await self.untilEvents("start", 5)

    async def test_endsOnceEmpty(self) -> None:
        """
        With C{--until-empty} the consumer ends with status 0 once nothing is left to be
        done now.
        """
        queue = await self.serve()
        tasks = [{"payload": sleeping(0.01)} for _ in range(50)]
        later = {"payload": returning(1), "delay": 600}
        await self.client(queue).enqueue(*tasks, later)
        await self.stop(queue)
        consumer = await self.consumeLocal(until_empty=True)
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual((consumer.ending.signal, consumer.ending.status), (None, 0))
        self.assertEqual(states(self.file), {"completed": 50, "delayed": 1})
        self.assertEqual(len(self.entries("end")), 50)
        self.assertNoTraceback(consumer)

    async def test_runsCommand(self) -> None:
        """
        With C{--exec} a command works tasks off; the file is given relative to where
        the consumer is started, and the command does not inherit it.
        """
        consumer = await self.consumeLocal(
            local="here.sqlite", python=None, exec="ls -l /proc/self/fd"
        )
        file = consumer.directory / "here.sqlite"
        client = self.client(consumer)
        await client.enqueue({"payload": 1})
        await self.untilCounts(client, completed=1)
        self.assertEqual(states(file), {"completed": 1})
        self.assertNotIn("here.sqlite", consumer.output.partition("fd/")[2])


class StoppingTests(QueueCase):
    """
    Promise 5: a stop leaves nothing leased in the file.
    """

    async def test_stopsUnderLoad(self) -> None:
        """
        At a stop under load what runs is completed, what waits is ready, and no attempt
        is charged.
        """
        consumer = await self.consumeLocal(limit=8, prefetch=20)
        client = self.client(consumer)
        await client.enqueue(*({"payload": sleeping(0.1)} for _ in range(500)))
        await self.untilEvents("end", 40)
        await self.stop(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.SIGTERM)
        self.assertLess(consumer.stopSeconds, 3)
        found = states(self.file)
        self.assertLessEqual(set(found), {"ready", "completed"})
        self.assertEqual(found["completed"], len(self.entries("end")))
        self.assertEqual(len(self.entries("start")), len(self.entries("end")))
        charged = "SELECT count(*) FROM tasks WHERE state = 'ready' AND attempts"
        self.assertEqual(look(self.file, charged), [(0,)])
        self.assertFalse(Path(f"{self.file}-wal").exists())
        self.assertNoTraceback(consumer)

    async def test_releasesWhatIsCutShort(self) -> None:
        """
        At a stop a task that does not end in time is released, uncounted, whatever its
        handler makes of that.
        """
        consumer = await self.consumeLocal(drain=0.2)
        client = self.client(consumer)
        await client.enqueue({"payload": NEVER}, {"payload": STUBBORN})
        await self.untilEvents("start", 2)
        await self.stop(consumer)
        self.assertEqual(
            look(self.file, "SELECT state, attempts FROM tasks"), [("ready", 0)] * 2
        )

    async def test_skipsWaitingAtSecondSignal(self) -> None:
        """
        A second signal skips the waiting, and still nothing is left leased.
        """
        consumer = await self.consumeLocal(drain=60)
        await self.client(consumer).enqueue({"payload": NEVER})
        await self.untilEvents("start", 1)
        consumer.signal("TERM")
        await self.until(lambda: "draining" in consumer.output, "it drains")
        await self.stop(consumer)
        self.assertLess(consumer.stopSeconds, 3)
        self.assertEqual(states(self.file), {"ready": 1})

    async def test_stopsAtOnceWhileIdle(self) -> None:
        """
        Idle, the consumer is gone within half a second, and other consumers' claims
        that wait are answered.
        """
        seconds = []
        for _ in range(3):
            consumer = await self.consumeLocal()
            other = await self.openClaim(self.client(consumer, "another"))
            await self.stop(consumer)
            seconds.append(consumer.stopSeconds)
            self.assertEqual(await other, [])
        self.assertLess(min(seconds), 0.5)
        self.assertEqual(len(look(self.file, "SELECT * FROM tasks")), 0)
