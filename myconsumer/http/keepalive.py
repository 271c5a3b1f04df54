"""
Connections that end when the other side has vanished without a word.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

#: The seconds of silence after which the other side is probed.
IDLE = 30

#: The seconds between two probes.
INTERVAL = 10

#: How many unanswered probes end a connection.
PROBES = 3

_OPTIONS = {
    "TCP_KEEPIDLE": IDLE,
    "TCP_KEEPINTVL": INTERVAL,
    "TCP_KEEPCNT": PROBES,
    # in milliseconds: what was sent and is not acknowledged ends it as late
    "TCP_USER_TIMEOUT": (IDLE + INTERVAL * PROBES) * 1000,
}


def keepAlive(transport: Any) -> None:
    """
    Have a connection probed while it is silent.  What a platform cannot do is left
    out.

    @param transport: A TCP transport.
    """
    transport.setTcpKeepAlive(True)
    handle = transport.getHandle()
    for name, value in _OPTIONS.items():
        with suppress(AttributeError, OSError):
            handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
