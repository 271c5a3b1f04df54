"""
What a handler may return and raise, and what becomes of its task.

Promise 1: a task is completed only after its handler ended well.
"""

from __future__ import annotations

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import FAILING, NEVER, returning, sleeping


class HandlingTests(AcceptanceCase):
    """
    Each end of a handler is reported to the endpoint.
    """

    async def test_returns(self) -> None:
        """
        What a handler returns is the result.
        """
        jobs = [self.queue.put(returning(v)) for v in (42, None, {"a": ["ü", 1.5]})]
        self.start()
        await self.untilState("completed")
        self.assertEqual([job.result for job in jobs], [42, None, {"a": ["ü", 1.5]}])

    async def test_completesWithoutAResultThatIsNoJSON(self) -> None:
        """
        A result that is not JSON completes the task without a result, and is an error
        in the log.
        """
        job = self.queue.put({"do": "returnUnsendable"})
        consumer = self.start()
        await self.untilState("completed")
        self.assertNotIn("result", job.deliveries[0].settlement)
        self.assertIn("#error]", consumer.output)

    async def test_releases(self) -> None:
        """
        C{Release} releases the task, counted, to be delivered again after its delay.
        """
        job = self.queue.put({"do": "release", "delay": 0.5})
        consumer = self.start()
        await self.untilEvents("start", 2)
        first, second = job.deliveries[:2]
        self.assertEqual(first.settlement["outcome"], "release")
        self.assertEqual(first.settlement["delay"], 0.5)
        self.assertIs(first.settlement.get("counted", True), True)
        self.assertEqual(second.attempt, 2)
        self.assertNotIn("Traceback", consumer.output)

    async def test_rejects(self) -> None:
        """
        C{Reject} fails the task for good, with the reason.
        """
        job = self.queue.put({"do": "reject"})
        consumer = self.start()
        await self.untilState("failed")
        self.assertEqual(job.error, "no such thing")
        self.assertEqual(len(self.entries("start")), 1)
        self.assertNotIn("Traceback", consumer.output)

    async def test_raises(self) -> None:
        """
        Any other exception releases the task, with a delay that grows, and is logged
        with its traceback.
        """
        job = self.queue.put(FAILING)
        consumer = self.start()
        await self.untilEvents("ZeroDivisionError", 2)
        await self.until(lambda: job.state == "delayed", "it is given back")
        first, second = (delivery.settlement for delivery in job.deliveries)
        self.assertEqual((first["outcome"], second["outcome"]), ("release", "release"))
        self.assertIn("one too many", first["error"])
        self.assertGreater(first["delay"], 0)
        self.assertIn("Traceback", consumer.output)
        self.assertIn("handlers.py", consumer.output)

    async def test_failsForGoodInTheLastAttempt(self) -> None:
        """
        A task that fails in its last attempt has failed for good; a task that is
        delivered past it is failed without being run.
        """
        last = self.queue.put(FAILING, attempts=2)
        past = self.queue.put(returning(1), attempts=3)
        self.start(max_attempts=3)
        await self.untilState("failed")
        self.assertIn("one too many", last.error or "")
        self.assertTrue(past.error)
        self.assertEqual([entry.id for entry in self.entries("start")], [last.id])

    async def test_leavesAttemptsToTheEndpoint(self) -> None:
        """
        With C{--max-attempts 0} no attempt is the last.
        """
        job = self.queue.put(FAILING, attempts=1000)
        self.start(max_attempts=0)
        await self.untilState("delayed")
        self.assertEqual([d.ended for d in job.deliveries], ["release"])

    async def test_timeoutCancels(self) -> None:
        """
        A task that runs for too long is cancelled and released, counted, and its slot
        is used again.
        """
        slow = self.queue.put(NEVER)
        others = self.queue.putAll(sleeping(0.05), 3)
        self.start(limit=1, timeout=0.5)
        await self.untilState("completed", others)
        [delivery] = slow.deliveries
        self.assertEqual((delivery.ended, slow.attempts), ("release", 1))
        self.assertIn("0.5", delivery.settlement["error"])
        self.assertEqual([e.id for e in self.entries("CancelledError")], [slow.id])

    async def test_settlesNothingWithoutAReceipt(self) -> None:
        """
        A task without a receipt is run, and not settled.
        """
        self.queue.put(returning(1), receipt=None)
        self.queue.put(FAILING, receipt=None)
        settled = self.queue.put(returning(1))
        self.start(limit=1)
        await self.untilState("completed", [settled])
        self.assertEqual(len(self.entries("start")), 3)
        settlements = self.endpoint.requests("settle")
        self.assertEqual(
            [item["receipt"] for seen in settlements for item in seen.body["settle"]],
            [settled.deliveries[0].receipt],
        )

    async def test_callsAFunction(self) -> None:
        """
        A handler may be a function that returns a plain value.
        """
        job = self.queue.put(["any", "JSON"])
        self.start(python="tests.acceptance.handlers.plain")
        await self.untilState("completed")
        self.assertEqual(job.result, ["any", "JSON"])

    async def test_waitsForADeferred(self) -> None:
        """
        A handler may return a Deferred.
        """
        job = self.queue.put(sleeping(0.1))
        self.start(python="tests.acceptance.handlers.deferred")
        await self.untilState("completed")
        self.assertEqual(job.result, job.id)

    async def test_awaitsAsyncioAndDeferreds(self) -> None:
        """
        On an asyncio reactor a coroutine may await asyncio's futures and Deferreds.
        """
        jobs = self.queue.putAll(None, 6)
        self.start(
            "--reactor=asyncio", "-n", python="tests.acceptance.handlers.onAsyncio"
        )
        await self.untilState("completed")
        self.assertCompletedOnce()
        for job in jobs:
            self.assertEqual(job.result[1], "AsyncioSelectorReactor")

    async def test_timeoutCancelsAnAsyncioCoroutine(self) -> None:
        """
        On an asyncio reactor a coroutine that awaits asyncio's futures is cancelled
        like any other.
        """
        job = self.queue.put(sleeping(60))
        self.start(
            "--reactor=asyncio",
            "-n",
            python="tests.acceptance.handlers.asyncioSleep",
            timeout=0.3,
        )
        await self.untilEvents("CancelledError", 1)
        await self.untilState("delayed")
        self.assertEqual([d.ended for d in job.deliveries], ["release"])

    async def test_findsAHandlerInTheWorkingDirectory(self) -> None:
        """
        A handler is found in the directory that C{twistd} is started in.
        """
        job = self.queue.put(1)
        self.start(python="local.handler", files={"local.py": LOCAL_HANDLER})
        await self.untilState("completed")
        self.assertEqual(job.result, 2)

    async def test_logsByTheStandardLibrary(self) -> None:
        """
        What a handler logs with the standard library's C{logging} is in the log, with
        its level.
        """
        self.queue.put(1)
        consumer = self.start(python="logs.handler", files={"logs.py": LOGGING_HANDLER})
        await self.untilState("completed")
        await self.until(lambda: "a warning" in consumer.output, "it is logged")
        self.assertIn("[app#warn] Task job-0: a warning of task job-0", consumer.output)
        self.assertNotIn("a detail", consumer.output)


LOGGING_HANDLER = """
import logging

log = logging.getLogger("app")

def handler(task):
    log.info("a detail")
    log.warning("a warning of task %s", task.id)
"""

LOCAL_HANDLER = """
def handler(task):
    return task.payload + 1
"""
