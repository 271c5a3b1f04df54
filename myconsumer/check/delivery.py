"""
Tasks that have come, and claims that are to bring some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred


@dataclass(eq=False)
class Delivery:
    """
    A task as it came.

    @ivar fields: All of it.
    @ivar lease: The seconds for which it is leased.
    @ivar ends: The first moment at which the lease may have ended.
    """

    fields: Mapping[str, Any]
    lease: float
    ends: float

    @property
    def id(self) -> str | int:
        """
        The endpoint's name for the task.
        """
        name: str | int = self.fields["id"]
        return name

    @property
    def payload(self) -> Any:
        """
        The payload.
        """
        return self.fields["payload"]

    @property
    def receipt(self) -> str | None:
        """
        The proof of the lease, if there is one.
        """
        return self.fields.get("receipt")

    @property
    def attempt(self) -> int:
        """
        Which delivery this is.
        """
        attempt: int = self.fields.get("attempt", 1)
        return attempt

    def to(self, outcome: str, **fields: Any) -> dict[str, Any]:
        """
        @return: A settlement.
        """
        return {"receipt": self.receipt, "outcome": outcome, **fields}


def delivered(fields: Mapping[str, Any], lease: float, began: float) -> Delivery:
    """
    Make a delivery of a task.

    @param fields: The task.
    @param lease: The seconds of the lease that were asked for.
    @param began: When it began at the earliest.
    """
    lease = fields.get("lease", lease)
    return Delivery(fields, lease, began + lease)


class Poll:
    """
    A claim that is under way.

    @ivar name: Its name.
    @ivar answered: Fires with the deliveries.
    """

    def __init__(self, name: str, answered: Deferred[list[Delivery]]) -> None:
        self.name = name
        self.answered = answered
