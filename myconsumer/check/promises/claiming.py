"""
What claims bring, and to whom: the chapter "Claim" of docs/pull-contract.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from myconsumer.check.delivery import Delivery
from myconsumer.check.exceptions import Noted, expect
from myconsumer.check.player import PATIENCE, Check, Player
from myconsumer.check.strict import asJSON

_WAIT = 1.0


async def emptyAtOnce(player: Player) -> str:
    """
    A claim that may not wait is answered at once.
    """
    began = player.seconds()
    await player.claim(wait=0)
    took = player.seconds() - began
    expect(took <= PATIENCE, f"it took {took:.2f} s", "an answer at once, empty")
    return f"{took:.2f} s"


async def emptyAfterWait(player: Player) -> str:
    """
    A claim that gets nothing is answered empty after its wait.
    """
    began = player.seconds()
    await player.claim(wait=_WAIT)
    took = player.seconds() - began
    seen = f"with a wait of {_WAIT:g} s it took {took:.2f} s"
    expect(took <= _WAIT + PATIENCE, seen, "no longer than the wait")
    if took < 0.9 * _WAIT:
        raise Noted(
            f"{seen}; an endpoint that does not wait is asked again and again, and "
            "its tasks are picked up later"
        )
    return f"{took:.2f} s"


async def unknownFields(player: Player) -> None:
    """
    Fields that are not known are ignored.
    """
    await player.claim(unheardOf={"of": [1]}, another=None)
    unknown = {"receipt": "never-given", "outcome": "complete", "unheardOf": 1}
    await player.settle(unknown)


async def asQueued(player: Player) -> None:
    """
    A task comes with id, payload, receipt and attempt.
    """
    await player.queue(1)
    task = await player.one()
    expect(task.attempt == 1, f"attempt is {task.attempt}", "1 for the first delivery")
    enqueued = task.fields.get("enqueued", 0)
    expect(enqueued < 10**11, f"enqueued is {enqueued}", "seconds since 1970")
    if task.receipt is None:
        raise Noted("a task has no receipt: it is never settled, and lost in a crash")
    await player.complete(task)
    if "attempt" not in task.fields:
        raise Noted(
            "the task has no attempt, so consumers cannot tell what fails always"
        )
    if player.peer.kind.partition(";")[0].strip().lower() != "application/json":
        raise Noted(f"Content-Type is {player.peer.kind!r} and not application/json")


async def atOnce(player: Player) -> str:
    """
    A claim is answered as soon as there is one task, and does not wait for more.
    """
    await player.queue(1)
    began = player.seconds()
    came = await player.claim(limit=5, wait=PATIENCE + 1)
    took = player.seconds() - began
    expect(came, f"a claim was answered empty after {took:.2f} s", "the task")
    expect(took <= PATIENCE, f"the answer took {took:.2f} s", "at once")
    await player.complete(*came)
    return f"{took:.2f} s"


async def limit(player: Player) -> None:
    """
    A claim brings no more tasks than its limit.
    """
    await player.queue(1, 2, 3, 4, 5)
    came = await player.some(limit=3)
    expect(len(came) <= 3, f"limit was 3, and {len(came)} tasks came", "3 at most")
    came += await player.get(5 - len(came))
    expect(len(came) == 5, f"of 5 tasks that were queued {len(came)} came", "all")
    ids = [task.id for task in came]
    expect(len(set(ids)) == 5, f"the ids were {asJSON(ids)}", "one for each task")
    await player.complete(*came)


async def noTaskTwice(player: Player) -> None:
    """
    Claims that come together never get the same task.
    """
    await player.queue(*range(6))
    polls = [player.begin(limit=2) for _ in range(4)]
    found = [task for poll in polls for task in await poll.answered]
    _checkOnce(player, found)
    found += await player.get(6 - len(found))
    _checkOnce(player, found)
    expect(len(found) == 6, f"of 6 tasks that were queued {len(found)} came", "all")
    await player.complete(*found)


async def noTaskTwiceWaiting(player: Player) -> None:
    """
    Claims that wait together never get the same task.
    """
    polls = [player.begin(wait=1.0) for _ in range(3)]
    await player.queue(1, 2)
    found = [task for poll in polls for task in await poll.answered]
    _checkOnce(player, found)
    found += await player.get(2 - len(found))
    _checkOnce(player, found)
    expect(len(found) == 2, f"of 2 tasks that were queued {len(found)} came", "both")
    await player.complete(*found)


def _checkOnce(player: Player, found: Sequence[Delivery]) -> None:
    marks = [player.own.markOf(task) for task in found]
    twice = len(marks) - len(set(marks))
    expect(not twice, f"{twice} of {len(set(marks))} tasks came twice", "each once")


CHECKS: Sequence[Check] = (
    emptyAtOnce,
    emptyAfterWait,
    unknownFields,
    asQueued,
    atOnce,
    limit,
    noTaskTwice,
    noTaskTwiceWaiting,
)
