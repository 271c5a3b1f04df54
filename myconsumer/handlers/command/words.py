"""
The options of a command, read from the text that they are given as.
"""

from __future__ import annotations

import re
import shlex

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def asWords(command: str) -> list[str]:
    """
    Split a command as a shell does.

    @raise ValueError: It is no command; the text says why.
    """
    words = shlex.split(command)
    if not words:
        raise ValueError("it is empty")
    return words


def asNames(text: str) -> list[str]:
    """
    Split names of environment variables at commas.

    @raise ValueError: One of them is no name; the text says which.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if "=" in name:
            raise ValueError("a value is given, and only names are taken")
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable")
    return names
