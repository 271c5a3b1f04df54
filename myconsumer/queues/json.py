"""
The pull contract: tasks are claimed and settled with JSON over HTTP.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from secrets import token_hex
from typing import Any
from uuid import uuid4

import msgspec
from hyperlink import URL
from msgspec import UNSET, Raw, Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from myconsumer.errors import RefusalError
from myconsumer.http import Client, makeClient
from myconsumer.http.answer import Answer
from myconsumer.http.client import POLL_GRACE
from myconsumer.http.offload import LARGE
from myconsumer.http.urls import below, withoutSecrets
from myconsumer.http.verdict import requireFew, unfit
from myconsumer.interfaces import IProbed, IScalableTaskQueue
from myconsumer.jsontext import UNDECODABLE, loads
from myconsumer.queues.defects import DefectLog
from myconsumer.queues.reading import Checked, checked
from myconsumer.task import Claimed, Settlement, Task
from myconsumer.text import encodable

#: The seconds that ending a claim may take.
CANCELLING = 1.0

#: The connections beside one for each claim: one each for a settle, a heartbeat and the
#: end of a claim.
FURTHER_CONNECTIONS = 3

#: The seconds that extending a lease that never was may take.
PROBING = 3.0

_LACKING = frozenset({404, 405, 501})
_TASKS = '{"tasks": [...]}'
_LOST = '{"lost": ["receipt", ...]}'


class _Claim(Struct):
    limit: int
    wait: float
    lease: float
    consumer: str
    claim: str


class _Settle(Struct):
    consumer: str
    settle: Sequence[Settlement]


class _Tasks(Struct):
    tasks: list[Task] | None


class _Elements(Struct):
    tasks: list[Raw] | None


class _Lost(Struct):
    lost: list[str] | None = None


_encode = msgspec.json.Encoder().encode
_readTasks: Callable[[bytes], _Tasks] = msgspec.json.Decoder(_Tasks).decode
_readElements: Callable[[bytes], _Elements] = msgspec.json.Decoder(_Elements).decode
_readLost: Callable[[bytes], _Lost] = msgspec.json.Decoder(_Lost).decode


@implementer(IScalableTaskQueue, IProbed)
class JSONQueue:
    """
    An endpoint that speaks the pull contract, version 1.
    """

    _log = Logger()

    def __init__(self, client: Client, url: URL, consumer: str | None = None) -> None:
        """
        @param client: Sends the requests.
        @param url: Where the queue is.
        @param consumer: The name of this consumer; C{None}: made up from the host and
            the process when it is first needed.
        """
        self._client = client
        self._url = url
        self._claimURL = below(url, "claim")
        self._settleURL = below(url, "settle")
        self._consumer = consumer
        self._defectLog = DefectLog(self._log, client.clock)

    def __repr__(self) -> str:
        return f"<JSONQueue {withoutSecrets(self._url)}>"

    @property
    def consumer(self) -> str:
        """
        The name of this consumer.
        """
        if self._consumer is None:
            host = socket.gethostname().encode("ascii", "replace").decode()
            self._consumer = f"{host}-{os.getpid()}-{token_hex(4)}"
        return self._consumer

    def claim(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> Deferred[Claimed]:
        """
        See L{ITaskQueue.claim}.
        """
        asked = _Claim(limit, _whole(wait), _whole(lease), self.consumer, claim)
        asking = self._client.request(
            "POST", self._claimURL, _encode(asked), wait + POLL_GRACE
        )
        decoding: Deferred[Claimed | Checked] = asking.addCallback(
            self._client.read, self._decode
        )
        return decoding.addCallback(self._claimed)

    def settle(
        self, settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        See L{ITaskQueue.settle}.
        """
        told = _Settle(self.consumer, [_plain(each) for each in settlements])
        asking = self._client.request("POST", self._settleURL, _encode(told), deadline)
        return asking.addCallback(self._client.read, self._lost)

    def cancelClaim(self, claim: str) -> Deferred[bool]:
        """
        See L{ITaskQueue.cancelClaim}.
        """
        url = below(self._url, "claim", claim)
        return self._client.request(
            "DELETE", url, None, CANCELLING, accept=_LACKING
        ).addCallback(lambda answer: answer.code not in _LACKING)

    def setPollers(self, pollers: int) -> None:
        """
        See L{IScalableTaskQueue.setPollers}.
        """
        self._client.setConnections(pollers + FURTHER_CONNECTIONS)

    def probe(self) -> Deferred[str]:
        """
        See L{IProbed.probe}.  Ends a claim that was never made.  An endpoint that
        cannot end claims, and answers as any server does that has no queue, is to
        extend a lease that never was.
        """
        return Deferred.fromCoroutine(self._probe())

    async def _probe(self) -> str:
        if await self.cancelClaim(str(uuid4())):
            return "answers, and can end claims"
        try:
            await self.settle([Settlement(str(uuid4()), "extend", lease=1)], PROBING)
        except RefusalError as error:
            # it knows the request, and not the receipt
            if not error.divisible:
                raise
        return "answers, and cannot end claims"

    def close(self) -> Deferred[None]:
        """
        See L{ITaskQueue.close}.
        """
        return self._client.close()

    def _claimed(self, decoded: Claimed | Checked) -> Claimed:
        if isinstance(decoded, Claimed):
            return decoded
        self._defectLog.add(decoded.defects)
        return decoded.claimed

    def _decode(self, answer: Answer) -> Claimed | Checked:
        if answer.code == 204:
            return Claimed([])
        if len(answer.body) > LARGE:
            requireFew(answer)
        else:
            try:
                return Claimed(_readTasks(answer.body).tasks or [])
            except UNDECODABLE:
                pass
        return checked(self._elements(answer))

    def _elements(self, answer: Answer) -> Sequence[object]:
        try:
            return _readElements(answer.body).tasks or ()
        except UNDECODABLE as error:
            first = error
        try:
            tasks = loads(answer.body)["tasks"]
            if isinstance(tasks, list):
                return tasks
        except (*UNDECODABLE, LookupError, TypeError):
            pass
        raise unfit(answer, _TASKS, first, self._client.secret, self._url)

    def _lost(self, answer: Answer) -> Collection[str]:
        if not answer.body:
            return ()
        requireFew(answer)
        try:
            return _readLost(answer.body).lost or ()
        except UNDECODABLE as error:
            secret = self._client.secret
            raise unfit(answer, _LOST, error, secret, self._url) from None


def makeQueue(reactor: Any, options: Mapping[str, Any]) -> JSONQueue:
    """
    See L{ITaskQueueMaker.makeQueue
    <myconsumer.interfaces.ITaskQueueMaker.makeQueue>}.
    """
    connections = options["pollers"] + FURTHER_CONNECTIONS
    client = makeClient(reactor, connections, options["token-file"], reserved=True)
    return JSONQueue(client, options["url"])


def _whole(seconds: float) -> float:
    """
    Turn C{20.0} into C{20}, for endpoints that are strict about integers.
    """
    return int(seconds) if seconds == int(seconds) else seconds


def _plain(settlement: Settlement) -> Settlement:
    """
    Make a settlement that can be encoded and that strict endpoints accept.
    """
    if settlement.outcome == "complete":
        return settlement
    changed: dict[str, Any] = {}
    if settlement.error is not UNSET:
        # a handler's text may hold halves of surrogate pairs, as file names do
        changed["error"] = encodable(settlement.error)
    for name in ("delay", "lease"):
        seconds = getattr(settlement, name)
        if seconds is not UNSET:
            changed[name] = _whole(seconds)
    return msgspec.structs.replace(settlement, **changed)
