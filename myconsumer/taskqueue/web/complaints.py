"""
What is wrong with a JSON object, in words for its sender.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from myconsumer.fields import takes
from myconsumer.jsontext import UNDECODABLE
from myconsumer.text import oneLine

_READABLE = (
    "JSON without halves of surrogate pairs, without numbers out of range, and not "
    "nested too deeply"
)
_NAMES = {dict: "an object", list: "a list"}


class Shape:
    """
    What an object has to be, in types and in words.
    """

    def __init__(
        self, struct: type[Struct], *, isClosed: bool = False, **takes: str
    ) -> None:
        """
        @param struct: What it is decoded to.
        @param isClosed: Whether fields that are not known are refused.
        @param takes: By field, what it takes, in words that follow "takes", where its
            type does not say it.  A field without words takes any JSON.
        """
        self.fields = fields(struct)
        self.isClosed = isClosed
        self.takes = _words(self.fields) | takes


def _words(fields: Sequence[FieldInfo]) -> dict[str, str]:
    words: dict[str, str] = {}
    for field in fields:
        with suppress(LookupError):
            words[field.name] = takes(field.type)
    return words


def complaint(value: Any, where: str, shape: Shape) -> str | None:
    """
    Find what is wrong with an object.

    @param value: What should be one, as L{json} decodes it.
    @param where: Where it is; empty: it is the whole body.
    @param shape: What it has to be.

    @return: A sentence on the first thing that is wrong; C{None}: nothing is found.
    """
    if not isinstance(value, dict):
        return f"{where or 'the body'} takes an object, not {_described(value)}"
    at = f"{where}." if where else ""
    for field in shape.fields:
        name = field.name
        if name not in value:
            if field.required:
                return f"{at}{name} is missing"
        elif name not in shape.takes:
            if not _fits(value[name], Any):
                return f"{at}{name} takes {_READABLE}"
        elif not _fits(value[name], field.type):
            return (
                f"{at}{name} takes {shape.takes[name]}, not {_described(value[name])}"
            )
    known = [field.name for field in shape.fields]
    for name in value if shape.isClosed else ():
        if name not in known:
            return (
                f"{where or 'the body'} has a field {_described(name)}; known are "
                f"{', '.join(known)}"
            )
    return None


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(msgspec.json.decode(json.dumps(value)), type_)
    except UNDECODABLE:
        return False
    return True


def _described(value: Any) -> str:
    for kind, name in _NAMES.items():
        if isinstance(value, kind):
            return name
    return oneLine(json.dumps(value), 60)
