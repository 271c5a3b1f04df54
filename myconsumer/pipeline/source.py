"""
A source that claims from a queue as many tasks as there is room for, and no more.

Promise 2: never more than C{limit + prefetch} tasks are claimed and not ended, a claim
asks for no more than is free of that, and claims pause past four times C{limit} tasks
that have ended and are not settled.

Promise 3: no slot is idle while work waits, but for one round trip.

Promise 8: memory is bounded by C{limit}, C{prefetch} and the largest payload.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import RefusalError
from myconsumer.interfaces import (
    ITaskConsumer,
    ITaskSlots,
    ITaskSource,
)
from myconsumer.pipeline.arrivals import Arrivals
from myconsumer.pipeline.cadence import Cadence
from myconsumer.pipeline.claims import Claim, Claims
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.rate import StartRate
from myconsumer.pipeline.requests import Requests
from myconsumer.pipeline.settlements import Settling
from myconsumer.pipeline.terms import Terms
from myconsumer.task import Claimed, Task

#: Runs a task that has a lease, or none, from a time by our clock on.
RunTask = Callable[[Task, Lease | None, float], Deferred[None] | None]

#: With more tasks for each slot than this that have ended and are not settled, nothing
#: is claimed.
MOST_UNSETTLED = 4

#: The seconds of starting tasks after which the reactor gets a turn.
TURN = 0.05


@implementer(ITaskSource)
class QueueTaskSource:
    """
    Claims what its consumer has room for, plus what is missing of the prefetch;
    again the moment a slot is free.

    It never ends a run, and never gives up, except with C{untilEmpty}.

    @ivar arrivals: The tasks that have arrived and wait for a slot.
    @ivar givenUp: Why claiming has failed for good, with C{untilEmpty}.
    @ivar trial: If set, runs the next task; one is claimed, and no more wait, until it
        is set to C{None}.
    """

    _log = Logger()

    givenUp: Failure | None = None
    trial: RunTask | None = None
    _consumer: ITaskConsumer | None = None
    _slots: ITaskSlots
    # Whether tasks are handed over; C{closed} is for good.
    _state: Literal["stopped", "started", "closed"] = "stopped"
    _acting: IDelayedCall | None = None
    # Wakes us when there may be something to do.
    _timer: IDelayedCall | None = None

    def __init__(
        self,
        requests: Requests,
        arrivals: Arrivals,
        settling: Settling,
        run: RunTask,
        terms: Terms,
        clock: IReactorTime,
    ) -> None:
        """
        @param requests: Where to claim.
        @param arrivals: Keeps what arrives until there is a slot.
        @param settling: Asked how many tasks have ended but are not settled.
        @param run: Runs a task.
        @param terms: When to claim, how many, and for how long.
        @param clock: What keeps the time.
        """
        self._settling = settling
        self._run = run
        self._clock = clock
        self._terms = terms
        self._claims = Claims(requests, terms, clock)
        self._cadence = Cadence(self._claims, terms, clock)
        self._rate: StartRate | None = None
        self._changeRate(terms.claiming.rate)
        self._pauses: set[str] = set()
        self.arrivals = arrivals

    @property
    def openClaims(self) -> int:
        """
        How many claims have not been answered.
        """
        return len(self._claims.open)

    @property
    def claimFailures(self) -> int:
        """
        How many claims in a row have failed.
        """
        return self._cadence.failures

    @property
    def pauses(self) -> frozenset[str]:
        """
        Why nothing is claimed, if that is paused.
        """
        return frozenset(self._pauses)

    def start(self, consumer: ITaskConsumer) -> None:
        """
        See L{ITaskSource.start}.

        @param consumer: Also provides L{ITaskSlots
            <myconsumer.interfaces.ITaskSlots>}.
        """
        if consumer is not self._consumer:
            self._consumer = consumer
            self._slots = ITaskSlots(consumer)
        if self._state == "stopped":
            self._state = "started"
        # this is called twice for a task that ends at once
        if self._acting is None:
            self._actSoon()

    def stop(self) -> Deferred[bool]:
        """
        See L{ITaskSource.stop}.  Nothing is handed over any more; to claim what is
        missing of the prefetch goes on.
        """
        if self._state == "started":
            self._state = "stopped"
        return succeed(True)

    def pause(self, reason: str) -> None:
        """
        Claim and start nothing, and give back, uncounted, what waits and what still
        arrives.  What came without a receipt cannot be given back, and waits.

        @param reason: Why; as long as there is any reason it lasts.
        """
        first = not self._pauses
        self._pauses.add(reason)
        if first:
            self.arrivals.giveBack(keepUnleased=True)
            self._claims.end()

    def resume(self, reason: str) -> None:
        """
        Claim again, unless there is another reason not to.

        @param reason: The reason that L{pause} was called with.
        """
        self._pauses.discard(reason)
        self._actSoon()

    def putBack(self, task: Task) -> None:
        """
        Keep a task that came without a receipt and could not be begun, unless this is
        the end.
        """
        self.arrivals.putBack(task)
        if self._state == "closed":
            self.arrivals.giveBack()

    def giveUp(self, reason: Failure) -> bool:
        """
        With C{untilEmpty}, have the run end as failed, unless a task runs.

        @param reason: Why it fails.

        @return: Whether it ends.
        """
        if not self._terms.claiming.untilEmpty or self._slots.running:
            return False
        self.arrivals.giveBack()
        self.givenUp = reason
        self._actSoon()
        return True

    def leasesLost(self) -> None:
        """
        Called after leases were lost: a task that waits and has lost its lease is never
        started.
        """
        self.arrivals.dropLost()
        self._actSoon()

    def settled(self) -> None:
        """
        Called after settlements were acknowledged or given up: claiming may go on.
        """
        self._actSoon()

    def termsChanged(self) -> None:
        """
        Called after the terms have changed: claim at once what there is room for now.
        With less room than before nothing is given back.
        """
        self._changeRate(self._terms.claiming.rate)
        self._actSoon()

    def close(self) -> Deferred[None]:
        """
        Claim no more, end the open claims, and give back, uncounted, what waits
        and what still arrives.

        @return: Fires once no claim is open, or being ended.
        """
        self._state = "closed"
        for call in (self._acting, self._timer):
            if call is not None:
                call.cancel()
        self._acting = self._timer = None
        self.arrivals.giveBack()
        return self._claims.close()

    def abort(self) -> None:
        """
        Drop the open claims without waiting for their answers.  See
        L{Claims.abort}.
        """
        self._claims.abort()

    def abandon(self) -> None:
        """
        Drop the requests that end claims, too.
        """
        self._claims.cancellation.abort()

    def _changeRate(self, perSecond: float | None) -> None:
        if perSecond is None:
            self._rate = None
        elif self._rate is None:
            self._rate = StartRate(perSecond, self._clock)
        else:
            self._rate.change(perSecond)

    def _actSoon(self) -> None:
        isClosed = self._consumer is None or self._state == "closed"
        if self._acting is None and not isClosed:
            self._acting = self._clock.callLater(0, self._act)

    def _act(self) -> None:
        """
        Hand over what waits, and claim what there is room for.
        """
        self._acting = None
        consumer = self._consumer
        if consumer is None or not (self._state == "started" or self._slots.running):
            return
        self._handOver(consumer)
        if self._state == "closed":
            return
        if self.givenUp is not None and self._isIdle():
            # the service says why: no need for a warning that this has failed
            consumer.noTasksFound()
        elif self._mayClaim():
            room = self._room()
            if room > 0:
                self._claim(room)

    def _room(self) -> int:
        """
        How many more tasks may be asked for.
        """
        taken = len(self.arrivals) + self._claims.asked
        most = self._slots.limit + self._terms.claiming.prefetch
        room = most - self._slots.running - taken
        if self.trial is not None:
            room = min(room, 1 - taken)
        if self._rate is None or room <= 0:
            return room
        may = self._rate.claimable(taken)
        if may <= 0 and self._terms.claiming.untilEmpty and self._isAllDone():
            # Whether anything is left is known before another task may start.
            return 1
        if may <= 0:
            self._wakeAfter(self._rate.untilClaimable(taken))
        return min(room, may)

    def _mayClaim(self) -> bool:
        """
        Whether it is time for another claim, if there is room.
        """
        mostUnsettled = MOST_UNSETTLED * self._slots.limit
        if self._pauses or self._settling.backlog > mostUnsettled:
            return False
        delay = self._cadence.delay()
        if delay:
            self._wakeAfter(delay)
        return delay == 0

    def _wakeAfter(self, delay: float | None) -> None:
        """
        Look again after C{delay} seconds, or earlier; C{None}: something else happens
        first.
        """
        if delay is None:
            return
        if self._timer is not None:
            if self._timer.getTime() <= self._clock.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._actSoon()

    def _handOver(self, consumer: ITaskConsumer) -> None:
        """
        Start what waits, as far as it may; where that takes long, because tasks
        block, go on in a later turn of the reactor.
        """
        arrivals, seconds = self.arrivals, self._clock.seconds
        now = seconds()
        end = now + TURN
        while self._state == "started" and arrivals.tasks and not self._pauses:
            if self._rate is not None:
                if not self._rate.available():
                    self._wakeAfter(self._rate.wait())
                    return
                self._rate.take()
            task, lease = arrivals.tasks.popleft()
            consumer.taskStarted(partial(self.trial or self._run, task, lease, now))
            now = seconds()
            if now >= end:
                self._actSoon()
                return

    def _isIdle(self) -> bool:
        """
        Whether nothing runs or waits.
        """
        return not self._slots.running and not self.arrivals

    def _isAllDone(self) -> bool:
        """
        Whether nothing runs, waits, is unsettled or may still be brought by a claim.
        """
        return self._isIdle() and not self._settling.backlog and not self._claims.open

    def _claim(self, limit: int) -> None:
        """
        Ask for up to C{limit} tasks.
        """
        claim = self._claims.make(limit, self._isAllDone())
        answer = claim.answer.addCallback(self._claimed, claim)
        # An answer that cannot be dealt with is a failure, too.
        answer.addErrback(self._failed, claim).addErrback(self._broken)
        answer.addCallback(self._dealtWith)
        self._claims.send(claim)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("A claim's answer could not be dealt with", failure)

    def _dealtWith(self, _: None) -> None:
        self._actSoon()

    def _claimed(self, claimed: Claimed, claim: Claim) -> None:
        """
        A claim was answered.
        """
        consumer = self._consumer
        now = self._clock.seconds()
        came = self.arrivals.arrive(claimed, claim.lease, now)
        self._cadence.answered(claim, came)
        self.givenUp = None
        isClosed = self._state == "closed"
        if isClosed or self._pauses or consumer is None:
            self.arrivals.giveBack(keepUnleased=not isClosed)
        elif came:
            if self._rate is not None:
                self._rate.claimTook(now - claim.made)
            self._handOver(consumer)
        elif self._terms.claiming.untilEmpty and self._isTheEnd(claimed, claim):
            consumer.noTasksFound()
        elif not claim.isEnding:
            self._cadence.wasEmpty(claim)

    def _isTheEnd(self, claimed: Claimed, claim: Claim) -> bool:
        """
        Whether an answer without a new task says that none are left.
        """
        return claim.isIdle and not claim.isEnding and not claimed.dropped

    def _failed(self, failure: Failure, claim: Claim) -> None:
        """
        A claim was not answered as it should be.
        """
        self._cadence.missed()
        if self._state == "closed" or claim.isEnding:
            return
        if self._claims.askForLess(claim, failure.value):
            self._claims.cancellation.undo(claim.id, claim.lease)
            return
        untilEmpty = self._terms.claiming.untilEmpty
        isLast = untilEmpty and self._isIdle()
        if self._cadence.failed(failure, claim, isLast) and untilEmpty:
            self.givenUp = failure
        refused = isinstance(failure.value, RefusalError)
        asksForPeace = getattr(failure.value, "retryAfter", None) is not None
        if not refused and not asksForPeace:
            self._claims.cancellation.undo(claim.id, claim.lease)
