"""
The head of an answer, and answers of 1xx before it, within bounds.

Promise 8: the memory that the head of an answer takes is bounded.
"""

from __future__ import annotations

import re

from twisted.web.http import SWITCHING

from myconsumer.http.faults import BadHeadError

#: The most bytes that come before a body, answers of 1xx among them.
LONGEST_HEAD = 64 * 1024

#: The most answers of 1xx that may come before an answer.
MOST_INTERIM = 16

_STATUS = re.compile(rb"[^ \n]* (\d{3})[ \r\n]")
_END = re.compile(rb"\n\r?\n")
_LINE_END = b"\n"


class Head:
    """
    Bounds what the parser of an answer does not bound, until the head has come: its
    length, and the number of answers of 1xx before it.
    """

    def __init__(self) -> None:
        self._size = 0
        self._interim = 0
        self._begun: bytearray | None = bytearray()

    def before(self, data: bytes) -> None:
        """
        Look at C{data} before it is parsed.

        @raise BadHeadError: C{data} must not be parsed.
        """
        if self._begun is None:
            return
        self._begun += data
        while self._begun is not None and _LINE_END in self._begun:
            if not self._skipInterim(self._begun):
                break

    def after(self, data: bytes) -> None:
        """
        Count C{data}, which was parsed without completing the head.

        @raise BadHeadError: The head is too long.
        """
        self._size += len(data)
        if self._size > LONGEST_HEAD:
            raise BadHeadError(f"its head is longer than {LONGEST_HEAD >> 10} KiB")

    def _skipInterim(self, begun: bytearray) -> bool:
        """
        @return: Whether a whole answer of 1xx was skipped.
        """
        status = _STATUS.match(begun)
        if status is None:
            raise BadHeadError("it does not begin with a status")
        code = int(status[1])
        if code == SWITCHING:
            raise BadHeadError("101 Switching Protocols came unasked")
        if not 100 <= code < 200:
            self._begun = None
            return False
        if end := _END.search(begun):
            del begun[: end.end()]
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise BadHeadError(
                    f"more than {MOST_INTERIM} answers of 1xx came first"
                )
        return end is not None
