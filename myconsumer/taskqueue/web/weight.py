"""
How much work a body of JSON makes, found out without decoding it: a decoder is not
interrupted, on whatever thread it runs, and nobody else is answered meanwhile.
"""

from __future__ import annotations

from http import HTTPStatus

from myconsumer.http.serving.answers import Refusal
from myconsumer.taskqueue.limits import MOST_VALUES

# all but what precedes a value
_OTHERS = bytes(set(range(256)) - set(b",[{"))


def checkWeight(body: bytes) -> None:
    """
    Make sure that a body has no more than L{MOST_VALUES} values: decoding that many
    takes about a tenth of a second.

    @param body: The body, which need not be JSON.

    @raise Refusal: It has more.
    """
    # a value takes a byte at least, and most bodies have fewer bytes than that
    if len(body) <= MOST_VALUES or _values(body) <= MOST_VALUES:
        return
    if _values(_withoutStrings(body)) > MOST_VALUES:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {MOST_VALUES} values; send it in parts",
        )


def _values(body: bytes) -> int:
    """
    @return: How many values there may be at most.
    """
    return 1 + len(body.translate(None, _OTHERS))


def _withoutStrings(body: bytes) -> bytes:
    """
    Remove strings, unless that takes longer than decoding, as with very many.
    """
    # 16 MiB of nothing but escapes take as long here as in the decoder
    if b'\\"' in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # two quotes to a string, two strings to a field
    if body.count(b'"') > 4 * MOST_VALUES:
        return body
    return b"".join(body.split(b'"')[::2])
