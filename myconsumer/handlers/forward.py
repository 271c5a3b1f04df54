"""
Posts each task to a web application.

The body is the payload as JSON.  The header C{Task-Id} is the task's id, in which
whatever is not printable ASCII, and C{%}, is percent-encoded as UTF-8: what decodes
parts of URLs gives the id back.  C{Task-Attempt} is 1 for the first delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import time
from typing import Any
from urllib.parse import quote

import msgspec
from hyperlink import URL
from msgspec import Raw
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.command.descriptors import areLacking
from myconsumer.errors import FaultError, NotBegunError, Reject, TaskFailedError
from myconsumer.handlers.lines import Outlet
from myconsumer.handlers.readiness import WaitFor
from myconsumer.http import Client, makeClient
from myconsumer.http.answer import LONGEST_BODY, Answer
from myconsumer.http.client import EVERY_CODE
from myconsumer.http.quotation import quoted
from myconsumer.http.urls import FixedURL, withoutSecrets
from myconsumer.http.verdict import named, retryAfter
from myconsumer.interfaces import IPausable, IRunningTask, IScalableTaskHandler
from myconsumer.jsontext import MOST_VALUES, decoded, encoded, isCrowded
from myconsumer.text import shownID

#: The seconds that a request may take, and the most that C{Retry-After} may ask for.
DAY = 86400.0

#: When this many tasks in a row had no connection, the application is down.
FEW = 5

_FAILS = frozenset({410, 422})
_SLOWS = frozenset({429, 503})

# Past --timeout, so that the task is cancelled first.
_GRACE = 60.0
_LONGEST_QUOTE = 300
# "%" is not among them.
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


@implementer(IScalableTaskHandler)
class ForwardHandler(MultiService):
    """
    Posts tasks; the code of the answer says how each has ended.  A lease is kept alive
    while its request is in flight.  Cancelling a task drops its connection.

    A task that has not reached the application, because no connection could be made
    several times in a row, has not begun.  A result that is too long is left out,
    rather than have the task done again.

    @ivar onNoAnswer: Called when a request has had no whole answer: when it was
        refused, for example.
    """

    _log = Logger()

    #: What L{waitFor} keeps from claiming.
    parent: Any

    descriptorsEach = 1
    # How many tasks in a row had no connection.
    _unreachable = 0

    def __init__(self, client: Client, url: URL, longest: float = DAY) -> None:
        """
        @param client: Sends the requests; closed when the service is stopped.
        @param url: Where tasks are posted.
        @param longest: The seconds that a request may take, unless the time limit of
            its task is longer.
        """
        super().__init__()
        self._client = client
        self._url = FixedURL.of(url)
        self._longest = longest
        self._outlet = Outlet(client.clock)
        self.onNoAnswer: Callable[[], object] = lambda: None

    def __repr__(self) -> str:
        return f"<ForwardHandler {withoutSecrets(self._url)}>"

    def handle(self, task: IRunningTask) -> Deferred[Any]:
        """
        See L{ITaskHandler.handle}.
        """
        longest = self._longest
        if task.deadline is not None:
            longest = max(longest, task.deadline - time() + _GRACE)
        asked = self._client.request(
            "POST",
            self._url,
            encoded(task.payload),
            longest,
            accept=EVERY_CODE,
            headers=headersOf(task),
            codeIsEnough=True,
        )
        return asked.addCallbacks(
            self._answered, self._unanswered, callbackArgs=(task,)
        )

    def setLimit(self, limit: int) -> None:
        """
        See L{IScalableTaskHandler.setLimit}.
        """
        self._client.setConnections(limit)

    def waitFor(self, client: Client, url: URL, clock: IReactorTime) -> None:
        """
        Have nothing claimed while C{url} does not answer.  The handler has to be a
        child of what claims, an L{IPausable}, when it is started.

        @param client: See L{WaitFor}, as for the other parameters.
        """
        probe = WaitFor(client, url, self._pause, self._resume, clock)
        self.onNoAnswer = probe.check
        probe.setServiceParent(self)

    def _pause(self, reason: str) -> None:
        IPausable(self.parent).pause(reason)

    def _resume(self, reason: str) -> None:
        IPausable(self.parent).resume(reason)

    def stopService(self) -> Deferred[None]:
        """
        Close all connections.
        """
        stopped = maybeDeferred(super().stopService)
        return DeferredList([stopped, self._client.close()]).addCallback(lambda _: None)

    def _answered(self, answer: Answer, task: IRunningTask) -> Any:
        self._unreachable = 0
        return self._client.read(answer, partial(self._resultOf, task))

    def _resultOf(self, task: IRunningTask, answer: Answer) -> Raw | None:
        if not (answer.tooLong or isCrowded(answer.body)):
            return resultOf(answer, self._url)
        self._outlet.remark(
            "Task {id} has no result: the application answered {code} with more than "
            "{longest} MiB or {most} JSON values",
            self._log,
            LogLevel.warn,
            id=shownID(task.id),
            code=answer.code,
            longest=LONGEST_BODY >> 20,
            most=MOST_VALUES,
        )
        return resultOf(Answer(answer.code, answer.headers, b""), self._url)

    def _unanswered(self, failure: Failure) -> None:
        failure.trap(FaultError)
        self.onNoAnswer()
        text = f"no answer from the application: {failure.value}"
        fault = failure.value
        isUnreachable = isinstance(fault, FaultError) and fault.unreachable
        self._unreachable = self._unreachable + 1 if isUnreachable else 0
        if self._unreachable >= FEW or (isUnreachable and areLacking()):
            raise NotBegunError(text)
        raise TaskFailedError(text)


def makeHandler(reactor: Any, options: Mapping[str, Any]) -> ForwardHandler:
    """
    See L{ITaskHandlerMaker.makeHandler
    <myconsumer.interfaces.ITaskHandlerMaker.makeHandler>}.
    """
    url = options["forward"]
    if url is None:
        raise ValueError("--forward is missing; it takes the URL to post tasks to")
    # the consumer's token is not for the application
    client = makeClient(reactor, options["limit"])
    handler = ForwardHandler(client, url)
    if (ready := options.get("forward-wait-for")) is not None:
        # a connection that is kept may outlive the readiness to take new ones
        handler.waitFor(makeClient(reactor, 1, persistent=False), ready, reactor)
    return handler


def headersOf(task: IRunningTask) -> dict[bytes, bytes]:
    """
    @return: The headers that carry a task's id and attempt.
    """
    name = quote(str(task.id), safe=_PLAIN, errors="surrogatepass")
    return {
        b"Task-Id": name.encode("ascii"),
        b"Task-Attempt": b"%d" % task.attempt,
    }


def resultOf(answer: Answer, url: URL) -> Raw | None:
    """
    Find out how a task has ended.

    @param answer: What the application answered.
    @param url: What was posted to; its query is not quoted.

    @return: The result, which is the body if that is JSON, whatever its type is
        called; else C{None}.

    @raise Reject: The application wants the task never again.
    @raise TaskFailedError: The task is to be posted again later.
    """
    code = answer.code
    if 200 <= code < 300:
        return _jsonOf(answer.body)
    said = quoted(answer, limit=_LONGEST_QUOTE, url=url)
    text = f"the application answered {named(code)}{said}"
    if code in _FAILS:
        raise Reject(text)
    if 300 <= code < 400:
        text = f"the application answered {named(code)}: redirects are not followed"
    delay = retryAfter(answer, DAY) if code in _SLOWS else None
    raise TaskFailedError(text, delay=delay)


def _jsonOf(body: bytes) -> Raw | None:
    """
    @return: JSON as it came, so that nothing of it is lost.
    """
    try:
        value = decoded(Raw(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return None if value is None else Raw(body)
