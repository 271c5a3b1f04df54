"""
Promise 1: a task is completed only after its handler ended, whichever consumers die.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import deferLater

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import sleeping
from tests.acceptance.twistd import Twistd


class KillingTests(AcceptanceCase):
    """
    At least once, whoever dies, whenever.
    """

    async def test_completesWhoeverIsKilled(self) -> None:
        """
        Three consumers are killed at random and replaced: each task is completed, by a
        handler that ended, in the process that reported it.
        """
        random = Random(3)
        self.queue.putAll(sleeping(0.15), 300)
        alive = [self.startOne() for _ in range(3)]
        for _ in range(6):
            victim = alive.pop(0)
            await self.until(
                lambda pid=victim.pid: any(e.pid == pid for e in self.entries()),
                "it has begun to work",
            )
            await deferLater(self.reactor, random.uniform(0, 0.3))
            await victim.kill()
            alive.append(self.startOne())
        await self.untilState("completed", seconds=60)
        self.assertIn("expired", {d.ended for d in self.queue.deliveries})
        ended = {(e.id, e.attempt, e.pid) for e in self.entries("end")}
        for job in self.queue.jobs:
            [last] = [d for d in job.deliveries if d.ended == "complete"]
            pid = int(last.consumer.split("-")[-2])
            self.assertIn((job.id, last.attempt, pid), ended)
        self.assertLessEqual(self.mostAtOnce(), 4)

    def startOne(self) -> Twistd:
        """
        Start one that asks for short leases.
        """
        return self.start(limit=4, lease=2, wait=2)
