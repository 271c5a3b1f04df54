"""
The C{myconsumer} command: finds what is to be done, and has it done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from myconsumer.cli.options import inOurWords, printVersion
from myconsumer.cli.running import nobodyReads, run
from myconsumer.command.resolving import Refused
from myconsumer.text import isSecret, oneLine, shown

#: What each command is for.
COMMANDS = {
    "enqueue": "queue the tasks of a file or of standard input, one a line",
    "counts": "tell how many tasks are in which state",
    "failed": "list the tasks that have failed for good",
    "retry": "have failed tasks tried again",
    "check": "find out whether an endpoint keeps the pull contract",
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


class Options(UsageOptions):
    """
    What C{myconsumer} takes: a command.
    """

    synopsis = "Usage: myconsumer"
    longdesc = "myconsumer COMMAND --help tells what a command takes."
    subCommands = [  # noqa: RUF012 - its type is Twisted's
        [name, None, partial(_optionsOf, name), summary]
        for name, summary in COMMANDS.items()
    ]

    def opt_version(self) -> None:
        """
        Display the version and exit.
        """
        printVersion()

    def parseArgs(self, *arguments: str) -> None:
        """
        There is no command.
        """
        raise Refused(f"a command is needed: {', '.join(COMMANDS)}")


def parse(arguments: Sequence[str]) -> Options:
    """
    Parse the command line.

    @raise SystemExit: Something is wrong or missing; the text is one line.
    """
    options = Options()
    try:
        _checkCommand(arguments)
        options.parseOptions(arguments)
    except Refused as error:
        _exit(options, error)
    except UsageError as error:
        _exit(options, inOurWords(error))
    return options


def _checkCommand(arguments: Sequence[str]) -> None:
    first = [word for word in arguments[:1] if not word.startswith("-")]
    if first and first[0] not in COMMANDS:
        what = "what is not shown" if isSecret(first[0]) else shown(first[0])
        raise Refused(f"{what} is no command; known are {', '.join(COMMANDS)}")


def _exit(options: Options, error: UsageError) -> NoReturn:
    words = [word for word in ("myconsumer", options.subCommand) if word]
    sys.exit(f"{' '.join(words)}: {oneLine(str(error))}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Do what the command line says.

    @param arguments: Its words after the first; C{None}: this process's own.

    @raise SystemExit: Always, with the exit status.
    """
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        # it was the help
        sys.exit(nobodyReads())
    name = str(options.subCommand)
    command = getattr(moduleOf(name), name)
    run(f"myconsumer {name}", partial(command, options=options.subOptions))


if __name__ == "__main__":
    main()
