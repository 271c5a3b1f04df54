"""
The command line of a command of C{twistd}, made of a table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from getopt import GetoptError
from importlib.metadata import version
from typing import Any, ClassVar, NoReturn

from twisted.python.usage import Options, UsageError

from myconsumer.command.option import CONFIG
from myconsumer.command.resolving import Command, Refused, resolve
from myconsumer.text import isSecret, oneLine, shown

#: The most characters of the line that says what is wrong: it may list all options.
LONGEST_LINE = 600


class CommandOptions(Options):
    """
    What a command takes.  Once parsed, it maps the long name of every option to a
    value that has been checked.

    @cvar command: The command.
    """

    command: ClassVar[Command]
    optParameters: ClassVar[list[list[Any]]]
    optFlags: ClassVar[list[list[Any]]]

    def __init_subclass__(cls) -> None:
        rows = [*cls.command.options, CONFIG]
        cls.optParameters = [
            [row.name, None, row.default, row.help]
            for row in rows
            if row.type is not bool
        ]
        cls.optFlags = [[row.name, None, row.help] for row in rows if row.type is bool]
        super().__init_subclass__()

    def __init__(self) -> None:
        super().__init__()
        # so that it holds what was given, until it holds what that comes to
        self.clear()

    def opt_version(self) -> None:
        """
        Display the version and exit.
        """
        print("myconsumer", version("myconsumer"))
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the command line and resolve all options.

        @raise SystemExit: An option is wrong or missing; the text is one line.
            C{twistd} prints its whole help when it meets a C{UsageError}.
        """
        try:
            super().parseOptions(options)
        except Refused as error:
            self.exit(str(error))
        except UsageError as error:
            self.exit(self._inOurWords(error))

    def parseArgs(self, *args: str) -> None:
        """
        There are none.
        """
        if args:
            what = (
                "an argument that is not shown" if isSecret(args[0]) else shown(args[0])
            )
            raise Refused(f"{what} is no option, and only options are taken")

    def postOptions(self) -> None:
        """
        Resolve the options.
        """
        self.update(resolve(self.command, dict(self), os.environ))

    def exit(self, line: str) -> NoReturn:
        """
        End the process, since something is wrong.

        @param line: What.
        """
        sys.exit(f"{self.command.name}: {oneLine(line, LONGEST_LINE)}")

    def _inOurWords(self, error: UsageError) -> str:
        """
        Word what was found wrong with the command line before any value was looked at.
        """
        cause = error.__context__
        if isinstance(cause, GetoptError):
            for option in (*self.command.options, CONFIG):
                if option.name != cause.opt:
                    continue
                if option.type is bool:
                    return f"--{option.name} takes no value on the command line"
                return f"--{option.name} takes {option.takes}, and nothing was given"
        text = str(error)
        what = (
            "an option that is not shown is not known"
            if isSecret(text)
            else oneLine(text)
        )
        return f"{what}; twistd {self.command.name} --help lists all"
