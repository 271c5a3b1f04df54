"""
The command C{myconsumer check}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta

from myconsumer.check.hangup import makeLeaving
from myconsumer.check.player import Player
from myconsumer.check.report import Report
from myconsumer.check.runner import run
from myconsumer.check.table import named
from myconsumer.check.wire import Wire
from myconsumer.cli.options import PLACES, makeCommand
from myconsumer.command.option import Option
from myconsumer.command.usage import CommandOptions
from myconsumer.http import makeClient
from myconsumer.tokenfile import TokenFile

_CONNECTIONS = 8


def _known(part: str) -> str:
    try:
        named([part])
    except ValueError:
        raise ValueError("no line contains it") from None
    return part


#: Which checks are run.
ONLY = Option(
    "only",
    Annotated[list[str], Meta(description="a part of a line of the report")],
    (),
    "run only the checks whose report line contains this text; may be repeated",
    convert=_known,
    metavar="TEXT",
)


class Options(CommandOptions):
    """
    What C{myconsumer check} takes.
    """

    command = makeCommand("check", ONLY)
    synopsis = "URL [options]"
    longdesc = (
        "Plays a producer and a consumer, and prints line by line whether the endpoint "
        "keeps the pull contract. The queue must not be used by anything else: tasks "
        "are put into it with POST URL, and in the end nothing is left there but what "
        "the endpoint keeps of tasks that have ended. The exit status is 0 if the "
        f"endpoint keeps the contract. {PLACES}"
    )


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
    url = options["url"]
    token: TokenFile | None = options["token-file"]
    secret = None if token is None else token.read()
    client = makeClient(reactor, _CONNECTIONS, token)
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
