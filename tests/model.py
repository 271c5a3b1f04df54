"""
What an endpoint is to a queue: its answers, and a model of it to the letter of the
pull contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from twisted.internet.task import Clock

from myconsumer.errors import FaultError, RefusalError
from myconsumer.task import Settlement, Task
from myconsumer.testing import Claim


def fault() -> FaultError:
    """
    A failure that passes by itself.
    """
    return FaultError("the endpoint is down")


def busy(seconds: float) -> FaultError:
    """
    A failure that asks to be left alone for C{seconds}.
    """
    return FaultError("the endpoint is busy", retryAfter=seconds)


def refusal() -> RefusalError:
    """
    A failure that somebody has to do something about.
    """
    return RefusalError("the token is wrong")


def tooMuch() -> RefusalError:
    """
    A failure of a batch, a part of which may be taken.
    """
    return RefusalError("that is too much", divisible=True)


def task(number: int, **fields: Any) -> Task:
    """
    A task with a receipt of its own.
    """
    fields.setdefault("receipt", f"r-{number}")
    return Task(str(number), None, **fields)


def tasks(first: int, count: int) -> list[Task]:
    return [task(number) for number in range(first, first + count)]


@dataclass(eq=False)
class Job:
    """
    A task, from its endpoint's side.

    @ivar due: When it may be delivered; L{None}: never again, or leased.
    @ivar attempts: The deliveries that were counted.
    @ivar state: C{waiting}, C{leased}, C{complete} or C{fail}.
    """

    id: str
    payload: Any
    due: float | None
    attempts: int = 0
    state: str = "waiting"


@dataclass(eq=False)
class Delivery:
    """
    One lease on a job.

    @ivar since: When it began.
    @ivar answered: Whether the claim's answer arrived.
    @ivar over: How the lease ended, or L{None} while it lasts: an outcome,
        C{expired}, C{returned} or C{taken away}.
    """

    job: Job
    receipt: str
    claim: str
    since: float
    ends: float
    answered: bool = False
    over: str | None = None


class Endpoint:
    """
    Jobs and their leases, to the letter of the pull contract.  It has no delayed calls:
    what a test finds on its clock is the consumer's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.jobs: list[Job] = []
        self.deliveries: dict[str, Delivery] = {}
        self._ended: set[str] = set()

    def put(self, payload: Any) -> None:
        job = Job(f"job-{len(self.jobs)}", payload, self._clock.seconds())
        self.jobs.append(job)

    def ready(self) -> list[Job]:
        """
        What can be delivered now.
        """
        self.expire()
        now = self._clock.seconds()
        return [job for job in self.jobs if job.due is not None and job.due <= now]

    def leased(self) -> list[Delivery]:
        self.expire()
        return [each for each in self.deliveries.values() if each.over is None]

    def lease(self, claim: Claim, most: int, answered: bool = True) -> list[Task]:
        """
        Lease up to C{most} jobs; none if the claim was ended.
        """
        if claim.claim in self._ended:
            return []
        found = []
        for job in self.ready()[:most]:
            job.state, job.due = "leased", None
            job.attempts += 1
            receipt = f"r-{len(self.deliveries)}"
            now = self._clock.seconds()
            ends = now + claim.lease
            delivery = Delivery(job, receipt, claim.claim, now, ends, answered)
            self.deliveries[receipt] = delivery
            found.append(Task(job.id, job.payload, job.attempts, receipt))
        return found

    def settle(self, settlements: Sequence[Settlement]) -> list[str]:
        """
        Take note of how tasks ended.

        @return: The receipts whose lease is over.
        """
        self.expire()
        return [each.receipt for each in settlements if not self._settle(each)]

    def end(self, claim: str) -> None:
        """
        End a claim: what was leased under it and did not arrive goes back.
        """
        self._ended.add(claim)
        for delivery in self.leased():
            if delivery.claim == claim and not delivery.answered:
                delivery.job.attempts -= 1
                self._goBack(delivery, "returned", 0)

    def takeAway(self, delivery: Delivery) -> None:
        """
        End a lease before its time.
        """
        self._goBack(delivery, "taken away", 0)

    def expire(self) -> None:
        """
        End the leases whose time is over.
        """
        for delivery in self.deliveries.values():
            if delivery.over is None and delivery.ends <= self._clock.seconds():
                self._goBack(delivery, "expired", 0)

    def _goBack(self, delivery: Delivery, how: str, delay: float) -> None:
        delivery.over = how
        delivery.job.state = "waiting"
        delivery.job.due = self._clock.seconds() + delay

    def _settle(self, settlement: Settlement) -> bool:
        delivery = self.deliveries[settlement.receipt]
        if delivery.over is not None:
            return delivery.over == settlement.outcome
        if settlement.outcome == "extend":
            assert settlement.lease is not UNSET
            delivery.ends = self._clock.seconds() + settlement.lease
        elif settlement.outcome == "release":
            delivery.job.attempts -= settlement.counted is False
            self._goBack(delivery, "release", settlement.delay or 0)
        else:
            delivery.over = delivery.job.state = settlement.outcome
        return True
