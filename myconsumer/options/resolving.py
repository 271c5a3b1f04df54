"""
What the options of a command come to: the places where a value may be given, their
order, the one check that each value passes, and the words of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import convert
from twisted.python.usage import UsageError

from myconsumer.options.table import CONFIG, HANDLERS, OPTIONS, Option

# what may be a user name with a password, a key in a query, or a variable's value
_SECRET = re.compile(r"@|%40|://.*[?#]|^\s*(?:\w+\s*,\s*)*[A-Za-z_]\w*=", re.DOTALL)


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


def resolve(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """
    Find every option's value: the command line counts most, then the environment,
    then the file, then the default.  What does not count has to be right, too.

    @param arguments: What was given on the command line, by long names.
    @param environ: The environment.  An empty variable counts as not set.

    @return: The values by long names, each checked and turned into what it stands
        for.

    @raise Refused: A value is wrong, wherever it was given, or missing.
    """
    layers = [_fromArguments(arguments), _fromEnvironment(environ)]
    files = _given(CONFIG, layers)
    if files:
        layers.append(_fromFile(files[0].value, _settle(CONFIG, files)))
    # what is wrong is told of before what is missing
    everything = {option: _given(option, layers) for option in OPTIONS}
    _checkTogether({option.name: given for option, given in everything.items()})
    return {option.name: _settle(option, given) for option, given in everything.items()}


def _checkTogether(given: Mapping[str, Sequence[Given]]) -> None:
    """
    Check what options say of each other.
    """
    handlers = [given[name][0] for name in HANDLERS if given[name]]
    if len(handlers) > 1:
        first, second = handlers[:2]
        raise Refused(f"{first.origin} and {second.origin} exclude each other")
    for option in OPTIONS:
        if option.goesWith and given[option.name] and not given[option.goesWith]:
            raise Refused(
                f"{given[option.name][0].origin} goes with --{option.goesWith}, "
                "which is not given"
            )
    if given["url"] and given["limit"] and not handlers:
        raise Refused(
            "one of --python, --exec and --forward is needed: --python takes the "
            "dotted name of a callable, --exec a command, --forward a URL"
        )


def _fromArguments(arguments: Mapping[str, Any]) -> dict[str, Given]:
    return {
        option.name: Given(
            f"--{option.name}",
            # a flag has no value of its own there
            True if option.type is bool else arguments[option.name],
        )
        for option in (*OPTIONS, CONFIG)
        if option.name in arguments
    }


def _fromEnvironment(environ: Mapping[str, str]) -> dict[str, Given]:
    return {
        option.name: Given(option.variable, environ[option.variable])
        for option in (*OPTIONS, CONFIG)
        if environ.get(option.variable)
    }


def _fromFile(path: str, file: Mapping[str, Any]) -> dict[str, Given]:
    names = [option.name for option in OPTIONS]
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
        raise _refusal(given, option.takes) from None
    return given._replace(value=value)


def _settle(option: Option, values: Sequence[Given]) -> Any:
    """
    @return: What the first of the values stands for, or the default.
    """
    if not values:
        if option.needed:
            raise Refused(
                f"--{option.name} is needed: it takes {option.takes}; "
                f"{option.variable} or the file of --config may give it, too"
            )
        return option.default
    if option.find is None:
        return values[0].value
    try:
        return option.find(values[0].value)
    except ValueError as error:
        raise _refusal(values[0], option.takes, str(error)) from None


def _refusal(given: Given, takes: str, reason: str = "") -> Refused:
    """
    Word a refusal, without the value if that may be a secret.

    @param given: What is refused.
    @param takes: What is taken instead.
    @param reason: What is wrong, where that does not go without saying.
    """
    if not isSecret(given.value):
        line = f"{given.origin} takes {takes}, not {shown(given.value)}"
    else:
        line = f"{given.origin} takes {takes}, not what was given and is not shown"
        reason = "" if isSecret(reason) else reason
    return Refused(f"{line}: {oneLine(reason)}" if reason else line)


def isSecret(value: Any) -> bool:
    """
    @return: Whether C{value} may hold a password and must not be shown.
    """
    text = value if isinstance(value, str) else shown(value)
    return _SECRET.search(text) is not None


def shown(value: Any) -> str:
    """
    @return: C{value} as one line of a bounded length.
    """
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return _bounded(repr(value), 120)
    except ValueError:
        return "a number of too many digits to show"


def oneLine(text: str) -> str:
    """
    @return: C{text} as one line of a bounded length.
    """
    line = " ".join(text.split())
    return _bounded(
        "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), 300
    )


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
