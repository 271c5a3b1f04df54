"""
Requests to a queue, and the checks of its answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from hyperlink import URL

from myconsumer.errors import QueueError, RefusalError
from myconsumer.http import Answer, Client, makeClient
from myconsumer.http.quotation import quoted, target
from myconsumer.http.urls import FixedURL, below
from myconsumer.http.verdict import named, unfit
from myconsumer.jsontext import UNDECODABLE

#: The seconds that an answer may take.
DEADLINE = 30.0

T = TypeVar("T")

# what passes by itself, and what concerns the token, is worded already
_WORDED = frozenset({401, 403, 408, 425, 429})
_REFUSALS = frozenset(range(300, 500)) - _WORDED
_NO_QUEUE = frozenset({404, 405, 410})


class Queue:
    """
    A queue, as producers and operators see it.
    """

    def __init__(self, client: Client, url: URL) -> None:
        """
        @param client: Sends the requests.
        @param url: Where the queue is.
        """
        self._client = client
        self._url = url

    async def ask(
        self,
        type_: type[T],
        wanted: str,
        method: str,
        steps: Sequence[str] = (),
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """
        Send one request.

        @param type_: What the answer is to be, as C{msgspec} takes it.
        @param wanted: What the answer is to be, in words.
        @param method: HTTP's method, in capitals.
        @param steps: The segments of the path below the queue's URL.
        @param body: JSON, or C{None} for no body.
        @param query: What to add to the URL's query.

        @raise FaultError: There was no answer, or one after which a retry may help.
        @raise RefusalError: The queue refuses the request; divisible, where the body is
            too large.
        @raise QueueError: The answer is not of C{type_}.
        """
        url = below(self._url, *steps)
        for name, value in (query or {}).items():
            url = FixedURL.of(url.set(name, quote(value, safe="")))
        answer = await self._client.request(method, url, body, DEADLINE, _REFUSALS)
        if answer.code in _REFUSALS:
            text = _refused(answer, url, self._client.secret)
            raise RefusalError(text, divisible=answer.code == 413)
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except UNDECODABLE as error:
            fault = unfit(answer, wanted, error, self._client.secret, self._url)
            raise QueueError(str(fault)) from None


@asynccontextmanager
async def queueOf(reactor: Any, options: Mapping[str, Any]) -> AsyncIterator[Queue]:
    """
    Open the queue that a command line names, and close it at the end of the context.

    @param reactor: The reactor.
    @param options: C{url} and C{token-file}, as all commands have them.
    """
    client = makeClient(reactor, 1, options["token-file"])
    try:
        yield Queue(client, options["url"])
    finally:
        await client.close()


def _refused(answer: Answer, url: URL, secret: bytes | None) -> str:
    text = f"the queue answered {named(answer.code)}"
    if answer.code < 400:
        place = target(answer, url, secret)
        return f"{text} and points to {place}: give the URL that leads to the queue"
    if answer.code in _NO_QUEUE:
        text += ": is the URL that of a queue?"
    return text + quoted(answer, secret, url=url)
