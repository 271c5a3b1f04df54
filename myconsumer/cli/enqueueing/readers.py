"""
The readers of lines of input, each line a payload or a task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Raw

from myconsumer.fields import Name, takes
from myconsumer.jsontext import UNDECODABLE, loads
from myconsumer.taskqueue.limits import ProducedTask

#: Makes a task of a line and its number, as the queue's API takes it. Raises
#: C{ValueError}.
Reader = Callable[[bytes, int], bytes]


_decode = msgspec.json.Decoder().decode
_decodeTask = msgspec.json.Decoder(ProducedTask).decode
_encode = msgspec.json.Encoder().encode


class Names:
    """
    Makes ids for tasks that have none, so that sending a task twice is harmless.
    """

    def __init__(self) -> None:
        self._run = uuid4().hex

    def of(self, number: int) -> str:
        """
        @param number: The number of the task's line.

        @return: An id that only tasks of this line of this input have.
        """
        return f"{self._run}-{number}"


def payloadReader(delay: float, priority: int, idField: str | None) -> Reader:
    """
    Make a reader of lines that are payloads.

    @param delay: The seconds after which each task becomes ready.
    @param priority: The priority of each task.
    @param idField: The field of a payload that holds the task's id, or C{None}.
    """
    names = Names()

    def read(line: bytes, number: int) -> bytes:
        payload = _json(line)
        id = names.of(number) if idField is None else _idIn(payload, idField)
        # the payload goes on as it came
        return _encode(ProducedTask(Raw(line), id, delay, priority))

    return read


def taskReader() -> Reader:
    """
    Make a reader of lines that are tasks.
    """
    names = Names()

    def read(line: bytes, number: int) -> bytes:
        _json(line)
        try:
            task = _decodeTask(line)
        except UNDECODABLE as error:
            raise ValueError(f"it is no task: {error}") from None
        id = names.of(number) if task.id is None else str(task.id)
        return _encode(ProducedTask(task.payload, id, task.delay, task.priority))

    return read


def _json(line: bytes) -> Any:
    try:
        return _decode(line)
    except UNDECODABLE:
        pass
    try:
        # what only the queue can tell whether it takes it
        return loads(line)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _idIn(payload: Any, field: str) -> str:
    found = payload.get(field) if isinstance(payload, dict) else None
    try:
        return str(msgspec.convert(found, Name | int))
    except msgspec.ValidationError:
        raise ValueError(
            f"it is no object with a field {field!r} that holds the task's id, "
            f"{takes(Name | int)}"
        ) from None
