"""
What every program of ours takes: its help, its version, and one line where something is
wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from getopt import GetoptError
from importlib.metadata import version
from typing import ClassVar, NoReturn

from twisted.python.usage import Options, UsageError

from myconsumer.command.help import (
    OPTIONS,
    Row,
    examples,
    optionRows,
    paragraph,
    section,
    synopsisOf,
)
from myconsumer.command.option import CONFIG, Option
from myconsumer.command.refusal import BadOption
from myconsumer.command.resolving import Command
from myconsumer.text import isSecret, oneLine

#: The most characters of the line that says what is wrong: it may list all options.
LONGEST_LINE = 600

#: Where the documentation is.
DOCUMENTATION = "the README and docs/ of the package's source"


class ProgramOptions(Options):
    """
    What every program of ours takes: it shows its version, and ends with one line and
    status 1 where something is wrong.  C{twistd} prints its whole help when it meets a
    C{UsageError}.

    @cvar command: The command.
    """

    command: ClassVar[Command]
    #: More sections of the help, by their titles.
    sections: ClassVar[Mapping[str, Sequence[Row]]] = {}
    #: Command lines for the help.
    examples: ClassVar[Sequence[str]] = ()

    @property
    def program(self) -> str:
        """
        What begins the command line.
        """
        return self.command.name

    def getSynopsis(self) -> str:
        """
        See C{Options.getSynopsis}.
        """
        return synopsisOf(self.program, getattr(self, "synopsis", "[options]")) + "\n"

    def getUsage(self, width: int | None = None) -> str:
        """
        See C{Options.getUsage}.  The width is always that of 80 columns.
        """
        groups = optionRows(self._named())
        [*_, last] = groups or [OPTIONS]
        groups.setdefault(last, []).extend(self._builtIn())
        parts = [paragraph(getattr(self, "longdesc", ""))]
        parts += [section(*each) for each in groups.items()]
        parts += [section(*each) for each in self.sections.items()]
        if self.examples:
            parts.append(examples(self.examples))
        return "\n".join([*parts, paragraph(f"Documentation: {DOCUMENTATION}")])

    def _named(self) -> list[Option]:
        """
        @return: The options that have a name on the command line.
        """
        return []

    def _builtIn(self) -> list[Row]:
        """
        @return: A row of the help for each option that is in no table.
        """
        return [("--version", "print the version"), ("--help", "print this")]

    def opt_version(self) -> None:
        """
        Display the version and exit.
        """
        print("myconsumer", version("myconsumer"))
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the command line.

        @raise SystemExit: Something is wrong or missing; the text is one line.
        """
        try:
            super().parseOptions(self.arranged(options))
        except BadOption as error:
            self.exit(str(error))
        except (UsageError, GetoptError) as error:
            self.exit(self._reworded(error))

    def arranged(self, options: Sequence[str] | None) -> Sequence[str]:
        """
        @return: The words of the command line in the order in which Twisted takes
            them.

        @raise GetoptError: An option is not known, or lacks its value.
        """
        return sys.argv[1:] if options is None else options

    def exit(self, line: str) -> NoReturn:
        """
        End the process, since something is wrong.

        @param line: What is wrong.
        """
        sys.exit(f"{self.command.name}: {oneLine(line, LONGEST_LINE)}")

    def _reworded(self, error: Exception) -> str:
        """
        Reword an error of Twisted's parser, which looks at no value.
        """
        cause = error.__context__ if isinstance(error, UsageError) else error
        if isinstance(cause, GetoptError):
            for option in (*self.command.options, CONFIG):
                if option.label != f"--{cause.opt}":
                    continue
                if option.isFlag:
                    return f"{option.label} takes no value on the command line"
                return f"{option.label} takes {option.takes}, and nothing was given"
        text = str(error)
        if isSecret(text):
            text = "an option that is not shown is not known"
        return f"{oneLine(text)}; --help lists all"
