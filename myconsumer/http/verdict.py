"""
What a status code means: a fault that may pass, or a refusal and what to change.

Promise 4: a status code never ends the service.

Promise 9: no token is quoted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from html import unescape
from urllib.parse import unquote

from hyperlink import URL
from msgspec import MsgspecError, Struct
from msgspec.json import Decoder
from twisted.web.http import RESPONSES

from myconsumer.errors import FaultError, QueueError, RefusalError
from myconsumer.http.answer import Answer
from myconsumer.http.urls import withoutSecrets
from myconsumer.text import oneLine

#: The most seconds for which an endpoint can ask to be left alone.
LONGEST_RETRY_AFTER = 300.0

_PASSING = frozenset({408, 425, 429})
_DIVISIBLE = frozenset({400, 413, 422})
_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_QUOTED = 100
_INSTEAD = b"(token)"


class _Reason(Struct):
    error: str


_readReason: Callable[[bytes], _Reason] = Decoder(_Reason).decode


def judge(answer: Answer, url: URL, secret: bytes | None) -> QueueError:
    """
    Make the error for an answer that is no success.

    @param answer: The answer; its code is no 2xx.
    @param url: What was asked for.
    @param secret: The token that was sent: never part of the text.

    @return: L{FaultError} or L{RefusalError}, its text one line.
    """
    code = answer.code
    if 300 <= code < 400:
        return RefusalError(_redirected(answer, url))
    said = quoted(answer, secret)
    if code in _PASSING or not 400 <= code < 500:
        text = f"the endpoint answered {named(code)}{said}"
        return FaultError(
            text, retryAfter=retryAfter(answer) if code in (429, 503) else None
        )
    advice = _advice(code, secret is not None)
    return RefusalError(
        f"the endpoint answered {named(code)}: {advice}{said}",
        divisible=code in _DIVISIBLE,
    )


def retryAfter(answer: Answer, longest: float = LONGEST_RETRY_AFTER) -> float | None:
    """
    Read C{Retry-After}.

    @param answer: The answer.
    @param longest: The most seconds to make of it.

    @return: The seconds to leave the other side alone, from 0 to C{longest};
        C{None} where it does not say so, or not clearly.
    """
    text = answer.header(b"retry-after").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
            seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, 0.0), longest)


def _advice(code: int, tokenSent: bool) -> str:
    if code in (401, 403):
        if tokenSent:
            return "it does not take the token in the file that --token-file names"
        return "it wants a token: name a file that holds one with --token-file"
    if code in (404, 405, 410):
        return "--url does not lead to a queue; set it to one"
    if code in _DIVISIBLE:
        return "it does not understand or accept what is sent; is --protocol right?"
    return "it refuses the request; --url or the endpoint has to be changed"


def _redirected(answer: Answer, url: URL) -> str:
    try:
        place = oneLine(withoutSecrets(url.click(answer.header(b"location"))))
    except (ValueError, NotImplementedError):
        # what has a scheme and no host cannot be followed, "mailto:" for one
        place = "nowhere"
    return (
        f"the endpoint answered {named(answer.code)} and points to {place}: "
        "redirects are not followed; set --url to where it leads"
    )


def quoted(answer: Answer, secret: bytes | None = None, limit: int = _QUOTED) -> str:
    """
    Quote the reason that a body gives, in the field C{error} of an object, or else the
    beginning of the body.

    @param answer: The answer.
    @param secret: What must not be quoted.
    @param limit: The most characters to quote; of a reason twice as many.

    @return: The end of a sentence of one line; empty where the body is.
    """
    try:
        text, most = _readReason(answer.body).error, 2 * limit
    except (MsgspecError, ValueError, RecursionError):
        text, most = beginning(answer, secret, 8 * limit), limit
    text = oneLine(redacted(text, secret), most)
    return f"; it says: {text}" if text else ""


def beginning(answer: Answer, secret: bytes | None, longest: int) -> str:
    """
    @param secret: What must not be quoted, or C{None}.
    @param longest: The most bytes.

    @return: The first bytes of a body, as text.
    """
    body = answer.body.replace(secret, _INSTEAD) if secret else answer.body
    return redacted(body[:longest].decode("utf-8", "replace"), secret)


def redacted(text: str, secret: bytes | None) -> str:
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


def named(code: int) -> str:
    """
    @return: A status code and what it is called.
    """
    phrase = RESPONSES.get(code, b"").decode("ascii")
    return f"{code} {phrase}".rstrip()


def unfit(
    answer: Answer, wanted: str, error: Exception, secret: bytes | None = None
) -> FaultError:
    """
    Make the error for a body that is not what it should be.

    @param answer: The answer with the body.
    @param wanted: What it should be.
    @param error: What decoding it has raised.
    @param secret: The token that was sent: never part of the text.
    """
    kind = oneLine(answer.header(b"content-type"), 60) or "no content type"
    start = answer.body.lstrip()[:1]
    if not start:
        what = "an empty body"
    elif start in b"{[":
        # it may hold a payload, which is nobody's business
        what = f"a body that does not fit: {oneLine(str(error), 120)}"
    else:
        text = oneLine(beginning(answer, secret, 400), 60)
        what = f"a body that begins {text!r}"
    return FaultError(
        f"the endpoint answered {answer.code} with {what} ({kind}); "
        f"{wanted} is expected"
    )
