"""
C{--until-empty}: a run that ends, and the status that it ends with.
"""

from __future__ import annotations

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import FAILING, NEVER, returning, sleeping
from tests.acceptance.twistd import Twistd


class UntilEmptyTests(AcceptanceCase):
    """
    The process ends by itself, with a status that says whether all tasks are done.
    """

    async def assertEndsWith(self, status: int, consumer: Twistd) -> None:
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(
            (consumer.ending.signal, consumer.ending.status), (None, status)
        )
        self.assertIn(f"Ending with status {status}\n", consumer.output)

    async def test_endsWith0WhenAllIsDone(self) -> None:
        """
        Once all tasks are done and settled the process ends with 0; no claim waits.
        """
        self.queue.put(sleeping(1))
        self.queue.putAll(sleeping(0.02), 30)
        consumer = self.start(until_empty=True)
        await self.assertEndsWith(0, consumer)
        self.assertCompletedOnce()
        self.assertRegex(consumer.output, r"Nothing is left after \d")
        self.assertIn(": 31 complete; 0 running; 0 waiting\n", consumer.output)
        waits = {seen.body["wait"] for seen in self.endpoint.requests("claim")}
        self.assertEqual(waits, {0})

    async def test_endsAtOnceWithNothingToDo(self) -> None:
        """
        With nothing to do the process ends with 0 at once.
        """
        await self.assertEndsWith(0, self.start(until_empty=True))
        self.assertEqual(len(self.endpoint.requests("claim")), 1)

    async def test_doesNotWaitForDelays(self) -> None:
        """
        A task whose delay is not over is not waited for.
        """
        later = self.queue.put({"do": "release", "delay": 600})
        failed = self.queue.put(FAILING)
        await self.assertEndsWith(0, self.start(until_empty=True, max_attempts=1))
        self.assertEqual((later.state, failed.state), ("delayed", "failed"))

    async def test_endsWith1AfterFiveFailures(self) -> None:
        """
        With nothing running, the fifth failure in a row ends the process with 1.
        """
        self.endpoint.plan = faults.always("claim", faults.status(500))
        consumer = self.start(until_empty=True)
        await self.assertEndsWith(1, consumer)
        self.assertEqual(len(self.endpoint.requests("claim")), 5)
        self.assertRegex(consumer.output, r"Giving up .*, since 5 claims in a row have")
        self.assertNotIn("Traceback", consumer.output)

    async def test_survivesFailuresThatPass(self) -> None:
        """
        Failures that pass do not end the process.
        """
        self.queue.put(returning(1))
        self.endpoint.plan = faults.first(
            "claim", faults.status(500), faults.reset, faults.proxyPage
        )
        await self.assertEndsWith(0, self.start(until_empty=True))
        self.assertCompletedOnce()

    async def test_endsWith1WhenRefused(self) -> None:
        """
        With nothing running, a refusal ends the process with 1 at once.
        """
        self.endpoint.plan = faults.always("claim", faults.status(404))
        consumer = self.start(until_empty=True)
        await self.assertEndsWith(1, consumer)
        self.assertEqual(len(self.endpoint.requests("claim")), 1)
        self.assertRegex(consumer.output, r"Giving up .*, since claims are refused: ")
        self.assertNotIn("next try", consumer.output)

    async def test_countsFailuresInsteadOfLoggingEach(self) -> None:
        """
        Three thousand tasks that fail for good write less than 100 kB, and the last
        lines count them.
        """
        self.queue.putAll(FAILING, 3000)
        consumer = self.start(until_empty=True, max_attempts=1, limit=100)
        await self.assertEndsWith(0, consumer)
        self.assertLess(len(consumer.output), 10_000)
        self.assertEqual(consumer.output.count("Traceback"), 1)
        self.assertIn(": 0 complete, 3,000 failed; 0 running", consumer.output)

    async def test_endsByTheSignal(self) -> None:
        """
        Stopped by a signal the process ends by that signal, and not with 0.
        """
        self.queue.put(NEVER)
        consumer = self.start(until_empty=True, drain=0)
        await self.untilEvents("start", 1)
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, 15)
        self.assertNothingLeased()
