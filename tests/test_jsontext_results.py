"""
Results, and what is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from concurrent.futures import Future
from typing import Any

from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.jsontext import encodedResult, unfinished
from myconsumer.task import LONGEST_RESULT


def generator() -> Generator[int, None, None]:
    """
    Yield something.
    """
    yield 1


async def asyncGenerator() -> AsyncIterator[int]:
    """
    Yield something.
    """
    yield 1


class Awaitable:
    """
    Something that can be awaited.
    """

    def __await__(self) -> Generator[Any, Any, int]:
        yield


class EncodedTests(SynchronousTestCase):
    """
    L{encodedResult}.
    """

    def test_encodesJSON(self) -> None:
        """
        What JSON can say is encoded; what is JSON already stays as it is.
        """
        self.assertEqual(encodedResult({"a": [1, None]}), Raw(b'{"a":[1,null]}'))
        self.assertEqual(encodedResult(Raw(b" 1")), Raw(b" 1"))

    def test_refusesWhatIsNoJSON(self) -> None:
        """
        What JSON cannot say is refused, and how.
        """
        nested: list[Any] = []
        nested.append(nested)
        for value in (object(), "\ud800", {1: {2: object()}}, nested):
            with self.assertRaises(ValueError) as caught:
                encodedResult(value)
            self.assertIn("it is no JSON: ", str(caught.exception))

    def test_refusesATooLongResult(self) -> None:
        """
        What is too long is refused, and by how much.
        """
        encodedResult(Raw(b" " * LONGEST_RESULT))
        with self.assertRaises(ValueError) as caught:
            encodedResult(Raw(b" " * (LONGEST_RESULT + 1)))
        self.assertIn(f"{LONGEST_RESULT + 1} bytes", str(caught.exception))


class UnfinishedTests(SynchronousTestCase):
    """
    L{unfinished}.
    """

    def test_takesValues(self) -> None:
        """
        Values are none, whether or not JSON can say them, and neither is what iterates
        over what is there.
        """
        for value in (
            None, 0, "text", {"a": [1]}, (1, 2), object(), iter([1]), generator, len
        ):  # fmt: skip
            self.assertIsNone(unfinished(value))

    def test_namesUnfinishedWork(self) -> None:
        """
        What runs nothing by itself, or is not waited for, is named, with a guess.
        """
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        for value, words in (
            (generator(), ["a generator, ", "@inlineCallbacks"]),
            (asyncGenerator(), ["an async generator, "]),
            (map(len, []), ["a map, ", "a list meant"]),
            (filter(None, []), ["a filter, "]),
            (Deferred(), ["a Deferred, ", "await"]),
            (Awaitable(), ["a Awaitable, "]),
            (loop.create_future(), ["a Future, ", "await"]),
            (Future(), ["a Future, ", "result()"]),
        ):
            for word in words:
                self.assertIn(word, str(unfinished(value)))

    def test_findsWorkInCollections(self) -> None:
        """
        Unfinished work in a list, a tuple, a set or a dict is named, too.
        """
        work = generator()
        for value, name in (
            ([1, work], "list"),
            ((work, work), "tuple"),
            ({work}, "set"),
            ({"a": 1, "b": work}, "dict"),
        ):
            self.assertIn(f"a {name} that holds a generator", str(unfinished(value)))
