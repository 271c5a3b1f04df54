"""
JSON decoded in parts, so that no call holds up the other threads for long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

MOST_VALUES = 1_000_000
"""The most JSON values that an answer may hold, small as they may be."""

_PART = 64 * 1024
_DEEPEST = 8

# one without an end, too: else the rest is looked through again from each quote
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_MARKS = (b",", b"[", b"{")

_read: Callable[[Raw], Any] = msgspec.json.Decoder().decode
_splitters: tuple[Callable[[Raw], Any], ...] = (
    msgspec.json.Decoder(list[Raw]).decode,
    msgspec.json.Decoder(dict[str, Raw]).decode,
)


def decoded(raw: Raw, depth: int = _DEEPEST) -> Any:
    """
    Decode a value.

    @param raw: JSON.
    @param depth: How many levels down large values are taken apart.

    @raise msgspec.MsgspecError: It is no JSON.
    @raise RecursionError: It is nested too deeply.
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
    Count what stands before each value but the first.
    """
    return sum(body.count(mark, start, end) for mark in _MARKS)
