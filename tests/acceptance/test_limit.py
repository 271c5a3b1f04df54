"""
How many tasks a consumer claims, holds and runs.

Promise 2: never more than C{--limit} tasks run, and never more than that and
C{--prefetch} are claimed.

Promise 3: no slot is idle while there is work, but for one round trip.

Promise 8: memory does not grow with the number of tasks.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import deferLater

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import NEVER, returning, sleeping


class LimitTests(AcceptanceCase):
    """
    How many tasks run, are claimed and are asked for.
    """

    async def test_neverRunsMoreThanTheLimit(self) -> None:
        """
        Of 300 tasks at limit 4 each is run once, never do 5 run at once, no claim asks
        for more than is free, and a handful of connections carry it all.
        """
        self.queue.putAll(sleeping(0.01), 300)
        self.start(limit=4)
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(self.mostAtOnce(), 4)
        self.assertAskedForNoMoreThan(4)
        self.assertLessEqual(self.endpoint.connections, 5)

    async def test_claimsNothingWhileFull(self) -> None:
        """
        With tasks that never end, exactly limit plus prefetch of them are leased, and
        no claim is open from then on.
        """
        self.queue.putAll(NEVER, 10)
        self.start(limit=3, prefetch=2)
        await self.untilEvents("start", 3)
        await self.until(lambda: len(self.queue.held()) == 5, "5 are leased")
        await self.until(lambda: self.endpoint.openClaims == 0, "no claim is open")
        claims = len(self.endpoint.requests("claim"))
        await self.always(
            lambda: (
                len(self.queue.held()) == 5
                and len(self.endpoint.requests("claim")) == claims
            ),
            "5 are leased and nothing is claimed",
            seconds=1.5,
        )
        self.assertEqual(len(self.entries("start")), 3)

    async def test_usesAFreeSlotAtOnce(self) -> None:
        """
        A slot that becomes free is used again, whatever still runs in the other.
        """
        long = self.queue.put(NEVER)
        short = self.queue.putAll(sleeping(0.02), 20)
        self.start(limit=2)
        await self.untilState("completed", short)
        self.assertEqual(long.state, "leased")

    async def test_runsTasksThatComeOneByOne(self) -> None:
        """
        An idle consumer keeps one claim open, and runs each task that is queued
        meanwhile.
        """
        self.start(limit=4, pollers=3)
        for _ in range(3):
            await self.untilIdle()
            job = self.queue.put(returning(1))
            await self.untilState("completed", [job])
        self.assertEqual(self.endpoint.mostOpenClaims, 1)

    async def test_opensSeveralClaimsWhileTheyComeBackFull(self) -> None:
        """
        While claims come back full several are open, but no more than C{--pollers}, and
        together they ask for no more than is free; in the end one is open.
        """
        self.endpoint.roundTrip = 0.2
        for number in range(150):
            self.queue.put(sleeping(0.02 * (number % 10)))
        self.start(limit=20, pollers=3, wait=2)
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(self.endpoint.mostOpenClaims, 3)
        self.assertLessEqual(self.mostAtOnce(), 20)
        self.assertAskedForNoMoreThan(20)
        await self.untilIdle()

    async def test_runsASurplusWithinTheLimit(self) -> None:
        """
        Tasks beyond what was asked for are all run, within the limit, and nothing is
        claimed while they wait.
        """
        self.queue.putAll(sleeping(0.05), 12)
        self.endpoint.plan = faults.first("claim", faults.surplus(6))
        self.start(limit=3)
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(self.mostAtOnce(), 3)
        first = self.endpoint.requests("claim")[0]
        self.assertEqual(
            sum(d.claim == first.body["claim"] for d in self.queue.deliveries), 9
        )
        for claim in self.endpoint.requests("claim")[1:]:
            ended = [e for e in self.entries("end") if e.at < claim.at]
            self.assertGreaterEqual(len(ended), 7)

    async def test_startsATaskThatIsHeldOnce(self) -> None:
        """
        A task that is held already is not started again, neither when it is delivered
        twice in one answer, nor when it is delivered in each.
        """
        held: list[Any] = []

        def repeat(tasks: list[Any]) -> list[Any]:
            held.extend(tasks[:1] if not held else [])
            return [*tasks, *held]

        self.queue.put(NEVER)
        others = self.queue.putAll(returning(1), 5)
        self.endpoint.plan = faults.always("claim", faults.edited(repeat))
        consumer = self.start(limit=2)
        await self.untilState("completed", others)
        self.assertEqual(
            [entry.id for entry in self.entries("start")].count("job-0"), 1
        )
        self.assertIn("#warn]", consumer.output)

    async def test_pausesWhileUnsettled(self) -> None:
        """
        While the endpoint accepts no settlements, claiming pauses at some point; all
        tasks are settled once it does.
        """
        limit = 2
        self.queue.putAll(returning(1), 40)
        self.endpoint.plan = faults.always("settle", faults.status(500))
        self.start(limit=limit)
        await self.until(lambda: len(self.queue.held()) > 4 * limit, "it pauses")
        await self.always(
            lambda: len(self.queue.held()) <= 5 * limit, "no more are claimed", 2
        )
        self.endpoint.plan = lambda seen: None
        await self.untilState("completed")
        self.assertCompletedOnce()

    async def test_startsAtTheRate(self) -> None:
        """
        With a rate tasks are started no faster, claims ask for no more than may start,
        and leases do not pile up.
        """
        self.queue.putAll(sleeping(0.01), 30)
        self.start(limit=10, prefetch=10, rate="20/s")
        most = 0
        while any(job.state != "completed" for job in self.queue.jobs):
            most = max(most, len(self.queue.held()))
            await deferLater(self.reactor, 0.01)
        starts = sorted(entry.at for entry in self.entries("start"))
        self.assertGreater(starts[-1] - starts[0], (30 - 3) / 20)
        asked = {seen.body["limit"] for seen in self.endpoint.requests("claim")}
        self.assertLessEqual(max(asked), 2)
        self.assertLessEqual(most, 6)

    async def test_claimHasAllFields(self) -> None:
        """
        A claim has a limit, a wait, a lease, the consumer's name, and a name of its
        own.
        """
        consumer = self.start(limit=3, prefetch=2, wait=0.3, lease=7)
        await self.until(
            lambda: len(self.endpoint.requests("claim")) > 2, "it claims again"
        )
        claims = [seen.body for seen in self.endpoint.requests("claim")]
        for claim in claims:
            self.assertEqual(
                set(claim), {"limit", "wait", "lease", "consumer", "claim"}
            )
            self.assertEqual(
                (claim["limit"], claim["wait"], claim["lease"]), (5, 0.3, 7)
            )
            self.assertIn(f"-{consumer.pid}-", claim["consumer"])
        self.assertEqual(len({claim["claim"] for claim in claims}), len(claims))
        self.assertEqual(len({claim["consumer"] for claim in claims}), 1)

    async def test_memoryDoesNotGrow(self) -> None:
        """
        Memory does not grow with the number of tasks that were run.
        """
        self.queue.putAll(returning("x" * 300_000), 60)
        consumer = self.start(limit=4)
        await self.untilState("completed")
        before = consumer.kilobytes("VmHWM")
        self.queue.putAll(returning("x" * 300_000), 300)
        await self.untilState("completed")
        self.assertLess(consumer.kilobytes("VmHWM") - before, 15_000)
