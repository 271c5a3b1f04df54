"""
Events that the tests make.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrecursionlimit, setrecursionlimit

from twisted.logger import LogEvent, eventAsText
from twisted.python.failure import Failure

from myconsumer.task import Ending, Task


def raised(error: BaseException | Callable[[], object]) -> Failure:
    """
    @return: The failure of an exception that is raised, here or by a callable.
    """
    try:
        if isinstance(error, BaseException):
            raise error
        error()
    except BaseException:
        return Failure()
    raise AssertionError("nothing was raised")


def crashed(
    error: BaseException | Callable[[], object] | None = None, outcome: str = "fail"
) -> Ending:
    """
    @return: The ending of a task whose handler has raised what it did not mean to.
    """
    failure = raised(ValueError("boom") if error is None else error)
    return Ending(outcome, "ValueError: boom", failure, None, "failure")  # type: ignore[arg-type]


def number(id: int | str, attempt: int = 1) -> Task:
    """
    @return: A task.
    """
    return Task(id, None, attempt=attempt)


def size(logs: list[LogEvent]) -> int:
    """
    @return: The bytes of a log.
    """
    return sum(len(eventAsText(each).encode()) + 1 for each in logs)


def places(count: int) -> list[Callable[[], object]]:
    """
    @return: Functions that each raise at a place of its own.
    """
    made = []
    for each in range(count):
        source = f"def fail():\n    raise ValueError('{each}')"
        names: dict[str, Callable[[], object]] = {}
        exec(compile(source, f"/app/module{each}.py", "exec"), names)
        made.append(names["fail"])
    return made


def deep(frames: int = 1000) -> None:
    """
    Raise far down in a recursion.
    """

    def recurse(left: int) -> None:
        if left:
            recurse(left - 1)
        else:
            raise ValueError("deep")

    limit = getrecursionlimit()
    setrecursionlimit(limit + 2 * frames)
    try:
        recurse(frames)
    finally:
        setrecursionlimit(limit)


class Mute(Exception):
    """
    It has no text.
    """

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Nameless(type):
    """
    Classes that do not tell their names.
    """

    def __getattribute__(cls, name: str) -> object:
        raise RuntimeError("no")


class Anonymous(Exception, metaclass=Nameless):
    """
    Nobody knows the name of its type.
    """


class Unequal(Exception):
    """
    It cannot be compared.
    """

    def __eq__(self, *_: object) -> bool:
        raise RuntimeError("no")

    __hash__ = __bool__ = __eq__  # type: ignore[assignment]


def circular() -> None:
    """
    Raise one of two exceptions that have led to each other.
    """
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def typed() -> None:
    """
    Raise an exception of a new type.
    """
    raise type("New", (Exception,), {})("new")


#: What makes it hard to log exceptions.
HOSTILE: dict[str, BaseException | Callable[[], object]] = {
    "it cannot be printed": Mute(),
    "its type has no name": Anonymous("who?"),
    "it cannot be compared": Unequal("to what?"),
    "its text is long": ValueError("x" * 1_000_000),
    "its text has many lines": ValueError("line\n" * 100_000),
    "its text would do something to a terminal": ValueError("\x1b[2J\r\x00\ud800"),
    "it is deep in a recursion": deep,
    "it and another have led to each other": circular,
    "its type is new": typed,
    "it is a group": ExceptionGroup("many", [ValueError("x" * 1000)] * 1000),
    "it wants to end the process": SystemExit("x" * 1_000_000),
}
