"""
Whether the numbers that a caller passes are fit, and if not, what is taken.
"""

from __future__ import annotations

#: The seconds of a year, the most that anything takes: no timer can be set for
#: infinity.
YEAR = 31_536_000


def checkCount(name: str, value: object, least: int = 0) -> None:
    """
    Check a number of things.

    @param name: The argument's name.
    @param value: What it was given.
    @param least: The least that it takes.

    @raise TypeError: C{value} is no integer.
    @raise ValueError: C{value} is less than C{least}.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} takes an integer, not {value!r}")
    if value < least:
        raise ValueError(f"{name} takes {least} or more, not {value!r}")


def checkNumber(
    name: str, value: object, least: float, most: float, takes: str
) -> None:
    """
    Check a number that need not be whole.

    @param name: The argument's name.
    @param value: What it was given.
    @param least: The least that it takes.
    @param most: The most that it takes.
    @param takes: What it takes, in words.

    @raise TypeError: C{value} is no number.
    @raise ValueError: C{value} is out of range.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} takes a number, not {value!r}")
    if not least <= value <= most:
        raise ValueError(f"{name} takes {takes}, not {value!r}")


def checkSeconds(name: str, value: object) -> None:
    """
    Check a number of seconds, from 0 to a year.

    @param name: The argument's name.
    @param value: What it was given.

    @raise TypeError: C{value} is no number.
    @raise ValueError: C{value} is out of range.
    """
    checkNumber(name, value, 0, YEAR, f"seconds, 0 or more, up to {YEAR}")
