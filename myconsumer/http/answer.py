"""
The whole answer to an HTTP request.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from msgspec import Struct
from twisted.web.http_headers import Headers

#: The most bytes that a body may have, compressed or not.
LONGEST_BODY = 16 * 1024 * 1024

_MOST_MEMBERS = 1024


class Answer(Struct, frozen=True):
    """
    What an endpoint answered.

    @ivar code: HTTP's status code.
    @ivar headers: The headers.
    @ivar body: The whole body, decompressed; what came of it where C{code} is
        no 2xx and the rest did not come.
    @ivar tooLong: Whether the body was longer than is read, and is left out.
    """

    code: int
    headers: Headers
    body: bytes
    tooLong: bool = False

    def header(self, name: bytes) -> str:
        """
        Give a header's last value.

        @param name: Its name.

        @return: The value; empty where there is none.
        """
        values: Sequence[bytes] = self.headers.getRawHeaders(name) or [b""]
        return values[-1].decode("latin-1")


def inflated(body: bytes, layers: int = 1, most: int = LONGEST_BODY) -> bytes:
    """
    Decompress a body.

    @param body: What gzip made.
    @param layers: How many times gzip made it.
    @param most: The most bytes to make of it.

    @return: What gzip made it of; if that is longer than C{most}, so much of it that
        this shows.

    @raise zlib.error: It is damaged, or not whole.
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
