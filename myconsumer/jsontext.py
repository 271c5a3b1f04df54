"""
JSON as it comes: decoded in parts, so that no call holds up the other threads for long;
lenient, one value at a time; and encoded whatever it holds, or refused as no value.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any, NoReturn

import msgspec
from msgspec import Raw, Struct

from myconsumer.task import LONGEST_RESULT
from myconsumer.text import oneLine

#: The most JSON values that an answer may hold, small as they may be.
MOST_VALUES = 1_000_000

#: Every exception that decoding some bytes as JSON may raise.
UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)

_PART = 64 * 1024
_DEEPEST = 8

# one without an end, too: else the rest is looked through again from each quote
_QUOTED = rb'"(?:[^"\\]++|\\.)*+"?'
_STRING = re.compile(_QUOTED, re.DOTALL)
_MARKS = (b",", b"[", b"{")

_encode = msgspec.json.Encoder().encode
_read: Callable[[Raw], Any] = msgspec.json.Decoder().decode
_splitters: tuple[Callable[[Raw], Any], ...] = (
    msgspec.json.Decoder(list[Raw]).decode,
    msgspec.json.Decoder(dict[str, Raw]).decode,
)


class Unreadable(Struct, frozen=True):
    """
    Stands for a value that is JSON and yet cannot be read.
    """

    reason: str


def decoded(raw: Raw, depth: int = _DEEPEST) -> Any:
    """
    Decode a value.

    @param raw: JSON.
    @param depth: The number of levels down to which large values are taken apart.

    @raise msgspec.MsgspecError: C{raw} is no JSON.
    @raise RecursionError: C{raw} is nested too deeply.
    """
    if depth and len(memoryview(raw)) > _PART:
        for split in _splitters:
            try:
                parts = split(raw)
            except msgspec.ValidationError:
                continue
            # one for the other, so that not all are there twice
            for key in parts if isinstance(parts, dict) else range(len(parts)):
                parts[key] = decoded(parts[key], depth - 1)
            return parts
    return _read(raw)


def isCrowded(body: bytes) -> bool:
    """
    @return: Whether a body holds more than L{MOST_VALUES} JSON values: each may take
        a hundred times as much memory as it has bytes.
    """
    if len(body) <= MOST_VALUES or _marks(body, 0, len(body)) <= MOST_VALUES:
        return False
    # what is in strings does not count
    count = end = 0
    for number, string in enumerate(_STRING.finditer(body)):
        count += _marks(body, end, string.start())
        end = string.end()
        # no JSON has more strings, keys among them, than this
        if count > MOST_VALUES or number > 2 * MOST_VALUES:
            return True
    return count + _marks(body, end, len(body)) > MOST_VALUES


def _marks(body: bytes, start: int, end: int) -> int:
    """
    Count the marks one of which stands before each value but the first.
    """
    return sum(body.count(mark, start, end) for mark in _MARKS)


def readRaw(raw: Raw) -> Any:
    """
    Decode one value.

    @param raw: JSON.

    @return: The value; an L{Unreadable} where it cannot be read.
    """
    try:
        return decoded(raw)
    except UNDECODABLE as error:
        return Unreadable(oneLine(str(error), 100))


def loads(body: bytes) -> Any:
    """
    Decode JSON with the standard library, which also takes what JavaScript writes
    for a string cut in the middle of a character: half a surrogate pair.

    @param body: The text, as UTF-8.

    @raise ValueError: C{body} is no JSON.
    @raise RecursionError: C{body} is nested too deeply.
    """
    text = body.decode("utf-8-sig")
    return json.loads(text, parse_constant=_noConstant, object_hook=_unchanged)


def encoded(value: Any) -> bytes:
    """
    @param value: A payload, or a structure that holds one.

    @return: C{value} as JSON.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # JSON can hold half a surrogate pair, and UTF-8 cannot
        return json.dumps(msgspec.to_builtins(value)).encode("ascii")


def _unchanged(value: dict[str, Any]) -> dict[str, Any]:
    """
    Do nothing, but in Python, for each object: there other threads get their turn.
    """
    return value


def _noConstant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def encodedResult(result: Any) -> Raw:
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
