"""
How long a lease lasts: the chapters "Claim" and, of C{extend}, "Settle" of
docs/pull-contract.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from myconsumer.check.delivery import Delivery
from myconsumer.check.exceptions import expect
from myconsumer.check.player import PATIENCE, Check, Player
from myconsumer.check.redelivery import (
    checkAgain,
    checkLost,
    checkShort,
    comesAgain,
    notBefore,
    nothingComes,
)

_SHORT = 1.0
_LONGER = 1.5


async def alone(player: Player) -> None:
    """
    A task that is leased goes to nobody else.
    """
    await player.queue(1)
    task = await player.one()
    await nothingComes(player, 0.5, f"the task is leased for {task.lease:g} s")
    await player.complete(task)


async def endsByItself(player: Player) -> str:
    """
    A lease ends by itself, and the task comes again as the next attempt.
    """
    await player.queue(1)
    began = player.seconds()
    task = await player.one(lease=_SHORT)
    checkShort(task)
    took = await _over(player, task, began, task.lease)
    return f"{task.lease:g} s took {took:.2f} s"


async def lostWhenOver(player: Player) -> None:
    """
    A receipt is lost once its lease has ended.
    """
    await player.queue(1)
    task = await player.one(lease=_SHORT)
    checkShort(task)
    await player.pause(task.lease + 0.3)
    lost = await player.settle(task.to("complete"))
    await player.complete(await comesAgain(player, task, 2))
    checkLost(lost, task)


async def lostToAnother(player: Player) -> None:
    """
    A receipt whose lease has ended does nothing to the task's next lease.
    """
    await player.queue(1)
    task = await player.one(lease=_SHORT)
    checkShort(task)
    again = await comesAgain(player, task, 2, task.lease + PATIENCE)
    for outcome in ("extend", "release", "fail", "complete"):
        fields = {"lease": 60} if outcome == "extend" else {}
        lost = await player.settle(task.to(outcome, **fields))
        checkLost(lost, task)
    await nothingComes(player, 0.3, "it is leased to somebody else by now")
    await player.complete(again)


async def extendKeeps(player: Player) -> str:
    """
    A lease that is extended lasts so long from then on.
    """
    await player.queue(1)
    task = await player.one(lease=_LONGER)
    checkShort(task)
    await player.pause(task.lease / 2)
    began = player.seconds()
    await player.settleHeld(task.to("extend", lease=_LONGER))
    took = await _over(player, task, began, _LONGER)
    return f"{_LONGER:g} s took {took:.2f} s"


async def extendShortens(player: Player) -> str:
    """
    To extend a lease does not add to it: it counts from its arrival.
    """
    await player.queue(1)
    task = await player.one()
    began = player.seconds()
    await player.settleHeld(task.to("extend", lease=_SHORT))
    took = await _over(player, task, began, _SHORT)
    return f"{_SHORT:g} s took {took:.2f} s"


async def _over(player: Player, task: Delivery, began: float, lease: float) -> float:
    """
    Wait for the end of a lease, and complete the task.

    @param began: When it began at the earliest.

    @return: How long it took.
    """
    came = await player.some(seconds=lease + PATIENCE)
    took = player.seconds() - began
    seen = f"the task did not come again within {took:.2f} s"
    expect(came, seen, f"after {lease:g} s, when its lease has ended")
    (again,) = came
    notBefore(player, began, lease, "the task came again")
    checkAgain(task, again, 2)
    await player.complete(again)
    return took


CHECKS: Sequence[Check] = (
    alone,
    endsByItself,
    lostWhenOver,
    lostToAnother,
    extendKeeps,
    extendShortens,
)
