"""
What keeps a check from leaving anything to those after it.
"""

from __future__ import annotations

from contextlib import suppress

from myconsumer.check.exceptions import Broken, Foreign, Rejected, Skipped, Unanswered
from myconsumer.check.player import Player

_LONGEST = 5.0
_MANY = 100


async def tidy(player: Player) -> None:
    """
    End the claims that are open, and the tasks that are left.

    @raise Foreign: A task of somebody else came.
    """
    polls, player.polls = player.polls, []
    for poll in polls:
        if not poll.answered.called:
            with suppress(Broken, Skipped):
                await player.end(poll.name)
        poll.answered.addErrback(lambda _: None)
        poll.answered.cancel()
    # what is broken is reported by the check that is for it
    with suppress(Broken, Skipped):
        await player.peer.discard(player.own.held)
        ends = player.seconds() + _LONGEST
        while player.own.left and player.seconds() < ends:
            await player.peer.discard(await player.some(_MANY, seconds=1.0))
    if player.peer.foreign:
        raise Foreign(player.peer.foreign)


async def adopt(player: Player) -> int:
    """
    End the tasks that an earlier run has left, as one that was broken off does.

    @return: How many there were.

    @raise Foreign: A task of somebody else came.
    @raise Rejected: Claims are refused.
    @raise Unanswered: The endpoint does not answer.
    """
    player.own.adopting = True
    count = -1
    try:
        while count < player.own.receipts:
            count = player.own.receipts
            await player.claim(limit=_MANY)
    except (Rejected, Unanswered):
        raise
    except (Broken, Skipped):
        # the checks will tell
        pass
    finally:
        player.own.adopting = False
    return player.own.receipts
