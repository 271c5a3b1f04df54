"""
The options that all commands of C{myconsumer} have.
"""

from __future__ import annotations

from collections.abc import Callable

from myconsumer.command import option
from myconsumer.command.option import Address, Option, asURL
from myconsumer.command.refusal import AllGiven
from myconsumer.command.resolving import Command

URL = Option("url", Address, None, "where the queue is", True, asURL, argument="URL")

TOKEN_FILE = option.TOKEN_FILE._replace(
    variable="CONSUMER_TOKEN_FILE",
    help="file with the bearer token; CONSUMER_TOKEN_FILE may name it, too",
)

#: What the help says of the places where options may be given.
PLACES = (
    "URL and options may also be given by environment variables (MYCONSUMER_URL, and "
    "so on) or in the TOML file of --config."
)


def makeCommand(
    name: str,
    *options: Option,
    checkTogether: Callable[[AllGiven], None] = lambda given: None,
) -> Command:
    """
    Make the table of a command.

    @param name: The command's name, without C{myconsumer}.
    @param options: What it takes beside the queue's URL and the token.
    @param checkTogether: See L{Command}.
    """
    return Command(f"myconsumer {name}", (URL, *options, TOKEN_FILE), checkTogether)
