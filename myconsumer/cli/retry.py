"""
C{myconsumer retry}: failed tasks are tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from myconsumer.cli.asking import queueOf
from myconsumer.cli.options import QueueOptions
from myconsumer.cli.running import CommandError
from myconsumer.parsing.resolving import Refused, shown

_WANTED = '{"retried": 0}'
_MOST_NAMED = 10


class Options(QueueOptions):
    """
    What C{myconsumer retry} takes.
    """

    synopsis = "URL (ID... | --all) [options]"
    optFlags = [  # noqa: RUF012 - its type is Twisted's
        ["all", None, "retry all tasks that have failed"]
    ]

    def takeArguments(self, arguments: Sequence[str]) -> None:
        """
        Take the ids of tasks.
        """
        if self["all"] and arguments:
            raise Refused("--all and ids of tasks exclude each other")
        if not self["all"] and not arguments:
            raise Refused("the ids of failed tasks are needed, or --all")
        self["ids"] = list(arguments)


class _Retried(Struct):
    retried: int
    unknown: list[str] = []


async def retry(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Have tasks tried again, and print how many.

    @param reactor: The reactor.
    @param options: The L{Options}.
    @param write: Writes a line.

    @return: The exit status.

    @raise CommandError: Some are no failed tasks.  The others are tried again.
    """
    asked = {"all": True} if options["all"] else {"ids": options["ids"]}
    body = msgspec.json.encode(asked)
    async with queueOf(reactor, options) as queue:
        steps = ["failed", "retry"]
        found = await queue.ask(_Retried, _WANTED, "POST", steps, body)
    write(f"{found.retried} task{'' if found.retried == 1 else 's'} to be tried again")
    if found.unknown:
        raise CommandError(_unknown(found.unknown))
    return 0


def _unknown(ids: Sequence[str]) -> str:
    names = ", ".join(shown(id) for id in ids[:_MOST_NAMED])
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"no failed task is called {names}{more}"
