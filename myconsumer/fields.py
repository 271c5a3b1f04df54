"""
Types that say what they take: the C{description} of their C{msgspec.Meta} is what an
option, a field of JSON or an argument names when it refuses a value.
"""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Meta, UnsetType, convert

#: The seconds of a year, the most that anything takes: no timer can be set for
#: infinity.
YEAR = 31_536_000

#: The most of anything that is counted by an option.
MILLION = 1_000_000

#: The longest name of a task or of a claim, in characters.
LONGEST_NAME = 255

#: The highest priority; the lowest is its negative.
HIGHEST_PRIORITY = 1000


def count(least: int, most: int | None = None) -> Any:
    """
    @return: The type of a whole number.

    @param least: The least that it takes.
    @param most: The most that it takes; C{None}: any number from C{least} on.
    """
    if most is None:
        description = f"a whole number of {least} or more"
    else:
        description = f"a whole number from {least} to {most}"
    return Annotated[int, Meta(ge=least, le=most, description=description)]


def seconds(most: int = YEAR) -> Any:
    """
    @return: The type of a number of seconds, from 0 on.

    @param most: The most that it takes.
    """
    description = f"a number of seconds from 0 to {most}"
    return Annotated[float, Meta(ge=0, le=most, description=description)]


#: How long something takes at most, or is put off.
Seconds = Annotated[
    float, Meta(ge=0, le=YEAR, description=f"a number of seconds from 0 to {YEAR}")
]
Delay = Seconds

#: By how much a handler puts its task off.  The upper end stays open: the endpoint
#: bounds it, not we.
OpenDelay = Annotated[float, Meta(ge=0, description="a number of seconds of 0 or more")]

#: How long a claim waits for its first task, where nothing bounds that.
Wait = Annotated[float, Meta(ge=0, description="a number of seconds of 0 or more")]

#: For how long a task is leased.
Lease = Annotated[
    float,
    Meta(gt=0, le=YEAR, description=f"a number of seconds above 0, up to {YEAR}"),
]

#: When a task was queued, in seconds since the epoch.
Enqueued = Annotated[float, Meta(description="a number of seconds")]

#: How many there are of something, and how many where there has to be one.
Count = Annotated[int, Meta(ge=0, description="a whole number of 0 or more")]
Positive = Annotated[int, Meta(ge=1, description="a whole number of 1 or more")]

#: Which delivery of a task it is.
Attempt = Positive

#: Tasks with the highest priority are delivered first.
Priority = Annotated[
    int,
    Meta(
        ge=-HIGHEST_PRIORITY,
        le=HIGHEST_PRIORITY,
        description=f"a whole number from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}",
    ),
]

#: What a producer calls a task, or a consumer its claim.
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_NAME,
        description=f"a string of 1 to {LONGEST_NAME} characters",
    ),
]

_PLAIN = {
    bool: "true or false",
    float: "a number",
    int: "an integer",
    str: "a string",
}
_ABSENT = (NoneType, UnsetType)


def takes(type_: Any) -> str:
    """
    Say what a type takes, in words that follow "takes".

    @param type_: One with a description, C{bool}, C{float}, C{int}, C{str}, a
        C{Literal} of words, or a union of such, in which C{None} and
        C{msgspec.UnsetType} do not count.

    @raise LookupError: It is none of these.
    """
    for meta in getattr(type_, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description:
            return meta.description
    origin = get_origin(type_)
    if origin in (Union, UnionType):
        return _either([takes(each) for each in get_args(type_) if each not in _ABSENT])
    return _either(get_args(type_)) if origin is Literal else _PLAIN[type_]


def mismatch(name: str, type_: Any, value: object) -> str:
    """
    Word the refusal of an argument.

    @param name: The argument's name.
    @param type_: Its type, which says what it takes.
    @param value: The value.
    """
    return f"{name} takes {takes(type_)}, not {value!r}"


def check(name: str, type_: Any, value: object) -> None:
    """
    Check a number that a caller passes as an argument.

    @param name: The argument's name.
    @param type_: Its type: an C{int} or a C{float} with a range and a description.
    @param value: The value.

    @raise TypeError: C{value} is no number, or not whole where C{type_} is.
    @raise ValueError: C{value} is out of range.
    """
    kind = get_args(type_)[0]
    kinds = (int, float) if kind is float else int
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(mismatch(name, type_, value))
    try:
        convert(kind(value), type_)
    except (ValueError, OverflowError):
        raise ValueError(mismatch(name, type_, value)) from None


def _either(words: Any) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else str(last)
