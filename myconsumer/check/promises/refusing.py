"""
Requests that are wrong, or may not be made: the chapters "Who may" and "Checklist" of
docs/pull-contract.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myconsumer.check.exceptions import Broken, Noted, Skipped, Unanswered, expect
from myconsumer.check.player import Check, Player
from myconsumer.check.strict import asJSON

_NO_JSON = b'{"limit": 1, \xff'
_CLAIM = {"limit": 1, "wait": 0, "lease": 1, "consumer": "x", "claim": "wrong"}


async def wrongClaim(player: Player) -> str:
    """
    A claim that is wrong is refused with a sentence.
    """
    return await _refused(
        player,
        "claim",
        {
            "what is no JSON": _NO_JSON,
            "a list": [_CLAIM],
            "null": b"null",
            "a limit of 0": {**_CLAIM, "limit": 0},
            "a limit in words": {**_CLAIM, "limit": "two"},
            "a wait in words": {**_CLAIM, "wait": "long"},
        },
    )


async def wrongSettle(player: Player) -> str:
    """
    A settle request that is wrong is refused with a sentence.
    """
    unknown = [{"receipt": "never-given", "outcome": "unheard-of"}]
    return await _refused(
        player,
        "settle",
        {
            "what is no JSON": _NO_JSON,
            "a list": unknown,
            "no settle": {"consumer": "x"},
            "settle that is no list": {"consumer": "x", "settle": 1},
            "a settlement that is no object": {"consumer": "x", "settle": [1]},
            "a settlement without receipt": {"settle": [{"outcome": "complete"}]},
            "an unknown outcome": {"consumer": "x", "settle": unknown},
        },
    )


async def withoutToken(player: Player) -> None:
    """
    A request without the right token is answered 401.
    """
    if not player.wire.hasToken:
        raise Skipped("no token is given with --token-file")
    for token, what in ((b"", "without a token"), (b"not-it", "with a wrong token")):
        for name in "claim", "settle":
            body = {**_CLAIM, "settle": []}
            answer = await player.wire.send("POST", [name], body, token=token)
            seen = f"POST URL/{name} {what} was answered {player.wire.quoted(answer)}"
            expect(answer.code == 401, seen, "401")


async def unrepeated(player: Player) -> str:
    """
    No receipt is ever given twice.
    """
    repeated = sorted(player.own.repeated)
    expect(not repeated, f"given twice: {asJSON(repeated)}", "one for each delivery")
    if not player.own.receipts:
        raise Skipped("no receipt was given")
    return f"{player.own.receipts} receipts"


async def goesOn(player: Player) -> None:
    """
    After all that tasks are queued, claimed and completed as before.
    """
    await player.queue(1)
    await player.complete(await player.one())


async def _refused(player: Player, name: str, bodies: Mapping[str, Any]) -> str:
    wrong = []
    silent = []
    for what, body in bodies.items():
        try:
            answer = await player.wire.send("POST", [name], body)
        except Unanswered as error:
            wrong.append(f"{what} got no answer ({error})")
            continue
        if not 400 <= answer.code < 500:
            wrong.append(f"{what} got {player.wire.quoted(answer)}")
        elif not answer.body.strip():
            silent.append(what)
    if wrong:
        raise Broken(f"{'; '.join(wrong)}; wanted: 400 and what is wrong")
    if silent:
        raise Noted(f"nothing is said of what is wrong with {', '.join(silent)}")
    return f"{len(bodies)} kinds"


CHECKS: Sequence[Check] = (wrongClaim, wrongSettle, withoutToken)
LAST: Sequence[Check] = (goesOn, unrepeated)
