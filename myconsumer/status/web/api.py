"""
The state of a consumer over HTTP: metrics, probes, and what steers it.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct
from twisted.logger import Logger
from twisted.web.http import Request

from myconsumer.http.serving.answers import Refusal, answered, written
from myconsumer.http.serving.paths import makeApp
from myconsumer.http.serving.request import GuardedRequest
from myconsumer.jsontext import UNDECODABLE
from myconsumer.status.web.exposition import Exposition
from myconsumer.status.web.subject import ShownConsumer, Subject
from myconsumer.text import oneLine

#: Why a consumer is paused, where this has paused it.
REASON = "POST /pause"


class SmallRequest(GuardedRequest):
    """
    A request whose body is a line at most.
    """

    largestBody = 4096
    mostPending = 100 * largestBody


class _Limit(Struct, forbid_unknown_fields=True):
    limit: int


def _missing(path: str) -> str:
    return (
        f"there is nothing at {oneLine(path, 100)}; GET takes /metrics, /healthz, "
        "/readyz and /status.json, POST takes /pause, /resume, /limit and /drain"
    )


class StatusAPI:
    """
    Answers probes, Prometheus and operators.
    """

    app = makeApp(_missing)

    _log = Logger()

    def __init__(
        self,
        subject: Subject,
        authorize: Callable[[Request], None],
    ) -> None:
        """
        @param subject: What is shown.
        @param authorize: Raises L{Refusal} for a request that may not steer it.
        """
        self._subject = subject
        self._authorize = authorize
        self._exposition = Exposition(subject)

    @app.route("/metrics", methods=["GET"])
    def showMetrics(self, request: Request) -> bytes:
        """
        Give all metrics.
        """
        accept = request.getHeader("Accept") or ""
        return written(request, *self._exposition.render(accept))

    @app.route("/healthz", methods=["GET"])
    def showHealth(self, request: Request) -> bytes:
        """
        Say whether the process is to be restarted.
        """
        return _judged(request, self._subject.health.illness(), "healthy")

    @app.route("/readyz", methods=["GET"])
    def showReadiness(self, request: Request) -> bytes:
        """
        Say whether tasks are consumed, or would be.
        """
        return _judged(request, self._subject.health.unreadiness(), "ready")

    @app.route("/status.json", methods=["GET"])
    def showStatus(self, request: Request) -> bytes:
        """
        Give the state.
        """
        return answered(request, self._consumer.service.status())

    @app.route("/pause", methods=["POST"])
    def pause(self, request: Request) -> bytes:
        """
        Claim nothing until resumed.
        """
        self._authorize(request)
        self._consumer.service.pause(REASON)
        return self.showStatus(request)

    @app.route("/resume", methods=["POST"])
    def resume(self, request: Request) -> bytes:
        """
        Claim again, unless there is another reason not to.
        """
        self._authorize(request)
        self._consumer.service.resume(REASON)
        return self.showStatus(request)

    @app.route("/limit", methods=["POST"])
    def setLimit(self, request: Request) -> bytes:
        """
        Change how many tasks may run at once.
        """
        self._authorize(request)
        content: Any = request.content
        try:
            asked = msgspec.json.decode(content.read(), type=_Limit)
        except UNDECODABLE:
            raise Refusal(400, 'the body takes {"limit": N}, a whole number') from None
        try:
            self._consumer.service.setLimit(asked.limit)
        except (ValueError, TypeError) as error:
            raise Refusal(400, oneLine(str(error))) from None
        return self.showStatus(request)

    @app.route("/drain", methods=["POST"])
    def drain(self, request: Request) -> bytes:
        """
        Drain, and end the process.
        """
        self._authorize(request)
        self._log.info("POST /drain: draining")
        self._consumer.drain()
        return answered(request, self._consumer.service.status(), HTTPStatus.ACCEPTED)

    @property
    def _consumer(self) -> ShownConsumer:
        consumer = self._subject.consumer
        if consumer is None:
            raise Refusal(404, "no tasks are consumed by this process")
        return consumer


def _judged(request: Request, reason: str | None, word: str) -> bytes:
    if reason is not None:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, reason)
    return answered(request, {word: True})
