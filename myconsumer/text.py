"""
What may stand in one line of a log, and what may not: control characters, and what may
be a secret.

Promise 9: no secret is shown in a line of the log.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

#: The most characters that L{oneLine} keeps.
LONGEST = 300

#: The most characters of an exception that are sent to the endpoint.
LONGEST_ERROR = 1000

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


def shownID(id: str | int) -> str | int:
    """
    @return: A task's id as a part of a line of the log: a string as one line of a
        bounded length, without quotes.
    """
    return oneLine(id, 60) if isinstance(id, str) else id


def masked(value: Any, instead: str) -> str:
    """
    @return: C{value} as one line of a bounded length, or C{instead} if it may hold a
        password.
    """
    return instead if isSecret(value) else shown(value)


def textOf(error: BaseException) -> str:
    """
    @return: An exception's text, of a bounded length.
    """
    return encodable(safe_str(error)[:LONGEST_ERROR])


def describe(failure: Failure) -> str:
    """
    @return: An exception's type and text, of a bounded length.
    """
    text = failure.getErrorMessage()
    name = failure.type.__name__ if failure.type else "Exception"
    return encodable((f"{name}: {text}" if text else name)[:LONGEST_ERROR])
