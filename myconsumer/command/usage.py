"""
The options of a command, made of its table: parsed, resolved, and read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from myconsumer.command.advice import adviceOn
from myconsumer.command.commandline import arrange, checkTable
from myconsumer.command.option import CONFIG, Address, Option
from myconsumer.command.programoptions import ProgramOptions
from myconsumer.command.refusal import BadOption
from myconsumer.command.resolving import resolve
from myconsumer.command.setting import Change, Setting, Settings
from myconsumer.text import masked


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
        checkTable(option.name for option in (*self.command.options, CONFIG))
        return arrange(super().arranged(options), self.shortOpt, self.longOpt)

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


def _adding(option: Option) -> Any:
    """
    @return: A method that takes one value of a list.
    """

    def add(self: CommandOptions, value: str) -> None:
        self.setdefault(option.name, []).append(value)

    add.__doc__ = option.help
    return add
