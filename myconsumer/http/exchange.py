"""
One HTTP request and its whole answer, under one deadline.

Promise 4: each request ends by its deadline.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from myconsumer.errors import FaultError
from myconsumer.http.answer import LONGEST_BODY, Answer
from myconsumer.http.body import TOO_LONG, BadBodyError, Body, unwrapped
from myconsumer.http.connection import abort
from myconsumer.http.faults import explain, isUnreachable
from myconsumer.http.offload import Offload

_NONE = Headers()


class Exchange(Protocol):
    """
    One request in flight: waits for the head, collects the body, and gives both up
    at the deadline; then decompresses the body.

    @ivar answered: Fires with an L{Answer}, or fails with L{FaultError}.
        Cancelled, it fails with C{CancelledError}, and the connection is dropped.
    @ivar ends: The time of the deadline, in the clock's seconds.
    @ivar version: The numbers of the HTTP version that the endpoint speaks;
        C{None} until it is known.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        deadline: float,
        ended: Callable[[Exchange], None],
        offload: Offload,
        codeIsEnough: bool = False,
    ) -> None:
        """
        @param clock: Measures the deadline.
        @param deadline: The seconds for head and body together.
        @param ended: Called once, right before C{answered} fires.
        @param offload: Decompresses a large body.
        @param codeIsEnough: Whether a body that is too long is left out; else it is
            a fault.
        """
        self.answered: Deferred[Answer] = Deferred(self._cancelled)
        self.version: tuple[int, int] | None = None
        self._ended = ended
        self._offload = offload
        self._codeIsEnough = codeIsEnough
        self._isOver = False
        self._deadline = deadline
        self._timer: Any = clock.callLater(deadline, self._expired)
        self.ends: float = self._timer.getTime()
        self._head: Deferred[Any] | None = None
        self._code = 0
        self._headers: Headers = _NONE
        self._body = Body()
        self._isUnreachable = False

    def follow(self, head: Deferred[Any]) -> None:
        """
        Wait for the answer.

        @param head: Fires with treq's response once its headers are there.
        """
        self._head = head
        head.addCallbacks(self._headCame, self._headFailed)

    def abandon(self, message: str, tooLong: bool = False) -> None:
        """
        Drop the request; C{answered} fails with L{FaultError}.

        @param message: Why.
        @param tooLong: Whether the answer is too long.
        """
        if not self._isOver:
            self._end()
            self._drop()
            fault = FaultError(
                message, tooLong=tooLong, unreachable=self._isUnreachable
            )
            self.answered.errback(fault)

    def _headCame(self, response: Any) -> None:
        self._head = None
        try:
            self._collect(response.original)
        except Exception:
            self._failed(Failure())

    def _collect(self, response: Any) -> None:
        response, self._body.layers = unwrapped(response)
        self._code = response.code
        self._headers = response.headers
        self.version = response.version[1:]
        length = response.length
        if length is not UNKNOWN_LENGTH and length > LONGEST_BODY:
            self._tooLong()
        response.deliverBody(self)

    def _headFailed(self, failure: Failure) -> None:
        self._head = None
        self._isUnreachable = isUnreachable(failure)
        self._failed(failure)

    def connectionMade(self) -> None:
        """
        Called when the body begins.
        """
        if self._isOver:
            self._drop()

    def dataReceived(self, data: bytes) -> None:
        """
        Called with each piece of the body.

        @param data: The piece.
        """
        if self._isOver:
            return
        try:
            self._body.add(data)
        except BadBodyError as error:
            self._cutShort(str(error), error.tooLong)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Called when the body has ended, well or not.

        @param reason: How.
        """
        # a body without a length ends with its connection: that is no loss
        if not isinstance(reason.value, ResponseDone | PotentialDataLoss):
            self._failed(reason)
        elif not self._isOver:
            # the deadline is met once all bytes are there, before they are decompressed
            self._timer.cancel()
            self._bodyCame()

    def _bodyCame(self) -> None:
        try:
            whole = self._body.whole(self._offload)
        except zlib.error:
            self._failed(Failure())
        else:
            if isinstance(whole, Deferred):
                whole.addCallbacks(self._succeeded, self._failed)
            else:
                self._succeeded(whole)

    def _succeeded(self, body: bytes) -> None:
        if len(body) > LONGEST_BODY:
            self._tooLong()
        elif not self._isOver:
            self._end()
            self.answered.callback(Answer(self._code, self._headers, body))

    def _failed(self, failure: Failure) -> None:
        if self._isOver:
            return
        text, expected = explain(failure)
        if not expected:
            self._log.failure("A request failed unexpectedly", failure)
        self._cutShort(text)

    def _expired(self) -> None:
        self._cutShort(f"no whole answer within {self._deadline:g} s")

    def _tooLong(self) -> None:
        self._cutShort(TOO_LONG, tooLong=True)

    def _cutShort(self, message: str, tooLong: bool = False) -> None:
        if self._isOver:
            return
        if self._code >= 300:
            # the code tells more than the missing rest of its page
            self._answerWith(self._body.beginning())
        elif tooLong and self._codeIsEnough:
            self._answerWith(b"", tooLong=True)
        else:
            self.abandon(message, tooLong)

    def _answerWith(self, body: bytes, tooLong: bool = False) -> None:
        self._end()
        self._drop()
        self.answered.callback(Answer(self._code, self._headers, body, tooLong))

    def _cancelled(self, answered: Deferred[Answer]) -> None:
        if not self._isOver:
            self._end()
            self._drop()

    def _end(self) -> None:
        self._isOver = True
        if self._timer.active():
            self._timer.cancel()
        self._ended(self)

    def _drop(self) -> None:
        if self._head is not None:
            self._head.cancel()
        elif self.transport is not None:
            abort(self.transport)
