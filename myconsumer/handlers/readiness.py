"""
The readiness of a web application: nothing is claimed while it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable

from hyperlink import URL
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.http import Client
from myconsumer.http.answer import Answer
from myconsumer.http.client import EVERY_CODE
from myconsumer.http.urls import FixedURL, withoutSecrets
from myconsumer.http.verdict import named
from myconsumer.task import LoggedReason

#: The seconds from one answer, or its lack, to the next request.
INTERVAL = 1.0

#: The seconds that an answer may take.
DEADLINE = 2.0


class WaitFor(Service):
    """
    Probes a URL again and again.  Claiming is paused when this starts, and whenever a
    probe is not answered with a 2xx; it is resumed when one is.
    """

    _log = Logger()

    _answers = False
    _again = False
    _timer: IDelayedCall | None = None

    def __init__(
        self,
        client: Client,
        url: URL,
        pause: Callable[[str], object],
        resume: Callable[[str], object],
        clock: IReactorTime,
    ) -> None:
        """
        @param client: Sends the requests; closed when the service is stopped.  It
            should keep no connections: one that is kept may outlive the readiness
            to take new ones.
        @param url: What to probe.
        @param pause: Called with a reason when nothing is to be claimed.
        @param resume: Called with the same reason when that is over.
        @param clock: What keeps the time.
        """
        self._client = client
        self._url = FixedURL.of(url)
        self._pause = pause
        self._resume = resume
        self._clock = clock
        self._reason = LoggedReason(f"{withoutSecrets(url)} does not answer")
        self._told: set[str] = set()

    def startService(self) -> None:
        """
        Pause claiming, and begin to probe.
        """
        super().startService()
        self._answers = False
        self._told.clear()
        self._pause(self._reason)
        self._ask()

    def stopService(self) -> Deferred[None]:
        """
        Probe no more.  Claiming stays paused if it is.
        """
        super().stopService()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._client.close()

    def check(self) -> None:
        """
        Probe now rather than at the next interval: another request has had no answer.
        """
        if not self._answers or not self.running:
            return
        if self._timer is None:
            # the probe in flight may still report the old state: probe once more
            # after it
            self._again = True
        else:
            self._timer.reset(0)

    def _ask(self) -> None:
        self._timer = None
        self._again = False
        asked = self._client.request(
            "GET", self._url, None, DEADLINE, accept=EVERY_CODE
        )
        heard = asked.addCallbacks(_complaint, _fault).addCallback(self._heard)
        heard.addErrback(self._failed)

    def _heard(self, complaint: str) -> None:
        """
        @param complaint: Why the application is not ready; empty if it is.
        """
        if not self.running:
            return
        self._timer = self._clock.callLater(0 if self._again else INTERVAL, self._ask)
        if complaint:
            self._say(complaint)
        if self._answers != (not complaint):
            self._answers = not complaint
            self._change()

    def _change(self) -> None:
        if self._answers:
            self._log.info("{url} answers, claiming", url=withoutSecrets(self._url))
            self._told.clear()
            self._resume(self._reason)
        else:
            self._pause(self._reason)

    def _say(self, complaint: str) -> None:
        """
        Log C{complaint}, once until the application is ready again.
        """
        if complaint not in self._told:
            self._told.add(complaint)
            self._log.warn(
                "Waiting for {url}, claiming nothing: {complaint}",
                url=withoutSecrets(self._url),
                complaint=complaint,
            )

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "Waiting for {url} failed", failure, url=withoutSecrets(self._url)
        )


def _complaint(answer: Answer) -> str:
    ok = 200 <= answer.code < 300
    return "" if ok else f"it answers {named(answer.code)}"


def _fault(failure: Failure) -> str:
    return str(failure.value)
