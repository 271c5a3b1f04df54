"""
The body of an answer: collected in pieces and decompressed, within bounds.

Promise 8: no more of an answer is kept than L{LONGEST_BODY
<myconsumer.http.answer.LONGEST_BODY>}.
"""

from __future__ import annotations

import zlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.client import GzipDecoder

from myconsumer.http.answer import LONGEST_BODY
from myconsumer.http.faults import BadHeadError
from myconsumer.http.offload import LARGE, Offload

# Each piece takes some microseconds, in which nothing else is done: more pieces than
# _MANY_PIECES are taken only if they hold at least _TINY bytes each, on average.
_MANY_PIECES = 50_000
_TINY = 16

# how often a body may be compressed, and how many parts each time
_MOST_LAYERS = 4
_MOST_MEMBERS = 1024

#: The reason why a longer body than L{LONGEST_BODY} is not taken.
TOO_LONG = f"the answer is longer than {LONGEST_BODY >> 20} MiB"


class BadBodyError(Exception):
    """
    A body that is not taken.  Its text says why.

    @ivar tooLong: Whether that is its length.
    """

    def __init__(self, message: str, tooLong: bool = False) -> None:
        super().__init__(message)
        self.tooLong = tooLong


class Body:
    """
    The pieces of one body.

    @ivar layers: How many times the body is compressed with gzip.
    """

    def __init__(self, layers: int = 0) -> None:
        self.layers = layers
        # not a list of pieces: there may be one for every second byte
        self._bytes = bytearray()
        self._pieces = 0

    def add(self, piece: bytes) -> None:
        """
        Add a piece, unless the body is not taken with it.

        @raise BadBodyError: The body is too long, or its pieces are too small.
        """
        self._pieces += 1
        size = len(self._bytes) + len(piece)
        if size > LONGEST_BODY:
            raise BadBodyError(TOO_LONG, tooLong=True)
        if self._pieces > _MANY_PIECES and size < _TINY * self._pieces:
            raise BadBodyError("the answer comes in chunks of a few bytes")
        self._bytes += piece

    def beginning(self) -> bytes:
        """
        Give what has come of a body whose rest is not awaited.

        @return: The bytes; none where they are compressed.
        """
        return b"" if self.layers else self._taken()

    def whole(self, offload: Offload) -> bytes | Deferred[bytes]:
        """
        Give the whole body once it has come, decompressed.

        @param offload: Decompresses what is large.

        @return: The bytes; where the body is longer than L{LONGEST_BODY}, one byte
            more than that.

        @raise zlib.error: The body is damaged; or the C{Deferred} fails with this.
        """
        body = self._taken()
        if not (body and self.layers):
            return body
        whole = inflated(body, self.layers, LARGE)
        return offload(inflated, body, self.layers) if len(whole) > LARGE else whole

    def _taken(self) -> bytes:
        taken, self._bytes = self._bytes, bytearray()
        return bytes(taken)


def unwrapped(response: Any) -> tuple[Any, int]:
    """
    Take off the decoders with which treq decompresses a body: they neither notice
    damage nor bound what they make.

    @param response: An agent's response.

    @return: The response as it came, and how many times its body is compressed.

    @raise BadHeadError: It is compressed too often.
    """
    layers = 0
    while isinstance(response, GzipDecoder):
        response = response.original
        layers += 1
    if layers > _MOST_LAYERS:
        raise BadHeadError(f"it is compressed more than {_MOST_LAYERS} times")
    return response, layers


def inflated(body: bytes, layers: int = 1, most: int = LONGEST_BODY) -> bytes:
    """
    Decompress a body.

    @param body: What gzip made.
    @param layers: How many times gzip was applied.
    @param most: The most bytes to make of it.

    @return: The decompressed body, truncated one byte past C{most}.

    @raise zlib.error: The body is damaged, or not whole.
    """
    for _ in range(layers):
        if len(body) <= most:
            body = _inflatedOnce(body, most)
    return body


def _inflatedOnce(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    left = most + 1
    while len(parts) < _MOST_MEMBERS:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        parts.append(stream.decompress(body, left))
        left -= len(parts[-1])
        if left and not stream.eof:
            raise zlib.error("it ends too soon")
        # the next member, behind the zeros that may fill up a block
        body = stream.unused_data.lstrip(b"\0")
        if not (left and body):
            return b"".join(parts)
    raise zlib.error(f"it has more than {_MOST_MEMBERS} parts")
