"""
Callables that do no work, for the benchmarks to have called with each task.
"""

from __future__ import annotations

import socket
import struct
import time

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from myconsumer import Task


def nothing(task: Task) -> None:
    """
    Do nothing.
    """


def wait(task: Task) -> Deferred[None]:
    """
    Take as many seconds as the payload says, and no CPU.
    """
    from twisted.internet import reactor

    return deferLater(reactor, task.payload["seconds"])


_mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def tellTime(task: Task) -> None:
    """
    Tell the time, in monotonic seconds, to whoever listens on the UDP port that the
    payload says.
    """
    _mouth.sendto(struct.pack("d", time.monotonic()), ("127.0.0.1", task.payload))
