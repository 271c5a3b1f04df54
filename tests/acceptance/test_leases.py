"""
How a consumer keeps the leases that it holds, and what it does when one is lost.

Promise 7: a task whose lease is lost is cancelled, and never started if it was waiting.
"""

from __future__ import annotations

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import NEVER, returning, sleeping


class LeaseTests(AcceptanceCase):
    """
    Leases that are held are extended; tasks whose lease is lost are cancelled.
    """

    async def test_extendsThousandsInFewRequests(self) -> None:
        """
        The leases of 2,000 running tasks are extended with a handful of requests, in
        under 160 MB.
        """
        count, lease = 2000, 4
        self.queue.putAll(NEVER, count)
        consumer = self.start(limit=count, lease=lease)
        await self.untilEvents("start", count)
        before = len(self.endpoint.seen)
        await self.always(
            lambda: len(self.queue.held()) == count, "all are held", 2 * lease
        )
        self.assertIn(len(self.endpoint.seen) - before, range(4, 13))
        self.assertLess(consumer.kilobytes("VmHWM"), 160_000)
        self.assertEqual(len(self.queue.deliveries), count)

    async def test_extendsAllThatIsHeld(self) -> None:
        """
        The leases of tasks that run, that wait, and that have ended and are not settled
        yet are all extended.
        """
        endless = self.queue.putAll(NEVER, 2)
        ended = self.queue.put(returning(1))
        waiting = self.queue.putAll(NEVER, 2)
        self.endpoint.plan = lambda seen: (
            faults.status(500) if "complete" in seen.outcomes else None
        )
        self.start(limit=3, prefetch=1, lease=1.5)
        await self.untilEvents("end", 1)
        held = [*endless, ended, *waiting]
        await self.until(
            lambda: all(d.extended >= 4 for d in self.queue.held()), "all are extended"
        )
        self.assertEqual([job.state for job in held], ["leased"] * 5)
        self.endpoint.plan = lambda seen: None
        await self.untilState("completed", [ended])
        self.assertEqual(len(self.queue.deliveries), 5)

    async def test_extendsWhileTasksBlock(self) -> None:
        """
        While functions block the reactor, one after the other for much longer than a
        lease, the leases of waiting tasks are extended, outcomes are settled, and a
        stop releases the tasks that have not started.
        """
        self.queue.putAll({"seconds": 0.2}, 100)
        consumer = self.start(
            limit=100, lease=3, python="tests.acceptance.handlers.blocking"
        )
        await self.untilEvents("start", 1)
        await self.until(
            lambda: any(d.extended >= 2 for d in self.queue.held()), "some are extended"
        )
        self.assertGreaterEqual(self.queue.count("completed"), 5)
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertLess(consumer.stopSeconds, 3)
        self.assertLess(len(self.entries("start")), 40)
        self.assertNothingLeased()
        ended = {delivery.ended for delivery in self.queue.deliveries}
        self.assertEqual(ended, {"complete", "release"})
        started = {entry.id for entry in self.entries("start")}
        released = [job for job in self.queue.jobs if job.id not in started]
        self.assertEqual({job.attempts for job in released}, {0})

    async def test_obeysTheLeaseOfTheTask(self) -> None:
        """
        A task's own lease counts, not the one that the claim asked for.
        """
        job = self.queue.put(NEVER, lease=1.5)
        self.start(lease=60)
        await self.until(lambda: job.deliveries, "it is delivered")
        [delivery] = job.deliveries
        await self.until(lambda: delivery.extended, "it is extended", seconds=1.5)

    async def test_cancelsTheLostAlone(self) -> None:
        """
        Tasks whose lease is lost are cancelled, no others, and their slots are used
        again.
        """
        jobs = self.queue.putAll(NEVER, 20)
        self.start(limit=20, lease=2)
        await self.untilEvents("start", 20)
        for job in jobs[:10]:
            self.queue.withdraw(job)
        self.queue.putAll(NEVER, 10)
        await self.untilEvents("start", 30)
        self.assertEqual(
            {entry.id for entry in self.entries("CancelledError")},
            {job.id for job in jobs[:10]},
        )
        self.assertEqual(self.mostAtOnce(), 20)
        self.assertEqual(len(self.queue.deliveries), 30)

    async def test_neverStartsALostOne(self) -> None:
        """
        A task that waits for a slot and whose lease is lost is never begun.
        """
        running, waiting = self.queue.putAll(NEVER, 2)
        self.start(limit=1, prefetch=1, lease=2)
        await self.until(lambda: len(self.queue.held()) == 2, "one runs, one waits")
        self.queue.withdraw(waiting)
        told = waiting.deliveries[0].receipt
        before = len(self.endpoint.seen)
        await self.until(
            lambda: any(told in str(s.body) for s in self.endpoint.seen[before:]),
            "it is told of the loss",
        )
        last = self.queue.put(NEVER)
        self.queue.withdraw(running)
        await self.untilEvents("start", 2)
        self.assertEqual(
            [entry.id for entry in self.entries("start")], [running.id, last.id]
        )

    async def test_retriesAHeartbeat(self) -> None:
        """
        A heartbeat that fails is retried in time.
        """
        job = self.queue.put(NEVER)
        self.endpoint.plan = faults.first("settle", faults.status(500), faults.reset)
        self.start(lease=9)
        await self.until(lambda: job.deliveries, "it is delivered")
        await self.until(lambda: job.deliveries[0].extended, "it is extended")
        self.assertEqual(len(self.endpoint.requests("settle")), 3)

    async def test_onlyTheEndpointCancels(self) -> None:
        """
        With no heartbeat getting through, a task runs on past its lease, and is
        settled.
        """
        job = self.queue.put(sleeping(4), lease=1.5)
        self.endpoint.plan = lambda seen: (
            faults.status(500) if "extend" in seen.outcomes else None
        )
        self.start()
        await self.untilState("completed")
        self.assertCompletedOnce([job])
        self.assertEqual(job.deliveries[0].extended, 0)

    async def test_givesUpALostSettlement(self) -> None:
        """
        A settlement whose lease is lost is not retried, and the next task is run.
        """
        lost = self.queue.put(sleeping(1))
        consumer = self.start(limit=1)
        await self.untilEvents("start", 1)
        self.queue.withdraw(lost)
        job = self.queue.put(returning(1))
        await self.untilState("completed", [job])
        told = [s for s in self.endpoint.seen if "receipt-0" in str(s.body)]
        self.assertEqual(len(told), 1)
        self.assertNotIn("Traceback", consumer.output)
