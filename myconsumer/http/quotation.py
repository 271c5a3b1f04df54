"""
What an endpoint says for itself, quoted in one line and without the token.

Promise 9: no token is quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from urllib.parse import unquote

from hyperlink import URL
from msgspec import Struct
from msgspec.json import Decoder

from myconsumer.http.answer import Answer
from myconsumer.http.urls import withoutSecrets
from myconsumer.jsontext import UNDECODABLE
from myconsumer.text import oneLine

_QUOTED = 100
_INSTEAD = b"(token)"


class _Reason(Struct):
    error: str


_readReason: Callable[[bytes], _Reason] = Decoder(_Reason).decode


def quoted(answer: Answer, secret: bytes | None = None, limit: int = _QUOTED) -> str:
    """
    Quote the reason that a body gives in the field C{error} of an object, or else the
    beginning of the body.

    @param answer: The answer.
    @param secret: The token that was sent, which must not be quoted, or C{None}.
    @param limit: The most characters to quote of a body; twice as many of a reason.

    @return: The end of a sentence of one line; empty where there is nothing to quote.
    """
    try:
        text, most = _readReason(answer.body).error, 2 * limit
    except UNDECODABLE:
        text, most = beginning(answer, secret, 8 * limit), limit
    text = oneLine(_redacted(text, secret), most)
    return f"; it says: {text}" if text else ""


def beginning(answer: Answer, secret: bytes | None, longest: int) -> str:
    """
    @param secret: The token that was sent, which must not be quoted, or C{None}.
    @param longest: The most bytes to take of the body.

    @return: The beginning of an answer's body, as text.
    """
    body = answer.body.replace(secret, _INSTEAD) if secret else answer.body
    return _redacted(body[:longest].decode("utf-8", "replace"), secret)


def target(answer: Answer, url: URL, secret: bytes | None) -> str:
    """
    Quote where a redirect leads, without what may be a secret.

    @param answer: The answer.
    @param url: What was asked for.
    @param secret: The token that was sent, which must not be quoted, or C{None}.

    @return: A URL in one line; C{nowhere} where there is none that can be followed.
    """
    try:
        place = withoutSecrets(url.click(answer.header(b"location")))
    except (ValueError, NotImplementedError):
        # what has a scheme and no host cannot be followed, "mailto:" for one
        return "nowhere"
    return oneLine(_redacted(place, secret))


def _redacted(text: str, secret: bytes | None) -> str:
    """
    Take the token out of a text, also where it is escaped as in JSON, HTML or a URL.

    @param text: What an endpoint said.
    @param secret: The token, or C{None} where none was sent.
    """
    if not secret:
        return text
    token = secret.decode("ascii")
    for read in (str, _unslashed, unescape, unquote):
        plain = read(text)
        if token in plain:
            text = plain.replace(token, _INSTEAD.decode("ascii"))
    return text


def _unslashed(text: str) -> str:
    return text.replace(r"\/", "/")
