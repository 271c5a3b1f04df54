"""
Reads bodies of JSON: decodes and checks them in one pass and, where that fails, goes
through them again for a sentence that says where and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec

from myconsumer.http.serving.answers import Refusal
from myconsumer.jsontext import UNDECODABLE, loads
from myconsumer.taskqueue.limits import MOST_TASKS
from myconsumer.taskqueue.web.complaints import Shape, complaint
from myconsumer.taskqueue.web.weight import checkWeight
from myconsumer.text import oneLine

T = TypeVar("T")

#: Takes a body apart: where each object is, and what stands there.
Parts = Callable[[Any], Iterable[tuple[str, Any]]]

# the largest body that is gone through for a sentence of ours, which takes longer than
# to decode it
_EXPLAINED = 256 * 1024

_decodeAny: Callable[[bytes], Any] = msgspec.json.Decoder().decode


def whole(value: Any) -> Iterable[tuple[str, Any]]:
    """
    The L{Parts} of a body that is one object.
    """
    return [("", value)]


class Reader(Generic[T]):
    """
    Reads bodies of one type.
    """

    def __init__(
        self,
        type_: Any,
        shape: Shape,
        parts: Parts = whole,
        check: Callable[[T], object] = lambda found: None,
    ) -> None:
        """
        @param type_: What a body is decoded to.
        @param shape: What its objects have to be.
        @param parts: Finds these objects.
        @param check: Called with what was decoded; raises L{Refusal} where that is not
            taken.
        """
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(type_).decode
        self._shape = shape
        self._parts = parts
        self._check = check

    def read(self, body: bytes) -> T:
        """
        Read a body.

        @raise Refusal: It is not what it should be.
        """
        checkWeight(body)
        try:
            found = self._decode(body)
            self._check(found)
            # what is passed on as it came was not looked into
            _decodeAny(body)
        except UNDECODABLE as error:
            raise Refusal(400, self._explained(body, error)) from None
        return found

    def _explained(self, body: bytes, error: Exception) -> str:
        """
        @return: What is wrong with a body, and where.
        """
        if not body.strip():
            return "the body is empty; it takes JSON"
        if len(body) <= _EXPLAINED:
            try:
                value = loads(body)
            except RecursionError:
                return "the body is nested too deeply"
            except ValueError as invalid:
                return f"the body is no JSON: {oneLine(str(invalid), 100)}"
            for where, part in islice(self._parts(value), MOST_TASKS):
                if (found := complaint(part, where, self._shape)) is not None:
                    return found
        return f"the body cannot be read: {oneLine(str(error), 100)}"
