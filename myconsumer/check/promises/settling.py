"""
What settlements do: the chapter "Settle" of docs/pull-contract.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from myconsumer.check.exceptions import Noted, expect
from myconsumer.check.player import PATIENCE, Check, Player
from myconsumer.check.redelivery import (
    checkLost,
    checkShort,
    comesAgain,
    notBefore,
    nothingComes,
)
from myconsumer.check.strict import asJSON

_LEASE = 1.5
_DELAY = 1.0
_OUTCOMES = ("complete", "release", "fail", "extend")


async def unknownAreLost(player: Player) -> None:
    """
    A receipt that was never given is lost, and no error.
    """
    sent = [
        {"receipt": f"never-given-{outcome}", "outcome": outcome, "lease": 60}
        for outcome in _OUTCOMES
    ]
    lost = await player.settle(*sent)
    if lost is None:
        raise Noted(
            "the answer has no lost, so consumers go on with tasks that are "
            "somebody else's by now"
        )
    missing = {each["receipt"] for each in sent} - lost
    seen = f"lost is {asJSON(sorted(lost))}"
    expect(not missing, seen, f"with {asJSON(sorted(missing))}, never given")


async def neverAgain(player: Player) -> None:
    """
    What is complete, or has failed, is never delivered again.
    """
    await player.queue(1, 2)
    began = player.seconds()
    first, second = await player.two(lease=_LEASE)
    checkShort(first)
    await player.settleHeld(
        first.to("complete", result={"of": [1]}), second.to("fail", error="text")
    )
    left = began + first.lease + 0.5 - player.seconds()
    await nothingComes(player, max(left, 0.5), "one is complete and one has failed")


async def release(player: Player) -> None:
    """
    A task that is released comes again, as the next attempt.
    """
    await player.queue(1)
    task = await player.one()
    for fields in ({}, {"error": "text", "counted": True}):
        await player.settleHeld(task.to("release", **fields))
        task = await comesAgain(player, task, task.attempt + 1)
    await player.complete(task)


async def uncounted(player: Player) -> None:
    """
    A release that is not counted gives the attempt back.
    """
    await player.queue(1)
    task = await player.one()
    for counted, attempt in ((False, 1), (True, 2), (False, 2)):
        await player.settleHeld(task.to("release", counted=counted))
        task = await comesAgain(player, task, attempt)
    await player.complete(task)


async def delay(player: Player) -> str:
    """
    A release obeys its delay.
    """
    await player.queue(1)
    task = await player.one()
    began = player.seconds()
    await player.settleHeld(task.to("release", delay=_DELAY))
    again = await comesAgain(player, task, 2, _DELAY + PATIENCE)
    took = notBefore(player, began, _DELAY, "the task came")
    await player.complete(again)
    return f"{_DELAY:g} s took {took:.2f} s"


async def eachForItself(player: Player) -> None:
    """
    A settlement that is lost does not keep the others of its batch from being taken.
    """
    await player.queue(1, 2)
    first, second = await player.two()
    strange = ("never-given-1", "never-given-2")
    lost = await player.settle(
        {"receipt": strange[0], "outcome": "complete"},
        first.to("release", counted=False),
        {"receipt": strange[1], "outcome": "extend", "lease": 60},
        second.to("release", counted=False),
    )
    came = await player.get(2)
    seen = f"of 2 tasks that were released beside lost ones {len(came)} came again"
    expect(len(came) == 2, seen, "both")
    await player.complete(*came)
    if lost is not None:
        seen = f"lost is {asJSON(sorted(lost))}"
        expect(lost == set(strange), seen, asJSON(strange))


async def repeated(player: Player) -> None:
    """
    A settlement that is repeated changes nothing.
    """
    await player.queue(1, 2, 3)
    tasks = await player.get(3)
    expect(len(tasks) == 3, f"of 3 tasks that were queued {len(tasks)} came", "all")
    settlements = [
        task.to(outcome) for task, outcome in zip(tasks, _OUTCOMES, strict=False)
    ]
    await player.settleHeld(*settlements)
    await player.settle(*settlements)
    again = await comesAgain(player, tasks[1], 2)
    await player.settle(*settlements)
    await nothingComes(player, 0.3, "the settlements that were repeated had been taken")
    await player.complete(again)


async def otherwise(player: Player) -> None:
    """
    What was settled one way cannot be settled another.
    """
    await player.queue(1, 2)
    first, second = await player.two()
    await player.settleHeld(first.to("complete"), second.to("fail"))
    for task in first, second:
        lost = await player.settle(task.to("release"))
        await nothingComes(player, 0.3, "what has ended cannot be released")
        checkLost(lost, task)
        checkLost(await player.settle(task.to("extend", lease=0.1)), task)
    await nothingComes(player, 0.5, "what has ended cannot be extended")


async def notOnceReleased(player: Player) -> None:
    """
    A receipt is of no use any more once its task was released.
    """
    await player.queue(1)
    task = await player.one()
    await player.settleHeld(task.to("release", delay=_DELAY / 2))
    lost = [
        await player.settle(task.to("extend", lease=60)),
        await player.settle(task.to("complete")),
    ]
    await player.complete(await comesAgain(player, task, 2))
    for each in lost:
        checkLost(each, task)


CHECKS: Sequence[Check] = (
    unknownAreLost,
    neverAgain,
    release,
    uncounted,
    delay,
    eachForItself,
    repeated,
    otherwise,
    notOnceReleased,
)
