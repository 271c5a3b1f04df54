"""
Whether payloads come as they were queued: the field C{payload} in the chapter "Claim"
of docs/pull-contract.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from myconsumer.check.exceptions import NoProducer, Noted, expect
from myconsumer.check.player import Check, Player
from myconsumer.check.strict import asJSON

_VALUES: Sequence[Any] = (
    None,
    "",
    False,
    0,
    -1.5,
    2**53 + 1,
    2**63 - 1,
    1e300,
    [],
    {},
    [[[[[[[1, None], {}]]]]]],
    {"": {"a b": [{"c": "d"}]}, "ключ": "значение", "null": None},
    "Grüße, 你好, \U0001f980, e\u0301, \u2028, \u202e",
    "quotes \" ' ` and \\ </script> &amp; %20 \r\n\t\x01\x7f",
    "long " * 20_000,
)

_BARE: Sequence[Any] = (None, "a string", 17, [1, [2]])


async def asTheyWere(player: Player) -> str:
    """
    Payloads of all kinds come as they were queued.
    """
    await player.queue("an easy one")
    first = await player.one()
    await player.complete(first)
    refused = await _queue(player, _VALUES, bare=False)
    count = len(_VALUES)
    if player.own.knowsId(first):
        # otherwise they could not be told from somebody else's
        refused += await _queue(player, _BARE, bare=True)
        count += len(_BARE)
    if refused:
        raise Noted(f"POST URL does not take the payload {', '.join(refused)}")
    return f"{count} payloads"


async def _queue(player: Player, values: Sequence[Any], bare: bool) -> list[str]:
    """
    Queue, claim and compare.

    @return: What could not be queued.
    """
    wanted: dict[str | None, Any] = {}
    refused = []
    for value in values:
        try:
            marks = await player.queue(value, bare=bare)
            wanted[marks[0]] = value
        except NoProducer:
            refused.append(asJSON(value))
    came = await player.get(len(wanted))
    got = {player.own.markOf(task): task.payload for task in came}
    seen = f"of {len(wanted)} tasks that were queued {len(got)} came"
    expect(len(got) == len(wanted), seen, "all")
    for mark, value in wanted.items():
        sent = value if bare else player.own.payload(str(mark), value)
        seen = f"{asJSON(sent)} came as {asJSON(got[mark])}"
        expect(_text(got[mark]) == _text(sent), seen, "no difference")
    await player.complete(*came)
    return refused


def _text(value: Any) -> str:
    """
    Make a text in which 1, 1.0 and true differ, and the order of names does not count.
    """
    return json.dumps(value, sort_keys=True)


CHECKS: Sequence[Check] = (asTheyWere,)
