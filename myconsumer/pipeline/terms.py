"""
The terms on which tasks are claimed and run, and how they change.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

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


@dataclass(eq=False)
class Terms:
    """
    The numbers in force in one service.  Its parts share this one object and read each
    number when they need it, since all but C{claiming.untilEmpty} may change while they
    run.  Each number is checked here.

    @ivar limit: The most tasks to run at once.
    @ivar claiming: How they are claimed.
    @ivar timeout: The seconds that a task may run for; 0 for no limit.
    @ivar drain: The seconds that running tasks get when the service is stopped.
    @ivar maxAttempts: A task that fails in this attempt has failed for good; 0 leaves
        that to the endpoint.
    """

    limit: int
    claiming: Claiming = Claiming()
    timeout: float = 0.0
    drain: float = 20.0
    maxAttempts: int = 20

    def __post_init__(self) -> None:
        """
        @raise TypeError: A number is of another type.
        @raise ValueError: A number is out of range.
        """
        check("limit", Positive, self.limit)
        check("maxAttempts", Count, self.maxAttempts)
        check("timeout", Seconds, self.timeout)
        check("drain", Seconds, self.drain)

    def changed(self, settings: dict[str, Any]) -> Terms:
        """
        @param settings: New values by the names of L{SETTINGS}.

        @return: A copy with these values; these terms stay as they are.

        @raise TypeError: There is no such setting, or a number is of another type.
        @raise ValueError: A number is out of range.
        """
        for name in settings:
            if name not in SETTINGS:
                raise TypeError(
                    f"{name} is not among what can be changed: {', '.join(SETTINGS)}"
                )
        claims = {name: settings[name] for name in settings if name in _OF_CLAIMING}
        others = {name: settings[name] for name in settings if name not in claims}
        return replace(self, claiming=replace(self.claiming, **claims), **others)

    def differences(self, other: Terms) -> dict[str, tuple[Any, Any]]:
        """
        @return: The values here and there of each setting in which C{other} differs.
        """
        pairs = {name: (self.value(name), other.value(name)) for name in SETTINGS}
        return {name: (old, new) for name, (old, new) in pairs.items() if old != new}

    def value(self, name: str) -> Any:
        """
        @param name: One of L{SETTINGS}.

        @return: The value in force.
        """
        return getattr(self.claiming if name in _OF_CLAIMING else self, name)

    def adopt(self, other: Terms) -> None:
        """
        Have the numbers of C{other} in force from now on.
        """
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))


_OF_CLAIMING = [each.name for each in fields(Claiming) if each.name != "untilEmpty"]

#: What can be changed while the service runs.
SETTINGS = ["limit", *_OF_CLAIMING, "timeout", "drain", "maxAttempts"]
