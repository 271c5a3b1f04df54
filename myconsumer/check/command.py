"""
The command C{myconsumer check}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from myconsumer.check.hangup import makeLeaving
from myconsumer.check.player import Player
from myconsumer.check.report import Report
from myconsumer.check.runner import run
from myconsumer.check.table import named
from myconsumer.check.wire import Wire
from myconsumer.cli.options import QueueOptions
from myconsumer.command.resolving import refusal
from myconsumer.http import makeClient
from myconsumer.tokenfile import TokenFile

_CONNECTIONS = 8


class Options(QueueOptions):
    """
    What C{myconsumer check} takes.
    """

    synopsis = "URL [options]"
    longdesc = (
        "Plays a producer and a consumer, and tells line by line whether the endpoint "
        "keeps the pull contract. It needs a queue of its own, into which it puts "
        "tasks with POST URL, and leaves nothing there but what the endpoint keeps of "
        "tasks that have ended. The status is 0 if all holds."
    )

    def __init__(self) -> None:
        super().__init__()
        self["only"] = []

    def opt_only(self, part: str) -> None:
        """
        check only what this is a part of the line of; may be given more than once
        """
        try:
            named([part])
        except ValueError:
            raise refusal("--only", "a part of a line of the report", part) from None
        self["only"].append(part)


async def check(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Check an endpoint.

    @param reactor: The reactor.
    @param options: C{url}, C{token-file} and C{only}.
    @param write: Called with each line.

    @return: 0 if all holds; 1 if something does not, or could not be checked.

    @raise CommandError: Nothing can be checked; the text says why.
    """
    path, url = options["token-file"], options["url"]
    secret = None if path is None else TokenFile(path).read()
    client = makeClient(reactor, _CONNECTIONS, path)
    anonymous = makeClient(reactor, 1)
    leaving = makeLeaving(reactor, secret)
    wire = Wire(reactor, client, url, leaving, secret, anonymous)
    report = Report(write)
    only: Sequence[str] = options["only"]
    try:
        return await run(Player(reactor, wire), named(only), report)
    finally:
        await client.close()
        await anonymous.close()
