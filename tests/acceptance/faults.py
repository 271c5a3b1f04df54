"""
The ways in which an endpoint, or what stands before it, goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from tests.acceptance.exchange import Exchange, Fault, Seen

#: Given each request, returns the fault that it is to meet, or L{None}.
Plan = Callable[["Seen"], "Fault | None"]

PROXY_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def status(code: int, **headers: str) -> Fault:
    """
    The endpoint answers with a status such as C{503}, without having acted.
    """

    async def fault(exchange: Exchange) -> None:
        exchange.send(code, b'{"error": "not now"}', **headers)

    return fault


async def reset(exchange: Exchange) -> None:
    """
    The connection is reset before anything is done.
    """
    exchange.abort()


async def lostAnswer(exchange: Exchange) -> None:
    """
    The endpoint acts, and the connection is reset before the answer.
    """
    await exchange.act()
    exchange.abort()


async def truncated(exchange: Exchange) -> None:
    """
    The endpoint acts, and the connection ends before the answer does.
    """
    reply = await exchange.act()
    exchange.head(reply.status, len(reply.body) + 10)
    exchange.request.write(reply.body)
    exchange.request.loseConnection()


async def stalled(exchange: Exchange) -> None:
    """
    The endpoint acts, and sends an answer's head, but never its body.
    """
    reply = await exchange.act()
    exchange.head(reply.status, len(reply.body) + 10)
    await Deferred()


async def silent(exchange: Exchange) -> None:
    """
    The endpoint does nothing and answers nothing, ever.
    """
    await Deferred()


async def notJSON(exchange: Exchange) -> None:
    """
    The endpoint acts, and its answer is truncated on the way, unnoticed.
    """
    reply = await exchange.act()
    for delivery in reply.deliveries:
        delivery.answered = True
    exchange.send(reply.status, b'{"tasks": [{"id": "job-')


async def proxyPage(exchange: Exchange) -> None:
    """
    A proxy answers instead of the endpoint, with a page of HTML and a status of 200.
    """
    exchange.send(200, PROXY_PAGE, Content_Type="text/html")


def surplus(count: int) -> Fault:
    """
    The endpoint leases and sends more tasks than were asked for.
    """

    async def fault(exchange: Exchange) -> None:
        exchange.answer(await exchange.act(surplus=count))

    return fault


def edited(edit: Callable[[list[Any]], list[Any]]) -> Fault:
    """
    The endpoint sends the tasks of a claim, changed by C{edit}.
    """

    async def fault(exchange: Exchange) -> None:
        reply = await exchange.act()
        reply.value["tasks"] = edit(reply.value["tasks"])
        exchange.answer(reply)

    return fault


def first(kind: str, *faults: Fault) -> Plan:
    """
    A plan: the first requests of C{kind} meet C{faults}, one each.
    """
    left = list(faults)
    return lambda seen: left.pop(0) if left and seen.kind == kind else None


def always(kind: str, fault: Fault) -> Plan:
    """
    A plan: every request of C{kind} meets C{fault}.
    """
    return lambda seen: fault if seen.kind == kind else None


def everything(fault: Fault) -> Plan:
    """
    A plan: every request meets C{fault}.
    """
    return lambda seen: fault


class Mixed:
    """
    A plan: each request may meet a fault, of all kinds in turn.

    @ivar dealt: The faults that were met.
    """

    def __init__(self, random: Random, rate: float, kinds: Sequence[Fault]) -> None:
        self._random = random
        self._rate = rate
        self._kinds = cycle(random.sample(kinds, len(kinds)))
        self.dealt: list[Fault] = []

    def __call__(self, seen: Seen) -> Fault | None:
        """
        The fault that C{seen} meets.
        """
        if self._random.random() >= self._rate:
            return None
        self.dealt.append(next(self._kinds))
        return self.dealt[-1]


def either(*plans: Plan) -> Plan:
    """
    A plan: the first fault that one of C{plans} has for a request.
    """
    return lambda seen: next(filter(None, (plan(seen) for plan in plans)), None)
