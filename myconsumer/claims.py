"""
The claims that are open, and how they are ended.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from msgspec import Struct
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.interfaces import ITaskQueue
from myconsumer.retrying import LONGEST
from myconsumer.task import Claimed

#: The longest wait, in seconds, of a claim that the endpoint cannot be told to end.
LONGEST_BLIND_WAIT = 5.0

#: The seconds that an ended claim gets to come back.
GRACE = 1.0

#: How often to try to end a claim.
TRIES = 3

#: How many claims are remembered that the endpoint has not heard to be undone: it was
#: there when the first of them were made, and hardly for the others.
MOST_UNDONE = 8


class Claim(Struct, eq=False):
    """
    A claim that has not been answered.

    @ivar id: Its name.
    @ivar limit: How many tasks it asks for.
    @ivar made: When it was made, by our clock.
    @ivar idle: Whether nothing ran, waited or was unsettled then.
    @ivar answer: Fires once the answer was dealt with.
    @ivar ending: Whether the endpoint is told to end it.
    """

    id: str
    limit: int
    made: float
    idle: bool
    answer: Deferred[None]
    ending: bool = False


class Claims:
    """
    The open claims at one queue.

    A claim must not just be dropped, since the endpoint may have leased tasks to
    us under it: where the endpoint can be told to end claims, it is; where it
    cannot, claims are short and are waited for.

    @ivar open: The claims that have not been answered.
    """

    _log = Logger()

    _closed = False
    # Whether the endpoint can be told to end a claim, once that is known.
    _canCancel: bool | None = None
    _probedAt = -LONGEST

    def __init__(
        self, queue: ITaskQueue, clock: IReactorTime, wait: float, lease: float
    ) -> None:
        """
        @param queue: Where to claim.
        @param clock: What keeps the time.
        @param wait: The seconds that a claim waits for its first task.
        @param lease: The seconds for which tasks are claimed.
        """
        self._queue = queue
        self._clock = clock
        self._wait = wait
        self._lease = lease
        self.open: set[Claim] = set()
        # The requests that end claims and have not been answered.
        self._cancelling: set[Deferred[bool]] = set()
        self._closing: list[Deferred[None]] = []
        # Claims that failed and are to be undone, and until when that has a point.
        self._undone: dict[str, float] = {}

    @property
    def asked(self) -> int:
        """
        How many tasks the open claims may bring.
        """
        return sum(claim.limit for claim in self.open)

    def make(
        self,
        limit: int,
        idle: bool,
        answered: Callable[[Claimed, Claim], None],
        failed: Callable[[Failure, Claim], None],
        ended: Callable[[], None],
    ) -> None:
        """
        Ask the queue for tasks.

        @param limit: The most to ask for.
        @param idle: Whether nothing runs, waits or is unsettled now.
        @param answered: Called with the answer, while the claim is still open.
        @param failed: Called with why there is no answer, likewise.
        @param ended: Called after either, with the claim open no longer.
        """
        self._probe()
        self._undoNext()
        wait = self._wait if self._canCancel else min(self._wait, LONGEST_BLIND_WAIT)
        claim = Claim(str(uuid4()), limit, self._clock.seconds(), idle, Deferred())
        self.open.add(claim)

        def bug(failure: Failure) -> None:
            self._log.failure("A claim's answer could not be dealt with", failure)

        def over(_: None) -> None:
            self.open.discard(claim)
            ended()
            self._tellClosed()

        answer: Deferred[Claimed] = maybeDeferred(
            self._queue.claim, claim.id, limit, wait, self._lease
        )
        # An answer that cannot be dealt with is a failure, too.
        claim.answer = answer.addCallback(answered, claim).addErrback(failed, claim)
        claim.answer.addErrback(bug).addCallback(over)

    def undo(self, claim: Claim) -> None:
        """
        Have what was leased under a failed claim go back, if anything was.  Where the
        endpoint does not hear of it, as when it is down, it is told again with the
        next claims, for as long as the lease may last.
        """
        if self._canCancel is not False:
            self._undo(claim.id, self._clock.seconds() + self._lease)

    def _undo(self, claim: str, until: float) -> None:
        def told(ended: bool) -> None:
            if self._closed:
                return
            if ended:
                self._undoNext()
            elif self._canCancel is not False and len(self._undone) < MOST_UNDONE:
                self._undone[claim] = until

        self._cancel(claim).addCallback(told)

    def _undoNext(self) -> None:
        """
        Tell the endpoint of one claim that it has not heard to be undone; if it hears
        of that, of the next.
        """
        now = self._clock.seconds()
        while self._undone:
            claim = next(iter(self._undone))
            until = self._undone.pop(claim)
            if until > now:
                self._undo(claim, until)
                return

    def end(self) -> None:
        """
        End the open claims: what they still bring is not wanted.
        """
        for claim in list(self.open):
            self._end(claim)

    def close(self) -> Deferred[None]:
        """
        End the open claims, for good.

        @return: Fires once no claim is open, or being ended.
        """
        self._closed = True
        self.end()
        undone, self._undone = self._undone, {}
        for claim in undone:
            self._cancel(claim)
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        self._tellClosed()
        return closed

    def abort(self) -> None:
        """
        Drop the open claims without waiting for their answers.  What the endpoint
        leases under them all the same, unless it is being told to end them, is
        lost until the leases end.
        """
        for claim in list(self.open):
            claim.answer.cancel()

    def _tellClosed(self) -> None:
        """
        Tell whoever waits for the end, if this is it.
        """
        if self._closed and not self.open and not self._cancelling:
            closing, self._closing = self._closing, []
            for closed in closing:
                closed.callback(None)

    def _probe(self) -> None:
        """
        Find out whether the endpoint can be told to end a claim, unless that is
        known, or was asked just now.
        """
        now = self._clock.seconds()
        if self._canCancel is None and now - self._probedAt >= LONGEST:
            self._probedAt = now
            self._cancel(str(uuid4()))

    def _end(self, claim: Claim, tries: int = TRIES) -> None:
        """
        End a claim: its answer may come yet, but not much later.
        """

        claim.ending = True

        def told(ended: bool) -> None:
            if claim not in self.open:
                return
            if ended:
                claim.answer.addTimeout(GRACE, self._clock)
            elif tries > 1:
                self._end(claim, tries - 1)

        if self._canCancel is not False:
            self._cancel(claim.id).addCallback(told)

    def _cancel(self, claim: str) -> Deferred[bool]:
        """
        Tell the endpoint to end a claim.

        @return: Whether it has; never fails.
        """

        def answered(can: bool) -> bool:
            self._canCancel = can
            return can

        def failed(_: Failure) -> bool:
            return False

        def done(ended: bool) -> bool:
            self._cancelling.discard(cancelling)
            self._tellClosed()
            return ended

        cancelling: Deferred[bool] = maybeDeferred(self._queue.cancelClaim, claim)
        self._cancelling.add(cancelling)
        return cancelling.addCallbacks(answered, failed).addCallback(done)
