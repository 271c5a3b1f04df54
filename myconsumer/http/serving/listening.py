"""
Where a server of ours listens: what an option takes, and what has become of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import RefusalError
from myconsumer.interfaces import IProbed
from myconsumer.text import oneLine

_PORT = re.compile("[0-9]{1,5}")


def asEndpoint(description: str) -> str:
    """
    Check the description of a server endpoint, as an option's converter.

    @return: C{description}.

    @raise ValueError: It is none.
    """
    if _PORT.fullmatch(description):
        raise ValueError(f"did you mean tcp:{description}:interface=127.0.0.1?")
    # takes long to import, which is not needed to list the options
    from twisted.internet.endpoints import serverFromString

    try:
        # nothing is asked of the reactor before it is to listen
        serverFromString(None, description)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(str(error)) from None
    return description


@dataclass(frozen=True)
class Listening:
    """
    A port that listens.

    @ivar port: The port.
    @ivar url: Its URL, without a slash at the end; for a socket in the file system its
        description.
    @ivar host: The address that it listens on; C{None}: it is a socket in the file
        system, whose permissions are what guards it.
    """

    port: IListeningPort
    url: str
    host: str | None

    @property
    def isLoopback(self) -> bool:
        """
        Whether it listens on an address that only this machine has.
        """
        if self.host is None:
            return False
        return ip_address(self.host.partition("%")[0]).is_loopback

    @property
    def hosts(self) -> frozenset[str] | None:
        """
        The names by which it may be called: see L{Guard
        <myconsumer.http.serving.guard.Guard>}.
        """
        if self.host is None or not self.isLoopback:
            return None
        return frozenset({"localhost", "127.0.0.1", "[::1]", self.host})


def listen(endpoint: IStreamServerEndpoint, factory: IProtocolFactory) -> Listening:
    """
    Listen at once, as Twisted's endpoints do, all of them.

    @param endpoint: Where to listen.
    @param factory: What is served.

    @raise ValueError: It cannot listen; the text is one line that says why.
    """
    came: list[Any] = []
    endpoint.listen(factory).addBoth(came.append)
    [port] = came
    if isinstance(port, Failure):
        raise ValueError(f"it cannot listen: {oneLine(port.getErrorMessage())}")
    address = port.getHost()
    host = getattr(address, "host", None)
    if host is None:
        return Listening(port, str(address), None)
    isSecure = isinstance(getattr(port, "factory", None), TLSMemoryBIOFactory)
    scheme = "https" if isSecure else "http"
    shown = f"[{host}]" if ":" in host else host
    return Listening(port, f"{scheme}://{shown}:{address.port}", host)


@implementer(IProbed)
class PortProbe:
    """
    Finds out whether a port can be had.
    """

    def __init__(self, name: str, endpoint: IStreamServerEndpoint) -> None:
        """
        @param name: What the port is called.
        @param endpoint: Where to listen.
        """
        self._name = name
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return self._name

    def probe(self) -> Deferred[str]:
        """
        See L{IProbed.probe}.  Listens for a moment.
        """
        try:
            listening = listen(self._endpoint, Factory())
        except ValueError as error:
            return fail(RefusalError(str(error)))
        stopped = maybeDeferred(listening.port.stopListening)
        return stopped.addCallback(lambda _: "can be had")

    def close(self) -> Deferred[None]:
        """
        See L{IProbed.close}.
        """
        return succeed(None)
