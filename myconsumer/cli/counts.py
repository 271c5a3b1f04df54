"""
C{myconsumer counts}: how many tasks are in which state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from myconsumer.cli.options import PLACES, makeCommand
from myconsumer.cli.queue import queueOf
from myconsumer.command.option import Flag, Option
from myconsumer.command.usage import CommandOptions

#: How many tasks of a queue are in which state.
Counts = Mapping[str, int]

# the embedded queue's own URL, without a name, counts all: {"queues": {NAME: counts}}
_Answer = dict[str, int | dict[str, dict[str, int]]]


class Options(CommandOptions):
    """
    What C{myconsumer counts} takes.
    """

    command = makeCommand("counts", Option("json", Flag, False, "print a JSON object"))
    synopsis = "URL [options]"
    longdesc = (
        "Prints how many tasks of the queue are in which state; of all queues, if URL "
        f"is that of an embedded queue, without a queue's name. {PLACES}"
    )


async def counts(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Print the counts.

    @param reactor: The reactor.
    @param options: The L{Options}.
    @param write: Writes a line.

    @return: The exit status.
    """
    async with queueOf(reactor, options) as queue:
        found: Any = await queue.ask(_Answer, '{"ready": 0, ...}', "GET")
    if options["json"]:
        write(msgspec.json.encode(found).decode())
    else:
        queues = found.get("queues")
        for line in overview(queues) if isinstance(queues, dict) else table(found):
            write(line)
    return 0


def overview(found: Mapping[str, Counts]) -> list[str]:
    """
    @return: A header with the names of the counts, and a line for each queue.
    """
    states = list(dict.fromkeys(state for each in found.values() for state in each))
    rows = [["", *states]]
    for name, counts in found.items():
        rows.append([name, *(str(counts.get(state, "")) for state in states)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([f"{row[0]:{widths[0]}}", *map(str.rjust, row[1:], widths[1:])])
        for row in rows
    ]


def table(found: Counts) -> list[str]:
    """
    @return: A line for each count, the columns aligned.
    """
    names = max(map(len, found), default=0)
    numbers = max((len(str(number)) for number in found.values()), default=0)
    return [f"{name:{names}}  {number:{numbers}}" for name, number in found.items()]
