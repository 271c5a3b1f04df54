"""
The answers to claims and settlements, held to the letter of the contract.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn

from msgspec import Meta, ValidationError, convert

from myconsumer.check.exceptions import Broken, Rejected, expect
from myconsumer.http import Answer
from myconsumer.text import oneLine

#: The fields of a task: their names, what they have to be, and that as a type.
_FIELDS = (
    ("id", "a string or an integer", str | int),
    ("receipt", "a string", Annotated[str, Meta(min_length=1)]),
    ("attempt", "an integer of 1 or more", Annotated[int, Meta(ge=1)]),
    ("lease", "seconds, more than 0", Annotated[float, Meta(gt=0)]),
    ("enqueued", "seconds since 1970", Annotated[float, Meta(ge=0)]),
)

_TASKS = '{"tasks": [...]}'
_LOST = '{"lost": ["receipt", ...]}'


def tasksIn(answer: Answer, quoted: str) -> Sequence[Mapping[str, Any]]:
    """
    Read the answer to a claim.

    @param answer: The answer.
    @param quoted: The answer for a report.

    @return: The tasks, each with C{id} and C{payload}, and what else they have is of
        the right type.

    @raise Broken: It is not what the contract wants.
    """
    seen = f"POST URL/claim answered {quoted}"
    if answer.code not in (200, 204):
        text = f"{seen}; wanted: 200 with {_TASKS}, or 204"
        raise Rejected(text, answer.code)
    if answer.code == 204:
        return []
    content = _object(answer, seen, _TASKS)
    tasks = content.get("tasks")
    if not isinstance(tasks, list):
        raise Broken(f"{seen}; wanted: {_TASKS}")
    for task in tasks:
        _checkTask(task)
    return tasks


def lostIn(answer: Answer, quoted: str) -> set[str] | None:
    """
    Read the answer to a settle request.

    @param answer: The answer.
    @param quoted: The answer for a report.

    @return: The receipts that are lost; C{None}: it does not tell.

    @raise Broken: It is not what the contract wants.
    """
    seen = f"POST URL/settle answered {quoted}"
    expect(answer.code in (200, 204), seen, f"200 with {_LOST}, or 204")
    if answer.code == 204 or not answer.body:
        return None
    content = _object(answer, seen, _LOST)
    if "lost" not in content:
        return None
    lost = content["lost"]
    strings = isinstance(lost, list) and all(isinstance(one, str) for one in lost)
    expect(strings, seen, _LOST)
    return set(lost)


def idOf(answer: Answer) -> str | None:
    """
    @return: The name that the answer to a producer's C{POST} gives the task, if
        it says.
    """
    try:
        (name,) = decoded(answer)["ids"]
    except (ValueError, LookupError, TypeError):
        return None
    return str(name)


def decoded(answer: Answer) -> Any:
    """
    @return: What a body holds.

    @raise ValueError: It is no JSON, or no UTF-8.
    """
    try:
        return json.loads(answer.body.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def asJSON(value: Any) -> str:
    """
    @return: A value as JSON, in one line of a bounded length.
    """
    return oneLine(json.dumps(value, ensure_ascii=False), 80)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _object(answer: Answer, seen: str, wanted: str) -> Mapping[str, Any]:
    try:
        content = decoded(answer)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Broken(f"{seen}; wanted: {wanted} as JSON in UTF-8")
    return content


def _checkTask(task: Any) -> None:
    seen = f"a task is {asJSON(task)}"
    expect(isinstance(task, dict), seen, "an object")
    expect("id" in task and "payload" in task, seen, "with id and payload")
    for name, wanted, type_ in _FIELDS:
        if name in task:
            value = task[name]
            expect(_is(value, type_), f"{name} of a task is {asJSON(value)}", wanted)


def _is(value: Any, type_: Any) -> bool:
    try:
        convert(value, type_)
    except (ValidationError, UnicodeEncodeError):
        # the latter: half a surrogate pair
        return False
    return True
