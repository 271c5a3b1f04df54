"""
The messages between the consumer and its worker processes: a JSON object a line.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from myconsumer.jsontext import encoded
from myconsumer.task import Task

#: The descriptor from which a worker reads messages.
ORDERS = 3

#: The descriptor to which a worker writes messages.
ANSWERS = 4


class Path(Struct, tag="path"):
    """
    To a worker, first of all: where it finds modules.

    @ivar path: What C{sys.path} is to be; folders need not be named in UTF-8.
    """

    path: list[bytes]


class Job(Struct, tag="job"):
    """
    To a worker that has nothing to do: a task.  See L{Task
    <myconsumer.task.Task>} for the other attributes.

    @ivar number: Tells the job from all others.  The worker's messages about the job
        bear it, so that one that is late is not taken for the next job's.
    """

    number: int
    id: str | int
    payload: Any
    attempt: int
    receipt: str | None
    lease: float | None
    enqueued: float | None
    deadline: float | None

    @property
    def value(self) -> Task:
        """
        See L{IRunningTask.value <myconsumer.interfaces.IRunningTask.value>}.
        """
        return Task(
            self.id,
            self.payload,
            self.attempt,
            self.receipt,
            self.lease,
            self.enqueued,
        )

    @property
    def cancelled(self) -> bool:
        """
        A worker process is terminated when its task is cancelled, so none sees this
        become true.
        """
        return False


class Extended(Struct, tag="extended"):
    """
    To a worker: the answer to L{Extend}.

    @ivar error: Why the lease was not extended; C{None}: it was.
    @ivar kind: The kind of C{error}: C{lost} is a L{LeaseLostError
        <myconsumer.errors.LeaseLostError>}, C{value} a C{ValueError}.
    """

    error: str | None = None
    kind: Literal["lost", "value", "other"] = "other"


class Ready(Struct, tag="ready"):
    """
    From a worker, once: it has found the callable, and takes tasks from now on.
    """


class Broken(Struct, tag="broken"):
    """
    From a worker, instead of L{Ready}: it cannot take any.

    @ivar error: Why.
    """

    error: str


class Begun(Struct, tag="begun"):
    """
    From a worker: it calls the callable with its task now.

    @ivar number: The number of the job.
    """

    number: int


class Extend(Struct, tag="extend"):
    """
    From a worker: it wants the lease of its task extended.

    @ivar number: The number of the job.
    @ivar seconds: The new length of the lease, from now.
    """

    number: int
    seconds: float


class Done(Struct, tag="done", omit_defaults=True):
    """
    From a worker: its task is done.

    @ivar number: The number of the job.
    @ivar result: What the callable returned, unless that was C{None}.
    @ivar unsendable: Why C{result} is left out.
    """

    number: int
    result: Raw | UnsetType = UNSET
    unsendable: str | None = None


class Raised(Struct, tag="raised"):
    """
    From a worker: its task raised something.

    @ivar number: The number of the job.
    @ivar kind: C{release}, C{reject} and C{failed} are L{Release
        <myconsumer.errors.Release>}, L{Reject <myconsumer.errors.Reject>} and
        L{TaskFailedError <myconsumer.errors.TaskFailedError>}; C{other} is all else.
    @ivar message: Its text.
    @ivar delay: Its delay, in seconds, if it has one.
    @ivar traceback: With C{other}, where it comes from.
    """

    number: int
    kind: Literal["release", "reject", "failed", "other"]
    message: str
    delay: float | None = None
    traceback: str = ""


class Logged(Struct, tag="logged"):
    """
    From a worker: a record of C{logging}.

    @ivar number: The number of the job for which it was logged; 0: of none.
    @ivar level: The number of its level.
    @ivar logger: The name of its logger.
    @ivar text: Its text, in one or more lines.
    """

    number: int
    level: int
    logger: str
    text: str


class Unlogged(Struct, tag="unlogged"):
    """
    From a worker: there were more records of C{logging} than are sent.

    @ivar count: How many more.
    """

    count: int


ToWorker = Path | Job | Extended
FromWorker = Ready | Broken | Begun | Extend | Done | Raised | Logged | Unlogged

_toWorker = msgspec.json.Decoder(ToWorker)
_fromWorker = msgspec.json.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker) -> bytes:
    """
    @return: The line for a message.
    """
    return encoded(message) + b"\n"


def readToWorker(line: bytes) -> ToWorker:
    """
    @raise ValueError: It is none.
    """
    try:
        message: ToWorker = _toWorker.decode(line)
    except msgspec.DecodeError:
        # half a surrogate pair, which msgspec does not take
        message = msgspec.convert(json.loads(line), ToWorker)
    return message


def readFromWorker(line: bytes) -> FromWorker:
    """
    @raise ValueError: It is none.
    """
    message: FromWorker = _fromWorker.decode(line)
    return message
