"""
Connections whose answers have bounded heads.

Promise 8: the memory that the head of an answer takes is bounded.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol, Request, ResponseFailed
from twisted.web.client import HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.http import SWITCHING
from twisted.web.iweb import IResponse

from myconsumer.http.faults import BadHeadError

#: The most bytes that come before a body, answers of 1xx among them.
LONGEST_HEAD = 64 * 1024

#: The most answers of 1xx that may come before an answer.
MOST_INTERIM = 16

_STATUS = re.compile(rb"[^ \n]* (\d{3})[ \r\n]")
_END = re.compile(rb"\n\r?\n")
_LINE_END = b"\n"


class Head:
    """
    Watches an answer's bytes for what its parser does not bound, until its head has
    come.
    """

    def __init__(self) -> None:
        self._size = 0
        self._interim = 0
        self._begun: bytearray | None = bytearray()

    def before(self, data: bytes) -> None:
        """
        Look at some bytes before they are parsed.

        @raise BadHeadError: They are not to be parsed.
        """
        if self._begun is None:
            return
        self._begun += data
        while self._begun is not None and _LINE_END in self._begun:
            if not self._skipInterim(self._begun):
                break

    def after(self, data: bytes) -> None:
        """
        Count some bytes that were parsed, while the head has not come.

        @raise BadHeadError: They are too many.
        """
        self._size += len(data)
        if self._size > LONGEST_HEAD:
            raise BadHeadError(f"its head is longer than {LONGEST_HEAD >> 10} KiB")

    def _skipInterim(self, begun: bytearray) -> bool:
        """
        @return: Whether a whole answer of 1xx was skipped.
        """
        status = _STATUS.match(begun)
        if status is None:
            raise BadHeadError("it does not begin with a status")
        code = int(status[1])
        if code == SWITCHING:
            raise BadHeadError("101 Switching Protocols came unasked")
        if not 100 <= code < 200:
            self._begun = None
            return False
        if end := _END.search(begun):
            del begun[: end.end()]
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise BadHeadError(
                    f"more than {MOST_INTERIM} answers of 1xx came first"
                )
        return end is not None


class Connection(HTTP11ClientProtocol):
    """
    Drops itself when the head of an answer passes its bounds.
    """

    _head: Head | None = None
    _bad: BadHeadError | None = None

    def request(self, request: Request) -> Deferred[IResponse]:
        """
        See C{HTTP11ClientProtocol.request}.
        """
        self._head = Head()
        answered: Deferred[IResponse] = super().request(request)
        return answered.addCallbacks(self._headCame, self._headFailed)

    def dataReceived(self, data: bytes) -> None:
        """
        See C{HTTP11ClientProtocol.dataReceived}.
        """
        head = self._head
        if head is None:
            super().dataReceived(data)
            return
        try:
            head.before(data)
            super().dataReceived(data)
            # else it has come, and another may be awaited already
            if self._head is head:
                head.after(data)
        except BadHeadError as error:
            self._bad = error
            transport: Any = self.transport
            transport.abortConnection()

    def _headCame(self, response: IResponse) -> IResponse:
        self._head = None
        return response

    def _headFailed(self, failure: Failure) -> Failure:
        self._head = None
        if self._bad is None:
            return failure
        reasons = [Failure(self._bad)]
        raise ResponseFailed(reasons)


class _Factory(_HTTP11ClientFactory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return Connection(self._quiescentCallback)


class ConnectionPool(HTTPConnectionPool):
    """
    Keeps L{Connection}s.
    """

    _factory = _Factory
