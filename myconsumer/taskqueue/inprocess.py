"""
The embedded queue as the consumer of the same process sees it: without HTTP between
them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import FaultError
from myconsumer.interfaces import ITaskQueue
from myconsumer.jsontext import Unreadable, readRaw
from myconsumer.task import Claimed, Settlement, Task
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.taskqueue.store.records import Delivery
from myconsumer.text import oneLine

#: The seconds that an answer may take past the time that it was asked to wait.
GRACE = 10.0


@implementer(ITaskQueue)
class LocalQueue:
    """
    One queue of a L{Broker}.
    """

    def __init__(
        self, broker: Callable[[], Broker | None], name: str, clock: IReactorTime
    ) -> None:
        """
        @param broker: Finds the broker; C{None}: the embedded queue does not run.
        @param name: The name of the queue.
        @param clock: What keeps the time.
        """
        self._broker = broker
        self._name = name
        self._clock = clock

    def __repr__(self) -> str:
        return f"<LocalQueue {self._name}>"

    def claim(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> Deferred[Claimed]:
        """
        See L{ITaskQueue.claim}.
        """
        return self._within(
            wait + GRACE,
            lambda broker: broker.claim(self._name, claim, limit, wait, lease),
        ).addCallback(_claimed)

    def settle(
        self, settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        See L{ITaskQueue.settle}.
        """
        return self._within(
            deadline, lambda broker: broker.settle(self._name, settlements)
        )

    def cancelClaim(self, claim: str) -> Deferred[bool]:
        """
        See L{ITaskQueue.cancelClaim}.
        """
        return self._within(
            GRACE, lambda broker: broker.cancelClaim(self._name, claim)
        ).addCallback(lambda _: True)

    def close(self) -> Deferred[None]:
        """
        See L{ITaskQueue.close}.  There are no connections.
        """
        return succeed(None)

    def _within(
        self, deadline: float, ask: Callable[[Broker], Deferred[Any]]
    ) -> Deferred[Any]:
        broker = self._broker()
        if broker is None:
            return fail(FaultError("the embedded queue does not run"))
        return (
            ask(broker).addTimeout(deadline, self._clock).addErrback(_fault, deadline)
        )


def _fault(reason: Failure, deadline: float) -> NoReturn:
    if isinstance(reason.value, TimeoutError | CancelledError):
        raise FaultError(f"the queue's file was not written within {deadline:g} s")
    if isinstance(reason.value, StoreError):
        raise FaultError(f"the queue's file cannot be used: {reason.value}")
    raise FaultError(f"the queue has failed: {oneLine(reason.getErrorMessage())}")


def _claimed(deliveries: Sequence[Delivery]) -> Claimed:
    tasks: list[Task] = []
    malformed: list[Settlement] = []
    for delivery in deliveries:
        payload = readRaw(delivery.payload)
        if isinstance(payload, Unreadable):
            reason = f"malformed task: its payload cannot be read: {payload.reason}"
            malformed.append(Settlement(delivery.receipt, "fail", error=reason))
        else:
            tasks.append(
                Task(
                    delivery.id,
                    payload,
                    delivery.attempt,
                    delivery.receipt,
                    delivery.lease,
                    delivery.enqueued,
                )
            )
    return Claimed(tasks, malformed)
