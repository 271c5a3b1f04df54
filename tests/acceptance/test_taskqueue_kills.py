"""
Promise 1: nothing is lost when the queue, or a consumer, is killed.

C{KILLING_TASKS=100000 KILLING_CONSUMERS=4 KILLING_KILLS=5 python -m pytest -s -k
outlivesKillsUnderLoad} does more of it, and prints how often tasks ran.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import count
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.acceptance.embedded import GONE, Client, QueueCase, freePort, look, states
from tests.acceptance.handlers import NEVER, returning
from tests.acceptance.twistd import Twistd

TASKS = int(os.environ.get("KILLING_TASKS", "3000"))
CONSUMERS = int(os.environ.get("KILLING_CONSUMERS", "3"))
KILLS = int(os.environ.get("KILLING_KILLS", "3"))
SEED = int(os.environ.get("KILLING_SEED", "7"))

#: The number of tasks that one request queues, claims or settles.
PORTION = max(50, TASKS // 200)


class UnderLoadTests(QueueCase):
    """
    Producers and consumers work on while the queue dies and comes back.
    """

    timeout = 100 + TASKS // 100

    async def test_outlivesKillsUnderLoad(self) -> None:
        """
        Killed at random while tasks come in and are worked off, and started again on
        the same port and file, the queue loses no task: all are completed, each after
        its handler ended, and no consumer had to be started again.
        """
        random = Random(SEED)
        begun = self.reactor.seconds()
        self.port = freePort()
        self.queues = [await self.serve(self.port)]
        client = self.client(self.queues[0])
        consumers = [self.startOne(client) for _ in range(CONSUMERS)]
        self.queued = self.repeats = 0
        producing = Deferred.fromCoroutine(self.produce(client))
        for moment in sorted(random.uniform(0.02, 0.95) for _ in range(KILLS)):
            await self.eventually(
                lambda moment=moment: self.isPast(client, moment),
                f"{moment:.0%} is done",
                self.timeout,
            )
            await deferLater(self.reactor, random.uniform(0, 0.05))
            await self.queues[-1].kill()
            await deferLater(self.reactor, random.uniform(0, 0.3))
            self.queues.append(await self.serve(self.port))
        await producing
        await self.untilCounts(client, self.timeout, completed=TASKS)
        seconds = self.reactor.seconds() - begun
        counts = await client.counts()
        self.assertEqual(counts, dict.fromkeys(counts, 0) | {"completed": TASKS})
        self.assertEqual([c.ending for c in consumers], [None] * CONSUMERS)
        ended = Counter(entry.id for entry in self.entries("end"))
        self.assertEqual(set(ended), {f"task-{n}" for n in range(TASKS)})
        again = ended.total() - TASKS
        started = len(self.entries("start"))
        print(
            f"{TASKS} tasks, {CONSUMERS} consumers, {KILLS} kills: {seconds:.1f} s, "
            f"{started} runs, {again} second completions, {self.repeats} requests of "
            "the producer repeated"
        )
        # a lease of 60 s outlives a restart, and so does what it is the proof of
        self.assertLessEqual(again, KILLS * CONSUMERS)
        self.assertNoTraceback(*self.queues, *consumers)
        for consumer in consumers:
            await self.stop(consumer)
        await self.stop(self.queues[-1])
        self.assertEqual(states(self.file), {"completed": TASKS})
        self.assertEqual(look(self.file, "PRAGMA integrity_check"), [("ok",)])

    def startOne(self, client: Client) -> Twistd:
        """
        Start a consumer whose handler notes each run.
        """
        return self.start(
            url=client.url,
            limit=10,
            prefetch=20,
            wait=2,
            python="tests.acceptance.handlers.plain",
        )

    async def produce(self, client: Client) -> None:
        """
        Queue all tasks, in portions, each sent again until it was taken.
        """
        for first in range(0, TASKS, PORTION):
            tasks = [
                {"id": f"task-{number}", "payload": number}
                for number in range(first, min(first + PORTION, TASKS))
            ]
            ids = [task["id"] for task in tasks]
            while True:
                try:
                    self.assertEqual(await client.enqueue(*tasks), ids)
                    break
                except GONE:
                    self.repeats += 1
                    await deferLater(self.reactor, 0.05)
            self.queued = first + len(tasks)

    async def isPast(self, client: Client, moment: float) -> bool:
        """
        Whether such a part of all queueing and completing is done.
        """
        completed = (await client.counts())["completed"]
        return self.queued + completed >= 2 * TASKS * moment


class DurableTests(QueueCase):
    """
    What was answered is there after C{SIGKILL}, however soon that came.
    """

    timeout = 100

    async def test_keepsWhatItAnswered(self) -> None:
        """
        After a kill, tasks that were queued are there, what was settled is as it was
        settled, and what was leased goes on being leased.
        """
        random = Random(SEED)
        port = freePort()
        self.names = (f"task-{n}" for n in count())
        told: dict[str, set[str]] = {}
        for _ in range(6):
            queue = await self.serve(port)
            client = self.client(queue)
            if told:
                await self.assertStates(client, told)
            self.left = random.randrange(2, 30)
            told = {state: set() for state in ("queued", "completed", "failed")}
            await gatherResults(
                Deferred.fromCoroutine(work)
                for work in (
                    self.queueing(queue, client, told["queued"]),
                    self.queueing(queue, client, told["queued"]),
                    self.settling(queue, client, "complete", told["completed"]),
                    self.settling(queue, client, "fail", told["failed"]),
                )
            )
            await self.untilEnded(queue)
            self.assertNoTraceback(queue)
        await self.assertStates(self.client(await self.serve(port)), told)

    def answered(self, queue: Twistd) -> None:
        """
        An answer has arrived: with the last one that is wanted the queue is killed.
        """
        self.left -= 1
        if self.left == 0:
            queue.signal("KILL")

    async def queueing(self, queue: Twistd, client: Client, told: set[str]) -> None:
        """
        Queue tasks until the queue is gone.
        """
        try:
            while True:
                ids = await client.enqueue(
                    *({"id": next(self.names), "payload": 1} for _ in range(PORTION))
                )
                told.update(ids)
                self.answered(queue)
        except GONE:
            pass

    async def settling(
        self, queue: Twistd, client: Client, outcome: str, told: set[str]
    ) -> None:
        """
        Claim and settle tasks until the queue is gone.
        """
        try:
            while True:
                tasks = await client.claim(PORTION, wait=5)
                settle = [{"receipt": t["receipt"], "outcome": outcome} for t in tasks]
                answer = await client.ask("POST", "/settle", {"settle": settle})
                self.assertEqual(answer.json, {"lost": []})
                told.update(task["id"] for task in tasks)
                self.answered(queue)
        except GONE:
            pass

    async def assertStates(self, client: Client, told: dict[str, set[str]]) -> None:
        """
        What is in the file agrees with what was told before, and with its counts.
        """
        known = dict(look(self.file, "SELECT id, state FROM tasks"))
        self.assertLessEqual(told["queued"], set(known))
        for state in ("completed", "failed"):
            self.assertEqual({known[id] for id in told[state]} - {state}, set())
        counts = await client.counts()
        self.assertEqual(counts, dict.fromkeys(counts, 0) | Counter(known.values()))

    async def test_keepsLeases(self) -> None:
        """
        Leases outlive the queue: nobody else gets the tasks, and they are settled with
        the receipts from before. What was leased to a claim that is ended after that is
        released, uncounted.
        """
        port = freePort()
        queue = await self.serve(port)
        client = self.client(queue)
        await client.enqueue(*({"id": str(n), "payload": n} for n in range(3)))
        [first] = await client.claim(claim="one")
        [second] = await client.claim(claim="two")
        await client.settle(second["receipt"], "extend", lease=90)
        await queue.kill()
        queue = await self.serve(port)
        self.assertEqual([t["id"] for t in await client.claim(10)], ["2"])
        self.assertTrue(await client.settle(first["receipt"], "complete", result=[1]))
        self.assertTrue(await client.settle(first["receipt"], "complete", result=[1]))
        self.assertEqual((await client.task("0"))["result"], [1])
        claimed = await self.openClaim(client)
        ended = await client.ask("DELETE", "/claim/two")
        self.assertEqual(ended.status, 204)
        [again] = await claimed
        self.assertEqual((again["id"], again["attempt"]), ("1", 1))
        self.assertFalse(await client.settle(second["receipt"], "complete"))
        self.assertTrue(await client.settle(again["receipt"], "complete"))


class ConsumerKilledTests(QueueCase):
    """
    C{SIGKILL} for consumers.
    """

    async def test_retriesAfterLease(self) -> None:
        """
        A task that a killed consumer ran is retried when its lease has expired, one
        attempt later, with that as its error.
        """
        client = self.client(await self.serve())
        consumer = self.start(url=client.url, limit=2, lease=2)
        ids = await client.enqueue({"payload": NEVER}, {"payload": NEVER})
        await self.untilEvents("start", 2)
        await consumer.kill()
        self.assertEqual((await client.counts())["leased"], 2)
        claimed: list[Any] = []
        while len(claimed) < 2:
            claimed += await client.claim(2, wait=10)
        self.assertEqual(
            [(t["id"], t["attempt"]) for t in claimed], [(i, 2) for i in ids]
        )
        for id in ids:
            error = (await client.task(id))["error"]
            self.assertEqual(error, "its lease ended in attempt 1")

    async def test_localOutlivesKill(self) -> None:
        """
        A consumer that is killed with the queue that it serves itself completes
        everything once it is started again.
        """
        consumer = await self.consumeLocal(limit=8, prefetch=8, lease=2)
        client = self.client(consumer)
        payloads = ({"payload": returning(n)} for n in range(300))
        await client.enqueue(*payloads)
        await self.untilEvents("end", 30)
        await consumer.kill()
        before = states(self.file).get("leased", 0)
        consumer = await self.consumeLocal(limit=8, lease=2)
        client = self.client(consumer)
        await self.untilCounts(client, completed=300)
        ended = Counter(entry.id for entry in self.entries("end"))
        self.assertEqual(len(ended), 300)
        self.assertLessEqual(ended.total() - 300, before)
        self.assertNoTraceback(consumer)
