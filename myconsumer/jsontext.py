"""
JSON as it comes: decoded in parts, so that no call holds up the other threads for long;
lenient, one value at a time; and encoded whatever it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from msgspec import Raw, Struct

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
