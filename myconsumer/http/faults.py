"""
What went wrong on the wire, in words for an operator.
"""

from __future__ import annotations

import zlib

from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
)
from twisted.python.failure import Failure

# twisted.web.client does not have this one
from twisted.web._newclient import RequestNotSent
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from myconsumer.text import oneLine


class BadHeadError(Exception):
    """
    What came before the body of an answer is unfit.  The text says why.
    """


def explain(failure: Failure) -> tuple[str, bool]:
    """
    Say why a request got no whole answer.

    @param failure: What the HTTP client failed with.

    @return: One line, and whether a network can be expected to cause this failure;
        one that it cannot may be a mistake of ours.
    """
    error: BaseException | None = failure.value
    stage = "the request was sent"
    while reasons := getattr(error, "reasons", None):
        if isinstance(error, ResponseNeverReceived):
            stage = "an answer came"
        elif isinstance(error, ResponseFailed):
            stage = "the answer was whole"
        error = reasons[0].value
    match error:
        case DNSLookupError():
            return "the host's name cannot be looked up", True
        case ConnectError():
            return f"cannot connect: {oneLine(str(error)).rstrip('.')}", True
        case TLSError():
            return f"TLS failed: {_tlsReason(error)}", True
        case VerificationError():
            return "TLS failed: the certificate is for another host", True
        case ConnectionClosed() | RequestNotSent() | CancelledError():
            return f"the connection was closed before {stage}", True
        case zlib.error():
            return f"the answer's compression is damaged: {error}", True
        case OSError():
            return oneLine(str(error)), True
        case BadHeadError():
            return f"the answer is no proper HTTP: {error}", True
    if isinstance(failure.value, ResponseFailed):
        return f"the answer is no proper HTTP: {_named(error)}", True
    return f"the request failed: {_named(error)}", False


def isUnreachable(failure: Failure) -> bool:
    """
    @param failure: What the HTTP client failed with.

    @return: Whether no connection could be made, so that nothing was sent.
    """
    kinds = (ConnectError, ConnectingCancelledError, DNSLookupError)
    return isinstance(failure.value, kinds)


def _named(error: BaseException | None) -> str:
    return oneLine(f"{type(error).__name__}: {error}", 120)


def _tlsReason(error: BaseException) -> str:
    """
    Find the reason in OpenSSL's queue of errors: tuples of library, function, reason.
    """
    queue = error.args[0] if error.args else None
    if isinstance(queue, list) and queue and isinstance(queue[0], tuple):
        return oneLine(str(queue[0][-1]))
    return "the peer closed the connection"
