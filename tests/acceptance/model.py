"""
What an endpoint is behind its HTTP: jobs, leases that run out, and long polls.

It follows the pull contract to the letter and is as unkind as the contract
allows: it never notices that a client has hung up.  It has nothing of the embedded
queue in it, lest a fault of ours hides another.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall


@dataclass(eq=False)
class Job:
    """
    One task, from its producer's side.

    @ivar attempts: The deliveries that were counted.
    @ivar state: C{ready}, C{delayed}, C{leased}, C{completed}, C{failed}, or
        C{withdrawn}.
    @ivar spoil: What to change in the message that delivers it.
    """

    id: str
    payload: Any
    attempts: int = 0
    state: str = "delayed"
    result: Any = None
    error: str | None = None
    spoil: dict[str, Any] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)

    def message(self, receipt: str) -> dict[str, Any]:
        """
        What a consumer is sent; a C{None} in L{spoil} leaves a field out.
        """
        whole = {
            "id": self.id,
            "payload": self.payload,
            "receipt": receipt,
            "attempt": self.attempts,
            **self.spoil,
        }
        return {k: v for k, v in whole.items() if v is not None or k not in self.spoil}


@dataclass(eq=False)
class Delivery:
    """
    One job, handed to one consumer.

    @ivar answered: Whether the endpoint believes that its answer was received.
    @ivar arrived: Whether it truly was.
    @ivar ended: How the lease ended: C{complete}, C{release}, C{fail},
        C{expired}, C{returned}, C{withdrawn}, C{given away} (there is no
        receipt); or L{None} while it lasts.
    @ivar settlement: What the consumer said, where it was the one to end it.
    """

    job: Job
    receipt: str
    consumer: str
    claim: str
    at: float
    attempt: int
    expiry: IDelayedCall
    answered: bool = False
    arrived: bool = False
    ended: str | None = None
    endedAt: float | None = None
    extended: int = 0
    settlement: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class _Poll:
    """
    A claim that waits for a first task.
    """

    claim: str
    consumer: str
    limit: int
    lease: float
    answer: Deferred[list[Delivery]]
    timeout: IDelayedCall


@dataclass(eq=False)
class ModelQueue:
    """
    The jobs and their leases.

    @ivar clock: Provides C{IReactorTime}.
    @ivar mostLeased: The most leases that were ever held at once.
    @ivar mostPolls: The most claims that ever waited at once.
    @ivar repeats: The settlements that came again for a lease already settled.
    """

    clock: Any
    jobs: list[Job] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    polls: list[_Poll] = field(default_factory=list)
    mostLeased: int = 0
    mostPolls: int = 0
    repeats: list[dict[str, Any]] = field(default_factory=list)
    _ready: deque[Job] = field(default_factory=deque)
    _held: dict[str, Delivery] = field(default_factory=dict)
    _over: dict[str, Delivery] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)
    _timers: set[IDelayedCall] = field(default_factory=set)

    def put(
        self, payload: Any, /, *, delay: float = 0.0, attempts: int = 0, **spoil: Any
    ) -> Job:
        """
        Queue a job.

        @param attempts: How many deliveries it pretends to have behind it.
        @param spoil: Fields of the message that delivers it, changed.
        """
        name = f"job-{len(self.jobs)}"
        job = Job(name, payload, attempts=attempts, spoil=spoil)
        self.jobs.append(job)
        self._later(delay, job)
        return job

    def putAll(self, payload: Any, count: int) -> list[Job]:
        """
        Queue C{count} jobs with the same payload.
        """
        return [self.put(payload) for _ in range(count)]

    def claim(
        self, claim: str, consumer: str, limit: int, wait: float, lease: float
    ) -> Deferred[list[Delivery]]:
        """
        Lease up to C{limit} jobs, and wait up to C{wait} seconds for the first.
        """
        if claim in self._cancelled:
            return succeed([])
        found = self._lease(claim, consumer, limit, lease)
        if found or wait <= 0:
            return succeed(found)
        answer: Deferred[list[Delivery]] = Deferred()
        timeout = self._callLater(wait, lambda: self._endPoll(poll, []))
        poll = _Poll(claim, consumer, limit, lease, answer, timeout)
        self.polls.append(poll)
        self.mostPolls = max(self.mostPolls, len(self.polls))
        return answer

    def cancelClaim(self, claim: str) -> None:
        """
        End a claim's poll, and take back what was leased under it unanswered;
        should it come only now, it is answered empty.
        """
        self._cancelled.add(claim)
        for poll in [p for p in self.polls if p.claim == claim]:
            self._endPoll(poll, [])
        for delivery in self.held():
            if delivery.claim == claim and not delivery.answered:
                self._end(delivery, "returned")
                delivery.job.attempts -= 1
                self._makeReady(delivery.job)

    def take(self, limit: int) -> list[Job]:
        """
        Hand out jobs for good, without a lease.
        """
        found = self._lease("", "", limit, 0)
        for delivery in found:
            self._giveAway(delivery)
        return [delivery.job for delivery in found]

    def settle(self, settlements: Iterable[dict[str, Any]]) -> list[str]:
        """
        Take note of how jobs ended.

        @return: The receipts whose lease is over.
        """
        return [s["receipt"] for s in settlements if not self._settleOne(s)]

    def held(self, consumer: str | None = None) -> list[Delivery]:
        """
        The deliveries whose lease lasts: all, or those of one consumer.
        """
        return [
            delivery
            for delivery in self._held.values()
            if consumer in (None, delivery.consumer)
        ]

    def withdraw(self, job: Job) -> None:
        """
        Take a job out of the queue, and from whom it is leased to.
        """
        for delivery in self.held():
            if delivery.job is job:
                self._end(delivery, "withdrawn")
        job.state = "withdrawn"

    def count(self, state: str) -> int:
        """
        How many jobs are in C{state}.
        """
        return Counter(job.state for job in self.jobs)[state]

    def close(self) -> None:
        """
        Forget every timer and leave every open poll unanswered.
        """
        self.polls.clear()
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._timers.clear()

    def _settleOne(self, settlement: dict[str, Any]) -> bool:
        delivery = self._held.get(settlement["receipt"])
        if delivery is None:
            return self._isRepeated(settlement)
        if settlement["outcome"] == "extend":
            delivery.extended += 1
            delivery.expiry.reset(settlement["lease"])
        else:
            delivery.settlement = settlement
            self._end(delivery, settlement["outcome"])
            self._endJob(delivery.job, settlement)
        return True

    def _isRepeated(self, settlement: dict[str, Any]) -> bool:
        over = self._over.get(settlement["receipt"])
        repeated = over is not None and over.ended == settlement["outcome"]
        if repeated:
            self.repeats.append(settlement)
        return repeated

    def _endJob(self, job: Job, settlement: dict[str, Any]) -> None:
        job.error = settlement.get("error")
        if settlement["outcome"] == "complete":
            job.state, job.result = "completed", settlement.get("result")
        elif settlement["outcome"] == "fail":
            job.state = "failed"
        else:
            job.attempts -= not settlement.get("counted", True)
            self._later(settlement.get("delay", 0.0), job)

    def _lease(
        self, claim: str, consumer: str, limit: int, lease: float
    ) -> list[Delivery]:
        found = []
        while self._ready and len(found) < limit:
            job = self._ready.popleft()
            if job.state == "ready":
                found.append(self._deliver(job, claim, consumer, lease))
        self.mostLeased = max(self.mostLeased, len(self._held))
        return found

    def _deliver(self, job: Job, claim: str, consumer: str, lease: float) -> Delivery:
        job.state = "leased"
        job.attempts += 1
        delivery = Delivery(
            job=job,
            receipt=f"receipt-{len(self.deliveries)}",
            consumer=consumer,
            claim=claim,
            at=self.clock.seconds(),
            attempt=job.attempts,
            expiry=self._callLater(lease, lambda: self._expire(delivery)),
        )
        self.deliveries.append(delivery)
        job.deliveries.append(delivery)
        self._held[delivery.receipt] = delivery
        if job.spoil.get("receipt", delivery.receipt) is None:
            self._giveAway(delivery)
        return delivery

    def _giveAway(self, delivery: Delivery) -> None:
        self._end(delivery, "given away")
        delivery.job.state = "completed"

    def _expire(self, delivery: Delivery) -> None:
        self._end(delivery, "expired")
        self._makeReady(delivery.job)

    def _end(self, delivery: Delivery, how: str) -> None:
        delivery.ended, delivery.endedAt = how, self.clock.seconds()
        self._over[delivery.receipt] = self._held.pop(delivery.receipt)
        if delivery.expiry.active():
            delivery.expiry.cancel()

    def _later(self, delay: float, job: Job) -> None:
        job.state = "delayed"
        if delay > 0:
            self._callLater(delay, lambda: self._makeReady(job))
        else:
            self._makeReady(job)

    def _makeReady(self, job: Job) -> None:
        if job.state != "withdrawn":
            job.state = "ready"
            self._ready.append(job)
        if self.polls and self._ready:
            poll = self.polls[0]
            found = self._lease(poll.claim, poll.consumer, poll.limit, poll.lease)
            if found:
                self._endPoll(poll, found)

    def _endPoll(self, poll: _Poll, found: list[Delivery]) -> None:
        self.polls.remove(poll)
        if poll.timeout.active():
            poll.timeout.cancel()
        poll.answer.callback(found)

    def _callLater(self, seconds: float, call: Any) -> IDelayedCall:
        timer: IDelayedCall = self.clock.callLater(seconds, call)
        self._timers.add(timer)
        return timer
