"""
Tasks out of JSON, each read on its own: what is wrong with one costs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple, cast, get_args

import msgspec
from msgspec import Raw, Struct

from myconsumer.fields import Attempt, Enqueued, Lease, takes
from myconsumer.jsontext import UNDECODABLE, Unreadable, readRaw
from myconsumer.queues.defects import Defects
from myconsumer.task import Claimed, Settlement, Task
from myconsumer.text import shownID

_ABSENT = Raw(b"")


class Malformed(Exception):
    """
    An element is no task.  Its text says why.
    """


class Checked(NamedTuple):
    """
    Tasks that were read on their own.

    @ivar claimed: The tasks, and the settlements of those that are malformed.
    @ivar defects: What is wrong with them.
    """

    claimed: Claimed
    defects: Defects


class _Parts(Struct):
    """
    The fields of a task, not decoded yet.
    """

    id: Raw = _ABSENT
    payload: Raw = _ABSENT
    attempt: Raw = _ABSENT
    receipt: Raw = _ABSENT
    lease: Raw = _ABSENT
    enqueued: Raw = _ABSENT


_splitObject: Callable[[Raw], _Parts] = msgspec.json.Decoder(_Parts).decode


def _isText(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _within(type_: Any) -> Callable[[object], bool]:
    """
    Make the check of a finite number, by the range that its type has: five times as
    fast as C{msgspec.convert}.
    """
    kind, meta = get_args(type_)
    kinds = (int, float) if kind is float else (int,)
    above, below = _or(meta.gt, -inf), _or(meta.lt, inf)
    least, most = _or(meta.ge, -inf), _or(meta.le, inf)

    def fits(value: Any) -> bool:
        return type(value) in kinds and above < value < below and least <= value <= most

    return fits


def _or(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound


# the optional fields: name, check, and what the field takes
_OPTIONS: Sequence[tuple[str, Callable[[object], bool], str]] = (
    ("attempt", _within(Attempt), takes(Attempt)),
    ("receipt", _isText, takes(str)),
    ("lease", _within(Lease), takes(Lease)),
    ("enqueued", _within(Enqueued), takes(Enqueued)),
)


def checked(elements: Sequence[object]) -> Checked:
    """
    Read each element on its own, so that a malformed one costs no other.

    @param elements: The elements of a list of tasks: C{Raw}, or decoded already.
    """
    tasks: list[Task] = []
    malformed: list[Settlement] = []
    defects = Defects()
    # each text once, however many elements it is about
    reasons: dict[str, str] = {}
    for element in elements:
        fields: Mapping[str, Any] = {}
        try:
            fields = _fieldsOf(element)
            tasks.append(taskOf(fields, defects))
        except Malformed as error:
            text = f"malformed task: {error}"
            reason = reasons.setdefault(text, text)
            if (receipt := _receiptOf(fields)) is None:
                defects.drop(reason)
            else:
                malformed.append(Settlement(receipt, "fail", error=reason))
    return Checked(Claimed(tasks, malformed, defects.dropped), defects)


def _fieldsOf(element: object) -> dict[str, Any]:
    """
    Take a task apart.

    @param element: The element: C{Raw}, or decoded already.

    @return: The values of those fields that are there.

    @raise Malformed: C{element} is no object.
    """
    value = readRaw(element) if isinstance(element, Raw) else element
    if isinstance(value, dict):
        return value
    if not (isinstance(element, Raw) and isinstance(value, Unreadable)):
        raise Malformed("it is no object")
    try:
        parts = _splitObject(element)
    except UNDECODABLE:
        raise Malformed("it is no object") from None
    found = ((name, getattr(parts, name)) for name in parts.__struct_fields__)
    return {name: readRaw(raw) for name, raw in found if raw is not _ABSENT}


def taskOf(fields: Mapping[str, Any], defects: Defects) -> Task:
    """
    Make a task.

    @param fields: The task's fields.
    @param defects: Notes each field that is taken as absent.

    @raise Malformed: The task has no C{id} or no C{payload}.
    """
    name = fields.get("id")
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise Malformed("it has no id that is a string or an integer")
    if "payload" not in fields:
        raise Malformed("it has no payload")
    payload = fields["payload"]
    if isinstance(payload, Unreadable):
        raise Malformed(f"its payload cannot be read: {payload.reason}")
    options = {}
    for key, fits, wanted in _OPTIONS:
        value = fields.get(key)
        if value is None:
            continue
        if fits(value):
            options[key] = value
        else:
            defects.takeAsAbsent(key, shownID(name), wanted)
    return Task(name, payload, **options)


def _receiptOf(fields: Mapping[str, Any]) -> str | None:
    """
    Find the receipt of a task, malformed or not.

    @param fields: The task's fields.
    """
    receipt = fields.get("receipt")
    return cast(str, receipt) if _isText(receipt) else None
