"""
What may stand in one line of a log, and what may not: control characters, and what may
be a secret.

Promise 9: no secret is shown in a line of the log.
"""

from __future__ import annotations

import re
from typing import Any

#: The most characters that L{oneLine} keeps.
LONGEST = 300

# what may be a user name with a password, a key in a query, or a variable's value
_SECRET = re.compile(r"@|%40|://.*[?#]|^\s*(?:\w+\s*,\s*)*[A-Za-z_]\w*=", re.DOTALL)


def printable(text: str) -> str:
    """
    @return: C{text} with control characters and the like escaped, so that it does
        nothing to a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def encodable(text: str) -> str:
    """
    @return: C{text} as far as UTF-8 can encode it: halves of surrogate pairs, which
        C{os.fsdecode} makes of bytes that are no UTF-8, become question marks.
    """
    return text.encode("utf-8", "replace").decode()


def oneLine(text: str, limit: int = LONGEST) -> str:
    """
    Make any text fit for one line of a log.

    @param text: The text, of whatever source.
    @param limit: The most characters to keep.

    @return: The text with blanks and line ends made single blanks, what cannot be
        printed escaped, and what is longer than C{limit} truncated.
    """
    line = " ".join(text[: 4 * limit].split())
    line = printable(line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def isSecret(value: Any) -> bool:
    """
    @return: Whether C{value} may hold a password and must not be shown.
    """
    try:
        if isinstance(value, dict):
            return any(map(isSecret, (*value, *value.values())))
        if isinstance(value, list):
            return any(map(isSecret, value))
    except RecursionError:
        return True
    text = value if isinstance(value, str) else shown(value)
    return _SECRET.search(text) is not None


def shown(value: Any) -> str:
    """
    @return: C{value} as one line of a bounded length.
    """
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return oneLine(repr(value), 120)
    except ValueError:
        return "a number of too many digits to show"


def masked(value: Any, instead: str) -> str:
    """
    @return: C{value} as one line of a bounded length, or C{instead} if it may hold a
        password.
    """
    return instead if isSecret(value) else shown(value)
