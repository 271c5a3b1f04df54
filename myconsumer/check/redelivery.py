"""
What holds for each delivery of a task after the first.
"""

from __future__ import annotations

from collections.abc import Container

from myconsumer.check.delivery import Delivery
from myconsumer.check.exceptions import Broken, Noted, Skipped, expect
from myconsumer.check.player import PATIENCE, Player
from myconsumer.check.strict import asJSON

#: The seconds of a lease whose end is waited for.
LONGEST_LEASE = 5.0

_TOLERANCE = 0.05


async def comesAgain(
    player: Player, before: Delivery, attempt: int, seconds: float = PATIENCE
) -> Delivery:
    """
    Claim a task once more.

    @param before: Its last delivery.
    @param attempt: The attempt that this delivery is to be.
    @param seconds: The seconds within which it has to come.

    @raise Broken: It does not come, or not as it should.
    """
    came = await player.get(seconds=seconds)
    if not came:
        raise Broken(f"the task did not come again within {seconds:g} s; wanted: soon")
    checkAgain(before, came[0], attempt)
    return came[0]


def checkAgain(before: Delivery, after: Delivery, attempt: int) -> None:
    """
    Compare two deliveries of a task.

    @raise Broken: The second is not as it should be.
    @raise Noted: It does not tell its attempt.
    """
    same = type(after.id) is type(before.id) and after.id == before.id
    seen = f"the id was {asJSON(before.id)} and then {asJSON(after.id)}"
    expect(same, seen, "the same in each delivery of a task")
    expect(after.payload == before.payload, "the payload has changed", "the same")
    if before.receipt is not None:
        again = f"the receipt was {asJSON(before.receipt)} both times"
        expect(after.receipt != before.receipt, again, "one for each delivery")
    if "attempt" not in after.fields and attempt > 1:
        raise Noted(
            f"the task has no attempt, so that counts as 1 where it is {attempt}"
        )
    seen = f"attempt was {before.attempt} and then {after.attempt}"
    expect(after.attempt == attempt, seen, str(attempt))


async def nothingComes(player: Player, seconds: float, why: str) -> None:
    """
    Claim, and get no task.

    @param seconds: The seconds for which to claim.
    @param why: Why no task may come, for the report.

    @raise Broken: A task comes.
    """
    began = player.seconds()
    came = await player.get(seconds=seconds)
    after = f"after {player.seconds() - began:.2f} s"
    expect(not came, f"a task was delivered {after}", f"none, since {why}")


def notBefore(player: Player, began: float, seconds: float, what: str) -> float:
    """
    Check that something took its time.

    @param began: When it began, or earlier.
    @param seconds: The seconds that it has to take.
    @param what: What it is, for the report.

    @return: The seconds that it took.

    @raise Broken: It came too soon.
    """
    took = player.seconds() - began
    wanted = f"{seconds:g} s or more"
    expect(took >= seconds - _TOLERANCE, f"{what} after {took:.2f} s", wanted)
    return took


def checkShort(delivery: Delivery) -> None:
    """
    See whether a lease is so short that its end can be waited for.

    @raise Skipped: It is longer than L{LONGEST_LEASE}.
    """
    if delivery.lease > LONGEST_LEASE:
        raise Skipped(
            f"a lease of {delivery.lease:g} s is given where a shorter one is asked "
            "for; its end is not waited for"
        )


def checkLost(lost: Container[str] | None, delivery: Delivery) -> None:
    """
    See whether the receipt of a lease that has ended was called lost.

    @param lost: The receipts that were called lost; C{None}: the endpoint does not say.

    @raise Broken: The receipt is not among them.
    """
    if lost is not None and delivery.receipt is not None:
        seen = f"{asJSON(delivery.receipt)} was taken, or is not in lost"
        expect(delivery.receipt in lost, seen, "lost, since it is of no use any more")
