"""
What the options of a command come to: the places where a value may be given, their
order, the one check that each value passes, and the words of a refusal.

Promise 9: no secret is taken from the command line, where everybody would see it, or
shown in a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import convert
from twisted.python.usage import UsageError

from myconsumer.command.option import CONFIG, Option
from myconsumer.text import isSecret, oneLine, shown


class Refused(UsageError):
    """
    A value is wrong or missing.  The text is one line that says which, and what it
    takes.
    """


class Given(NamedTuple):
    """
    A value as it was given.

    @ivar origin: Where, in words that begin a sentence.
    @ivar value: The value.
    @ivar strict: Whether it has a type of its own, as in a file, and is not text.
    """

    origin: str
    value: Any
    strict: bool = False


class Command(NamedTuple):
    """
    A command, to those who parse its options.

    @ivar name: Its name.
    @ivar options: Its options, but for C{--config}, which every command has.
    @ivar together: Checks what options say of each other, given all values of each;
        raises L{Refused}.
    """

    name: str
    options: Sequence[Option]
    together: Callable[[Mapping[str, Sequence[Given]]], None] = lambda given: None

    def variable(self, option: Option) -> str:
        """
        @return: The environment variable that gives an option.
        """
        return f"{self.name}_{option.name}".upper().replace("-", "_")


def resolve(
    command: Command, arguments: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """
    Find every option's value: the command line counts most, then the environment,
    then the file, then the default.  What does not count has to be right, too.

    @param command: The command.
    @param arguments: What was given on the command line, by long names.
    @param environ: The environment.  An empty variable counts as not set.

    @return: The values by long names, each checked and turned into what it stands
        for.

    @raise Refused: A value is wrong, wherever it was given, or missing.
    """
    layers = [_fromArguments(command, arguments), _fromEnvironment(command, environ)]
    files = _given(CONFIG, layers)
    if files:
        file = _settle(command, CONFIG, files)
        layers.append(_fromFile(command, files[0].value, file))
    # what is wrong is told of before what is missing
    everything = {option: _given(option, layers) for option in command.options}
    _checkTogether(
        command, {option.name: given for option, given in everything.items()}
    )
    return {
        option.name: _settle(command, option, given)
        for option, given in everything.items()
    }


def _checkTogether(command: Command, given: Mapping[str, Sequence[Given]]) -> None:
    for option in command.options:
        if option.goesWith and given[option.name] and not given[option.goesWith]:
            raise Refused(
                f"{given[option.name][0].origin} goes with --{option.goesWith}, "
                "which is not given"
            )
    command.together(given)


def _fromArguments(command: Command, arguments: Mapping[str, Any]) -> dict[str, Given]:
    return {
        option.name: Given(
            f"--{option.name}",
            # a flag has no value of its own there
            True if option.type is bool else arguments[option.name],
        )
        for option in (*command.options, CONFIG)
        if option.name in arguments
    }


def _fromEnvironment(command: Command, environ: Mapping[str, str]) -> dict[str, Given]:
    return {
        option.name: Given(command.variable(option), environ[command.variable(option)])
        for option in (*command.options, CONFIG)
        if environ.get(command.variable(option))
    }


def _fromFile(command: Command, path: str, file: Mapping[str, Any]) -> dict[str, Given]:
    names = [option.name for option in command.options]
    for key in file:
        if key not in names:
            what = "a key that is not shown" if isSecret(key) else shown(key)
            raise Refused(
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
        raise refusal(given.origin, option.takes, given.value) from None
    return given._replace(value=value)


def _settle(command: Command, option: Option, values: Sequence[Given]) -> Any:
    """
    @return: What the first of the values stands for, or the default.
    """
    if not values:
        if option.needed:
            raise Refused(
                f"--{option.name} is needed: it takes {option.takes}; "
                f"{command.variable(option)} or the file of --config may give it, too"
            )
        given = Given("the default", option.default)
    else:
        given = values[0]
    if option.find is None or given.value is None:
        return given.value
    try:
        return option.find(given.value)
    except ValueError as error:
        raise refusal(given.origin, option.takes, given.value, str(error)) from None


def refusal(origin: str, takes: str, value: Any, reason: str = "") -> Refused:
    """
    Word a refusal, without the value if that may be a secret.

    @param origin: What was given the value, in words that begin a sentence.
    @param takes: What it takes instead.
    @param value: The value.
    @param reason: What is wrong, where that does not go without saying.
    """
    if not isSecret(value):
        line = f"{origin} takes {takes}, not {shown(value)}"
    else:
        line = f"{origin} takes {takes}, not what was given and is not shown"
        reason = "" if isSecret(reason) else reason
    return Refused(f"{line}: {oneLine(reason)}" if reason else line)
