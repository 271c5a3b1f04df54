"""
The bodies of requests to the embedded queue, and the numbers in their queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from sys import maxsize
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from myconsumer.fields import (
    LONGEST_NAME,
    Delay,
    Lease,
    Name,
    Positive,
    Wait,
    takes,
)
from myconsumer.http.serving.answers import Refusal
from myconsumer.task import Settlement
from myconsumer.taskqueue.limits import (
    LARGEST_PAYLOAD,
    MOST_TASKS,
    ProducedTask,
)
from myconsumer.taskqueue.store.records import NewTask, RetryCursor
from myconsumer.taskqueue.web.complaints import Shape
from myconsumer.taskqueue.web.reader import Reader, whole
from myconsumer.text import oneLine


class ClaimBody(Struct):
    """
    What a claim asks for.

    @ivar limit: The most tasks.
    @ivar wait: The seconds to wait for the first.
    @ivar lease: The seconds for which they are to be leased.
    @ivar claim: The claim's own name, if it has one.
    """

    limit: Positive = 1
    wait: Wait = 0.0
    lease: Lease = 60.0
    claim: Name | None = None


class _Settlement(Settlement, frozen=True, gc=False, omit_defaults=True):
    delay: Delay | UnsetType = UNSET
    lease: Lease | UnsetType = UNSET


class _Settle(Struct):
    settle: list[_Settlement]


class RetryBody(Struct):
    """
    Which failed tasks are to be retried.

    @ivar ids: Those with these names.
    @ivar all: All of them.
    @ivar limit: If all: the most tasks.
    @ivar after: If all: where to go on, C{next} of the answer before.
    """

    ids: list[str | int] = []
    all: bool = False
    limit: Annotated[int, Meta(ge=1, le=maxsize)] = maxsize
    after: RetryCursor | None = None

    @property
    def names(self) -> Sequence[str]:
        """
        C{ids} as strings, each once.
        """
        return list(dict.fromkeys(map(str, self.ids)))


def _checkNumber(count: int, what: str, least: int) -> None:
    if not least <= count <= MOST_TASKS:
        raise Refusal(
            400,
            f"the body has {count} {what}; it takes from {least} to {MOST_TASKS}",
        )


def _tasks(value: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, list):
        return whole(value)
    return ((f"[{number}]", each) for number, each in enumerate(value))


def _settlements(value: Any) -> Iterable[tuple[str, Any]]:
    settle = value.get("settle") if isinstance(value, dict) else None
    if not isinstance(settle, list):
        raise Refusal(400, 'the body takes {"settle": [...]}, with a list in it')
    return ((f"settle[{number}]", each) for number, each in enumerate(settle))


_TASKS: Reader[ProducedTask | list[ProducedTask]] = Reader(
    ProducedTask | list[ProducedTask],
    Shape(ProducedTask, isClosed=True),
    _tasks,
    lambda found: _checkNumber(
        len(found) if isinstance(found, list) else 1, "tasks", 1
    ),
)
_CLAIM: Reader[ClaimBody] = Reader(ClaimBody, Shape(ClaimBody))
_SETTLE: Reader[_Settle] = Reader(
    _Settle,
    Shape(_Settlement, outcome="'complete', 'release', 'fail' or 'extend'"),
    _settlements,
    lambda found: _checkNumber(len(found.settle), "settlements", 0),
)
_RETRY: Reader[RetryBody] = Reader(
    RetryBody,
    Shape(
        RetryBody,
        ids="a list of strings",
        limit="a whole number of 1 or more",
        after="what was next in the answer before",
    ),
    check=lambda found: _checkNumber(len(found.ids), "ids", 0),
)


def readTasks(body: bytes) -> Sequence[NewTask]:
    """
    Read the tasks that a producer queues: one task, or a list of tasks.

    @param body: The body of the request, as everywhere here.

    @raise Refusal: It is not what it should be, as everywhere here.
    """
    found = _TASKS.read(body)
    tasks = found if isinstance(found, list) else [found]
    new = [
        NewTask(bytes(task.payload), _text(task.id), task.delay, task.priority)
        for task in tasks
    ]
    if len(body) > LARGEST_PAYLOAD or any(map(_isTooLong, new)):
        for number, task in enumerate(new):
            _checkLengths(task, f"[{number}]." if found is tasks else "")
    return new


def readClaim(body: bytes) -> ClaimBody:
    """
    Read what a claim asks for.  No body at all is a claim that asks for nothing more
    than one task.
    """
    return _CLAIM.read(body or b"{}")


def readSettle(body: bytes) -> Sequence[Settlement]:
    """
    Read how tasks ended.
    """
    return _SETTLE.read(body).settle


def readRetry(body: bytes) -> RetryBody:
    """
    Read which failed tasks are to be retried.
    """
    asked = _RETRY.read(body)
    if asked.all is bool(asked.ids):
        raise Refusal(
            400, 'the body takes either {"ids": ["ID", ...]} or {"all": true}'
        )
    return asked


def readNumber(
    query: Mapping[bytes, list[bytes]], name: str, default: int, least: int, most: int
) -> int:
    """
    Read a number from what follows C{?} in a URL.

    @param query: That, taken apart.
    @param name: What the number is called there.
    @param default: The number if there is none.
    @param least: The least that is taken.
    @param most: The most that is taken.
    """
    text = query.get(name.encode(), [b"%d" % default])[-1].decode("latin-1")
    if text.isascii() and text.isdecimal() and len(text) < 20:
        number = int(text)
        if least <= number <= most:
            return number
    raise Refusal(
        400,
        f"{name} takes a whole number from {least} to {most}, "
        f"not {oneLine(text, 40)!r}",
    )


def _text(name: str | int | None) -> str | None:
    return str(name) if isinstance(name, int) else name


def _isTooLong(task: NewTask) -> bool:
    # of an integer only the text has a length
    return task.id is not None and len(task.id) > LONGEST_NAME


def _checkLengths(task: NewTask, where: str) -> None:
    if _isTooLong(task):
        raise Refusal(400, f"{where}id takes {takes(Name)}, and this integer has more")
    if len(task.payload) > LARGEST_PAYLOAD:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"{where}payload has {len(task.payload)} bytes; it takes up to "
            f"{LARGEST_PAYLOAD}",
        )
