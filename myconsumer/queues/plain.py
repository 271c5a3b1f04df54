"""
Any endpoint that answers a GET with JSON: nothing is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec
from hyperlink import URL
from msgspec import Raw
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from myconsumer.http import Client, makeClient
from myconsumer.http.answer import Answer
from myconsumer.http.client import POLL_GRACE
from myconsumer.http.urls import FixedURL, withoutSecrets
from myconsumer.http.verdict import requireFew, unfit
from myconsumer.interfaces import IProbed, ISelfTimedTaskQueue
from myconsumer.jsontext import UNDECODABLE, decoded, loads, readRaw
from myconsumer.queues.defects import DefectLog, Defects
from myconsumer.queues.reading import Malformed, taskOf
from myconsumer.task import Claimed, Settlement, Task

_NONE = frozenset({204, 404})
_WANTED = "a JSON value, or a list of them,"

_readList: Callable[[bytes], list[Raw]] = msgspec.json.Decoder(list[Raw]).decode


@implementer(ISelfTimedTaskQueue, IProbed)
class PlainQueue:
    """
    An endpoint that hands out tasks, each at most once.
    """

    _log = Logger()

    def __init__(self, client: Client, url: URL) -> None:
        """
        @param client: Sends the requests.
        @param url: The URL that returns tasks.
        """
        self._client = client
        self._url = FixedURL.of(url)
        self._defectLog = DefectLog(self._log, client.clock)

    def __repr__(self) -> str:
        return f"<PlainQueue {withoutSecrets(self._url)}>"

    def claim(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> Deferred[Claimed]:
        """
        See L{ITaskQueue.claim}.  No argument is sent to the endpoint.
        """
        asking = self._client.request(
            "GET", self._url, None, wait + POLL_GRACE, accept=_NONE
        )
        decoding: Deferred[tuple[list[Task], Defects]] = asking.addCallback(
            self._client.read, self._decode
        )
        return decoding.addCallback(self._claimed)

    def settle(
        self, settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        See L{ITaskQueue.settle}.  No task of this queue has a receipt.
        """
        return succeed(())

    def cancelClaim(self, claim: str) -> Deferred[bool]:
        """
        See L{ITaskQueue.cancelClaim}.
        """
        return succeed(False)

    def probe(self) -> Deferred[str]:
        """
        See L{IProbed.probe}.  Connects, and asks nothing: a GET may take a task.
        """
        return self._client.reach(self._url).addCallback(
            lambda _: "takes connections; it was asked nothing, since that takes a task"
        )

    def close(self) -> Deferred[None]:
        """
        See L{ITaskQueue.close}.
        """
        return self._client.close()

    def _claimed(self, found: tuple[list[Task], Defects]) -> Claimed:
        tasks, defects = found
        self._defectLog.add(defects)
        return Claimed(tasks, dropped=defects.dropped)

    def _decode(self, answer: Answer) -> tuple[list[Task], Defects]:
        tasks: list[Task] = []
        defects = Defects()
        if answer.code not in _NONE:
            requireFew(answer)
            for value in _values(answer, self._client.secret, self._url):
                try:
                    tasks.append(taskOf(_fieldsOf(value), defects))
                except Malformed as error:
                    defects.drop(str(error))
        return tasks, defects


def makeQueue(reactor: Any, options: Mapping[str, Any]) -> PlainQueue:
    """
    See L{ITaskQueueMaker.makeQueue
    <myconsumer.interfaces.ITaskQueueMaker.makeQueue>}.
    """
    # An HTTP/1.0 server closes a connection under the next GET, and a GET that was
    # lost may have taken a task: none is kept.
    client = makeClient(
        reactor, 1, options["token-file"], persistent=False, reserved=True
    )
    return PlainQueue(client, options["url"])


def _values(answer: Answer, secret: bytes | None, url: URL) -> list[Any]:
    try:
        value = decoded(Raw(answer.body))
    except UNDECODABLE as error:
        return _eachValue(answer, error, secret, url)
    return _listed(value)


def _listed(value: Any) -> list[Any]:
    """
    @return: The elements; none for C{null}, with which many an endpoint says that
        it has nothing.
    """
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _eachValue(
    answer: Answer, error: Exception, secret: bytes | None, url: URL
) -> list[Any]:
    """
    Decode each value of a list on its own.
    """
    try:
        return [readRaw(raw) for raw in _readList(answer.body)]
    except UNDECODABLE:
        pass
    try:
        value = loads(answer.body)
    except UNDECODABLE:
        raise unfit(answer, _WANTED, error, secret, url) from None
    return _listed(value)


def _fieldsOf(value: Any) -> dict[str, Any]:
    """
    Make fields of a value that may be a task or its payload.
    """
    if not isinstance(value, dict) or "payload" not in value:
        return {"id": uuid4().hex, "payload": value}
    # nothing is settled, so no lease is held either
    fields = {k: v for k, v in value.items() if k not in ("receipt", "lease")}
    if not isinstance(fields.get("id"), str | int) or isinstance(fields["id"], bool):
        fields["id"] = uuid4().hex
    return fields
