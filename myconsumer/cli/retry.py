"""
C{myconsumer retry}: makes failed tasks ready again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from myconsumer.cli.options import PLACES, makeCommand
from myconsumer.cli.queue import Queue, queueOf
from myconsumer.cli.running import CommandError
from myconsumer.command.option import Flag, Option
from myconsumer.command.refusal import AllGiven, BadOption, exclude
from myconsumer.command.usage import CommandOptions
from myconsumer.errors import QueueError
from myconsumer.text import shown

#: How many tasks a request of C{--all} has retried at most.
PAGE = 10_000

_WANTED = '{"retried": 0}'
_MOST_NAMED = 10


_IDS = Annotated[list[str], Meta(description="the ids of failed tasks")]


def _checkTogether(given: AllGiven) -> None:
    exclude(given, "all", "ids")
    if not given["ids"] and not any(each.value for each in given["all"][:1]):
        raise BadOption("the ids of failed tasks are needed after the URL, or --all")


class Options(CommandOptions):
    """
    What C{myconsumer retry} takes.
    """

    command = makeCommand(
        "retry",
        Option("ids", _IDS, (), "the tasks to retry", argument="ID"),
        Option("all", Flag, False, "retry all failed tasks of the queue"),
        checkTogether=_checkTogether,
    )
    synopsis = "URL (ID... | --all) [options]"
    longdesc = (
        "Makes failed tasks ready again, their attempts counted from the beginning, "
        f"and prints how many. {PLACES}"
    )


class _Retried(Struct):
    retried: int
    unknown: list[str] = []
    next: Any = None


async def retry(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Make failed tasks ready again, and print how many.

    @param reactor: The reactor.
    @param options: The L{Options}.
    @param write: Writes a line.

    @return: The exit status.

    @raise CommandError: Some ids name no failed task.  The other tasks are ready
        again.
    """
    async with queueOf(reactor, options) as queue:
        if options["all"]:
            await _retryAll(queue, write)
            return 0
        found = await _retry(queue, {"ids": options["ids"]})
    write(_told(found.retried))
    if found.unknown:
        raise CommandError(_unknown(found.unknown))
    return 0


async def _retryAll(queue: Queue, write: Callable[[str], object]) -> None:
    retried = 0
    asked: dict[str, Any] = {"all": True, "limit": PAGE}
    try:
        while True:
            found = await _retry(queue, asked)
            retried += found.retried
            if found.next is None:
                break
            asked["after"] = found.next
    except QueueError:
        if retried:
            write(_told(retried))
        raise
    write(_told(retried))


async def _retry(queue: Queue, asked: Mapping[str, Any]) -> _Retried:
    steps = ["failed", "retry"]
    body = msgspec.json.encode(asked)
    return await queue.ask(_Retried, _WANTED, "POST", steps, body)


def _told(count: int) -> str:
    return f"{count} task{'' if count == 1 else 's'} to be tried again"


def _unknown(ids: Sequence[str]) -> str:
    names = ", ".join(shown(id) for id in ids[:_MOST_NAMED])
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return f"no failed task is called {names}{more}"
