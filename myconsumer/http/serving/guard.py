"""
Who may use a server of ours: judged by the head of a request.

Promise 9: no answer shows the token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hmac import compare_digest
from http import HTTPStatus

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http_headers import Headers

from myconsumer.http.serving.answers import Refusal
from myconsumer.retrying import Quiet
from myconsumer.text import oneLine
from myconsumer.tokenfile import TokenFile

_AUTHORITY = re.compile(r"(\[[^]@]*\]|[^]:@[]*)(?::[0-9]*)?")
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


class Guard:
    """
    Tells who may.

    @ivar hosts: The names by which the server may be called, as in a URL; C{None}: any.
        On the loopback interface this keeps out web pages whose own name was made to
        lead there.
    """

    hosts: frozenset[str] | None = None

    _log = Logger()

    def __init__(
        self, token: TokenFile | None, clock: IReactorTime | None = None
    ) -> None:
        """
        @param token: What each request has to bring; C{None}: nothing.
        @param clock: Measures the time between lines of the log; the reactor by
            default.
        """
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self._token = token
        self._quiet = Quiet(clock)

    def check(self, headers: Headers) -> None:
        """
        Judge a request.

        @param headers: Its head.

        @raise Refusal: It is not to be done.
        """
        hosts = headers.getRawHeaders(b"Host", [])
        if len(hosts) > 1:
            raise Refusal(400, "there is more than one Host header; one is expected")
        if hosts:
            self._checkHost(hosts[0].decode("latin-1"))
        _checkOrigin(headers, hosts[0] if hosts else None)
        if self._token is not None:
            given = headers.getRawHeaders(b"Authorization", [])
            _checkToken(given, self._expected(self._token))

    def _expected(self, token: TokenFile) -> bytes:
        try:
            return token.current()
        except ValueError as error:
            if count := self._quiet.count():
                self._log.error(
                    "No token can be compared, so requests are refused ({count} since "
                    "the last such line): the token file {reason}",
                    count=count,
                    reason=str(error),
                )
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the server cannot read its token file; try again once that is mended",
            {b"Retry-After": b"5"},
        )

    def _checkHost(self, host: str) -> None:
        if self.hosts is None:
            return
        matched = _AUTHORITY.fullmatch(host)
        if matched is None or matched[1].lower() not in self.hosts:
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"the Host header is {oneLine(host, 100)!r}; it takes one of "
                + ", ".join(sorted(self.hosts)),
            )


def _checkOrigin(headers: Headers, host: bytes | None) -> None:
    sites = headers.getRawHeaders(b"Sec-Fetch-Site", [])
    origins = headers.getRawHeaders(b"Origin", [])
    if not (
        all(site in (b"same-origin", b"none") for site in sites)
        and all(_isOwn(origin, host) for origin in origins)
    ):
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            "the request comes from a web page of another origin; that is not allowed",
        )


def _isOwn(origin: bytes, host: bytes | None) -> bool:
    scheme, _, authority = origin.lower().partition(b"://")
    port = _DEFAULT_PORTS.get(scheme, b"")
    own = None if host is None else host.lower().removesuffix(port)
    return authority.removesuffix(port) == own


def _checkToken(given: Sequence[bytes], expected: bytes) -> None:
    scheme, _, found = (given[0] if given else b"").partition(b" ")
    if scheme.lower() != b"bearer" or not compare_digest(found.strip(), expected):
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "the Authorization header has no token that is valid here; "
            "'Bearer TOKEN' is expected",
            {b"WWW-Authenticate": b"Bearer"},
        )
