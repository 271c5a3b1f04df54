"""
The HTTP client of the queues: one deadline a request, bounded answers, no
redirects, and failures that say whether a retry may help.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any, TypeVar

from hyperlink import URL
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IReactorTime

from myconsumer.errors import RefusalError
from myconsumer.http.answer import Answer
from myconsumer.http.connection import ConnectionPool
from myconsumer.http.exchange import Exchange
from myconsumer.http.headers import NO_COOKIES, RequestHeaders
from myconsumer.http.offload import Offload, Readings
from myconsumer.http.reserve import LOOKUP, Reserve
from myconsumer.http.verdict import judge
from myconsumer.tokenfile import TokenFile

#: For L{Client.request}: whatever the answer, it is no failure.
EVERY_CODE = range(1000)

#: The most seconds that L{Client.close} takes.
CLOSING = 1.0

#: The seconds that the answer to a long poll may take past its wait.
POLL_GRACE = 10.0

_CLOSED = "the request was given up: its client is closed"

T = TypeVar("T")


class Client:
    """
    Sends requests and judges the answers.

    @ivar clock: Measures the deadlines.
    """

    def __init__(
        self,
        treq: Any,
        clock: IReactorTime,
        token: TokenFile | None = None,
        pool: ConnectionPool | None = None,
        offload: Offload = execute,
        reserve: Reserve | None = None,
        reach: Callable[[URL], Deferred[None]] = lambda url: succeed(None),
    ) -> None:
        """
        @param treq: Sends requests, as C{treq.client.HTTPClient} does.
        @param clock: Measures the deadlines.
        @param token: The file with the bearer token; C{None}: no token is sent.
        @param pool: The connections that C{treq} keeps; C{None}: it keeps none.
        @param offload: Decompresses and decodes large answers.
        @param reserve: The descriptors that C{treq} keeps for its connections.
        @param reach: Connects to the host of a URL.
        """
        self._treq = treq
        self.clock = clock
        self._token = token
        self._pool = pool
        self._offload = offload
        self._reserve = reserve
        #: Connects to the host of a URL, and sends no request.
        self.reach = reach
        self._open: set[Exchange] = set()
        self._readings = Readings(offload)
        self._headers = RequestHeaders()

    @property
    def secret(self) -> bytes | None:
        """
        The token that was sent last, which must not be quoted.
        """
        return self._headers.token

    def request(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        deadline: float,
        accept: Container[int] = (),
        headers: Mapping[bytes, bytes] | None = None,
        codeIsEnough: bool = False,
    ) -> Deferred[Answer]:
        """
        Send one request.  Cancelling the C{Deferred} drops the connection; it
        then fails with C{CancelledError}.

        @param method: HTTP's method, in capitals.
        @param url: What to ask for: a L{FixedURL <myconsumer.http.urls.FixedURL>}.
        @param body: JSON, or C{None} for no body.
        @param deadline: The seconds for head and body of the answer together.
        @param accept: Status codes beside 2xx that are no failure of this request.
        @param headers: Headers of this request alone: names and values.
        @param codeIsEnough: Whether a body that is too long is left out of the
            answer; else it is a fault.

        @return: Fires with the answer.  Fails with L{FaultError
            <myconsumer.errors.FaultError>} or L{RefusalError}.
        """
        try:
            token = None if self._token is None else self._token.current()
        except ValueError as error:
            return fail(RefusalError(f"the token file {error}"))
        send = partial(self._send, method, url, body, headers, codeIsEnough)
        exchange = send(token, deadline)

        def judged(answer: Answer) -> Answer | Deferred[Answer]:
            if _isAccepted(answer.code, accept):
                return answer
            fresh = self._freshToken(answer.code)
            left = exchange.ends - self.clock.seconds()
            if fresh in (None, token) or left <= 0:
                raise judge(answer, url, token)
            again = send(fresh, left)
            return again.answered.addCallback(_accepted, accept, url, fresh)

        return exchange.answered.addCallback(judged)

    def read(self, answer: Answer, decode: Callable[[Answer], T]) -> T | Deferred[T]:
        """
        Decode an answer; a large one in a thread.

        @param answer: What L{request} has fired with.
        @param decode: Called with C{answer}, maybe in a thread.

        @return: What C{decode} returns, or a C{Deferred} of it.
        """
        return self._readings.read(answer, decode)

    def setConnections(self, connections: int) -> None:
        """
        Change how many idle connections are kept, and with them the descriptors in
        reserve, if there are any.

        @param connections: The most idle connections to keep.
        """
        if self._pool is not None:
            self._pool.maxPersistentPerHost = connections
        if self._reserve is not None:
            self._reserve.resize(connections + LOOKUP)

    def close(self) -> Deferred[None]:
        """
        Close all connections; requests in flight fail.  The client can be used again
        afterwards.

        @return: Fires once the connections are closed, or after L{CLOSING} seconds;
            never fails.
        """
        for exchange in list(self._open):
            exchange.abandon(_CLOSED)
        self._readings.abandon(_CLOSED)
        if self._reserve is not None:
            self._reserve.free()
        if self._pool is None:
            return succeed(None)
        return self._pool.closeWithin(CLOSING, self.clock)

    def _send(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[bytes, bytes] | None,
        codeIsEnough: bool,
        token: bytes | None,
        deadline: float,
    ) -> Exchange:
        exchange = Exchange(
            self.clock, deadline, self._ended, self._offload, codeIsEnough
        )
        self._open.add(exchange)
        try:
            head = self._treq.request(
                method,
                url,
                headers=self._headers.of(token, body is not None, headers),
                data=body,
                cookies=NO_COOKIES,
                allow_redirects=False,
                unbuffered=True,
                reactor=self.clock,
            )
        except Exception:
            head = fail()
        exchange.follow(head)
        return exchange

    def _freshToken(self, code: int) -> bytes | None:
        """
        @return: The token that the file holds by now, if C{code} refuses the token
            that was sent; else C{None}.
        """
        if self._token is None or code not in (401, 403):
            return None
        return self._token.reread()

    def _ended(self, exchange: Exchange) -> None:
        self._open.discard(exchange)
        if self._pool is not None and exchange.version is not None:
            self._pool.noteVersion(exchange.version)


def _isAccepted(code: int, accept: Container[int]) -> bool:
    return 200 <= code < 300 or code in accept


def _accepted(
    answer: Answer, accept: Container[int], url: URL, token: bytes | None
) -> Answer:
    if _isAccepted(answer.code, accept):
        return answer
    raise judge(answer, url, token)
