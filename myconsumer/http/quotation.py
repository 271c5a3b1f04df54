"""
What an endpoint says for itself, quoted in one line, without the token and without what
is in the query of the URL.

Promise 9: no token is quoted, and no key that a URL has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

#: The fewest characters of a value in a query that may be a key wherever it is quoted;
#: a shorter one is not quoted with its name.
_KEY = 8


class _Reason(Struct):
    error: str


_readReason: Callable[[bytes], _Reason] = Decoder(_Reason).decode


def quoted(
    answer: Answer,
    secret: bytes | None = None,
    limit: int = _QUOTED,
    url: URL | None = None,
) -> str:
    """
    Quote the reason that a body gives in the field C{error} of an object, or else the
    beginning of the body.

    @param answer: The answer.
    @param secret: The token that was sent, which must not be quoted, or C{None}.
    @param limit: The most characters to quote of a body; twice as many of a reason.
    @param url: What was asked for: its query is not quoted either.

    @return: The end of a sentence of one line; empty where there is nothing to quote.
    """
    try:
        text, most = _readReason(answer.body).error, 2 * limit
    except UNDECODABLE:
        text, most = beginning(answer, secret, 8 * limit, url), limit
    text = oneLine(_redacted(text, _secrets(secret, url)), most)
    return f"; it says: {text}" if text else ""


def beginning(
    answer: Answer, secret: bytes | None, longest: int, url: URL | None = None
) -> str:
    """
    @param secret: The token that was sent, which must not be quoted, or C{None}.
    @param longest: The most bytes to take of the body.
    @param url: What was asked for: its query is not quoted either.

    @return: The beginning of an answer's body, as text.
    """
    body, secrets = answer.body, _secrets(secret, url)
    # first, so that no half of one is left at the end
    for plain, instead in secrets:
        body = body.replace(plain.encode(), instead.encode())
    return _redacted(body[:longest].decode("utf-8", "replace"), secrets)


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
    return oneLine(_redacted(place, _secrets(secret, url)))


def _secrets(token: bytes | None, url: URL | None) -> list[tuple[str, str]]:
    """
    @return: What must not be quoted, and what is quoted instead of each.
    """
    secrets = [(token.decode("ascii"), "(token)")] if token else []
    for name, value in url.query if url is not None else ():
        pair = name if value is None else f"{name}={value}"
        key = name if value is None else value
        for text in (pair, key):
            if text is pair or len(key) >= _KEY:
                secrets += [(text, "(query)"), (unquote(text), "(query)")]
    return [each for each in secrets if each[0]]


def _redacted(text: str, secrets: Sequence[tuple[str, str]]) -> str:
    """
    Take secrets out of a text, also where they are escaped as in JSON, HTML or a URL.

    @param text: What an endpoint said.
    @param secrets: Each with what is to stand in its place.
    """
    for secret, instead in secrets:
        for read in (str, _unslashed, unescape, unquote):
            plain = read(text)
            if secret in plain:
                text = plain.replace(secret, instead)
    return text


def _unslashed(text: str) -> str:
    return text.replace(r"\/", "/")
