"""
Tasks out of JSON, each for itself: what is wrong with one costs that one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from myconsumer.errors import FaultError
from myconsumer.fields import YEAR, Attempt, Enqueued, Lease, takes
from myconsumer.http.answer import Answer
from myconsumer.jsontext import MOST_VALUES, UNDECODABLE, Unreadable, isCrowded, readRaw
from myconsumer.queues.findings import Findings
from myconsumer.task import Task
from myconsumer.text import oneLine

_ABSENT = Raw(b"")


class Malformed(Exception):
    """
    An element is no task.  Its text says why.
    """


class _Parts(Struct):
    """
    The fields of a task, not looked into yet.
    """

    id: Raw = _ABSENT
    payload: Raw = _ABSENT
    attempt: Raw = _ABSENT
    receipt: Raw = _ABSENT
    lease: Raw = _ABSENT
    enqueued: Raw = _ABSENT


_splitObject: Callable[[Raw], _Parts] = msgspec.json.Decoder(_Parts).decode


def _isCount(value: object) -> bool:
    return type(value) is int and value >= 1


def _isText(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _isLease(value: object) -> bool:
    return type(value) in (int, float) and 0 < cast(float, value) <= YEAR


def _isTime(value: object) -> bool:
    return type(value) in (int, float) and -inf < cast(float, value) < inf


class _Option(Struct, frozen=True):
    fits: Callable[[object], bool]
    takes: str


_OPTIONS: Mapping[str, _Option] = {
    "attempt": _Option(_isCount, takes(Attempt)),
    "receipt": _Option(_isText, takes(str)),
    "lease": _Option(_isLease, takes(Lease)),
    "enqueued": _Option(_isTime, takes(Enqueued)),
}


def fieldsOf(element: object) -> dict[str, Any]:
    """
    Take a task apart.

    @param element: The element: C{Raw}, or decoded already.

    @return: The values of those fields that are there.

    @raise Malformed: It is no object.
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


def taskOf(fields: Mapping[str, Any], findings: Findings) -> Task:
    """
    Make a task.

    @param fields: Its fields.
    @param findings: Is told of each field that is taken as absent.

    @raise Malformed: It has no C{id} or no C{payload}.
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
    for key, option in _OPTIONS.items():
        value = fields.get(key)
        if value is None:
            continue
        if option.fits(value):
            options[key] = value
        else:
            findings.takeAsAbsent(key, shortened(name), option.takes)
    return Task(name, payload, **options)


def receiptOf(fields: Mapping[str, Any]) -> str | None:
    """
    Find what proves the lease of a task, malformed or not.

    @param fields: Its fields.
    """
    receipt = fields.get("receipt")
    return cast(str, receipt) if _isText(receipt) else None


def shortened(name: str | int) -> str:
    """
    Make a task's id fit to be logged.

    @param name: The id.
    """
    return oneLine(repr(name[:60] if isinstance(name, str) else name), 62)


def requireFew(answer: Answer) -> None:
    """
    @raise FaultError: The body of an answer holds too many values.
    """
    if isCrowded(answer.body):
        raise FaultError(
            f"the answer holds more than {MOST_VALUES} JSON values", tooLong=True
        )
