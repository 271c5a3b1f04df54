"""
The HTTP client of the queues: one deadline a request, bounded answers, no
redirects, and failures that say whether trying again may help.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hyperlink import URL
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers

from myconsumer.errors import RefusalError
from myconsumer.http.answer import Answer
from myconsumer.http.connecting import NO_COOKIES, makeTreq
from myconsumer.http.exchange import Exchange
from myconsumer.http.token import TokenFile
from myconsumer.http.verdict import judge

EVERY_CODE = range(1000)
"""For L{Client.request}: whatever the answer, it is no failure."""

CLOSING = 1.0
"""The most seconds that L{Client.close} takes."""

# Common servers close a connection that was idle for five seconds: a request
# must not be written into it just then.
_IDLE = 4


class Client:
    """
    Sends requests and judges the answers.
    """

    def __init__(
        self,
        treq: Any,
        clock: IReactorTime,
        token: TokenFile | None = None,
        pool: HTTPConnectionPool | None = None,
    ) -> None:
        """
        @param treq: What sends requests, as L{treq.client.HTTPClient} does.
        @param clock: Measures the deadlines.
        @param token: Where the bearer token is; L{None}: none is sent.
        @param pool: The connections that C{treq} keeps; L{None}: it keeps none.
        """
        self._treq = treq
        self._clock = clock
        self._token = token
        self._pool = pool
        self._open: set[Exchange] = set()
        self._headersToken: bytes | None = None
        self._makeHeaders(None)

    def request(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        deadline: float,
        accept: Container[int] = (),
        headers: Mapping[bytes, bytes] | None = None,
    ) -> Deferred[Answer]:
        """
        Send one request.  Cancelling the L{Deferred} drops the connection; it
        then fails with L{CancelledError <twisted.internet.defer.CancelledError>}.

        @param method: HTTP's method, in capitals.
        @param url: What to ask for: a L{FixedURL <myconsumer.http.urls.FixedURL>}.
        @param body: JSON, or L{None} for no body.
        @param deadline: The seconds for head and body of the answer together.
        @param accept: Status codes beside 2xx that are no failure here.
        @param headers: Headers of this request alone: names and values.

        @return: Fires with the answer.  Fails with L{FaultError
            <myconsumer.errors.FaultError>} or L{RefusalError}.
        """
        try:
            token = None if self._token is None else self._token.current()
        except ValueError as error:
            return fail(RefusalError(f"the token file {error}"))
        exchange = self._send(method, url, body, deadline, token, headers)

        def judged(answer: Answer) -> Answer | Deferred[Answer]:
            code = answer.code
            if 200 <= code < 300 or code in accept:
                return answer
            if code in (401, 403) and self._token is not None:
                fresh = self._token.reread()
                left = exchange.ends - self._clock.seconds()
                if fresh != token and left > 0:
                    again = self._send(method, url, body, left, fresh, headers)
                    return again.answered.addCallback(self._finally, url, accept, fresh)
            return self._finally(answer, url, accept, token)

        return exchange.answered.addCallback(judged)

    def close(self) -> Deferred[None]:
        """
        Let go of all connections: requests under way fail, kept ones are closed.

        @return: Fires once they are closed, or after L{CLOSING} seconds; never fails.
        """
        for exchange in list(self._open):
            exchange.abandon("the request was given up: its client is closed")
        if self._pool is None:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        timer = self._clock.callLater(CLOSING, closed.callback, None)

        def done(_: object) -> None:
            if timer.active():
                timer.cancel()
                closed.callback(None)

        _closeKept(self._pool).addBoth(done)
        return closed

    def _send(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        deadline: float,
        token: bytes | None,
        headers: Mapping[bytes, bytes] | None,
    ) -> Exchange:
        exchange = Exchange(self._clock, deadline, self._ended)
        self._open.add(exchange)
        try:
            head = self._treq.request(
                method,
                url,
                headers=self._headersFor(token, body, headers),
                data=body,
                cookies=NO_COOKIES,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._clock,
            )
        except Exception:
            head = fail()
        exchange.follow(head)
        return exchange

    def _finally(
        self, answer: Answer, url: URL, accept: Container[int], token: bytes | None
    ) -> Answer:
        if 200 <= answer.code < 300 or answer.code in accept:
            return answer
        raise judge(answer, url, token)

    def _ended(self, exchange: Exchange) -> None:
        self._open.discard(exchange)
        if self._pool is not None and exchange.version is not None:
            # A server that speaks HTTP/1.0 closes a connection that the pool keeps
            # for the next request.  A proxy may speak so in its error pages only.
            current = exchange.version >= (1, 1)
            self._pool.persistent = current
            if not current:
                _closeKept(self._pool)

    def _headersFor(
        self,
        token: bytes | None,
        body: bytes | None,
        more: Mapping[bytes, bytes] | None,
    ) -> Headers:
        if token != self._headersToken:
            self._makeHeaders(token)
        usual = self._bare if body is None else self._withBody
        if not more:
            return usual
        headers = usual.copy()
        for name, value in more.items():
            headers.setRawHeaders(name, [value])
        return headers

    def _makeHeaders(self, token: bytes | None) -> None:
        self._headersToken = token
        self._bare = Headers({b"User-Agent": [_userAgent()]})
        if token is not None:
            self._bare.setRawHeaders(b"Authorization", [b"Bearer " + token])
        self._withBody = self._bare.copy()
        self._withBody.setRawHeaders(b"Content-Type", [b"application/json"])


def makeClient(
    reactor: Any,
    connections: int,
    tokenFile: str | None = None,
    persistent: bool = True,
) -> Client:
    """
    Make a client with connections of its own.  Opens none yet.

    @param reactor: The reactor.
    @param connections: How many idle connections to keep at most.
    @param tokenFile: The path of the file with the bearer token, or L{None}.
    @param persistent: Whether to keep connections at all.

    @raise ValueError: C{tokenFile} holds no token.
    """
    token = None
    if tokenFile is not None:
        token = TokenFile(tokenFile)
        token.read()
    pool = HTTPConnectionPool(reactor, persistent)  # type: ignore[no-untyped-call]
    pool.maxPersistentPerHost = connections
    pool.cachedConnectionTimeout = _IDLE
    pool.retryAutomatically = False
    treq = makeTreq(reactor, pool)
    return Client(treq, reactor, token, pool if persistent else None)


def _closeKept(pool: HTTPConnectionPool) -> Deferred[None]:
    closed: Deferred[None] = pool.closeCachedConnections()  # type: ignore[no-untyped-call]
    return closed


def _userAgent() -> bytes:
    try:
        return b"myconsumer/" + version("myconsumer").encode("ascii")
    except PackageNotFoundError:
        return b"myconsumer"
