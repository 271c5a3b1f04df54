"""
Resolves the options of a command from its command line, the environment, a file and the
defaults: each value is checked once, and refused in one wording.

Promise 9: no secret is taken from the command line, where everybody would see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import convert

from myconsumer.command.option import CONFIG, NotShown, Option, Unavailable
from myconsumer.command.refusal import (
    AllGiven,
    BadOption,
    Given,
    checkRequired,
    refused,
)
from myconsumer.command.setting import DEFAULT, Setting
from myconsumer.text import masked, shown


class Command(NamedTuple):
    """
    A command, as the parsers of its options see it.

    @ivar name: Its name.  The first word of it begins the names of its environment
        variables.
    @ivar options: Its options, but for C{--config}, which every command has.
    @ivar checkTogether: Checks combinations of options; called with all values that
        were given for each; raises L{BadOption}.
    @ivar advise: Called with all settings, by long names, and the environment; returns
        a sentence for everything that is taken and should be changed.
    """

    name: str
    options: Sequence[Option]
    checkTogether: Callable[[AllGiven], None] = lambda given: None
    advise: Callable[[Mapping[str, Setting], Mapping[str, str]], list[str]] = (
        lambda settings, environ: []
    )

    @property
    def arguments(self) -> Sequence[Option]:
        """
        The options that are arguments without a name, in their order.
        """
        return [option for option in self.options if option.argument]

    def variable(self, option: Option) -> str:
        """
        @return: The environment variable that gives an option.
        """
        name = f"{self.name.split()[0]}_{option.name}".upper().replace("-", "_")
        return option.variable or name


def resolve(
    command: Command,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
    known: Sequence[Setting] = (),
) -> dict[str, Setting]:
    """
    Find every option's value: the command line counts most, then the environment,
    then the file, then the default.  A value that is overridden has to be valid, too.

    @param command: The command.
    @param arguments: What was given on the command line, by long names.
    @param environ: The environment.  An empty variable counts as not set.
    @param known: What was found before: what was given then is not converted again.

    @return: The settings by long names, each value checked and converted.

    @raise BadOption: A value is wrong, wherever it was given, or missing.
    """
    layers = [_fromArguments(command, arguments), _fromEnvironment(command, environ)]
    files = _given(CONFIG, layers)
    if files:
        file = _converted(CONFIG, files[0])
        layers.append(_fromFile(command, files[0].value, file))
    # a wrong value is refused before a missing one
    everything = {option.name: _given(option, layers) for option in command.options}
    checkRequired(command.options, everything)
    command.checkTogether(everything)
    return {
        option.name: _settle(command, option, everything[option.name], known)
        for option in command.options
    }


def _fromArguments(command: Command, arguments: Mapping[str, Any]) -> dict[str, Given]:
    return {
        option.name: Given(
            option.label,
            # a flag has no value of its own there
            True if option.isFlag else arguments[option.name],
        )
        for option in (*command.options, CONFIG)
        if option.name in arguments
    }


def _fromEnvironment(command: Command, environ: Mapping[str, str]) -> dict[str, Given]:
    found = {}
    for option in (*command.options, CONFIG):
        variable = command.variable(option)
        if value := environ.get(variable):
            found[option.name] = Given(variable, [value] if option.isList else value)
    return found


def _fromFile(command: Command, path: str, file: Mapping[str, Any]) -> dict[str, Given]:
    names = [option.name for option in command.options]
    for key in file:
        if key not in names:
            what = masked(key, "a key that is not shown")
            raise BadOption(
                f"{what} in {shown(path)} is no option; known are {', '.join(names)}"
            )
    return {
        key: Given(f"{key} in {shown(path)}", value, strict=True)
        for key, value in file.items()
    }


def _given(option: Option, layers: Iterable[Mapping[str, Given]]) -> list[Given]:
    """
    @return: All values that were given for C{option}, the one that counts first,
        each of the option's type.
    """
    return [
        _check(option, layer[option.name]) for layer in layers if option.name in layer
    ]


def _check(option: Option, given: Given) -> Given:
    try:
        value = convert(given.value, option.type, strict=given.strict)
    except ValueError:
        raise refused(given, option) from None
    return given._replace(value=value)


def _settle(
    command: Command,
    option: Option,
    values: Sequence[Given],
    known: Sequence[Setting],
) -> Setting:
    """
    @return: The first of the values, converted, or the default.
    """
    if option.needed and not values:
        raise BadOption(missing(command, option))
    given = values[0] if values else Given(DEFAULT, option.default)
    for setting in known:
        if (setting.name, setting.raw) == (option.name, given.value):
            return setting._replace(origin=given.origin)
    return Setting(option, given.value, given.origin, _convertedAll(option, given))


def _convertedAll(option: Option, given: Given) -> Any:
    if not option.isList:
        return _converted(option, given)
    return [_converted(option, given._replace(value=each)) for each in given.value]


def _converted(option: Option, given: Given) -> Any:
    if option.convert is None or given.value is None:
        return given.value
    try:
        return option.convert(given.value)
    except NotShown as error:
        raise BadOption(f"{given.origin} takes {option.takes}: {error}") from None
    except Unavailable as error:
        what = masked(given.value, "what was given and is not shown")
        raise BadOption(f"{given.origin}: {what} {error}") from None
    except ValueError as error:
        raise refused(given, option, str(error)) from None


def missing(command: Command, option: Option) -> str:
    """
    Word what is missing where an option is needed.
    """
    return (
        f"{option.label} is needed: it takes {option.takes}; "
        f"{command.variable(option)} or the file of --config may give it, too"
    )
