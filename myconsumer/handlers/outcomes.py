"""
What a handler hands back: the result of its task, work that is not done, or an
exception; made fit for every protocol.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from concurrent.futures import Future
from typing import Any

from msgspec import Raw, json
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from myconsumer.errors import checkedDelay
from myconsumer.task import LONGEST_RESULT
from myconsumer.text import encodable

#: The most characters of an exception that are sent to the endpoint.
LONGEST_ERROR = 1000

_encode = json.Encoder().encode


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


def delayOf(error: Any) -> float | None:
    """
    @return: The seconds for which an exception wants its task to wait; C{None} leaves
        them to the backoff, and so does what is no such number.
    """
    try:
        return checkedDelay(error.delay)
    except ValueError:
        return None


def encoded(result: Any) -> Raw:
    """
    @return: A result as JSON.

    @raise ValueError: It is no JSON, or too long.
    """
    try:
        text = _encode(result)
    except Exception as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if len(text) > LONGEST_RESULT:
        raise ValueError(f"it has {len(text)} bytes, and may have {LONGEST_RESULT}")
    return Raw(text)


def unfinished(result: Any) -> str | None:
    """
    Tell a value from work that is still to be done, which nobody would ever do.

    @param result: What was handed back.

    @return: What it is, in a few words, and what was probably meant; C{None}: it is
        a value, JSON or not.
    """
    if isinstance(result, list | tuple | set | frozenset):
        return _holding(type(result).__name__, result)
    if isinstance(result, Mapping):
        return _holding(type(result).__name__, result.values())
    return _unfinished(result)


def _holding(name: str, values: Any) -> str | None:
    for value in values:
        if (what := _unfinished(value)) is not None:
            return f"a {name} that holds {what}"
    return None


def _unfinished(value: Any) -> str | None:
    name = type(value).__name__
    if isinstance(value, Generator):
        return (
            "a generator, of which nothing has run: was @inlineCallbacks forgotten, "
            "or a list meant?"
        )
    if isinstance(value, AsyncGenerator):
        return (
            "an async generator, of which nothing has run: a coroutine function does "
            "not yield"
        )
    if isinstance(value, map | filter):
        return f"a {name}, of which nothing has run: was a list meant?"
    if hasattr(value, "__await__"):
        return f"a {name}, which nobody waits for: was await forgotten?"
    if isinstance(value, Future):
        return f"a {name}, which nobody waits for: was its result() meant?"
    return None
