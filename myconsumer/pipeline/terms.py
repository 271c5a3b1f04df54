"""
The terms on which tasks are claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

from myconsumer.fields import Count, Lease, Positive, Seconds, check
from myconsumer.pipeline.rate import Rate


@dataclass(frozen=True, kw_only=True)
class Claiming:
    """
    When tasks are claimed, how many, and for how long.  Each number is checked here.

    @ivar wait: The seconds that a claim waits for its first task.
    @ivar lease: The seconds for which a task is claimed; its lease is extended for as
        long as the task is held.
    @ivar interval: The seconds between two claims, where the endpoint answers at once
        with nothing.
    @ivar prefetch: How many tasks to claim beyond the free slots.
    @ivar pollers: The most claims open side by side.
    @ivar untilEmpty: Whether claims do not wait for tasks, and the run ends once no
        tasks are left, or claiming has failed for good.
    @ivar rate: The most tasks to start in a second; C{None} for any number.
    """

    wait: float = 20
    lease: float = 60
    interval: float = 1
    prefetch: int = 0
    pollers: int = 1
    untilEmpty: bool = False
    rate: float | None = None

    def __post_init__(self) -> None:
        """
        @raise TypeError: A number is of another type.
        @raise ValueError: A number is out of range.
        """
        check("wait", Seconds, self.wait)
        check("lease", Lease, self.lease)
        check("interval", Seconds, self.interval)
        check("prefetch", Count, self.prefetch)
        check("pollers", Positive, self.pollers)
        if self.rate is not None:
            check("rate", Rate, self.rate)
