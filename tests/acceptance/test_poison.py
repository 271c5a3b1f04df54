"""
A consumer whose endpoint fails each time with one settlement, lease or result.

Promise 4: a settlement that the endpoint cannot take costs itself alone.

Promise 6: a settlement is retried until its lease has ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.exchange import Exchange, Fault, Seen
from tests.acceptance.handlers import NEVER, returning, sleeping
from tests.acceptance.model import Job

Poison = Callable[[dict[str, Any]], object]


def whole(poison: Poison, fault: Fault) -> faults.Plan:
    """
    @return: A plan: a settle request with such a settlement in it meets C{fault}, as a
    whole.
    """

    def plan(seen: Seen) -> Fault | None:
        if seen.kind == "settle" and any(map(poison, seen.body["settle"])):
            return fault
        return None

    return plan


class PoisonTests(AcceptanceCase):
    """
    One bad settlement, or lease, affects no other.
    """

    def receiptsOf(self, job: Job) -> set[str]:
        return {delivery.receipt for delivery in job.deliveries}

    async def test_completesWithoutABadResult(self) -> None:
        """
        A task with whose result the endpoint fails is completed without it, and its
        neighbours are completed in their first delivery.
        """
        self.endpoint.plan = whole(
            lambda each: "\0" in json.dumps(each).replace("\\u0000", "\0"),
            faults.status(500),
        )
        [bad] = self.queue.putAll(returning("a\0b"), 1)
        others = self.queue.putAll(sleeping(0.05), 40)
        self.start(limit=2, lease=30)
        await self.untilState("completed", [bad, *others])
        self.assertCompletedOnce()
        self.assertIsNone(bad.result)

    async def test_setsAsideWhatIsNeverAccepted(self) -> None:
        """
        While the endpoint fails with one settlement, whatever is left out of it, all
        other tasks are completed and no slot is idle; the lease of the bad one ends,
        and its task is delivered again.
        """
        bad = self.queue.put(returning(1))
        self.endpoint.plan = whole(
            lambda each: each["receipt"] == "receipt-0" and each["outcome"] != "extend",
            faults.status(500),
        )
        others = self.queue.putAll(sleeping(0.2), 60)
        self.start(limit=2, lease=4)
        await self.untilState("completed", others)
        self.assertCompletedOnce(others)
        # it comes again, and with another receipt it is taken
        await self.untilState("completed", [bad])
        self.assertEqual([d.ended for d in bad.deliveries], ["expired", "complete"])

    async def test_unansweredSettlementHoldsUpNoOther(self) -> None:
        """
        A settlement that the endpoint never answers holds up no later one, and a stop
        releases all other tasks.
        """
        self.endpoint.plan = whole(
            lambda each: each["receipt"] == "receipt-0" and each["outcome"] != "extend",
            faults.silent,
        )
        bad = self.queue.put(returning(1))
        self.start(limit=2, lease=9)
        await self.untilEvents("end", 1)
        others = self.queue.putAll(sleeping(0.1), 60)
        await self.untilState("completed", others)
        self.queue.putAll(NEVER, 2)
        await self.untilEvents("start", 63)
        [process] = self.processes
        process.signal("TERM")
        process.signal("TERM")
        await self.untilEnded(process)
        self.assertLessEqual({d.job.id for d in self.queue.held()}, {bad.id})

    async def test_unansweredExtensionHoldsUpNoOther(self) -> None:
        """
        A lease whose extension is never answered is lost alone.
        """
        self.endpoint.plan = whole(
            lambda each: each["receipt"] == "receipt-0" and each["outcome"] == "extend",
            faults.silent,
        )
        bad, *others = self.queue.putAll(sleeping(8), 20)
        self.start(limit=20, lease=3)
        await self.untilState("completed", others)
        self.assertCompletedOnce(others)
        self.assertIn("expired", [d.ended for d in bad.deliveries])

    async def test_shortLeaseHoldsUpNoOther(self) -> None:
        """
        A lease that is too short to be extended is lost alone.
        """
        self.endpoint.roundTrip = 0.05
        short = self.queue.put(sleeping(4), lease=0.1)
        others = self.queue.putAll(sleeping(4), 3)
        self.start(limit=4, lease=3)
        await self.untilState("completed", others)
        self.assertCompletedOnce(others)
        self.assertLess(len(self.endpoint.requests("settle")), 60, short.id)


class SlowTests(AcceptanceCase):
    """
    An endpoint that needs time for each settlement of a request.
    """

    #: The seconds that it takes for a settlement.
    EACH = 0.01

    hangs = False

    def setUp(self) -> None:
        super().setUp()
        self.endpoint.plan = lambda seen: self.slow if seen.kind == "settle" else None

    async def slow(self, exchange: Exchange) -> None:
        """
        Settle, and answer after C{EACH} seconds for each settlement.
        """
        outcomes = exchange.seen.outcomes
        if self.hangs and "extend" not in outcomes:
            await faults.silent(exchange)
        await deferLater(self.reactor, self.EACH * len(outcomes))
        exchange.answer(await exchange.act())

    async def test_settlesFastAfterAHang(self) -> None:
        """
        However many settlements were pending while settling hung, they are sent nearly
        as fast as possible once it works again; and a stop releases all tasks for which
        there is time.
        """
        self.hangs = True
        self.queue.putAll(sleeping(0.1), 4000)
        process = self.start(limit=300)
        await self.until(
            lambda: len(self.entries("end")) >= 1200, "many have ended, and wait"
        )
        began = self.endpoint.requests("settle")[0].at
        await self.until(lambda: self.reactor.seconds() > began + 12, "12 seconds pass")
        self.hangs = False
        await self.until(lambda: self.queue.count("completed") > 0, "one is settled")
        await self.until(
            lambda: self.queue.count("completed") > 600, "the others follow", 20
        )
        process.signal("TERM")
        await self.untilEnded(process)
        ended = {entry.id for entry in self.entries("end")}
        self.assertLessEqual({d.job.id for d in self.queue.held()}, ended)
