"""
The claims that are open, and how they are ended.

Promise 5: a stop leaves nothing leased: what an open claim would still lease goes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.errors import FaultError
from myconsumer.pipeline.cancellation import Cancellation
from myconsumer.pipeline.requests import Requests, Sending
from myconsumer.pipeline.terms import Claiming
from myconsumer.retrying import Quiet
from myconsumer.task import Claimed

#: The longest wait, in seconds, of a claim that the endpoint cannot end.
LONGEST_BLIND_WAIT = 5.0

#: The seconds for which the answer to an ended claim is still awaited.
GRACE = 1.0

#: How often to try to end a claim.
TRIES = 3

#: The seconds between two tries.
PAUSE = 0.25


@dataclass(eq=False)
class Claim:
    """
    A claim.

    @ivar id: Its name.
    @ivar limit: How many tasks it asks for.
    @ivar made: When it was made, by our clock.
    @ivar isIdle: Whether nothing ran, waited or was unsettled then.
    @ivar answer: Fires with the answer, a L{Claimed}, once the claim is open no longer.
        Whoever made the claim adds callbacks before it is sent, and handles a failure.
    @ivar isEnding: Whether the claim is being ended: its answer is not wanted.
    @ivar isAnswered: Whether there was a whole answer.
    """

    id: str
    limit: int
    made: float
    isIdle: bool
    answer: Sending
    isEnding: bool = False
    isAnswered: bool = False


class Claims:
    """
    The open claims at one queue.

    A claim must not just be dropped, since the endpoint may have leased tasks to
    us under it: an endpoint that can end claims is asked to; at one that cannot,
    claims are short and are waited for.

    @ivar open: The claims that have not been answered.
    @ivar cancellation: Ends claims at the endpoint.
    """

    _log = Logger()

    _isAborted = False
    # The most tasks whose answer is not too long, as far as is known.
    _most: float = inf

    def __init__(
        self, requests: Requests, claiming: Claiming, clock: IReactorTime
    ) -> None:
        """
        @param requests: Where to claim.
        @param claiming: How long a claim waits, and for how long tasks are claimed.
        @param clock: What keeps the time.
        """
        self._requests = requests
        self._clock = clock
        self._wait = self._blindWait = claiming.wait
        if not requests.isSelfTimed:
            self._wait = 0.0 if claiming.untilEmpty else claiming.wait
            self._blindWait = min(self._wait, LONGEST_BLIND_WAIT)
        self._lease = claiming.lease
        self.open: set[Claim] = set()
        self.cancellation = Cancellation(requests, clock, claiming.lease)
        self._tooLong = Quiet(clock)
        # The requests in flight that end claims.
        self._ending: set[Deferred[None]] = set()

    @property
    def asked(self) -> int:
        """
        How many tasks the open claims may bring.
        """
        return sum(claim.limit for claim in self.open)

    def make(self, limit: int, isIdle: bool) -> Claim:
        """
        Make a claim for tasks: fewer than there may be, if an answer was too long.

        @param limit: The most to ask for.
        @param isIdle: Whether nothing runs, waits or is unsettled now.

        @return: The claim, which is open from now on, and still to be sent.
        """
        limit = int(min(limit, self._most))
        answer = Sending(self._requests)
        claim = Claim(str(uuid4()), limit, self._clock.seconds(), isIdle, answer)
        self.open.add(claim)
        answer.addBoth(self._over, claim)
        return claim

    def send(self, claim: Claim) -> None:
        """
        Ask the queue, unless the claim was ended meanwhile.  It may have been answered
        when this returns.
        """
        self.cancellation.beforeClaim()
        wait = self._wait if self.cancellation.can else self._blindWait
        claim.answer.claim(claim.id, claim.limit, wait, self._lease)

    def _over(self, result: Claimed | Failure, claim: Claim) -> Claimed | Failure:
        """
        Count a claim as open no longer: it has been answered, or has failed.
        """
        self.open.discard(claim)
        claim.isAnswered = not isinstance(result, Failure)
        return result

    def wasFull(self, claim: Claim) -> None:
        """
        An answer held all that was asked for: if that was less than there was room
        for, because an answer had been too long, ask for a little more.
        """
        if claim.limit == self._most:
            self._most += 1

    def askForLess(self, claim: Claim, error: BaseException | None) -> bool:
        """
        A claim has failed: if its answer was too long, ask for half as many.

        @return: Whether to ask for less is worth a try.
        """
        tooLong = isinstance(error, FaultError) and error.tooLong
        if not tooLong or claim.limit == 1:
            return False
        self._most = min(self._most, claim.limit // 2)
        if self._tooLong.count():
            self._log.warn(
                "The answer to a claim of {limit} tasks is too long, so that {most} "
                "are asked for now; a smaller --limit or --prefetch saves that: "
                "{reason}",
                limit=claim.limit,
                most=self._most,
                reason=str(error),
            )
        return True

    def end(self) -> None:
        """
        End the open claims: what they still bring is not wanted.
        """
        for claim in list(self.open):
            claim.isEnding = True
            if not claim.answer.isSent:
                claim.answer.cancel()
                continue
            ending = Deferred.fromCoroutine(self._end(claim))
            self._ending.add(ending)
            ending.addBoth(self._ended, ending)

    def close(self) -> Deferred[None]:
        """
        End the open claims, for good.

        @return: Fires once no claim is open, or being ended.
        """
        self.end()
        self.cancellation.close()
        awaited: list[Deferred[Any]] = [claim.answer for claim in self.open]
        awaited += [*self._ending, *self.cancellation.pending]
        return DeferredList(awaited).addCallback(lambda _: None)

    def abort(self) -> None:
        """
        Drop the open claims without waiting for their answers.  What the endpoint
        leases under them all the same, unless a request to end them is in flight, is
        lost until the leases end.
        """
        self._isAborted = True
        for claim in list(self.open):
            claim.answer.cancel()

    def _ended(self, result: Failure | None, ending: Deferred[None]) -> Failure | None:
        self._ending.discard(ending)
        return result

    async def _end(self, claim: Claim) -> None:
        """
        End a claim: its answer may come yet, but not much later.
        """
        tries = TRIES
        while self.cancellation.can is not False:
            if await self.cancellation.end(claim.id):
                if claim in self.open:
                    claim.answer.addTimeout(GRACE, self._clock)
                return
            tries -= 1
            if not tries or self._isAborted:
                self.cancellation.undoLater(claim.id)
                return
            await deferLater(self._clock, PAUSE)
            if claim.isAnswered:
                return
