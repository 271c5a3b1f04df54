"""
What a server of ours answers with: JSON, also where it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from twisted.web.http import Request

_JSON = "application/json"

_HEADERS = (
    (b"Cache-Control", [b"no-store"]),
    (b"X-Content-Type-Options", [b"nosniff"]),
)

_encode = msgspec.json.Encoder().encode


class Refusal(Exception):
    """
    Why a request is not done.  The text is a sentence for the client.

    @ivar code: The status code.
    @ivar headers: Further headers of the answer.
    """

    def __init__(
        self, code: int, text: str, headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.headers = headers or {}


def answered(request: Request, content: object, code: int = HTTPStatus.OK) -> bytes:
    """
    Make an answer.

    @param request: What is answered; its response's head is set.
    @param content: What to say: anything that C{msgspec} encodes.
    @param code: The status code.

    @return: The body, to be written.
    """
    return written(request, _encode(content), _JSON, code)


def written(
    request: Request, body: bytes, contentType: str, code: int = HTTPStatus.OK
) -> bytes:
    """
    Make an answer of any type; see L{answered}.

    @param body: The body.
    @param contentType: What it is.
    """
    # Twisted has no words for some
    request.setResponseCode(code, HTTPStatus(code).phrase.encode())
    headers = request.responseHeaders
    headers.removeHeader(b"Server")
    for name, values in _HEADERS:
        headers.setRawHeaders(name, values)
    headers.setRawHeaders(b"Content-Type", [contentType.encode()])
    headers.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
    return body


def refused(request: Request, refusal: Refusal) -> bytes:
    """
    Make the answer to a request that is not done; see L{answered}.

    @param refusal: Why.
    """
    for name, value in refusal.headers.items():
        request.responseHeaders.setRawHeaders(name, [value])
    return answered(request, {"error": str(refusal)}, refusal.code)
