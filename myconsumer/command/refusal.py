"""
What was given for an option, and the words in which it is refused.

Promise 9: no secret is shown in a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from twisted.python.usage import UsageError

from myconsumer.command.option import Option
from myconsumer.text import isSecret, masked, oneLine


class BadOption(UsageError):
    """
    A value is wrong or missing.  The text is one line that names the option and what it
    takes.
    """


class Given(NamedTuple):
    """
    A value as it was given.

    @ivar origin: Where it was given, as the beginning of a sentence.
    @ivar value: The value.
    @ivar strict: Whether the value is typed, as in a TOML file; else it is text to
        convert.
    """

    origin: str
    value: Any
    strict: bool = False


#: What was given of each option, by long names: first what counts most.
AllGiven = Mapping[str, Sequence[Given]]


def refused(given: Given, option: Option, reason: str = "") -> BadOption:
    """
    Word a refusal, without the value if that may be a secret.

    @param given: The value, with its place.
    @param option: The option that it was given for.
    @param reason: What is wrong with the value, where C{option.takes} does not say
        it.
    """
    value = masked(given.value, "what was given and is not shown")
    line = f"{given.origin} takes {option.takes}, not {value}"
    # a reason may quote the value
    quotes = isSecret(reason) or (
        isinstance(given.value, str) and given.value in reason
    )
    isShown = reason and not (isSecret(given.value) and quotes)
    return BadOption(f"{line}: {oneLine(reason)}" if isShown else line)


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


def checkRequired(options: Sequence[Option], given: AllGiven) -> None:
    """
    @param options: All options of a command.
    @param given: What was given.

    @raise BadOption: An option is given without the one that it requires.
    """
    for option in options:
        if option.requires and given[option.name] and not given[option.requires]:
            raise BadOption(
                f"{given[option.name][0].origin} goes with --{option.requires}, "
                "which is not given"
            )
