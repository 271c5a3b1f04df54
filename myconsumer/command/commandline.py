"""
The words of a command line, before Twisted's parser gets them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from getopt import gnu_getopt

from myconsumer.command.refusal import BadOption
from myconsumer.text import isSecret, oneLine

# what no table of options may have
_BUILT_IN = ("help", "version", "check-config")


def checkTable(names: Iterable[str]) -> None:
    """
    @param names: The long names of a command's options, those of plugins with them.

    @raise BadOption: A name is there twice.
    """
    for name, count in Counter([*names, *_BUILT_IN]).items():
        if count > 1:
            raise BadOption(
                f"{count} options are called --{name}, at least one of them a "
                "plugin's: remove the package that brings it"
            )


def arrange(words: Sequence[str], short: str, long: Sequence[str]) -> list[str]:
    """
    Put options before arguments, since they may stand between and after these.

    @param words: The words of a command line.
    @param short: The short options, as C{getopt} takes them.
    @param long: The long ones, without dashes; one that takes a value ends with C{=}.

    @return: The same, in the order in which Twisted takes them.

    @raise BadOption: A long option is not known.
    @raise GetoptError: A short option is not known, or an option lacks its value.
    """
    _refuseUnknown(words, long)
    found, arguments = gnu_getopt(list(words), short, long)
    named = [
        f"{name}={value}" if f"{name[2:]}=" in long else name for name, value in found
    ]
    return [*named, "--", *arguments]


def _refuseUnknown(words: Sequence[str], long: Sequence[str]) -> None:
    """
    Refuse options that are none, and the beginnings of names, which C{getopt} takes:
    C{--token=secret} is no C{--token-file}.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        name, given, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name in long:
            continue
        if f"{name}=" not in long:
            raise BadOption(_unknown(name, long))
        if not given:
            # its value, whatever that looks like
            next(rest, None)


def _unknown(name: str, long: Sequence[str]) -> str:
    if isSecret(name):
        return "an option that is not shown is not known; --help lists all"
    names = [each.rstrip("=") for each in long]
    near = [each for each in names if name and each.startswith(f"{name}-")]
    near += get_close_matches(name, names, 1)
    meant = f"did you mean --{near[0]}? " if near else ""
    return f"option --{oneLine(name, 60)} not recognized; {meant}--help lists all"
