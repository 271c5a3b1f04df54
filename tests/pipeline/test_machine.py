"""
Everything from the claim to the settlement, in any order of events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, TypeVar
from unittest import TestCase

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import LeaseLostError, Reject, Release, TaskFailedError
from myconsumer.pipeline.drain import CANCEL_GRACE
from myconsumer.pipeline.observers import Observer
from myconsumer.pipeline.rate import MOST_AHEAD, SAVED
from myconsumer.service import ConsumerService
from myconsumer.status.progress import Progress
from myconsumer.task import Ending, Settlement, Task
from myconsumer.task import Request as Said
from myconsumer.testing import (
    NOTHING,
    Cancel,
    Claim,
    ControlledHandler,
    Handling,
    Request,
    ScriptedQueue,
    Settle,
    passTime,
)
from tests.model import Delivery, Endpoint, busy, fault, refusal, tooMuch

T = TypeVar("T")
R = TypeVar("R", bound=Request)

#: How long a healthy endpoint takes to answer, in seconds.
LATENCY = 0.01

#: What it makes of requests about one of the jobs, each time: how they fail, or
#: L{None} where there is no answer.
POISONS: dict[str, Callable[[], Exception] | None] = {
    "refused": tooMuch,
    "fails": fault,
    "hangs": None,
}

#: The most seconds for which such a job stays leased, beside twice its lease: until
#: it is alone, made shorter and set aside.
MOST_POISONED = 120


class HandlerError(Exception):
    """
    What a handler fails with.
    """


class QueueBug(Exception):
    """
    What no queue should raise.
    """


#: What a handler does with a task, by its payload.
HANDLERS: dict[str, Callable[[Handling], Any]] = {
    "hold": lambda handling: None,
    "nothing": lambda handling: NOTHING,
    "result": lambda handling: {"n": 1},
    "fired": lambda handling: succeed(1),
    "raise": lambda handling: raiseIt(HandlerError("bad")),
    "release": lambda handling: raiseIt(Release(delay=1)),
    "reject": lambda handling: raiseIt(Reject("no")),
    "explain": lambda handling: raiseIt(TaskFailedError("exit status 3", delay=2)),
    "stubborn": lambda handling: setattr(handling, "stubborn", True),
    "well": lambda handling: setattr(handling, "well", True),
}

FAILURES: dict[str, Callable[[], Exception]] = {
    "fault": fault,
    "busy": lambda: busy(7),
    "refusal": refusal,
    "too much": tooMuch,
    "bug": QueueBug,
}

ERRORS: dict[str, Callable[[], Exception]] = {
    "badly": HandlerError,
    "release": Release,
    "reject": Reject,
    "explain": lambda: TaskFailedError("exit status 3"),
}

WHICH = st.integers(0, 20)

#: How long to wait after a step, in seconds.
AFTER = st.sampled_from([0.0, 0.0, 0.011, 0.011, 0.03, 1.0, 3.0])


def raiseIt(error: Exception) -> None:
    raise error


def pick(which: int, of: Sequence[T]) -> T:
    return of[which % len(of)]


@implementer(ILogObserver)
class Bugs:
    """
    Notes whatever failed that was not told to.
    """

    def __init__(self, wrong: list[str]) -> None:
        self._wrong = wrong

    def __call__(self, event: LogEvent) -> None:
        """
        See L{ILogObserver.__call__}.
        """
        failure = event.get("log_failure")
        if failure is not None and not failure.check(HandlerError, QueueBug):
            self._wrong.append(failure.getTraceback())


class Bucket:
    """
    Counts what is done, and says how many may be done yet: so many a second, and a
    tenth of a second's worth at once.  With C{None} any number.
    """

    def __init__(self, perSecond: float | None, clock: Clock) -> None:
        self._rate = perSecond
        self._clock = clock
        self._full = 0.0
        self._at = clock.seconds()

    def left(self, ahead: float = 0.0) -> float:
        """
        How many may be done now, or within so many seconds.
        """
        if self._rate is None:
            return inf
        now = self._clock.seconds()
        self._full = max(0, self._full - (now - self._at) * self._rate)
        self._at = now
        return max(1, SAVED * self._rate) - self._full + ahead * self._rate + 1e-6

    def add(self) -> None:
        self._full += 1


class Audit(Observer):
    """
    Notes it where anything is announced that does not follow from what was announced
    before.
    """

    def __init__(self, wrong: list[str]) -> None:
        self._wrong = wrong
        # What was sent, or given to a handler, and has not ended.
        self.sent: set[Said] = set()
        self.running: set[int] = set()
        self.tasks: list[Task] = []
        self.pauses: set[str] = set()
        self.runs: list[str] = []

    def check(self, holds: bool, what: object) -> None:
        if not holds:
            self._wrong.append(f"{what} was announced in {self.runs}")
        if self.runs[-1:] not in (["started"], ["stopping"]):
            self._wrong.append(f"{what} was announced after {self.runs}")

    def requestSent(self, request: Said) -> None:
        self.check(request not in self.sent, request)
        self.sent.add(request)

    def requestAnswered(self, request: Said, seconds: float, count: int) -> None:
        self.check(request in self.sent and 0 <= seconds <= request.within, request)
        self.check(count >= 0, count)
        self.sent.discard(request)

    def requestFailed(self, request: Said, seconds: float, reason: Failure) -> None:
        self.check(request in self.sent and 0 <= seconds <= request.within, request)
        self.sent.discard(request)

    def taskStarted(self, task: Task) -> None:
        self.check(id(task) not in self.running, task)
        self.tasks.append(task)
        self.running.add(id(task))

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        isRefused = ending.cause == "attempts" and seconds == 0
        self.check(isRefused is not (id(task) in self.running), task)
        self.running.discard(id(task))

    def leasesLost(self, ids: Sequence[str | int]) -> None:
        self.check(len(ids) > 0, ids)

    def settlementsGivenUp(self, ids: Sequence[str | int]) -> None:
        self.check(len(ids) > 0, ids)

    def paused(self, reason: str) -> None:
        self.check(reason not in self.pauses, reason)
        self.pauses.add(reason)

    def resumed(self, reason: str) -> None:
        self.check(reason in self.pauses, reason)
        self.pauses.discard(reason)

    def started(self) -> None:
        self.runs.append("started")

    def stopping(self, running: int, waiting: int) -> None:
        self.check(running == len(self.running), f"stopping with {running}")
        self.runs.append("stopping")

    def stopped(self) -> None:
        self.check(not self.sent, f"stopped with {self.sent}")
        self.check(not self.running, f"stopped with {self.running}")
        self.runs.append("stopped")


class PipelineMachine(RuleBasedStateMachine):
    """
    A service, and an endpoint that is healthy, or answers what the rules say.

    What is wrong is noted in C{wrong}, since an exception in a callback would be
    caught.
    """

    service: ConsumerService | None = None

    @initialize(
        limit=st.integers(1, 3),
        prefetch=st.integers(0, 2),
        pollers=st.integers(1, 3),
        drain=st.sampled_from([0.0, 3.0, 20.0]),
        timeout=st.sampled_from([0.0, 0.0, 5.0]),
        maxAttempts=st.sampled_from([0, 2]),
        lease=st.sampled_from([6.0, 60.0]),
        untilEmpty=st.sampled_from([False, False, True]),
        canEnd=st.sampled_from([True, True, False]),
        rate=st.sampled_from([None, None, 5.0, 30.0]),
        pauses=st.sampled_from([[], [], ["a"], ["a", "b"]]),
        jobs=st.lists(st.sampled_from(sorted(HANDLERS)), max_size=10),
        healthy=st.booleans(),
        idle=st.booleans(),
        stopAfter=st.sampled_from([0, 10, 30, 1000]),
        poison=st.sampled_from([None, None, None, *sorted(POISONS)]),
        unextendable=st.booleans(),
        each=st.sampled_from([0.0, 0.0, 0.02, 0.3]),
    )
    def begin(
        self,
        limit: int,
        prefetch: int,
        pollers: int,
        drain: float,
        timeout: float,
        maxAttempts: int,
        lease: float,
        untilEmpty: bool,
        canEnd: bool,
        rate: float | None,
        pauses: list[str],
        jobs: list[str],
        healthy: bool,
        idle: bool,
        stopAfter: int,
        poison: str | None,
        unextendable: bool,
        each: float,
    ) -> None:
        # What a healthy endpoint makes of requests about the first job, whether about
        # its extension, too; and the seconds that it takes for each settlement.
        self.poison, self.unextendable, self.each = poison, unextendable, each
        self.limit, self.prefetch, self.maxAttempts = limit, prefetch, maxAttempts
        # The most there ever were of these, and of both together.
        self.mostRunning, self.mostHeld = limit, limit + prefetch
        self.untilEmpty, self.canEnd, self.idle = untilEmpty, canEnd, idle
        self.lease, self.timeout = lease, timeout
        self.clock = Clock()
        self.endpoint = Endpoint(self.clock)
        self.healthy = healthy
        self.wrong: list[str] = []
        # The tasks that arrived and, by their receipts, what became of them.
        self.arrived: dict[str, Task] = {}
        self.malformed: set[str] = set()
        self.handlings: dict[str, Handling] = {}
        self.told: dict[str, Settlement] = {}
        self.lost: set[str] = set()
        self.surplus = 0
        # When the handlers that run were told to end, and when they ended well.
        self.cancelledAt: dict[str, float] = {}
        self.endedAt: dict[str, float] = {}
        # Why it is paused, and what was given back because of that.
        self.pauses: set[str] = set()
        self.givenBack: set[str] = set()
        # The leases that were extended, as they were asked for last: when, to what.
        self.extended: dict[str, tuple[float, float]] = {}
        self.extending: list[Deferred[None]] = []
        self.rate, self.bucket = rate, Bucket(rate, self.clock)
        # The answers of a healthy endpoint that are under way.
        self.serving: set[IDelayedCall] = set()
        # The claims that were acted upon without the client's hearing of it.
        self.unheard: set[str] = set()
        self.stopping: list[Deferred[None]] = []
        # Whether the endpoint was not healthy at some time since the stop began.
        self.excused = False
        self.ends: list[Failure | None] = []
        self.audit = Audit(self.wrong)
        self.progress = Progress(self.clock)
        self.queue = ScriptedQueue(self.clock)
        self.queue.onClaim = self.onClaim
        self.queue.onSettle = self.onSettle
        self.queue.onCancel = self.onCancel
        self.handler = ControlledHandler()
        self.handler.script = self.onHandle
        self.kind: str | None = None
        # The stop comes after so many steps.
        self.steps, self.stopAfter = 0, stopAfter
        for kind in jobs:
            self.endpoint.put(kind)
        self.service = ConsumerService(
            self.queue,
            self.handler,
            limit,
            lease=lease,
            prefetch=prefetch,
            pollers=pollers,
            drain=drain,
            timeout=timeout,
            maxAttempts=maxAttempts,
            untilEmpty=untilEmpty,
            onEnd=self.ends.append,
            rate=rate,
            observers=[self.audit, self.progress],
            clock=self.clock,
        )
        for reason in pauses:
            self.pause(reason)
        self.bugs = Bugs(self.wrong)
        globalLogPublisher.addObserver(self.bugs)
        self.service.startService()
        passTime(self.clock, 0.03)

    # What the service does.

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            self.wrong.append(f"{text}, at {self.clock.seconds()} s")

    def waiting(self) -> list[str]:
        """
        The receipts of what was claimed and waits, as far as the service can know.
        """
        return [
            receipt
            for receipt in self.arrived
            if receipt not in self.handlings
            and receipt not in self.told
            and receipt not in self.lost
            and receipt not in self.givenBack
        ]

    def unended(self) -> int:
        """
        How many tasks were claimed and have not ended, as far as it can know: those
        that it is not to run may have.
        """
        most = self.maxAttempts or inf
        waiting = [
            each for each in self.waiting() if self.arrived[each].attempt <= most
        ]
        return len(waiting) + len(self.handler.running)

    def onClaim(self, claim: Claim) -> None:
        """
        A claim never asks for more than is free.
        """
        asked = sum(each.limit for each in self.queue.openClaims)
        self.check(
            asked + self.unended() <= self.limit + self.prefetch,
            f"{asked} were asked for beside {self.unended()}",
        )
        self.check(
            asked + self.unended() - len(self.handler.running)
            <= self.bucket.left(MOST_AHEAD),
            f"{asked} were asked for and may not start soon",
        )
        self.check(claim.limit >= 1, "nothing was asked for")
        self.check(not self.pauses, "claimed though paused")
        self.check(not self.stopping, "claimed after the stop")
        self.check(not self.ends, "claimed after the end")
        claim.expireAfter(self.clock, claim.wait + 10)
        self.serveSoon(claim)

    def onSettle(self, request: Settle) -> None:
        """
        What is told of a task is what became of it, and always the same.
        """
        for each in request.settlements:
            if each.outcome == "extend":
                self.check(not self.isSetAside(each.receipt), f"{each} was set aside")
            else:
                self.checkOutcome(each)
                before = self.told.setdefault(each.receipt, each)
                self.check(before.outcome == each.outcome, f"{before}, then {each}")
        request.expireAfter(self.clock, request.deadline)
        self.serveSoon(request)

    def isSetAside(self, receipt: str) -> bool:
        """
        Whether the service extends a lease no longer.
        """
        assert self.service is not None
        pipeline = self.service.pipeline
        held = {} if pipeline is None else pipeline.leases.held
        return receipt in held and held[receipt].isSetAside

    def checkOutcome(self, told: Settlement) -> None:
        """
        An outcome is that of a handler that has ended so, or there was none.
        """
        handling = self.handlings.get(told.receipt)
        ended = None if handling is None else handling.ended
        if told.outcome == "complete":
            right = ended == "well"
        elif told.outcome == "fail":
            right = ended == "badly" or (handling is None)
        elif told.counted is False and handling is None:
            right = bool(self.stopping) or told.receipt in self.givenBack
        elif told.counted is False:
            right = bool(self.stopping) and self.wasAbandoned(told.receipt)
        else:
            right = ended == "badly"
        self.check(right, f"told {told} of one that ended {ended}")

    def wasAbandoned(self, receipt: str) -> bool:
        """
        Whether a task was told to end and had not ended well when it was given up.
        """
        if receipt not in self.cancelledAt:
            return False
        givenUp = self.cancelledAt[receipt] + CANCEL_GRACE
        return self.endedAt.get(receipt, inf) >= givenUp - 1e-6

    def onCancel(self, cancel: Cancel) -> None:
        """
        Claims are ended in bounded time.
        """
        cancel.expireAfter(self.clock, 1)
        self.serveSoon(cancel)

    def onHandle(self, handling: Handling) -> Any:
        """
        A task is run once, within the limit, and only while its lease is not lost.
        """
        receipt = str(handling.task.receipt)
        self.check(receipt not in self.handlings, f"{receipt} was run again")
        self.check(receipt not in self.lost, f"{receipt} was run though lost")
        self.check(receipt not in self.told, f"{receipt} was run though settled")
        self.check(receipt not in self.givenBack, f"{receipt} was run, given back")
        self.check(not self.stopping, f"{receipt} was run after the stop")
        self.check(not self.pauses, f"{receipt} was run though paused")
        self.check(self.bucket.left() >= 1, f"{receipt} was run too early")
        self.bucket.add()
        self.check(
            not 0 < self.maxAttempts < handling.task.attempt, f"{receipt} was run"
        )
        self.handlings[receipt] = handling
        handling.onCancel = lambda: self.cancelledAt.update(
            {receipt: self.clock.seconds()}
        )
        self.check(len(self.handler.running) <= self.limit, "too many run")
        return HANDLERS[self.kind or handling.task.payload](handling)

    # What the endpoint does.

    def serveSoon(self, request: Request) -> None:
        """
        A healthy endpoint answers.
        """
        count = len(request.settlements) if isinstance(request, Settle) else 0
        self.serveAfter(LATENCY + self.each * count, request)

    def serveAfter(self, seconds: float, request: Request) -> None:
        """
        Answer a request later, if it is healthy then.
        """
        self.serving = {call for call in self.serving if call.active()}
        self.serving.add(self.clock.callLater(seconds, self.serve, request))

    def serve(self, request: Request) -> None:
        """
        Answer a request, if it is healthy.
        """
        if not (self.healthy and request.open):
            return
        if isinstance(request, Settle):
            if not self.isPoisoned(request):
                self.takeSettle(request)
            elif (failure := POISONS[str(self.poison)]) is not None:
                request.fail(failure())
        elif isinstance(request, Cancel):
            self.takeCancel(request)
        elif isinstance(request, Claim):
            over = self.clock.seconds() >= request.made + request.wait
            if self.endpoint.ready() or over:
                self.bring(request, self.endpoint.lease(request, request.limit))
            else:
                self.serveAfter(0.5, request)

    def isPoison(self, receipt: str) -> bool:
        """
        Whether it is the lease of the job that the endpoint has trouble with.
        """
        job = self.endpoint.deliveries[receipt].job
        return self.poison is not None and job is self.endpoint.jobs[0]

    def isPoisoned(self, request: Settle) -> bool:
        """
        Whether the endpoint has trouble with a request.
        """
        return any(
            self.isPoison(each.receipt)
            and (self.unextendable or each.outcome != "extend")
            for each in request.settlements
        )

    def bring(
        self, claim: Claim, tasks: Sequence[Task], bad: Sequence[str] = ()
    ) -> None:
        fresh = {str(task.receipt): task for task in tasks}
        if self.pauses:
            self.givenBack.update(fresh.keys() - self.arrived.keys())
        self.arrived.update(fresh)
        self.surplus += max(0, len(tasks) - claim.limit)
        claim.bring(
            *tasks, malformed=[Settlement(each, "fail", error="bad") for each in bad]
        )

    def takeSettle(self, request: Settle) -> None:
        lost = self.endpoint.settle(request.settlements)
        self.lost.update(lost)
        request.take(*lost)

    def takeCancel(self, cancel: Cancel) -> None:
        if self.canEnd:
            self.endpoint.end(cancel.claim)
            for claim in self.queue.openClaims:
                if claim.claim == cancel.claim:
                    claim.bring()
        cancel.take(self.canEnd)

    def opened(self, kind: type[R]) -> list[R]:
        every: list[Any] = [
            *self.queue.claims,
            *self.queue.settles,
            *self.queue.cancels,
        ]
        return [each for each in every if isinstance(each, kind) and each.open]

    # What happens.

    def goOn(self, seconds: float) -> None:
        self.steps += 1
        passTime(self.clock, seconds)

    @rule(
        kinds=st.lists(st.sampled_from(sorted(HANDLERS)), min_size=1, max_size=5),
        after=AFTER,
    )
    def enqueue(self, kinds: list[str], after: float) -> None:
        """
        There is work.
        """
        for kind in kinds:
            self.endpoint.put(kind)
        self.goOn(after)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 11.0, 31.0]))
    def passSome(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.goOn(seconds)

    @precondition(lambda self: self.healthy)
    @rule()
    def sicken(self) -> None:
        """
        From now on the rules answer.
        """
        self.healthy = False
        self.excused = True

    @precondition(lambda self: not self.healthy)
    @rule()
    def heal(self) -> None:
        """
        From now on the endpoint answers everything.
        """
        self.healthy = True
        for request in self.opened(Request):
            self.serveSoon(request)

    @precondition(lambda self: not self.healthy and self.opened(Claim))
    @rule(
        which=WHICH,
        how=st.sampled_from(["full", "part", "empty", "surplus", "bad", "again"]),
        after=AFTER,
    )
    def answerClaim(self, which: int, how: str, after: float) -> None:
        """
        A claim is answered.
        """
        claim = pick(which, self.opened(Claim))
        most = {"full": claim.limit, "part": (claim.limit + 1) // 2, "empty": 0}
        tasks = self.endpoint.lease(claim, most.get(how, claim.limit + 2))
        if how == "again":
            tasks = [*tasks, *tasks, *list(self.held())[:1]]
        bad = []
        if how == "bad" and tasks:
            bad = [str(task.receipt) for task in tasks[:1]]
            tasks = tasks[1:]
            self.malformed.update(bad)
        self.bring(claim, tasks, bad)
        self.goOn(after)

    @rule(
        limit=st.integers(1, 5),
        prefetch=st.integers(0, 2),
        pollers=st.integers(1, 3),
        interval=st.sampled_from([0.5, 1.0]),
        after=AFTER,
    )
    def change(
        self, limit: int, prefetch: int, pollers: int, interval: float, after: float
    ) -> None:
        """
        Somebody changes the settings.
        """
        assert self.service is not None
        self.limit, self.prefetch = limit, prefetch
        self.mostRunning = max(self.mostRunning, limit)
        self.mostHeld = max(self.mostHeld, limit + prefetch)
        self.service.change(
            limit=limit, prefetch=prefetch, pollers=pollers, interval=interval
        )
        self.goOn(after)

    @precondition(lambda self: not self.stopping)
    @rule(reason=st.sampled_from("ab"), after=AFTER)
    def pause(self, reason: str, after: float = 0.0) -> None:
        """
        There is a reason to claim nothing.
        """
        assert self.service is not None
        self.givenBack.update(self.waiting())
        self.pauses.add(reason)
        self.service.pause(reason)
        self.goOn(after)

    @precondition(lambda self: self.pauses)
    @rule(reason=st.sampled_from("ab"), after=AFTER)
    def resume(self, reason: str, after: float) -> None:
        """
        It is there no longer.
        """
        assert self.service is not None
        self.pauses.discard(reason)
        self.service.resume(reason)
        self.goOn(after)

    @precondition(lambda self: self.handler.running)
    @rule(which=WHICH, seconds=st.sampled_from([4.0, 30.0, 60.0, 300.0]), after=AFTER)
    def extend(self, which: int, seconds: float, after: float) -> None:
        """
        A task has its lease extended.
        """
        task = pick(which, self.handler.running).task
        receipt, asked = str(task.receipt), (self.clock.seconds(), seconds)
        self.extended[receipt] = asked

        def done(_: None) -> None:
            delivery = self.endpoint.deliveries[receipt]
            self.check(delivery.over is None, f"{receipt} is over and extended")
            self.check(
                self.extended[receipt] != asked or delivery.ends >= sum(asked),
                f"{receipt} is not extended to {asked}",
            )

        def failed(failure: Failure) -> None:
            failure.trap(LeaseLostError)
            over = receipt in self.lost or self.handlings[receipt].ended
            self.check(
                bool(over or self.stopping), f"{receipt} is not extended though it runs"
            )

        extending = task.extend(seconds)
        extending.addCallbacks(done, failed)
        extending.addErrback(lambda failure: self.wrong.append(str(failure)))
        self.extending.append(extending)
        self.goOn(after)

    def held(self) -> list[Task]:
        """
        What arrived and still is the service's.
        """
        leased = {each.receipt for each in self.endpoint.leased()}
        return [
            task
            for receipt, task in self.arrived.items()
            if receipt in leased and receipt not in self.told
        ]

    @precondition(lambda self: not self.healthy and self.opened(Request))
    @rule(which=WHICH, how=st.sampled_from(sorted(FAILURES)), after=AFTER)
    def failRequest(self, which: int, how: str, after: float) -> None:
        """
        A request fails.
        """
        pick(which, self.opened(Request)).fail(FAILURES[how]())
        self.goOn(after)

    @precondition(lambda self: not self.healthy and self.opened(Settle))
    @rule(which=WHICH, after=AFTER)
    def answerSettle(self, which: int, after: float) -> None:
        """
        Settlements are taken.
        """
        self.takeSettle(pick(which, self.opened(Settle)))
        self.goOn(after)

    @precondition(lambda self: not self.healthy and self.opened(Cancel))
    @rule(which=WHICH, after=AFTER)
    def answerCancel(self, which: int, after: float) -> None:
        """
        A claim is ended.
        """
        self.takeCancel(pick(which, self.opened(Cancel)))
        self.goOn(after)

    @precondition(lambda self: self.opened(Request))
    @rule(which=WHICH, after=AFTER)
    def loseAnswer(self, which: int, after: float) -> None:
        """
        A request is acted upon, and its answer lost.
        """
        self.excused = True
        request = pick(which, self.opened(Request))
        if isinstance(request, Settle):
            self.endpoint.settle(request.settlements)
        elif isinstance(request, Claim):
            if not self.stopping and not self.ends:
                self.unheard.add(request.claim)
            self.endpoint.lease(request, request.limit, answered=False)
        elif isinstance(request, Cancel) and self.canEnd:
            self.endpoint.end(request.claim)
        request.fail(fault())
        self.goOn(after)

    @precondition(lambda self: self.endpoint.leased())
    @rule(which=WHICH, after=AFTER)
    def takeAway(self, which: int, after: float) -> None:
        """
        A lease is lost.
        """
        self.endpoint.takeAway(pick(which, self.endpoint.leased()))
        self.goOn(after)

    @precondition(lambda self: self.handler.running)
    @rule(
        which=WHICH,
        how=st.sampled_from(["well", *sorted(ERRORS)]),
        after=AFTER,
    )
    def endTask(self, which: int, how: str, after: float) -> None:
        """
        A task ends.
        """
        handling = pick(which, self.handler.running)
        if how == "well":
            self.endWell(handling, [how])
        else:
            handling.fail(ERRORS[how]())
        self.goOn(after)

    @precondition(lambda self: self.steps >= self.stopAfter and len(self.stopping) < 3)
    @rule(after=AFTER)
    def stop(self, after: float) -> None:
        """
        The service is stopped, or hurried.
        """
        if not self.stopping:
            self.excused = not self.healthy
        if not self.stopping or not self.stopping[0].called:
            assert self.service is not None
            self.stopping.append(self.service.stopService())
        self.goOn(after)

    # What holds at every step, and at the end.

    @invariant()
    def nothingWrong(self) -> None:
        """
        Nothing is wrong; no more run than may, and no more are held.
        """
        if self.service is None:
            return
        assert not self.wrong, self.wrong[0]
        assert self.progress.isStuck() is None
        assert len(self.handler.running) <= self.mostRunning
        assert self.unended() <= self.mostHeld + self.surplus
        assert len(self.ends) <= int(self.untilEmpty)
        for receipt in self.lost & set(self.handlings):
            handling = self.handlings[receipt]
            assert handling.ended or handling.cancels, f"{receipt} is lost and runs"

    def teardown(self) -> None:
        """
        Heal the endpoint, and stop.
        """
        if self.service is None:
            return
        try:
            if not self.healthy:
                self.heal()
            if not self.stopping:
                self.worksOn()
            self.endsClean()
            self.nothingWrong()
        finally:
            globalLogPublisher.removeObserver(self.bugs)

    def endWell(self, handling: Handling, result: Any = None) -> None:
        self.endedAt[str(handling.task.receipt)] = self.clock.seconds()
        handling.succeed(result)

    def endRunning(self, kind: str) -> None:
        """
        Whatever runs ends well, and what comes is of this kind.
        """
        self.kind = kind
        for handling in self.handler.running:
            self.endWell(handling)

    def worksOn(self) -> None:
        """
        Once the endpoint is healthy, and there is no reason to pause, all slots are
        used, and no more; or the run ends, once.
        """
        for reason in list(self.pauses):
            self.resume(reason, 0.0)
        self.endRunning("nothing")
        if self.poison is not None and not self.untilEmpty:
            self.outlivesPoison()
        self.poison = None
        # the longest lease, which may have been extended without our hearing of it
        passTime(self.clock, 400)
        if self.untilEmpty:
            assert len(self.ends) == 1
            return
        self.checkSettled()
        for job in self.endpoint.jobs:
            job.due = None
        self.kind = "hold"
        # All that may be held and one more, or so that one place is left.
        work = self.most() - 1 if self.idle else self.most(MOST_AHEAD) + 1
        for _ in range(work):
            self.endpoint.put("hold")
        passTime(self.clock, 1.5 if self.rate is None else 1.5 + work / self.rate)
        leases = self.checkHeld(work)
        if self.timeout:
            return
        for delivery in leases[::2]:
            self.endpoint.takeAway(delivery)
        passTime(self.clock, self.lease)
        leases = self.checkHeld(work)
        passTime(self.clock, self.lease * 2)
        assert self.checkHeld(work) == leases
        since = self.clock.seconds() - self.lease / 2
        beats = [beat.receipts for beat in self.queue.beats if beat.made >= since]
        held = {delivery.receipt for delivery in leases}
        assert {receipt for beat in beats for receipt in beat} == held

    def outlivesPoison(self) -> None:
        """
        While work comes and goes, all is settled in time but for what the endpoint
        has trouble with, and that goes back.
        """
        since = self.clock.seconds()
        for _ in range(30):
            self.endpoint.put("nothing")
            passTime(self.clock, 15)
        for receipt, delivery in self.endpoint.deliveries.items():
            if delivery.over is None and self.isPoison(receipt):
                held = self.clock.seconds() - max(since, delivery.since)
                longest = 2 * self.lease + MOST_POISONED
                assert held < longest, f"{receipt} is held for {held} s"

    def most(self, ahead: float = 0.0) -> int:
        """
        How many are run and prefetched, with any number there: with a rate no more
        wait than may start at once, or within so many seconds.
        """
        may = inf
        if self.rate is not None:
            may = max(1, SAVED * self.rate) + ahead * self.rate
        return self.limit + min(self.prefetch, int(min(may, 1000) + 1e-6))

    def checkHeld(self, work: int) -> list[Delivery]:
        """
        With so much work there, all is run and prefetched that may be.
        """
        self.nothingWrong()
        leases = [each for each in self.endpoint.leased() if each.answered]
        assert len(self.handler.running) == min(work, self.limit)
        assert min(work, self.most()) <= len(leases)
        assert len(leases) <= min(work, self.most(MOST_AHEAD))
        assert bool(self.queue.openClaims) == self.idle
        return leases

    def endsClean(self) -> None:
        """
        A stop leaves nothing leased, nothing to be told, nothing in the clock.
        """
        for handling in self.handler.running[::2]:
            handling.stubborn = True
        if not self.stopping:
            self.stop(0.0)
        self.endpoint.put("hold")
        for _ in range(60):
            if not self.stopping[0].called:
                passTime(self.clock, 0.5)
        assert all(stopped.called for stopped in self.stopping)
        assert not {*self.clock.getDelayedCalls()} - self.serving
        assert not self.opened(Request)
        assert self.queue.closed == 1
        assert self.audit.runs == ["started", "stopping", "stopped"]
        assert all(extending.called for extending in self.extending)
        requests = len(self.queue.settles), len(self.queue.claims)
        self.endRunning("nothing")
        passTime(self.clock, 100)
        assert (len(self.queue.settles), len(self.queue.claims)) == requests
        assert self.clock.getDelayedCalls() == []
        if not self.excused:
            self.checkSettled()
        if self.canEnd:
            assert self.unheard <= {cancel.claim for cancel in self.queue.cancels}

    def checkSettled(self) -> None:
        """
        Each task that arrived is settled, or its lease has ended.
        """
        for receipt in [*self.arrived, *self.malformed]:
            if self.isPoison(receipt):
                continue
            over = self.endpoint.deliveries[receipt].over
            assert over is not None, f"{receipt} is leased"


PipelineTests: type[TestCase] = PipelineMachine.TestCase
PipelineTests.settings = settings(  # type: ignore[attr-defined]
    max_examples=250,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
