"""
The whole answer to an HTTP request.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from msgspec import Struct
from twisted.web.http_headers import Headers

LONGEST_BODY = 16 * 1024 * 1024
"""The most bytes that a body may have, compressed or not."""


class Answer(Struct, frozen=True):
    """
    What an endpoint answered.

    @ivar code: HTTP's status code.
    @ivar headers: The headers.
    @ivar body: The whole body, decompressed; what came of it where C{code} is
        no 2xx and the rest did not come.
    """

    code: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str:
        """
        Give a header's last value.

        @param name: Its name.

        @return: The value; empty where there is none.
        """
        values: Sequence[bytes] = self.headers.getRawHeaders(name) or [b""]
        return values[-1].decode("latin-1")


def inflated(body: bytes) -> bytes:
    """
    Decompress a body.

    @param body: What gzip made.

    @return: What gzip made it of; if that is longer than L{LONGEST_BODY}, so much
        of it that this shows.

    @raise zlib.error: It is damaged, or not whole.
    """
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    out = stream.decompress(body, LONGEST_BODY + 1)
    if not stream.eof and len(out) <= LONGEST_BODY:
        raise zlib.error("it ends too soon")
    return out
