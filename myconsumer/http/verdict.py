"""
What a status code means: a fault that may pass, or a refusal and what to change.

Promise 4: a status code never ends the service.
"""

from __future__ import annotations

import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from hyperlink import URL
from twisted.web.http import RESPONSES

from myconsumer.errors import FaultError, QueueError, RefusalError
from myconsumer.http.answer import Answer
from myconsumer.http.quotation import beginning, quoted, target
from myconsumer.jsontext import MOST_VALUES, isCrowded
from myconsumer.text import oneLine

#: The longest C{Retry-After} that is obeyed, in seconds.
LONGEST_RETRY_AFTER = 300.0

_PASSING = frozenset({408, 425, 429})
_DIVISIBLE = frozenset({400, 413, 422})
_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def judge(answer: Answer, url: URL, secret: bytes | None) -> QueueError:
    """
    Make the error for an answer that is no success.

    @param answer: The answer; its code is no 2xx.
    @param url: What was asked for; its query is never part of the text.
    @param secret: The token that was sent: never part of the text.

    @return: L{FaultError} or L{RefusalError}, its text one line.
    """
    code = answer.code
    if 300 <= code < 400:
        place = target(answer, url, secret)
        return RefusalError(
            f"the endpoint answered {named(code)} and points to {place}: "
            "redirects are not followed; set --url to where it leads"
        )
    said = quoted(answer, secret, url=url)
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
    @param longest: The most seconds to return.

    @return: The seconds to wait before the next request, from 0 to C{longest}; C{None}
        without the header, or where its value cannot be read.
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


def named(code: int) -> str:
    """
    @return: A status code and what it is called.
    """
    phrase = RESPONSES.get(code, b"").decode("ascii")
    return f"{code} {phrase}".rstrip()


def unfit(
    answer: Answer,
    wanted: str,
    error: Exception,
    secret: bytes | None = None,
    url: URL | None = None,
) -> FaultError:
    """
    Make the error for an unfit body.

    @param answer: The answer with the body.
    @param wanted: What the body should be.
    @param error: What decoding the body has raised.
    @param secret: The token that was sent: never part of the text.
    @param url: What was asked for; its query is never part of the text.
    """
    kind = oneLine(answer.header(b"content-type"), 60) or "no content type"
    start = answer.body.lstrip()[:1]
    if not start:
        what = "an empty body"
    elif start in b"{[":
        # it may hold a payload, which is nobody's business
        what = f"a body that does not fit: {oneLine(str(error), 120)}"
    else:
        text = oneLine(beginning(answer, secret, 400, url), 60)
        what = f"a body that begins {text!r}"
    return FaultError(
        f"the endpoint answered {answer.code} with {what} ({kind}); "
        f"{wanted} is expected"
    )


def requireFew(answer: Answer) -> None:
    """
    @raise FaultError: The body of an answer holds too many values.
    """
    if isCrowded(answer.body):
        raise FaultError(
            f"the answer holds more than {MOST_VALUES} JSON values", tooLong=True
        )
