"""
What an exception of a handler says of its task, made fit for every protocol, whatever
the handler has put there.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from myconsumer.errors import checkedDelay

#: The most characters of an exception that the endpoint is told.
LONGEST_ERROR = 1000


def textOf(error: BaseException) -> str:
    """
    @return: An exception's text, of a bounded length.
    """
    return _encodable(safe_str(error))


def describe(failure: Failure) -> str:
    """
    @return: An exception's type and text, of a bounded length.
    """
    text = failure.getErrorMessage()
    name = failure.type.__name__ if failure.type else "Exception"
    return _encodable(f"{name}: {text}" if text else name)


def delayOf(error: Any) -> float | None:
    """
    @return: The seconds for which an exception wants its task to wait; L{None} leaves
        them to the backoff, and so does what is no such number.
    """
    try:
        return checkedDelay(error.delay)
    except ValueError:
        return None


def _encodable(text: str) -> str:
    # os.fsdecode makes halves of surrogate pairs of bytes that are no UTF-8
    return text[:LONGEST_ERROR].encode("utf-8", "replace").decode()
