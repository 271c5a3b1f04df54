"""
The requests of the contract, and a producer's: each answer is judged, and tasks of
somebody else are given back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from myconsumer.check.account import Account, Whose
from myconsumer.check.delivery import Delivery, delivered
from myconsumer.check.exceptions import Foreign, NoProducer, Skipped, expect
from myconsumer.check.strict import asJSON, idOf, lostIn, tasksIn
from myconsumer.check.wire import Wire
from myconsumer.http import Answer

#: The seconds of a lease that is not meant to end.
LONG = 30.0


class Peer:
    """
    What an endpoint has to do with: both a producer and a consumer, without patience.

    @ivar wire: Sends the requests.
    @ivar own: What was queued and has come.
    @ivar answeredAt: When the last claim was answered.
    @ivar kind: The type of the content of the last answer to a claim.
    @ivar foreign: What was found of somebody else's.
    """

    def __init__(self, wire: Wire) -> None:
        """
        @param wire: Sends the requests.
        """
        self.wire = wire
        self.own = Account()
        self.answeredAt = 0.0
        self.kind = ""
        self.foreign: str | None = None
        self.seconds = wire.seconds
        self._discarded: set[str | None] = set()

    async def queue(self, *values: Any, bare: bool = False) -> list[str]:
        """
        Queue tasks, each by a request of its own.

        @param values: The values in their payloads.
        @param bare: Whether each value is the whole payload.

        @return: Their marks.

        @raise NoProducer: The endpoint does not take them.
        """
        marks = []
        for value in values:
            mark = self.own.mark()
            payload = value if bare else self.own.payload(mark, value)
            answer = await self.wire.send("POST", [], {"payload": payload})
            if not 200 <= answer.code < 300:
                self.own.refused(mark)
                said = self.wire.quoted(answer)
                raise NoProducer(f"POST URL, which would queue a task, answers {said}")
            if (name := idOf(answer)) is not None:
                self.own.named(mark, name)
            marks.append(mark)
        return marks

    async def claim(
        self,
        limit: int = 1,
        wait: float = 0.0,
        lease: float = LONG,
        name: str | None = None,
        **more: Any,
    ) -> list[Delivery]:
        """
        Make one claim.

        @param name: Its name; C{None}: one is made up.
        @param more: Further fields.

        @return: The tasks of the check under way.

        @raise Broken: The answer is not what the contract wants.
        @raise Foreign: A task came that nobody here has queued.
        """
        body = {"limit": limit, "lease": whole(lease), "consumer": self.own.run} | more
        ends = self.seconds() + wait
        while True:
            body |= {"wait": whole(wait), "claim": name or str(uuid4())}
            began = self.seconds()
            answer = await self.wire.send("POST", ["claim"], body, wait=wait)
            self.answeredAt = self.seconds()
            self.kind = answer.header(b"content-type")
            tasks = tasksIn(answer, self.wire.quoted(answer))
            came = [delivered(task, lease, began) for task in tasks]
            current = await self._sort(came)
            wait = ends - self.seconds()
            if current or not came or wait <= 0:
                return current

    async def settle(self, *settlements: Mapping[str, Any]) -> set[str] | None:
        """
        Settle.

        @return: The receipts that are lost; C{None}: the endpoint does not tell.

        @raise Broken: The answer is not what the contract wants.
        """
        if any(each.get("receipt", "") is None for each in settlements):
            raise Skipped("tasks come without a receipt, so nothing can be settled")
        body = {"consumer": self.own.run, "settle": settlements}
        answer = await self.wire.send("POST", ["settle"], body)
        lost = lostIn(answer, self.wire.quoted(answer))
        strange = (lost or set()) - {str(each["receipt"]) for each in settlements}
        expect(not strange, f"lost holds {asJSON(sorted(strange))}", "what was sent")
        for each in settlements:
            if each["outcome"] in ("complete", "fail"):
                self.own.ended(str(each["receipt"]), lost or (), self.seconds())
        return lost

    async def end(self, name: str) -> Answer:
        """
        End a claim.

        @raise Skipped: The endpoint cannot end claims.
        @raise Broken: The answer is not what the contract wants.
        """
        answer = await self.wire.send("DELETE", ["claim", name])
        if answer.code in (404, 405, 501):
            raise Skipped(f"DELETE URL/claim/CLAIM answers {answer.code}, as it may")
        seen = f"DELETE URL/claim/{name} answered {self.wire.quoted(answer)}"
        expect(answer.code == 204, seen, "204")
        return answer

    async def discard(self, deliveries: Sequence[Delivery]) -> None:
        """
        Complete tasks; those that come again all the same are failed.
        """
        settlements = []
        for each in deliveries:
            mark = self.own.markOf(each)
            outcome = "fail" if mark in self._discarded else "complete"
            self._discarded.add(mark)
            if each.receipt:
                settlements.append(each.to(outcome))
        if settlements:
            await self.settle(*settlements)

    async def _sort(self, came: Sequence[Delivery]) -> list[Delivery]:
        """
        Give back the tasks of somebody else, and end those of earlier checks.

        @return: The tasks of the check under way.
        """
        found: dict[Whose, list[Delivery]] = {whose: [] for whose in Whose}
        for each in came:
            self.own.came(each)
            found[self.own.whose(each)].append(each)
        if foreign := found[Whose.FOREIGN]:
            self.foreign = await self._giveBack(foreign)
            raise Foreign(self.foreign)
        await self.discard(found[Whose.STALE])
        return found[Whose.CURRENT]

    async def _giveBack(self, foreign: Sequence[Delivery]) -> str:
        releases = [each.to("release", counted=False) for each in foreign]
        with_ = [release for release in releases if release["receipt"]]
        text = f"there are tasks of somebody else in it ({asJSON(foreign[0].id)})"
        if with_:
            await self.settle(*with_)
        if len(with_) < len(foreign):
            return f"{text}, and without a receipt they cannot be given back"
        return f"{text}, which were given back, uncounted"


def whole(seconds: float) -> float:
    """
    @return: C{20} for C{20.0}, and no more than thousandths.
    """
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)
