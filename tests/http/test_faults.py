"""
Tests for L{myconsumer.http.faults}.
"""

from __future__ import annotations

import zlib

from OpenSSL.SSL import Error as TLSError
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectBindError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)

from myconsumer.http.faults import BadHeadError, explain, isUnreachable


class ExplainTests(SynchronousTestCase):
    """
    Tests for L{explain}.
    """

    def test_explainsExpectedFailures(self) -> None:
        """
        A failure that a network may cause is explained in words, without classes of
        Twisted.
        """
        refused = [("SSL routines", "", "certificate verify failed")]
        for error, text in (
            (ConnectionRefusedError("x"), "cannot connect: Connection was refused"),
            (DNSLookupError("x"), "the host's name cannot be looked up"),
            (ConnectionDone(), "closed before the request was sent"),
            (never(ConnectionDone()), "closed before an answer came"),
            (never(ConnectionLost()), "closed before an answer came"),
            (never(CancelledError()), "closed before an answer came"),
            (failed(ConnectionLost()), "closed before the answer was whole"),
            (failed(failed(ConnectionLost())), "closed before the answer was whole"),
            (sending(ConnectionLost()), "closed before the request was sent"),
            (never(TLSError(refused)), "TLS failed: certificate verify failed"),
            (never(TLSError([])), "TLS failed: "),
            (failed(ValueError("x")), "no proper HTTP: ValueError: x"),
            (failed(zlib.error("x")), "compression is damaged: x"),
            (failed(BadHeadError("x")), "no proper HTTP: x"),
            (OSError(24, "Too many open files"), "Too many open files"),
        ):
            found, expected = explain(Failure(error))
            self.assertIn(text, found)
            self.assertTrue(expected, error)

    def test_knowsWhenNothingWasSent(self) -> None:
        """
        Without a connection nothing was sent; once there was one something may have
        been.
        """
        for error in (
            ConnectionRefusedError(),
            ConnectBindError(24, "Too many open files"),
            ConnectingCancelledError(IPv4Address("TCP", "h", 1)),
            DNSLookupError(),
        ):
            self.assertTrue(isUnreachable(Failure(error)), error)
        for error in (never(ConnectionLost()), sending(ConnectionLost())):
            self.assertFalse(isUnreachable(Failure(error)), error)

    def test_explainsUnexpectedFailures(self) -> None:
        """
        A failure that no network causes is explained too, and said to be unexpected.
        """
        text, expected = explain(Failure(ZeroDivisionError("oops\noops")))
        self.assertEqual(text, "the request failed: ZeroDivisionError: oops oops")
        self.assertFalse(expected)


def never(error: Exception) -> Exception:
    """
    Wrap an error as the client does when no answer came.
    """
    return ResponseNeverReceived([Failure(error)])


def failed(error: Exception) -> Exception:
    """
    Wrap an error as the client does when an answer was cut off.
    """
    return ResponseFailed([Failure(error), Failure(ZeroDivisionError())])


def sending(error: Exception) -> Exception:
    """
    Wrap an error as the client does while it sends the request.
    """
    return RequestTransmissionFailed([Failure(error)])
