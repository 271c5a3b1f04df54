"""
The requests of a check and what was answered, kept for the report.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from hyperlink import URL

from myconsumer.check.exceptions import Unanswered
from myconsumer.check.hangup import Leaving
from myconsumer.errors import FaultError
from myconsumer.http import Answer, Client
from myconsumer.http.client import EVERY_CODE, POLL_GRACE
from myconsumer.http.quotation import quoted
from myconsumer.http.urls import FixedURL, below
from myconsumer.http.verdict import named
from myconsumer.text import oneLine

_REMEMBERED = 8
_LONGEST = 240


class Wire:
    """
    Sends requests to the endpoint.

    @ivar answers: What became of the last requests, a line each, in the order in
        which they ended.
    """

    def __init__(
        self,
        reactor: Any,
        client: Client,
        url: URL,
        leaving: Leaving,
        secret: bytes | None = None,
        anonymous: Client | None = None,
    ) -> None:
        """
        @param reactor: The reactor, or a clock.
        @param client: Sends the requests.
        @param url: Where the queue is.
        @param leaving: Sends a request and goes away.
        @param secret: The token that C{client} sends; never shown.
        @param anonymous: Sends requests without a token.
        """
        self._reactor = reactor
        self._client = client
        self._url = url
        self._leaving = leaving
        self._secret = secret
        self._anonymous = anonymous
        self._began = self.seconds()
        self.answers: deque[str] = deque(maxlen=_REMEMBERED)

    def seconds(self) -> float:
        """
        @return: The time.
        """
        now: float = self._reactor.seconds()
        return now

    @property
    def hasToken(self) -> bool:
        """
        Whether a token is sent.
        """
        return self._secret is not None

    def forget(self) -> None:
        """
        Begin to remember anew.
        """
        self._began = self.seconds()
        self.answers.clear()

    async def send(
        self,
        method: str,
        names: Sequence[str],
        body: Any = None,
        wait: float = 0.0,
        token: bytes | None = None,
    ) -> Answer:
        """
        Send one request.

        @param method: HTTP's method.
        @param names: Where below the queue's URL.
        @param body: The body: bytes, or what to encode as JSON; C{None}: none.
        @param wait: The seconds for which the endpoint is asked to wait.
        @param token: The token, where it is not to be the right one; empty: none.

        @return: The answer, whatever its code.

        @raise Unanswered: There was none.
        """
        data = encoded(body)
        client = self._client
        if token is not None and self._anonymous is not None:
            client = self._anonymous
        said = f"{method} {where(*names)} {self._shown(data)}".rstrip()
        sent = self.seconds() - self._began
        try:
            answer = await client.request(
                method,
                self.url(*names),
                data,
                wait + POLL_GRACE,
                accept=EVERY_CODE,
                headers={b"Authorization": b"Bearer " + token} if token else None,
            )
        except FaultError as error:
            self._note(sent, said, "no answer")
            text = f"{method} {where(*names)} was not answered: {error}"
            raise Unanswered(text) from None
        self._note(sent, said, f"{named(answer.code)} {self._shown(answer.body)}")
        return answer

    async def leave(self, names: Sequence[str], body: Any, after: float) -> bytes:
        """
        Send a POST on a connection of its own and close that without an answer.

        @param names: Where below the queue's URL.
        @param body: What to encode as JSON.
        @param after: The seconds after which to close it.

        @return: What was answered until then.

        @raise Unanswered: There was no connection.
        """
        said = f"POST {where(*names)} {self._shown(encoded(body))}"
        sent = self.seconds() - self._began
        answered = await self._leaving(self.url(*names), encoded(body) or b"", after)
        self._note(sent, said, "(the client closes its connection)")
        return answered

    def url(self, *names: str) -> FixedURL:
        """
        @return: The URL of something below the queue.
        """
        return below(self._url, *names)

    def quoted(self, answer: Answer) -> str:
        """
        @return: An answer's code and the beginning of what it says.
        """
        return f"{named(answer.code)}{quoted(answer, self._secret, url=self._url)}"

    def _note(self, sent: float, said: str, answered: str) -> None:
        took = self.seconds() - self._began
        self.answers.append(f"{sent:.2f}-{took:.2f} s: {said} -> {answered}".rstrip())

    def _shown(self, data: bytes | None) -> str:
        data = data or b""
        if self._secret:
            data = data.replace(self._secret, b"(token)")
        return oneLine(data[: 4 * _LONGEST].decode("utf-8", "replace"), _LONGEST)


def where(*names: str) -> str:
    """
    @return: A place below the queue's URL, as the contract writes it.
    """
    return "/".join(["URL", *(quote(name, safe="") for name in names)])


def encoded(body: Any) -> bytes | None:
    """
    @return: A body as it is sent.
    """
    if body is None or isinstance(body, bytes):
        return body
    return json.dumps(body).encode()
