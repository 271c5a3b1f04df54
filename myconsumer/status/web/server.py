"""
The server that shows the state of a consumer: where it listens, and who may steer.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.web.http import Request

from myconsumer.http.serving.answers import Refusal
from myconsumer.http.serving.guard import Guard
from myconsumer.http.serving.listening import Listening, listen
from myconsumer.status.web.subject import Subject
from myconsumer.tokenfile import TokenFile

if TYPE_CHECKING:
    from myconsumer.http.serving.site import GuardedSite

#: The most connections at once.
MOST_CONNECTIONS = 100


def _raise(line: str) -> NoReturn:
    raise ValueError(line)


class StatusServer(Service):
    """
    Serves the state of a consumer while it runs.  As a child of the consumer's service
    it is started before the first claim, and stopped once all has drained.
    """

    _log = Logger()

    _listening: Listening | None = None
    _site: GuardedSite | None = None

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        subject: Subject,
        *,
        token: TokenFile | None = None,
        reactor: Any = None,
        refuse: Callable[[str], NoReturn] = _raise,
    ) -> None:
        """
        @param endpoint: Where to listen.
        @param subject: What is shown.
        @param token: What a request has to bring that steers the consumer; C{None}:
            nothing, and then it can be steered from this machine only.
        @param reactor: The reactor.
        @param refuse: Called with one line if it cannot listen; by default
            C{ValueError} is raised.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._endpoint = endpoint
        self._subject = subject
        self._token = token
        self._reactor = reactor
        self._refuse = refuse
        self._steering = Guard(token, reactor)

    def privilegedStartService(self) -> None:
        """
        Listen.
        """
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """
        Listen, unless that is so already.
        """
        super().startService()
        if self._listening is None:
            self._listen()
        self._subject.health.start()

    def stopService(self) -> Deferred[None]:
        """
        Answer no more.

        @return: Fires once all connections are closed.
        """
        super().stopService()
        self._subject.health.stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await maybeDeferred(listening.port.stopListening)
        if self._site is not None:
            await self._site.close()

    def _listen(self) -> None:
        guard = Guard(None, self._reactor)
        site = self._makeSite(guard)
        try:
            listening = listen(self._endpoint, site)
        except ValueError as error:
            self._refuse(f"the status cannot be served: {error}")
        guard.hosts = listening.hosts
        self._listening, self._site = listening, site
        self._log.info("Serving the status at {url}", url=listening.url)

    def _makeSite(self, guard: Guard) -> GuardedSite:
        # Klein imports a reactor, which whoever runs this has chosen by now, and
        # nobody pays for Prometheus' library who does not serve metrics
        from myconsumer.http.serving.site import GuardedSite
        from myconsumer.status.web.api import SmallRequest, StatusAPI

        api = StatusAPI(self._subject, self._authorize)
        site = GuardedSite(api.app.resource(), guard, self._reactor, MOST_CONNECTIONS)
        site.requestFactory = SmallRequest
        return site

    def _authorize(self, request: Request) -> None:
        """
        Raise L{Refusal} unless a request may steer the consumer.  Its C{Host} and its
        origin were judged before.
        """
        listening = self._listening
        isOpen = listening is not None and not (
            listening.isLoopback or listening.host is None
        )
        if self._token is None and isOpen:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "this listens for others than this machine, and so takes POST only "
                "with a token: name the file of one with --status-token-file",
            )
        self._steering.check(request.requestHeaders)
