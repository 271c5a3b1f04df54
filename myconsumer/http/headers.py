"""
The headers of requests, made once for many of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from twisted.web.http_headers import Headers


class RequestHeaders:
    """
    Makes the headers that all requests have in common, anew when the token changes.

    @ivar token: The token that is in them, or C{None}.
    """

    def __init__(self) -> None:
        self._make(None)

    def of(
        self, token: bytes | None, hasBody: bool, more: Mapping[bytes, bytes] | None
    ) -> Headers:
        """
        Give the headers of a request.

        @param token: The bearer token, or C{None} to send none.
        @param hasBody: Whether it has a body, which is JSON.
        @param more: Headers of this request alone: names and values.
        """
        if token != self.token:
            self._make(token)
        usual = self._withBody if hasBody else self._bare
        if not more:
            return usual
        headers = usual.copy()
        for name, value in more.items():
            headers.setRawHeaders(name, [value])
        return headers

    def _make(self, token: bytes | None) -> None:
        self.token = token
        self._bare = Headers({b"User-Agent": [_userAgent()]})
        if token is not None:
            self._bare.setRawHeaders(b"Authorization", [b"Bearer " + token])
        self._withBody = self._bare.copy()
        self._withBody.setRawHeaders(b"Content-Type", [b"application/json"])


def _userAgent() -> bytes:
    try:
        return b"myconsumer/" + version("myconsumer").encode("ascii")
    except PackageNotFoundError:
        return b"myconsumer"
