"""
Python callables, found by their dotted names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple


def loadCallable(name: str) -> Callable[[Any], Any]:
    """
    Find what a dotted name stands for, importing what it takes.

    @param name: Such as C{package.module.callable}.

    @return: What is called that.

    @raise ValueError: There is no such callable, or calling it runs nothing; the text
        says what is missing.
    """
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError("it is not a dotted name, such as package.module.function")
    found, depth = _importLongest(parts)
    for index, part in enumerate(parts[depth:], depth):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ValueError(f"{'.'.join(parts[:index])} has no {part}") from None
    if not callable(found):
        raise ValueError(f"it is of type {type(found).__name__}, and not callable")
    requireWork(found)
    return found  # type: ignore[no-any-return]


def requireWork(function: Callable[..., Any]) -> None:
    """
    Refuse what runs nothing when it is called.

    @raise ValueError: It is such; the text says what was probably meant.
    """
    body = bodyOf(function)
    if inspect.isgeneratorfunction(body):
        raise ValueError(
            "it is a generator function, and calling it runs nothing: was "
            "@inlineCallbacks forgotten?"
        )
    if inspect.isasyncgenfunction(body):
        raise ValueError(
            "it is an async generator function, and calling it runs nothing: a "
            "coroutine function does not yield"
        )


def bodyOf(function: Any) -> Any:
    """
    @return: The function that runs when C{function} is called, behind any
        C{functools.partial} and C{__call__}.
    """
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


class NamedCallable(NamedTuple):
    """
    A callable, and the dotted name that it was found by.
    """

    name: str
    function: Callable[[Any], Any]

    @classmethod
    def load(cls, name: str) -> NamedCallable:
        """
        See L{loadCallable}.
        """
        return cls(name, loadCallable(name))


def _importLongest(parts: list[str]) -> tuple[Any, int]:
    """
    Import the longest beginning of a dotted name that is a module, short of the
    whole: a module cannot be called.

    @return: The module, and how many of the parts make its name.
    """
    found = None
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        try:
            found = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise ValueError(_importFailed(name, error)) from None
            if found is None:
                raise ValueError(f"there is no module {name}") from None
            return found, depth - 1
        except (Exception, SystemExit) as error:
            raise ValueError(_importFailed(name, error)) from None
    return found, len(parts) - 1


def _importFailed(name: str, error: BaseException) -> str:
    return f"importing {name} failed with {type(error).__name__}: {error}"
