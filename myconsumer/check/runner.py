"""
One check after the other, each on what the one before has left: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from myconsumer.check.cleanup import adopt, tidy
from myconsumer.check.exceptions import (
    Broken,
    Foreign,
    NoProducer,
    Noted,
    Rejected,
    Skipped,
    Slow,
    Unanswered,
)
from myconsumer.check.player import Check, Player
from myconsumer.check.report import Kind, Report
from myconsumer.check.table import sentence
from myconsumer.cli.running import CommandError
from myconsumer.http.urls import withoutSecrets

_TRIES = 3


class Found(NamedTuple):
    """
    What a check came to.

    @ivar requests: What was sent and answered, where that shows something.
    @ivar cause: What it raised.
    """

    kind: Kind
    text: str
    requests: Sequence[str] = ()
    cause: Exception | None = None


async def run(player: Player, checks: Sequence[Check], report: Report) -> int:
    """
    Make checks and report.

    @return: The exit status: 0 if all holds.

    @raise CommandError: There is nothing that could be checked, or what is there is
        somebody else's.
    """
    try:
        await _begin(player, report)
        noProducer = await _makeAll(player, checks, report)
    except Foreign as foreign:
        raise CommandError(
            f"{foreign}; the check takes tasks and needs a queue of its own"
        ) from None
    if player.own.left:
        report.line(f"{player.own.left} tasks of this check are left in the queue")
    report.total()
    if noProducer:
        report.line(f"What needs tasks was not checked: {noProducer}")
    return 1 if report.failed or noProducer else 0


async def _begin(player: Player, report: Report) -> None:
    try:
        left = await adopt(player)
    except Rejected as rejected:
        hint = ""
        if rejected.code in (401, 403):
            hint = "; --token-file names the file with the right token"
        raise CommandError(f"nothing can be checked: {rejected}{hint}") from None
    except Unanswered as unanswered:
        raise CommandError(f"nothing can be checked: {unanswered}") from None
    report.line(
        f"{withoutSecrets(player.wire.url())} and the pull contract, version 1:"
    )
    if left:
        report.line(f"{left} tasks that an earlier check had left were completed")


async def _makeAll(player: Player, checks: Sequence[Check], report: Report) -> str:
    """
    @return: Why tasks cannot be queued; empty where they can.
    """
    noProducer = ""
    for check in checks:
        found = await _make(player, check)
        report.tell(found.kind, sentence(check), found.text, found.requests)
        if isinstance(found.cause, NoProducer):
            noProducer = found.text
        if isinstance(found.cause, Unanswered) and not await _answers(player):
            report.line("The endpoint does not answer any more: the rest is left out")
            break
    return noProducer


async def _make(player: Player, check: Check) -> Found:
    for _ in range(_TRIES):
        player.own.nextCheck()
        player.wire.forget()
        try:
            return Found(Kind.OK, await check(player) or "")
        except Broken as broken:
            return Found(Kind.FAIL, str(broken), tuple(player.wire.answers), broken)
        except Noted as noted:
            return Found(Kind.NOTE, str(noted))
        except Skipped as skipped:
            return Found(Kind.SKIP, str(skipped), (), skipped)
        except Slow:
            continue
        finally:
            await tidy(player)
    return Found(Kind.SKIP, "the answers take too long for this check")


async def _answers(player: Player) -> bool:
    try:
        await player.claim()
    except Unanswered:
        return False
    except Broken:
        pass
    return True
