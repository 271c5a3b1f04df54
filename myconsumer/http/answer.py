"""
The whole answer to an HTTP request.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from twisted.web.http_headers import Headers

#: The most bytes that a body may have, compressed or not.
LONGEST_BODY = 16 * 1024 * 1024


class Answer(Struct, frozen=True):
    """
    What an endpoint answered.

    @ivar code: HTTP's status code.
    @ivar headers: The headers.
    @ivar body: The whole body, decompressed; where C{code} is no 2xx and the rest
        of the body did not come in time, its beginning.
    @ivar tooLong: Whether the body was longer than L{LONGEST_BODY}, and is left out.
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
