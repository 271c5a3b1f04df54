"""
What becomes of claims that end before they are answered: the chapter "End a claim" of
docs/pull-contract.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from myconsumer.check.exceptions import Noted, Skipped, expect
from myconsumer.check.player import PATIENCE, Check, Player
from myconsumer.check.promises.waking import waiting
from myconsumer.check.redelivery import nothingComes

_ARRIVES = 0.3
_LEASE = 4.0


async def unheard(player: Player) -> None:
    """
    DELETE answers 204, also for a claim never heard of.
    """
    try:
        await player.end(str(uuid4()))
    except Skipped as lacking:
        raise Noted(
            f"{lacking}; but then consumers wait for no longer than 5 s at a time, "
            "and are slow to stop"
        ) from None


async def endsPoll(player: Player) -> str:
    """
    DELETE ends a claim that waits, at once and empty.
    """
    poll = await waiting(player)
    began = player.seconds()
    await player.end(poll.name)
    expect(not await poll.answered, "the claim was answered with a task", "empty")
    took = player.peer.answeredAt - began
    expect(took <= PATIENCE, f"the claim was answered after {took:.2f} s", "at once")
    return f"{took:.2f} s"


async def endedGetsNothing(player: Player) -> None:
    """
    A task that is queued after DELETE goes to another claim.
    """
    poll = await waiting(player)
    await player.end(poll.name)
    await player.queue(1)
    task = await player.one()
    expect(not await poll.answered, "the ended claim got the task", "empty")
    expect(task.attempt == 1, f"attempt is {task.attempt}", "1")
    await player.complete(task)


async def holdsForLater(player: Player) -> None:
    """
    A claim that arrives after its own DELETE is answered empty.
    """
    await player.queue(1)
    name = str(uuid4())
    await player.end(name)
    came = await player.claim(wait=1.0, name=name)
    expect(not came, "it was answered with a task", "empty")
    await player.complete(await player.one())


async def answeredStays(player: Player) -> None:
    """
    DELETE of a claim that was answered leaves its tasks leased.
    """
    await player.queue(1)
    name = str(uuid4())
    came = await player.claim(wait=PATIENCE, name=name)
    expect(came, "a claim was answered empty", "with the task that is queued")
    await player.end(name)
    await nothingComes(player, 0.3, "it was answered before its claim was ended")
    await player.complete(*came)


async def clientGone(player: Player) -> str:
    """
    Nothing is leased to a client that has gone: the next one gets the task.
    """
    await _leave(player)
    began = player.seconds()
    await player.queue(1)
    task = await player.one(seconds=_LEASE + PATIENCE)
    took = player.seconds() - began
    seen = f"the task came after {took:.2f} s as attempt {task.attempt}"
    expect(took < _LEASE and task.attempt == 1, seen, "at once, as attempt 1")
    await player.complete(task)
    return f"{took:.2f} s"


async def _leave(player: Player) -> None:
    name = str(uuid4())
    body = {"limit": 1, "wait": 20, "lease": _LEASE, "claim": name}
    body["consumer"] = player.own.run
    if await player.wire.leave(["claim"], body, _ARRIVES):
        raise Skipped("the endpoint answers at once and does not wait")
    await player.pause(_ARRIVES)


CHECKS: Sequence[Check] = (
    unheard,
    endsPoll,
    endedGetsNothing,
    holdsForLater,
    answeredStays,
    clientGone,
)
