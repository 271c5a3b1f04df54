"""
Tests for L{myconsumer.fields}.
"""

from __future__ import annotations

from enum import IntEnum
from math import inf, nan
from typing import Annotated, Any, Literal

from msgspec import Meta, UnsetType, ValidationError, convert
from twisted.trial.unittest import SynchronousTestCase

from myconsumer import fields
from myconsumer.fields import (
    YEAR,
    Count,
    Delay,
    Enqueued,
    Lease,
    Name,
    Positive,
    Priority,
    Seconds,
    Wait,
    check,
    count,
    mismatch,
    seconds,
    takes,
)

#: A type, what it takes and what it refuses.
TYPES: list[tuple[Any, list[Any], list[Any]]] = [
    (Seconds, [0, 0.5, YEAR], [-1, YEAR + 1, inf, nan, "1", True]),
    (seconds(60), [0, 60], [-0.1, 60.1]),
    (Wait, [0, YEAR + 1], [-1, nan, "1", True]),
    (Lease, [5e-324, YEAR], [0, -1, YEAR + 1, inf, nan, "1", True]),
    (Enqueued, [-1, 0, 1.5], ["1", True]),
    (Count, [0, 10**30], [-1, 0.5, True]),
    (Positive, [1, 10**30], [0, 1.0, True]),
    (count(2), [2, 10**30], [1]),
    (count(2, 4), [2, 4], [1, 5]),
    (Priority, [-1000, 1000], [-1001, 1001, 0.0]),
    (Name, ["x", "x" * 255], ["", "x" * 256, 1]),
]

#: A type, and what it says that it takes.
WORDS: list[tuple[Any, str]] = [
    (Seconds, "a number of seconds from 0 to 31536000"),
    (seconds(60), "a number of seconds from 0 to 60"),
    (Wait, "a number of seconds of 0 or more"),
    (Lease, "a number of seconds above 0, up to 31536000"),
    (Enqueued, "a number of seconds"),
    (Count, "a whole number of 0 or more"),
    (Positive, "a whole number of 1 or more"),
    (count(2), "a whole number of 2 or more"),
    (count(2, 4), "a whole number from 2 to 4"),
    (Priority, "a whole number from -1000 to 1000"),
    (Name, "a string of 1 to 255 characters"),
    (bool, "true or false"),
    (float, "a number"),
    (int, "an integer"),
    (str, "a string"),
    (Literal["normal", "full"], "normal or full"),
    (Literal["a", "b", "c"], "a, b or c"),
    (Name | int | None, "a string of 1 to 255 characters or an integer"),
    (Delay | UnsetType, "a number of seconds from 0 to 31536000"),
    (Annotated[str, Meta(max_length=1), Meta(description="a letter")], "a letter"),
]


class Three(IntEnum):
    """
    An integer that is of a class of its own.
    """

    THREE = 3


class Longer(float):
    """
    A float that is of a class of its own.
    """


class FieldsTests(SynchronousTestCase):
    """
    Tests for the types, L{takes} and L{check}.
    """

    def test_typesTakeTheirRange(self) -> None:
        """
        Each type takes the ends of its range, and nothing beyond or of another type.
        """
        for type_, fit, unfit in TYPES:
            for value in fit:
                self.assertEqual(convert(value, type_), value)
            for value in unfit:
                with self.subTest(value=value), self.assertRaises(ValidationError):
                    convert(value, type_)

    def test_takesSaysWhatATypeTakes(self) -> None:
        """
        What a type takes is its description, or follows from what it is made of.
        """
        for type_, words in WORDS:
            self.assertEqual(takes(type_), words)

    def test_takesHasNoWordsForOtherTypes(self) -> None:
        """
        There are no words for a type that nobody has described.
        """
        self.assertRaises(LookupError, takes, dict)

    def test_everyTypeIsDescribed(self) -> None:
        """
        Every type of the module says what it takes.
        """
        types = [
            each for each in vars(fields).values() if hasattr(each, "__metadata__")
        ]
        self.assertGreater(len(types), 8)
        for type_ in types:
            self.assertIn(" ", takes(type_))

    def test_checkTakesNumbers(self) -> None:
        """
        A number in range passes, whatever class of numbers it is of.
        """
        for type_, value in (
            (Positive, 1),
            (Positive, Three.THREE),
            (Seconds, 0),
            (Seconds, 0.5),
            (Lease, Three.THREE),
            (Lease, Longer(2)),
        ):
            check("name", type_, value)

    def test_checkRefuses(self) -> None:
        """
        A value of another type is a C{TypeError}, a number out of range is a
        C{ValueError}, and both have the words of the type.
        """
        rows: list[tuple[Any, type[Exception], list[Any]]] = [
            (Positive, TypeError, ["1", 1.0, True, None]),
            (Positive, ValueError, [0, -1, Three.THREE - 3]),
            (Lease, TypeError, ["1", True, None, [1]]),
            (Lease, ValueError, [0, -0.5, inf, nan, 10**400, Longer(-1)]),
        ]
        for type_, error, values in rows:
            for value in values:
                with self.subTest(value=value):
                    caught = self.assertRaises(error, check, "name", type_, value)
                    self.assertEqual(str(caught), mismatch("name", type_, value))
        self.assertEqual(
            mismatch("limit", Positive, "x"),
            "limit takes a whole number of 1 or more, not 'x'",
        )
