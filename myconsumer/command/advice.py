"""
What a command says of options that are taken, and will disappoint: each time one
sentence, with what to change.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from myconsumer.command.option import CONFIG, TOKEN_FILE
from myconsumer.command.resolving import Command
from myconsumer.command.setting import Setting
from myconsumer.text import oneLine

#: The most variables that are named one by one.
MOST_NAMED = 10

_TOKEN_FILE = f"_{TOKEN_FILE.name}".upper().replace("-", "_")

# what Kubernetes sets in every pod for each Service, by the Service's name
_KUBERNETES = re.compile(
    r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)"
    r"(_(PROTO|PORT|ADDR))?)"
)


def adviceOn(
    command: Command, settings: Mapping[str, Setting], environ: Mapping[str, str]
) -> list[str]:
    """
    @param command: A command.
    @param settings: What its options are set to, by their long names.
    @param environ: The environment.

    @return: A sentence for everything that should be changed.
    """
    return [
        *strays(prefix(command), variables(command), environ),
        *command.advise(settings, environ),
    ]


def prefix(command: Command) -> str:
    """
    @return: What the names of a command's environment variables begin with.
    """
    return f"{command.name.split()[0]}_".upper()


def variables(command: Command) -> list[str]:
    """
    @return: The environment variables that give the options of a command.
    """
    return [command.variable(option) for option in (*command.options, CONFIG)]


def strays(
    prefix: str, known: Collection[str], environ: Mapping[str, str]
) -> list[str]:
    """
    Find variables that look like options and are none, but for those that an
    orchestrator sets.

    @param prefix: What they begin with.
    @param known: The variables that give options.
    @param environ: The environment.

    @return: A sentence for each variable, without its value.
    """
    found = [
        name
        for name in sorted(environ)
        if name.startswith(prefix)
        and name not in known
        and not _KUBERNETES.fullmatch(name)
    ]
    more = len(found) - MOST_NAMED
    lines = [_stray(name, known) for name in found[:MOST_NAMED]]
    return [*lines, f"{more} more variables give no option"] if more > 0 else lines


def _stray(name: str, known: Collection[str]) -> str:
    shown = oneLine(name, 60)
    near = get_close_matches(name, known, 1, 0.8)
    files = [each for each in known if each.endswith(_TOKEN_FILE)]
    if name.endswith("_TOKEN") and files:
        return (
            f"{shown} is not read: write the token into a file, and set {files[0]} to "
            "the file's path"
        )
    instead = f"did you mean {near[0]}?" if near else "remove it, or rename it"
    return f"{shown} gives no option: {instead}"
