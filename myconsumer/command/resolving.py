"""
Resolves the options of a command from its command line, the environment, a file and the
defaults: each value is checked once, and refused in one wording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import convert
from twisted.python.usage import UsageError

from myconsumer.command.option import CONFIG, Option
from myconsumer.text import isSecret, oneLine, shown


class BadOption(UsageError):
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


#: What was given of each option, by long names: first what counts most.
AllGiven = Mapping[str, Sequence[Given]]


class Command(NamedTuple):
    """
    A command, to those who parse its options.

    @ivar name: Its name.  The first word of it begins the names of its environment
        variables.
    @ivar options: Its options, but for C{--config}, which every command has.
    @ivar checkTogether: Checks what options say of each other, given all values of
        each; raises L{BadOption}.
    """

    name: str
    options: Sequence[Option]
    checkTogether: Callable[[AllGiven], None] = lambda given: None

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

    @raise BadOption: A value is wrong, wherever it was given, or missing.
    """
    layers = [_fromArguments(command, arguments), _fromEnvironment(command, environ)]
    files = _given(CONFIG, layers)
    if files:
        file = _settle(command, CONFIG, files)
        layers.append(_fromFile(command, files[0].value, file))
    # a wrong value is refused before a missing one
    everything = {option.name: _given(option, layers) for option in command.options}
    _checkRequired(command.options, everything)
    command.checkTogether(everything)
    return {
        option.name: _settle(command, option, everything[option.name])
        for option in command.options
    }


def exclude(given: AllGiven, *names: str) -> None:
    """
    @param given: What was given.
    @param names: The options of which one at most may be given; a flag that is false
        is not given.

    @raise BadOption: There are two.
    """
    found = [given[name][0] for name in names if given[name]]
    found = [each for each in found if each.value is not False]
    if len(found) > 1:
        first, second = found[:2]
        raise BadOption(f"{first.origin} and {second.origin} exclude each other")


def _checkRequired(options: Sequence[Option], given: AllGiven) -> None:
    for option in options:
        if option.requires and given[option.name] and not given[option.requires]:
            raise BadOption(
                f"{given[option.name][0].origin} goes with --{option.requires}, "
                "which is not given"
            )


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
            what = "a key that is not shown" if isSecret(key) else shown(key)
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
        raise _refused(given, option) from None
    return given._replace(value=value)


def _settle(command: Command, option: Option, values: Sequence[Given]) -> Any:
    """
    @return: What the first of the values stands for, or the default.
    """
    if option.needed and not values:
        raise BadOption(missing(command, option))
    given = values[0] if values else Given("the default", option.default)
    if option.isList:
        each = (given._replace(value=value) for value in given.value)
        return [_converted(option, value) for value in each]
    return _converted(option, given)


def _converted(option: Option, given: Given) -> Any:
    if option.convert is None or given.value is None:
        return given.value
    try:
        return option.convert(given.value)
    except ValueError as error:
        raise _refused(given, option, str(error)) from None


def missing(command: Command, option: Option) -> str:
    """
    Word what is missing where an option is needed.
    """
    return (
        f"{option.label} is needed: it takes {option.takes}; "
        f"{command.variable(option)} or the file of --config may give it, too"
    )


def _refused(given: Given, option: Option, reason: str = "") -> BadOption:
    """
    Word a refusal, without the value if that may be a secret.

    @param reason: What is wrong, where that does not go without saying.
    """
    value = shown(given.value)
    if isSecret(given.value):
        value = "what was given and is not shown"
        reason = "" if isSecret(reason) else reason
    line = f"{given.origin} takes {option.takes}, not {value}"
    return BadOption(f"{line}: {oneLine(reason)}" if reason else line)
