"""
Names for tasks that came without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from secrets import randbits
from uuid import UUID

_MOST = 1 << 12


def newIds(now: float) -> Iterator[str]:
    """
    Make up names, each greater than the one before, and than those of earlier times,
    but for a few milliseconds: what is found by them lies together in an index, so
    that queueing costs the same however many there are.

    @param now: The time, in seconds since the epoch.

    @return: UUIDs of version 7, with a counter in C{rand_a}: RFC 9562, section 5.7 and
        method 1 of section 6.2.
    """
    milliseconds = int(now * 1000)
    for number in count():
        time = milliseconds + number // _MOST
        yield str(
            UUID(
                int=(time & 0xFFFFFFFFFFFF) << 80
                | 0x7 << 76
                | (number % _MOST) << 64
                | 0b10 << 62
                | randbits(62)
            )
        )
