"""
The C{myconsumer} command: finds the command that its first argument names, and runs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, NoReturn

from twisted.python.usage import Options as UsageOptions

from myconsumer.cli.running import nobodyReads, run
from myconsumer.command.advice import prefix, strays, variables
from myconsumer.command.programoptions import ProgramOptions
from myconsumer.command.refusal import BadOption
from myconsumer.command.resolving import Command
from myconsumer.text import masked

#: What each command is for.
COMMANDS = {
    "enqueue": "queue the tasks of a file or of standard input, one a line",
    "counts": "show how many tasks are in which state",
    "failed": "list the tasks that have failed for good",
    "retry": "make failed tasks ready again",
    "check": "check whether an endpoint keeps the pull contract",
}


def moduleOf(command: str) -> Any:
    """
    @return: The module of a command, which has C{Options}, and a coroutine that is
        named after it: C{(reactor, options, write) -> exit status}.
    """
    room = "myconsumer" if command == "check" else "myconsumer.cli"
    return import_module(f"{room}.{command}")


def _optionsOf(command: str) -> UsageOptions:
    options: UsageOptions = moduleOf(command).Options()
    return options


class Options(ProgramOptions):
    """
    What C{myconsumer} takes: a command.
    """

    command = Command("myconsumer", ())
    synopsis = "COMMAND ..."
    longdesc = "myconsumer COMMAND --help shows what a command takes."
    sections: ClassVar = {"Commands": list(COMMANDS.items())}
    subCommands = tuple(
        (name, None, partial(_optionsOf, name), summary)
        for name, summary in COMMANDS.items()
    )

    def arranged(self, options: Sequence[str] | None) -> Sequence[str]:
        """
        See L{ProgramOptions.arranged}.
        """
        words = super().arranged(options)
        _checkCommand(words)
        return words

    def parseArgs(self, *arguments: str) -> None:
        """
        Refuse a command line without a command.
        """
        raise BadOption(f"a command is needed: {', '.join(COMMANDS)}")


def _checkCommand(words: Sequence[str]) -> None:
    first = [word for word in words[:1] if not word.startswith("-")]
    if first and first[0] not in COMMANDS:
        what = masked(first[0], "what is not shown")
        near = get_close_matches(first[0], COMMANDS, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise BadOption(f"{what} is no command; {meant}known are {', '.join(COMMANDS)}")


def _strays(command: Command) -> list[str]:
    """
    @return: A sentence for each environment variable that gives no option of any
        command.
    """
    begin, known = prefix(command), set(variables(command))
    if strays(begin, known, os.environ):
        # imported only where needed
        known.update(*(variables(moduleOf(each).Options.command) for each in COMMANDS))
    return strays(begin, known, os.environ)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command that the command line names.

    @param arguments: The words of the command line after the program's name; C{None}:
        those of this process.

    @raise SystemExit: Always, with the exit status.
    """
    options = Options()
    try:
        options.parseOptions(arguments)
    except BrokenPipeError:
        # it was the help
        sys.exit(nobodyReads())
    name = str(options.subCommand)
    for line in _strays(options.subOptions.command):
        print(f"myconsumer {name}: {line}", file=sys.stderr)
    command = getattr(moduleOf(name), name)
    run(f"myconsumer {name}", partial(command, options=options.subOptions))


if __name__ == "__main__":
    main()
