"""
What the lanes of settlements to one queue share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from myconsumer.pipeline.batching import BatchSize
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.requests import Requests
from myconsumer.retrying import Retry


@dataclass(eq=False)
class Road:
    """
    What all lanes to one queue share.

    @ivar requests: The queue to which they lead.
    @ivar observers: Observe what is given up.
    @ivar leases: Where a lease is dropped once it is settled, or given up.
    @ivar clock: What keeps the time.
    @ivar retry: Counts the failures that are the endpoint's.
    @ivar size: How much the endpoint takes.
    @ivar acknowledged: Called with what was taken, and the receipts among it that
        had been lost.
    @ivar ended: Called after each request.
    @ivar taken: How many requests were taken.
    @ivar refusals: How many were refused since, though a part might be taken.
    """

    requests: Requests
    observers: Observers
    leases: Leases
    clock: IReactorTime
    retry: Retry
    size: BatchSize
    acknowledged: Callable[[list[Lease], Collection[str]], object]
    ended: Callable[[], object]
    taken: int = 0
    refusals: int = 0
