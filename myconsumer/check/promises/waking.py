"""
What ends the waiting of a claim: the chapter "Claim", and "Checklist", of
docs/pull-contract.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from myconsumer.check.delivery import Delivery, Poll
from myconsumer.check.exceptions import Noted, Skipped, expect
from myconsumer.check.player import PATIENCE, Check, Player
from myconsumer.check.redelivery import checkAgain, checkShort

_SETTLED = 0.3
_SHORT = 1.0
_SLUGGISH = 1.0
_SLOWEST = 3.0


async def byTask(player: Player) -> str:
    """
    A task that is queued wakes a claim that waits.
    """
    poll = await waiting(player)
    began = player.seconds()
    await player.queue(1)
    task = await _woken(poll)
    await player.complete(task)
    return _judged(player.peer.answeredAt - began)


async def byRelease(player: Player) -> str:
    """
    A task that is released wakes a claim that waits.
    """
    await player.queue(1)
    task = await player.one()
    poll = await waiting(player)
    began = player.seconds()
    await player.settleHeld(task.to("release"))
    again = await _woken(poll)
    checkAgain(task, again, task.attempt + 1)
    took = player.peer.answeredAt - began
    await player.complete(again)
    return _judged(took)


async def byDelay(player: Player) -> str:
    """
    The end of a delay wakes a claim that waits.
    """
    await player.queue(1)
    task = await player.one()
    await player.settleHeld(task.to("release", delay=_SHORT))
    ends = player.seconds() + _SHORT
    poll = await waiting(player, _SHORT)
    again = await _woken(poll)
    took = player.peer.answeredAt - ends
    await player.complete(again)
    return _judged(took)


async def byLease(player: Player) -> str:
    """
    The end of a lease wakes a claim that waits.
    """
    await player.queue(1)
    task = await player.one(lease=_SHORT)
    ends = player.peer.answeredAt + task.lease
    checkShort(task)
    poll = await waiting(player, task.lease)
    again = await _woken(poll)
    took = player.peer.answeredAt - ends
    await player.complete(again)
    return _judged(took)


async def waiting(player: Player, more: float = 0.0) -> Poll:
    """
    Begin a claim, and give it the time to arrive.

    @param more: The seconds for which it waits, beyond the usual.

    @raise Skipped: The endpoint does not wait.
    """
    poll = player.begin(wait=PATIENCE + 1 + more)
    await player.pause(_SETTLED)
    if poll.answered.called and not await poll.answered:
        raise Skipped("the endpoint answers at once and does not wait")
    return poll


async def _woken(poll: Poll) -> Delivery:
    came = await poll.answered
    expect(came, "the claim was answered without the task", "with it")
    return came[0]


def _judged(took: float) -> str:
    text = f"{max(took, 0):.2f} s"
    expect(took <= _SLOWEST, f"it took {text}", "at once")
    if took > _SLUGGISH:
        raise Noted(f"it took {text}; an endpoint that looks every so often is slow")
    return text


CHECKS: Sequence[Check] = (byTask, byRelease, byDelay, byLease)
