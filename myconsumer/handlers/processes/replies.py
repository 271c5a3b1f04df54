"""
The answers of a worker process: what the callable returned or raised, in a message of
a bounded length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from myconsumer.errors import Reject, Release, TaskFailedError, delayOf
from myconsumer.handlers.blocking import BlockingTask, call
from myconsumer.handlers.processes.messages import Done, Job, Raised
from myconsumer.handlers.processes.termination import Terminated
from myconsumer.jsontext import encodedResult, unfinished
from myconsumer.text import encodable

# the most characters of an error, and of a traceback
_LONGEST_TEXT = 16_384


def answer(
    function: Callable[[Any], Any], job: Job, extend: Callable[[float], object]
) -> Done | Raised:
    """
    Do one task.

    @param function: Is called with the task.
    @param extend: Extends the lease by a number of seconds; blocks until it has.

    @return: The outcome of the task.

    @raise Terminated: The process is to end, and the function has let that pass.
    """
    try:
        result = call(function, BlockingTask(job, extend))
    except Release as error:
        return Raised(job.number, "release", _text(error), delayOf(error))
    except Reject as error:
        return Raised(job.number, "reject", _text(error))
    except TaskFailedError as error:
        return Raised(job.number, "failed", _text(error), delayOf(error))
    except Terminated:
        raise
    except BaseException as error:
        return _bug(job, error)
    return Done(job.number) if result is None else _done(job, result)


def _done(job: Job, result: Any) -> Done | Raised:
    try:
        return Done(job.number, encodedResult(result))
    except ValueError as error:
        if (what := unfinished(result)) is not None:
            return Raised(job.number, "failed", f"it returned {what}")
        return Done(job.number, unsendable=_text(error))


def _bug(job: Job, error: BaseException) -> Raised:
    """
    @return: An exception that nobody foresaw, with its traceback.
    """
    failure = Failure(error)
    name, text = type(error).__name__, _text(error)
    return Raised(
        job.number,
        "other",
        f"{name}: {text}" if text else name,
        traceback=_sendable(failure.getTraceback()),
    )


def _text(error: BaseException) -> str:
    return _sendable(Failure(error).getErrorMessage())


def _sendable(text: str) -> str:
    """
    @return: The end of a text, without what has no place in UTF-8.
    """
    return encodable(text[-_LONGEST_TEXT:])
