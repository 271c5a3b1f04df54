"""
A lease: the time for which a claimed task is ours alone.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from twisted.internet.defer import Deferred


class Lease(Struct, eq=False):
    """
    A claimed task that is ours until its settlement is acknowledged.

    @ivar receipt: The proof of it.
    @ivar id: The task's, for the log.
    @ivar length: The seconds for which it lasts, once extended.
    @ivar expires: When it ends unless it is extended, by our clock.
    @ivar pace: See L{paceOf <myconsumer.pipeline.batching.paceOf>}.
    @ivar isLost: Whether the endpoint has said that it is no longer ours.
    @ivar onLost: Called when the endpoint says so.
    @ivar sent: How often the task's settlement was sent.
    @ivar extending: Fire once the next heartbeat has extended it.
    @ivar isBeating: Whether an open heartbeat extends it, if that reaches the endpoint.
    @ivar isSetAside: Whether it is extended no longer: the endpoint does not take the
        task's settlement.
    @ivar part: 0, or the most leases that it may be extended with, since heartbeats
        failed with it.
    @ivar seen: How many heartbeats had been taken when the last one failed that had
        it and others.
    """

    receipt: str
    id: str | int
    length: float
    expires: float
    pace: int = 0
    isLost: bool = False
    onLost: Callable[[], object] | None = None
    sent: int = 0
    extending: list[Deferred[None]] = []
    isBeating: bool = False
    isSetAside: bool = False
    part: int = 0
    seen: int = 0
