"""
Notifications to systemd, which C{sd_notify(3)} describes: datagrams of a few lines.

Made here since no library fits: C{sdnotify} has had no release since 2017, and leaves
the socket's name in the environment; C{cysystemd} and C{systemd-python} need
libsystemd, and the latter a compiler.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from twisted.logger import Logger

from myconsumer.text import encodable

_MICRO = 1_000_000


class Notifier:
    """
    Sends notifications, if there is anybody to send them to.  None of them is waited
    for; one that cannot be sent is lost.

    @ivar watchdog: The seconds within which systemd wants to be told that the process
        is alive, or C{None}.
    """

    _log = Logger()

    _socket: socket.socket | None = None
    _hasFailed = False

    def __init__(self, address: str | None, watchdog: float | None = None) -> None:
        """
        @param address: The path of a socket; one in the abstract namespace begins with
            C{@}.  C{None}: there is nobody.
        @param watchdog: See the attribute.
        """
        self._address = address
        self.watchdog = watchdog if address else None

    @classmethod
    def fromEnvironment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """
        Make what systemd asks for.

        @param environ: The environment, which loses what it has for this process alone:
            children shall not inherit it.
        """
        address = environ.pop("NOTIFY_SOCKET", None)
        microseconds = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        isForUs = pid in ("", str(os.getpid()))
        isNumber = microseconds.isascii() and microseconds.isdigit()
        seconds = int(microseconds[:18]) / _MICRO if isNumber else 0
        return cls(address or None, (seconds or None) if isForUs else None)

    @property
    def isWanted(self) -> bool:
        """
        Whether there is anybody to notify.
        """
        return self._address is not None

    def send(self, *assignments: str) -> None:
        """
        Send a notification.

        @param assignments: What it says, such as C{READY=1}.
        """
        if self._address is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in assignments)
        # a path may be no UTF-8
        data = encodable(text).encode()
        try:
            self._send(data, self._address)
        except OSError as error:
            if not self._hasFailed:
                self._hasFailed = True
                self._log.warn(
                    "systemd cannot be notified: {reason}",
                    reason=error.strerror or str(error),
                )
        else:
            self._hasFailed = False

    def close(self) -> None:
        """
        Close the socket, if it is open; the next notification opens one.
        """
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, data: bytes, address: str) -> None:
        if not address.startswith(("/", "@")):
            raise OSError(0, f"{address[:40]!r} is no path of a socket")
        if self._socket is None:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_UNIX, kind)
        name = "\0" + address[1:] if address.startswith("@") else address
        self._socket.sendto(data, name)
