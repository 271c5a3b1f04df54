"""
Where an exception was raised, found cheaply; and its traceback, of a bounded length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from os.path import dirname, join
from traceback import StackSummary
from types import FrameType, TracebackType

from twisted.python.failure import Failure

import myconsumer
import twisted
from myconsumer.text import encodable, oneLine, textOf

#: The frames that a traceback shows: the outermost, and the innermost.
FIRST, LAST = 4, 8

#: The most exceptions that a traceback shows: each but the last has led to the next.
CHAIN = 3

#: The most characters of each of its lines.
LONGEST_LINE = 200

#: The most frames that are looked at: more than the interpreter's stack has as a rule.
DEEPEST = 5000

_FRAMEWORK = tuple(
    join(dirname(package.__file__ or "?"), "") for package in (myconsumer, twisted)
)


def placeOf(failure: Failure) -> tuple[str, int] | None:
    """
    @return: The file and the line at which an exception was raised: those of the
        innermost frame that is neither ours nor Twisted's, or else of the innermost;
        C{None}: there are no frames.
    """
    frames: list[TracebackType] = []
    tb = failure.getTracebackObject()
    while tb is not None and len(frames) < DEEPEST:
        frames.append(tb)
        tb = tb.tb_next
    for each in reversed(frames):
        path = each.tb_frame.f_code.co_filename
        if not _isFramework(path):
            return path, each.tb_lineno
    if not frames:
        return None
    return frames[-1].tb_frame.f_code.co_filename, frames[-1].tb_lineno


def typeOf(failure: Failure) -> str:
    """
    @return: The name of the type of an exception, as a traceback has it.
    """
    return _typeName(type(failure.value))


def _typeName(kind: type) -> str:
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    return oneLine(name if module == "builtins" else f"{module}.{name}")


def excerpt(failure: Failure) -> str:
    """
    @return: The traceback of an exception, and of those that have led to it, without
        the frames in the middle, and without control characters.
    """
    lines: list[str] = []
    chain = list(islice(_chain(failure.value), CHAIN))
    tracebacks = [each.__traceback__ for each in chain]
    tracebacks[:1] = [failure.getTracebackObject()]
    for error, tb in reversed(list(zip(chain, tracebacks, strict=True))):
        lines += _lines(error, tb)
        if error is not failure.value:
            lines.append("which has led to:")
    return encodable("\n".join(lines))


def _frames(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


@lru_cache(256)
def _isFramework(path: str) -> bool:
    return path.startswith(_FRAMEWORK)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """
    @return: An exception, what has led to it, what has led to that, and so on.
    """
    while error is not None:
        yield error
        cause = error.__cause__
        if cause is None and not error.__suppress_context__:
            cause = error.__context__
            if cause is not None and _isOurs(cause.__traceback__):
                # it was handled before the handler's code was called
                return
        error = cause


def _isOurs(tb: TracebackType | None) -> bool:
    """
    @return: Whether all frames are ours or Twisted's.
    """
    paths = (tb.tb_frame.f_code.co_filename for tb in islice(_frames(tb), DEEPEST))
    return all(map(_isFramework, paths))


def _lines(error: BaseException, tb: TracebackType | None) -> list[str]:
    lines = ["Traceback (most recent call last):"] if tb is not None else []
    frames = islice(_frames(tb), DEEPEST)
    first = [(each.tb_frame, each.tb_lineno) for each in islice(frames, FIRST)]
    last: deque[tuple[FrameType, int]] = deque(maxlen=LAST)
    left = 0
    for each in frames:
        left += 1
        last.append((each.tb_frame, each.tb_lineno))
    lines += _told(first)
    if left > LAST:
        lines.append(f"  ... {left - LAST} frames ...")
    lines += _told(last)
    return [
        *lines,
        oneLine(f"{_typeName(type(error))}: {textOf(error)}", 2 * LONGEST_LINE),
    ]


def _told(frames: Iterable[tuple[FrameType, int]]) -> Iterator[str]:
    for frame in StackSummary.extract(iter(frames), lookup_lines=True):
        path = oneLine(frame.filename, LONGEST_LINE)
        yield f'  File "{path}", line {frame.lineno}, in {oneLine(frame.name, 60)}'
        if frame.line:
            yield f"    {oneLine(frame.line, LONGEST_LINE)}"
