"""
Whether a host can be reached, without a request.
"""

from __future__ import annotations

from typing import Any, NoReturn

from hyperlink import URL
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory

from myconsumer.errors import FaultError
from myconsumer.http.faults import explain


def reach(endpoints: IAgentEndpointFactory, url: URL) -> Deferred[None]:
    """
    Connect to the host of a URL, and close the connection at once.

    @param endpoints: Makes what connects.
    @param url: The URL.

    @return: Fires once that is done; fails with L{FaultError
        <myconsumer.errors.FaultError>}.
    """
    endpoint = endpoints.endpointForURI(URI.fromBytes(url.to_text().encode("ascii")))
    connecting: Deferred[Any] = endpoint.connect(Factory.forProtocol(Protocol))
    return connecting.addCallbacks(_close, _failed)


def _close(protocol: Any) -> None:
    protocol.transport.abortConnection()


def _failed(failure: Failure) -> NoReturn:
    raise FaultError(explain(failure)[0]) from None
