"""
A client with all its parts: treq, over connections and descriptors of its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.client import Agent
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from myconsumer.http.client import Client
from myconsumer.http.connection import ConnectionPool
from myconsumer.http.endpoints import CachedEndpoints
from myconsumer.http.headers import NoCookieJar
from myconsumer.http.offload import offloadTo
from myconsumer.http.reach import reach
from myconsumer.http.reserve import LOOKUP, Reserve
from myconsumer.tokenfile import TokenFile


@implementer(IBodyProducer)
class WholeBody:
    """
    Writes a body that is in memory at once.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        See C{IBodyProducer.startProducing}.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        See C{IBodyProducer.pauseProducing}.
        """

    def resumeProducing(self) -> None:
        """
        See C{IBodyProducer.resumeProducing}.
        """

    def stopProducing(self) -> None:
        """
        See C{IBodyProducer.stopProducing}.
        """


def makeClient(
    reactor: Any,
    connections: int,
    tokenFile: str | TokenFile | None = None,
    persistent: bool = True,
    reserved: bool = False,
) -> Client:
    """
    Make a client with connections of its own.  Opens none yet.

    @param reactor: The reactor.
    @param connections: The most idle connections to keep.
    @param tokenFile: The file with the bearer token, or its path, or C{None}.
    @param persistent: Whether to keep connections at all.
    @param reserved: Whether to keep descriptors in reserve, so that there are
        connections also where the process has run out of them.

    @raise ValueError: C{tokenFile} is a path, and holds no token.
    """
    token = tokenFile
    if isinstance(token, str):
        token = TokenFile(token)
        token.read()
    pool = ConnectionPool(reactor, persistent)
    pool.maxPersistentPerHost = connections
    reserve = Reserve(connections + LOOKUP if reserved else 0)
    endpoints = CachedEndpoints(reactor, reserve)
    agent = Agent.usingEndpointFactory(reactor, endpoints, pool)
    treq = HTTPClient(agent, NoCookieJar(), WholeBody)
    kept = pool if persistent else None
    held = reserve if reserved else None
    offload, reaching = offloadTo(reactor), partial(reach, endpoints)
    return Client(treq, reactor, token, kept, offload, held, reaching)
