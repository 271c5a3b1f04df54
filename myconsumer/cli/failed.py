"""
C{myconsumer failed}: the tasks that have failed for good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from myconsumer.cli.options import PLACES, makeCommand
from myconsumer.cli.queue import Queue, queueOf
from myconsumer.command.option import Flag, Option
from myconsumer.command.usage import CommandOptions
from myconsumer.text import oneLine

#: How many tasks to ask for at once.
PAGE = 100

_WIDEST = 40

_WANTED = '{"failed": [{"id": ..., ...}, ...]}'

# up to the end of the year 9999
_Time = Annotated[float, Meta(ge=0, le=253402300799)]


class Options(CommandOptions):
    """
    What C{myconsumer failed} takes.
    """

    command = makeCommand(
        "failed",
        Option(
            "json", Flag, False, "print a JSON object for each task, with its payload"
        ),
    )
    synopsis = "URL [options]"
    longdesc = (
        "Prints a line for each task that has failed for good, the oldest first: its "
        f"id, when and after how many attempts it failed, and why. {PLACES}"
    )


class FailedTask(Struct):
    """
    What is shown of a task that has failed.
    """

    id: str
    attempts: int
    error: str | None = None
    ended: _Time | None = None


class _Page(Struct):
    failed: list[FailedTask]
    next: str | int | None = None


class _RawPage(Struct):
    failed: list[Raw]
    next: str | int | None = None


P = TypeVar("P", _Page, _RawPage)


async def failed(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Print the tasks, the oldest first.

    @param reactor: The reactor.
    @param options: The L{Options}.
    @param write: Writes a line.

    @return: The exit status.
    """
    async with queueOf(reactor, options) as queue:
        if options["json"]:
            async for raw in _pages(queue, _RawPage):
                for each in raw.failed:
                    write(msgspec.json.format(each, indent=-1).decode())
        else:
            async for page in _pages(queue, _Page):
                width = max((len(task.id) for task in page.failed), default=0)
                for task in page.failed:
                    write(readable(task, min(width, _WIDEST)))
    return 0


async def _pages(queue: Queue, type_: type[P]) -> AsyncIterator[P]:
    query = {"limit": str(PAGE)}
    while True:
        page = await queue.ask(type_, _WANTED, "GET", ["failed"], query=query)
        yield page
        if page.next is None:
            return
        query["after"] = str(page.next)


def readable(task: FailedTask, width: int = 0) -> str:
    """
    @param task: The task.
    @param width: The columns for its id.

    @return: A line about the task.
    """
    ended = "-"
    if task.ended is not None:
        ended = f"{datetime.fromtimestamp(task.ended, UTC):%Y-%m-%dT%H:%M:%SZ}"
    attempts = f"{task.attempts} attempt{'' if task.attempts == 1 else 's'}"
    error = oneLine(task.error or "") or "no reason given"
    return f"{oneLine(task.id):{width}}  {ended}  {attempts:11}  {error}"
