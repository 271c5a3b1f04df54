"""
Fakes for the tests of the pipeline: a queue whose requests the test answers, and a
handler whose tasks the test ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import FaultError, RefusalError
from myconsumer.interfaces import ITaskHandler, ITaskQueue
from myconsumer.task import Claimed, Settlement, Task

#: More calls than this without time to pass: something spins.
MOST_CALLS = 1000


def passTime(clock: Clock, seconds: float) -> None:
    """
    Let time pass, with every delayed call at the time it is due.
    """
    end = clock.seconds() + seconds
    calls = 0
    while clock.calls and min(call.getTime() for call in clock.calls) <= end:
        call = min(clock.calls, key=DelayedCall.getTime)
        calls = 0 if call.getTime() > clock.seconds() else calls + 1
        if calls > MOST_CALLS:
            raise AssertionError(f"it spins: {call}")
        clock.rightNow = max(call.getTime(), clock.seconds())
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)
    clock.rightNow = end


def fault() -> FaultError:
    """
    What passes by itself.
    """
    return FaultError("the endpoint is down")


def busy(seconds: float) -> FaultError:
    """
    The endpoint asks to be left alone.
    """
    return FaultError("the endpoint is busy", retryAfter=seconds)


def refusal() -> RefusalError:
    """
    What somebody has to do something about.
    """
    return RefusalError("the token is wrong")


def tooMuch() -> RefusalError:
    """
    What may be right for a part of the batch.
    """
    return RefusalError("that is too much", divisible=True)


@dataclass(eq=False, kw_only=True)
class Request:
    """
    A request that waits for its answer.

    @ivar made: When it was made.
    @ivar dropped: Whether it was cancelled.
    """

    made: float
    answer: Deferred[Any] = field(init=False)
    dropped: bool = False

    def __post_init__(self) -> None:
        self.answer = Deferred(self._drop)

    def _drop(self, _: Deferred[Any]) -> None:
        self.dropped = True

    @property
    def open(self) -> bool:
        """
        Whether there is no answer yet.
        """
        return not self.answer.called

    def fail(self, error: Exception) -> None:
        """
        Answer it with a failure.
        """
        self.answer.errback(error)

    def expireAfter(self, clock: Clock, seconds: float) -> None:
        """
        Have it fail if there is no answer in time.
        """

        def timedOut(*_: object) -> Failure:
            return Failure(FaultError("no answer in time"))

        self.answer.addTimeout(seconds, clock, timedOut)


@dataclass(eq=False, kw_only=True)
class Claim(Request):
    """
    A request for tasks.
    """

    claim: str
    limit: int
    wait: float
    lease: float

    def bring(
        self, *tasks: Task, malformed: Sequence[Settlement] = (), dropped: int = 0
    ) -> None:
        """
        Answer it with tasks.
        """
        self.answer.callback(Claimed(list(tasks), list(malformed), dropped))


@dataclass(eq=False, kw_only=True)
class Settle(Request):
    """
    A request that settles, or extends.
    """

    settlements: list[Settlement]
    deadline: float

    @property
    def receipts(self) -> list[str]:
        """
        What it is about.
        """
        return [settlement.receipt for settlement in self.settlements]

    @property
    def extends(self) -> bool:
        """
        Whether it is a heartbeat.
        """
        return all(one.outcome == "extend" for one in self.settlements)

    def take(self, *lost: str) -> None:
        """
        Answer it.
        """
        self.answer.callback(lost)


@dataclass(eq=False, kw_only=True)
class Cancel(Request):
    """
    A request that ends a claim.
    """

    claim: str

    def take(self, ended: bool = True) -> None:
        """
        Answer it.
        """
        self.answer.callback(ended)


@implementer(ITaskQueue)
class ScriptedQueue:
    """
    Records requests and leaves the answers to the test, but for claims being
    ended, which works at once.

    @ivar onClaim: Called with each claim, and may answer it or raise something.
    @ivar onSettle: The same for settlements and heartbeats.
    @ivar onCancel: The same for the ends of claims.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.claims: list[Claim] = []
        self.settles: list[Settle] = []
        self.cancels: list[Cancel] = []
        self.closed = 0
        self.onClaim: Callable[[Claim], object] = lambda request: None
        self.onSettle: Callable[[Settle], object] = lambda request: None
        self.onCancel: Callable[[Cancel], object] = Cancel.take

    def claim(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> Deferred[Claimed]:
        """
        See L{ITaskQueue.claim}.
        """
        now = self._clock.seconds()
        request = Claim(made=now, claim=claim, limit=limit, wait=wait, lease=lease)
        self.claims.append(request)
        self.onClaim(request)
        return request.answer

    def settle(
        self, settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        See L{ITaskQueue.settle}.
        """
        request = Settle(
            made=self._clock.seconds(), settlements=list(settlements), deadline=deadline
        )
        self.settles.append(request)
        self.onSettle(request)
        return request.answer

    def cancelClaim(self, claim: str) -> Deferred[bool]:
        """
        See L{ITaskQueue.cancelClaim}.
        """
        request = Cancel(made=self._clock.seconds(), claim=claim)
        self.cancels.append(request)
        self.onCancel(request)
        return request.answer

    def close(self) -> Deferred[None]:
        """
        See L{ITaskQueue.close}.
        """
        self.closed += 1
        return succeed(None)

    @property
    def beats(self) -> list[Settle]:
        """
        The heartbeats.
        """
        return [request for request in self.settles if request.extends]

    @property
    def outcomes(self) -> list[Settle]:
        """
        The requests that tell how tasks ended.
        """
        return [request for request in self.settles if not request.extends]

    @property
    def openClaims(self) -> list[Claim]:
        """
        The claims without an answer.
        """
        return [request for request in self.claims if request.open]


@dataclass(eq=False)
class Handling:
    """
    A task that was given to the handler.

    @ivar cancels: How often it was told to end.
    @ivar onCancel: Called when it is.
    @ivar stubborn: Whether it goes on all the same.
    @ivar ended: How it ended: C{well}, C{badly}, or L{None} while it runs.
    """

    task: Task
    stubborn: bool = False
    well: bool = False
    cancels: int = 0
    onCancel: Callable[[], object] = field(default=lambda: None)
    ended: str | None = None
    _current: Deferred[Any] = field(init=False)

    def begin(self) -> Deferred[Any]:
        """
        @return: What the handler returns.
        """
        self._current = Deferred(self._cancel)
        return self._current.addErrback(self._goOn).addCallbacks(
            self._endedWell, self._endedBadly
        )

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancels += 1
        self.onCancel()
        if self.well:
            deferred.callback("in time")

    def _goOn(self, failure: Any) -> Any:
        if not self.stubborn:
            return failure
        self._current = Deferred(self._cancel)
        return self._current.addErrback(self._goOn)

    def _endedWell(self, result: Any) -> Any:
        self.ended = "well"
        return result

    def _endedBadly(self, failure: Any) -> Any:
        self.ended = "badly"
        return failure

    def succeed(self, result: Any = None) -> None:
        """
        End it well.
        """
        self._current.callback(result)

    def fail(self, error: BaseException) -> None:
        """
        End it badly.
        """
        self.stubborn = False
        self._current.errback(error)


@implementer(ITaskHandler)
class ControlledHandler:
    """
    Leaves the end of each task to the test.

    @ivar handled: All that was handled, in order.
    @ivar script: Called with each before it begins; what it returns, unless that
        is L{None}, is returned at once; may raise.
    """

    def __init__(self) -> None:
        self.handled: list[Handling] = []
        self.script: Callable[[Handling], Any] = lambda handling: None

    def handle(self, task: Task) -> Any:
        """
        See L{ITaskHandler.handle}.
        """
        handling = Handling(task)
        self.handled.append(handling)
        try:
            result = self.script(handling)
        except BaseException:
            handling.ended = "badly"
            raise
        if result is None:
            return handling.begin()
        handling.ended = "well"
        return None if result is NOTHING else result

    @property
    def running(self) -> list[Handling]:
        """
        Those that have not ended.
        """
        return [handling for handling in self.handled if handling.ended is None]

    def of(self, id: str | int) -> Handling:
        """
        The last run of a task.
        """
        return [each for each in self.handled if each.task.id == id][-1]


#: What a script returns to have the handler return L{None}.
NOTHING = object()


def task(number: int, **fields: Any) -> Task:
    """
    A task with a receipt of its own.
    """
    fields.setdefault("receipt", f"r-{number}")
    return Task(str(number), None, **fields)


def tasks(first: int, count: int) -> list[Task]:
    """
    Several of them.
    """
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
    Jobs and their leases, to the letter of the pull contract.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.jobs: list[Job] = []
        self.deliveries: dict[str, Delivery] = {}
        self._ended: set[str] = set()

    def put(self, payload: Any) -> None:
        """
        Queue a job.
        """
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
        """
        The leases that last.
        """
        self.expire()
        return [each for each in self.deliveries.values() if each.over is None]

    def lease(self, claim: Claim, most: int, answered: bool = True) -> list[Task]:
        """
        Lease up to so many jobs; none if the claim was ended.
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
        Hear how tasks ended.

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
            assert settlement.lease is not UNSET  # noqa: S101
            delivery.ends = self._clock.seconds() + settlement.lease
        elif settlement.outcome == "release":
            delivery.job.attempts -= settlement.counted is False
            self._goBack(delivery, "release", settlement.delay or 0)
        else:
            delivery.over = delivery.job.state = settlement.outcome
        return True
