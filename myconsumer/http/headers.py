"""
The headers of requests: made once for many of them, and none for cookies.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import CookieJar
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from treq.cookies import IndexableCookieJar
from twisted.web.http_headers import Headers

#: What to give treq with each request, so that it makes no jar for it.
NO_COOKIES = CookieJar()


class NoCookieJar(IndexableCookieJar):
    """
    Neither keeps nor sends cookies: a queue needs none.
    """

    def add_cookie_header(self, request: Any) -> None:
        """
        See C{CookieJar.add_cookie_header}.
        """

    def extract_cookies(self, response: Any, request: Any) -> None:
        """
        See C{CookieJar.extract_cookies}.
        """


class RequestHeaders:
    """
    Makes the headers that all requests have in common, anew when the token changes.

    @ivar token: The bearer token in the headers, or C{None}.
    """

    def __init__(self) -> None:
        self._make(None)

    def of(
        self, token: bytes | None, hasBody: bool, more: Mapping[bytes, bytes] | None
    ) -> Headers:
        """
        Give the headers of a request.

        @param token: The bearer token, or C{None} to send none.
        @param hasBody: Whether the request has a body, which is JSON.
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
