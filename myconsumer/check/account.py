"""
Which tasks the check has queued, which of them are left, and how they were delivered.
"""

from __future__ import annotations

from collections.abc import Container
from enum import Enum, auto
from typing import Any
from uuid import uuid4

from myconsumer.check.delivery import Delivery

_KEY = "myconsumer check"


class Whose(Enum):
    """
    To whom a task belongs that has come.
    """

    #: To the check under way.
    CURRENT = auto()
    #: To one before: it should have ended.
    STALE = auto()
    #: To somebody else.
    FOREIGN = auto()


class Account:
    """
    The tasks that the check has queued, each by a mark in its payload: the name of the
    run, the number of the check under way, and a number of its own.

    @ivar run: The name of this run.
    @ivar adopting: Whether what another run has left counts as its own.
    @ivar repeated: The receipts that were given more than once.
    @ivar receipts: How many receipts were given.
    """

    def __init__(self) -> None:
        self.run = f"check-{uuid4().hex[:12]}"
        self.adopting = False
        self.repeated: set[str] = set()
        self._check = 0
        self._marks = 0
        self._ids: dict[str, str] = {}
        self._left: dict[str, Delivery | None] = {}
        self._given: dict[str, Delivery] = {}

    @property
    def receipts(self) -> int:
        """
        How many receipts were given.
        """
        return len(self._given)

    @property
    def left(self) -> int:
        """
        How many tasks have not ended.
        """
        return len(self._left)

    @property
    def held(self) -> list[Delivery]:
        """
        The last delivery of each task that has not ended.
        """
        return [each for each in self._left.values() if each is not None]

    def nextCheck(self) -> None:
        """
        Begin the next check; the tasks that were queued so far are stale now.
        """
        self._check += 1

    def mark(self) -> str:
        """
        Make the mark of a task that is about to be queued.
        """
        self._marks += 1
        mark = f"{self.run}/{self._check}/{self._marks}"
        # it may come before the producer has an answer
        self._left[mark] = None
        return mark

    def payload(self, mark: str, value: Any) -> dict[str, Any]:
        """
        @return: A payload that bears a mark.
        """
        return {_KEY: mark, "value": value}

    def named(self, mark: str, id: str) -> None:
        """
        Remember which name the endpoint has given to a task.
        """
        self._ids[id] = mark

    def refused(self, mark: str) -> None:
        """
        Forget a task that was not queued.
        """
        self._left.pop(mark, None)

    def whose(self, delivery: Delivery) -> Whose:
        """
        @return: To whom a task belongs that has come.
        """
        run, _, rest = (self.markOf(delivery) or "").partition("/")
        if run != self.run:
            adopted = self.adopting and run.startswith("check-")
            return Whose.STALE if adopted else Whose.FOREIGN
        current = rest.partition("/")[0] == str(self._check)
        return Whose.CURRENT if current else Whose.STALE

    def came(self, delivery: Delivery) -> None:
        """
        Remember a delivery.
        """
        mark = self.markOf(delivery) or ""
        if mark in self._left:
            self._left[mark] = delivery
        if delivery.receipt is None:
            self._left.pop(mark, None)
        elif delivery.receipt in self._given:
            self.repeated.add(delivery.receipt)
        else:
            self._given[delivery.receipt] = delivery

    def isOver(self, receipt: str, now: float) -> bool:
        """
        @return: Whether a lease may have ended.
        """
        return receipt not in self._given or self._given[receipt].ends <= now

    def ended(self, receipt: str, lost: Container[str], now: float) -> None:
        """
        A settlement has ended a task, unless its lease was lost.
        """
        if receipt in self._given and receipt not in lost:
            delivery = self._given[receipt]
            mark = self.markOf(delivery) or ""
            if self._left.get(mark) is delivery and not self.isOver(receipt, now):
                del self._left[mark]

    def markOf(self, delivery: Delivery) -> str | None:
        """
        @return: The mark that a task bears, or is known to have.
        """
        payload = delivery.payload
        if isinstance(payload, dict) and isinstance(payload.get(_KEY), str):
            mark: str = payload[_KEY]
            return mark
        return self._ids.get(str(delivery.id))

    def knowsId(self, delivery: Delivery) -> bool:
        """
        @return: Whether the answer to the producer gave a task's id.
        """
        name = str(delivery.id)
        return name in self._ids and self._ids[name] == self.markOf(delivery)
