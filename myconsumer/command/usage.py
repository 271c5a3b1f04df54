"""
The command line of a command, made of its table of options.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from getopt import GetoptError, gnu_getopt
from importlib.metadata import version
from typing import Any, ClassVar, NoReturn

from twisted.python.usage import Options, UsageError

from myconsumer.command.advice import adviceOn
from myconsumer.command.help import (
    OPTIONS,
    Row,
    examples,
    optionRows,
    paragraph,
    section,
    synopsisOf,
)
from myconsumer.command.option import CONFIG, Address, Option
from myconsumer.command.refusal import BadOption
from myconsumer.command.resolving import Command, resolve
from myconsumer.command.setting import Change, Setting, Settings
from myconsumer.text import isSecret, masked, oneLine

#: The most characters of the line that says what is wrong: it may list all options.
LONGEST_LINE = 600

#: Where the documentation is.
DOCUMENTATION = "the README and docs/ of the package's source"

# what no table of options may have
_BUILT_IN = ("help", "version", "check-config")


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


class CommandOptions(ProgramOptions):
    """
    The options of a command.  Once parsed, it maps the long name of every option to a
    value that has been checked.
    """

    _settings: Settings
    # the command line, and the environment, that it was parsed with
    _given: tuple[Mapping[str, Any], Mapping[str, str]]

    optParameters: ClassVar[Sequence[Sequence[Any]]]
    optFlags: ClassVar[Sequence[Sequence[Any]]]
    _rows: ClassVar[Sequence[Option]]

    def __init_subclass__(cls) -> None:
        rows = [o for o in (*cls.command.options, CONFIG) if not o.argument]
        cls._rows = rows
        cls.optFlags = [[o.name, None, o.help] for o in rows if o.isFlag]
        cls.optParameters = [
            [o.name, None, o.default, o.help]
            for o in rows
            if not (o.isFlag or o.isList)
        ]
        for option in rows:
            if option.isList:
                setattr(cls, f"opt_{option.name.replace('-', '_')}", _adding(option))
        super().__init_subclass__()

    def __init__(self) -> None:
        super().__init__()
        # holds what the command line gives, until postOptions has resolved it
        self.clear()

    def _named(self) -> list[Option]:
        return list(self._rows)

    def _isGivenElsewhere(self, option: Option, word: str) -> bool:
        """
        @return: Whether the environment gives a URL, and C{word} is another argument.
        """
        variable = self.command.variable(option)
        return (
            option.type is Address
            and "://" not in word
            and bool(os.environ.get(variable))
        )

    def arranged(self, options: Sequence[str] | None) -> Sequence[str]:
        """
        See L{ProgramOptions.arranged}.  Options may stand before, between and after the
        arguments.
        """
        self._checkTable()
        words = super().arranged(options)
        self._refuseUnknown(words)
        found, arguments = gnu_getopt(list(words), self.shortOpt, self.longOpt)
        named = [
            f"{name}={value}" if f"{name[2:]}=" in self.longOpt else name
            for name, value in found
        ]
        return [*named, "--", *arguments]

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the arguments that have no name on the command line.
        """
        rest = list(arguments)
        for option in self.command.arguments:
            if rest and not self._isGivenElsewhere(option, rest[0]):
                self[option.name] = rest if option.isList else rest.pop(0)
                if option.isList:
                    return
        if rest:
            what = masked(rest[0], "an argument that is not shown")
            raise BadOption(f"{what} is one argument too many; --help lists all")

    def postOptions(self) -> None:
        """
        Resolve the options.
        """
        given, environ = dict(self), dict(os.environ)
        settings = resolve(self.command, given, environ)
        # twistd may change the directory
        for place, name in (
            (given, CONFIG.name),
            (environ, self.command.variable(CONFIG)),
        ):
            if place.get(name):
                place[name] = os.path.abspath(place[name])
        self._given = (given, environ)
        self._settings = Settings(settings)
        self._update()

    @property
    def settings(self) -> Mapping[str, Setting]:
        """
        What is in use, with where it was given, by the options' long names.
        """
        return self._settings.inUse

    @property
    def configFile(self) -> str | None:
        """
        The absolute path of the file of C{--config}, if there is one.
        """
        given, environ = self._given
        path: str | None = given.get(CONFIG.name)
        return path or environ.get(self.command.variable(CONFIG)) or None

    def advice(self) -> list[str]:
        """
        @return: A sentence for everything that is taken and should be changed.
        """
        _, environ = self._given
        return adviceOn(self.command, self.settings, environ)

    def reread(
        self, use: Callable[[Sequence[Change]], object] = lambda changes: None
    ) -> Sequence[Change]:
        """
        Resolve the options again, from the same command line and environment, and from
        the file of C{--config} as it is now.  A value that was given before, in
        whatever place, is not converted again: that may import a module, or look at a
        lock that is ours.

        What takes effect at once is then mapped to its new value.  What needs a restart
        keeps its old one, and is among the changes only until it was returned once.

        @param use: Puts the changes to use.  What it raises leaves all as it was.

        @return: What has changed since the options were read last.

        @raise BadOption: Something is wrong, or the file cannot be read; then nothing
            is changed.
        """
        settings = resolve(self.command, *self._given, self._settings.known())
        changes = self._settings.changes(settings)
        use(changes)
        self._settings.take(settings)
        self._update()
        return changes

    def _update(self) -> None:
        self.update({name: each.value for name, each in self.settings.items()})

    def _refuseUnknown(self, words: Sequence[str]) -> None:
        """
        Refuse options that are none, and the beginnings of names, which C{getopt}
        takes: C{--token=secret} is no C{--token-file}.
        """
        rest = iter(words)
        for word in rest:
            if word == "--":
                return
            name, given, _ = word.removeprefix("--").partition("=")
            if not word.startswith("--") or name in self.longOpt:
                continue
            if f"{name}=" not in self.longOpt:
                raise BadOption(self._unknown(name))
            if not given:
                # its value, whatever that looks like
                next(rest, None)

    def _unknown(self, name: str) -> str:
        if isSecret(name):
            return "an option that is not shown is not known; --help lists all"
        names = [each.rstrip("=") for each in self.longOpt]
        near = [each for each in names if name and each.startswith(f"{name}-")]
        near += get_close_matches(name, names, 1)
        meant = f"did you mean --{near[0]}? " if near else ""
        return f"option --{oneLine(name, 60)} not recognized; {meant}--help lists all"

    def _checkTable(self) -> None:
        names = [option.name for option in (*self.command.options, CONFIG)]
        for name, count in Counter([*names, *_BUILT_IN]).items():
            if count > 1:
                raise BadOption(
                    f"{count} options are called --{name}, at least one of them a "
                    "plugin's: remove the package that brings it"
                )


def _adding(option: Option) -> Any:
    """
    @return: A method that takes one value of a list.
    """

    def add(self: CommandOptions, value: str) -> None:
        self.setdefault(option.name, []).append(value)

    add.__doc__ = option.help
    return add
