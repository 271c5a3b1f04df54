"""
Tasks out of JSON, each for itself: what is wrong with one costs that one alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta, Raw, Struct
from twisted.logger import Logger

from myconsumer.errors import FaultError
from myconsumer.http.answer import Answer
from myconsumer.http.faults import oneLine
from myconsumer.task import LONGEST_LEASE, Task

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""Every exception that decoding some bytes as JSON may raise."""

_ABSENT = Raw(b"")
_MOST_NAMED = 3


class Malformed(Exception):
    """
    An element is no task.  Its text says why.
    """


class Unreadable(Struct, frozen=True):
    """
    Stands for a value that is JSON and yet cannot be read.
    """

    reason: str


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


class _Option(Struct, frozen=True):
    type: Any
    takes: str


_OPTIONS: Mapping[str, _Option] = {
    "attempt": _Option(Annotated[int, Meta(ge=1)], "a whole number of 1 or more"),
    "receipt": _Option(str, "a string"),
    "lease": _Option(
        Annotated[float, Meta(gt=0, le=LONGEST_LEASE)],
        f"a number of seconds above 0, up to {LONGEST_LEASE}",
    ),
    "enqueued": _Option(float, "a number of seconds"),
}

_splitObject: Callable[[Raw], _Parts] = msgspec.json.Decoder(_Parts).decode
_read: Callable[[Raw], Any] = msgspec.json.Decoder().decode


def loads(body: bytes) -> Any:
    """
    Decode JSON with the standard library, which also takes what JavaScript writes
    for a string cut in the middle of a character: half a surrogate pair.

    @param body: The text, as UTF-8.

    @raise ValueError: It is no JSON.
    @raise RecursionError: It is nested too deeply.
    """
    return json.loads(body.decode("utf-8-sig"), parse_constant=_noConstant)


def fieldsOf(element: object) -> dict[str, Any]:
    """
    Take a task apart.

    @param element: The element: L{Raw}, or decoded already.

    @return: The values of those fields that are there.

    @raise Malformed: It is no object.
    """
    if isinstance(element, dict):
        return element
    if not isinstance(element, Raw):
        raise Malformed("it is no object")
    try:
        parts = _splitObject(element)
    except UNDECODABLE:
        raise Malformed("it is no object") from None
    found = ((name, getattr(parts, name)) for name in parts.__struct_fields__)
    return {name: readRaw(raw) for name, raw in found if raw is not _ABSENT}


def readRaw(raw: Raw) -> Any:
    """
    Decode one value.

    @param raw: JSON.

    @return: The value; an L{Unreadable} where it cannot be read.
    """
    try:
        return _read(raw)
    except UNDECODABLE as error:
        return Unreadable(oneLine(str(error), 100))


def taskOf(fields: Mapping[str, Any], complaints: list[str]) -> Task:
    """
    Make a task.

    @param fields: Its fields.
    @param complaints: Gets a line for each field that is taken as absent.

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
        if _fits(value, option):
            options[key] = value
        else:
            complaints.append(f"{key} of task {shortened(name)} is not {option.takes}")
    return Task(name, payload, **options)


def receiptOf(fields: Mapping[str, Any]) -> str | None:
    """
    Find what proves the lease of a task, malformed or not.

    @param fields: Its fields.
    """
    receipt = fields.get("receipt")
    return receipt if _fits(receipt, _OPTIONS["receipt"]) else None


def shortened(name: str | int) -> str:
    """
    Make a task's id fit to be logged.

    @param name: The id.
    """
    return oneLine(repr(name[:60] if isinstance(name, str) else name), 62)


def tell(log: Logger, complaints: list[str], dropped: list[str]) -> None:
    """
    Log what is wrong with the tasks of an answer, if anything is.

    @param log: Where to.
    @param complaints: A line for each field that is taken as absent.
    @param dropped: Why, for each task that can be neither run nor settled.
    """
    if complaints:
        log.warn(
            "The endpoint sent fields that are taken as absent: {fields}.",
            fields=_summed(complaints),
        )
    if dropped:
        log.error(
            "The endpoint sent {count} malformed task(s) that cannot be settled and "
            "are dropped: {reasons}.",
            count=len(dropped),
            reasons=_summed(dropped),
        )


def _summed(lines: list[str]) -> str:
    text = "; ".join(lines[:_MOST_NAMED])
    more = len(lines) - _MOST_NAMED
    return f"{text}; and {more} more" if more > 0 else text


def unfit(answer: Answer, wanted: str, error: Exception) -> FaultError:
    """
    Make the error for a body that is not what it should be.

    @param answer: The answer with the body.
    @param wanted: What it should be.
    @param error: What decoding it has raised.
    """
    kind = oneLine(answer.header(b"content-type"), 60) or "no content type"
    start = answer.body.lstrip()[:1]
    if not start:
        what = "an empty body"
    elif start in b"{[":
        # it may hold a payload, which is nobody's business
        what = f"a body that does not fit: {oneLine(str(error), 120)}"
    else:
        text = oneLine(answer.body[:400].decode("utf-8", "replace"), 60)
        what = f"a body that begins {text!r}"
    return FaultError(
        f"the endpoint answered {answer.code} with {what} ({kind}); "
        f"{wanted} is expected"
    )


def _fits(value: object, option: _Option) -> bool:
    try:
        msgspec.convert(value, option.type)
        if isinstance(value, str):
            value.encode()
    except (msgspec.ValidationError, UnicodeEncodeError, OverflowError):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _noConstant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
