"""
Promise 1: a task whose handler has one of the usual mistakes is never completed undone,
and holds up no other.
"""

from __future__ import annotations

from typing import Any

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.embedded import QueueCase
from tests.acceptance.twistd import Twistd

CARELESS = "tests.acceptance.careless"
PLACES = ("reactor", "thread", "process")


class UnfinishedTests(AcceptanceCase):
    """
    Handlers that hand back work.
    """

    def startCareless(self, name: str = "work", *twistd: str, **options: Any) -> Twistd:
        """
        Start a consumer that does not mind mistakes.
        """
        return self.start(*twistd, python=f"{CARELESS}.{name}", **options)

    async def test_refusesGeneratorFunction(self) -> None:
        """
        A generator function is refused at the start, wherever it is to run, in one line
        that says what was probably meant.
        """
        consumers = [self.startCareless("forgotten", run_in=where) for where in PLACES]
        for consumer in consumers:
            await self.untilEnded(consumer)
            assert consumer.ending is not None
            self.assertEqual(consumer.ending.status, 1)
            [line] = consumer.errors.splitlines()
            self.assertIn(f"'{CARELESS}.forgotten'", line)
            self.assertIn("was @inlineCallbacks forgotten?", line)

    async def assertNeverComplete(self, where: str) -> None:
        """
        Fail unless a function that returns a generator fails its task, and the error
        says what was meant.
        """
        job = self.queue.put("generate")
        consumer = self.startCareless(run_in=where, max_attempts=1)
        await self.untilState("failed")
        self.assertIn("it returned a generator", job.error or "")
        self.assertIn("@inlineCallbacks", job.error or "")
        self.assertNotIn("Traceback", consumer.output)

    async def test_failsGeneratorOnReactor(self) -> None:
        """
        A generator is no result on the reactor.
        """
        await self.assertNeverComplete("reactor")

    async def test_failsGeneratorInThread(self) -> None:
        """
        A generator is no result in a thread.
        """
        await self.assertNeverComplete("thread")

    async def test_failsGeneratorInProcess(self) -> None:
        """
        A generator is no result in a process.
        """
        await self.assertNeverComplete("process")

    async def test_waitsForConcurrentFuture(self) -> None:
        """
        A future of an executor is waited for.
        """
        job = self.queue.put("submit")
        self.startCareless()
        await self.untilState("completed")
        [end] = self.entries("end")
        self.assertGreaterEqual(self.reactor.seconds(), end.at)
        self.assertEqual([d.ended for d in job.deliveries], ["complete"])

    async def test_takesReleaseWithoutInit(self) -> None:
        """
        A subclass of C{Release} that does not call C{__init__} releases its task all
        the same.
        """
        job = self.queue.put("raiseBusy")
        consumer = self.startCareless()
        await self.untilState("delayed")
        [delivery] = job.deliveries
        self.assertEqual(delivery.ended, "release")
        self.assertEqual(delivery.settlement["error"], "the mail server")
        self.assertNotIn("Traceback", consumer.output)

    async def test_keepsSlotOfCancelledCoroutine(self) -> None:
        """
        Promise 2: a coroutine that goes on after its time limit, and after its lease is
        lost, keeps its slot until it has ended, and no outcome is sent for it.
        """
        slow = self.queue.put("cleanUp")
        self.startCareless(
            "asyncWork", "--reactor=asyncio", "-n", limit=1, timeout=0.5, lease=1
        )
        await self.untilEvents("cancelled", 1)
        self.queue.withdraw(slow)
        other = self.queue.put("return")
        await self.untilState("completed", [other])
        [end] = self.entries("end")
        self.assertLess(end.at, other.deliveries[0].at)
        told = [
            settlement["outcome"]
            for request in self.endpoint.requests("settle")
            for settlement in request.body["settle"]
            if settlement["receipt"] == slow.deliveries[0].receipt
        ]
        self.assertEqual(set(told), {"extend"})

    async def test_outlivesExitsOnAsyncio(self) -> None:
        """
        On an asyncio reactor C{sys.exit} and C{KeyboardInterrupt} fail their task, and
        the consumer goes on.
        """
        jobs = [self.queue.put("exit"), self.queue.put("interrupt")]
        self.startCareless("asyncWork", "--reactor=asyncio", "-n")
        await self.untilState("delayed", jobs)
        other = self.queue.put("return")
        await self.untilState("completed", [other])

    async def test_namesReactorForAsyncio(self) -> None:
        """
        A coroutine that awaits what asyncio offers fails, on another reactor, with the
        name of the one that it needs.
        """
        job = self.queue.put("sleep")
        self.startCareless("asyncWork")
        await self.untilState("delayed")
        error = job.deliveries[0].settlement["error"]
        self.assertIn("--reactor=asyncio", error)


class LocalTests(QueueCase):
    """
    Handlers of an embedded queue's tasks.
    """

    async def test_settlesUnencodableText(self) -> None:
        """
        An exception with a file's name that is no UTF-8 holds up no other task, and its
        text is kept as far as it goes.
        """
        consumer = await self.consumeLocal(python=f"{CARELESS}.work", max_attempts=1)
        client = self.client(consumer)
        bad = {"id": "bad", "payload": "raiseText"}
        await client.enqueue(bad, *({"payload": "return"} for _ in range(20)))
        await self.untilCounts(client, completed=20, failed=1)
        task = await client.task("bad")
        self.assertEqual(task["error"], "ValueError: cannot read caf?")
        self.assertIn("cannot read caf", consumer.output)
