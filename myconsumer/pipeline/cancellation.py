"""
The requests that end claims, and whether the endpoint can do that at all.

Promise 5: no claim is dropped under which tasks may still be leased.
"""

from __future__ import annotations

from math import inf
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.errors import FaultError
from myconsumer.pipeline.requests import Requests, Sending
from myconsumer.retrying import LONGEST, Retry

#: How many failed claims are remembered until the endpoint is asked to end them: it has
#: seen the first of them, and hardly the others.
MOST_UNDONE = 8

#: The seconds until an endpoint that cannot end claims is probed again.
PROBE_INTERVAL = 600.0


class Cancellation:
    """
    Ends claims at one queue by their names.

    Whether the endpoint can do that is found out by a probe, the end of a claim that
    was never made.  A proxy answers 404 to anything while what is behind it is away:
    so no other answer than a probe's says that it cannot, and after an outage, or ten
    minutes, there is another probe.

    @ivar can: Whether the endpoint can end claims; C{None} while that is not known.
    @ivar pending: The requests that have not been answered.
    """

    _log = Logger()

    can: bool | None = None
    _probeAt = -inf
    _isClosed = False

    def __init__(self, requests: Requests, clock: IReactorTime, lease: float) -> None:
        """
        @param requests: Where the claims are made.
        @param clock: What keeps the time.
        @param lease: The seconds for which tasks are claimed.
        """
        self._requests = requests
        self._clock = clock
        self._lease = lease
        self._retry = Retry("Requests to end claims", clock)
        self.pending: set[Sending] = set()
        # Claims that are to be undone, and until when that has a point.
        self._undone: dict[str, float] = {}

    def beforeClaim(self) -> None:
        """
        Called before each claim: probe if a probe is due, and retry to undo one of
        the failed claims.
        """
        if self._clock.seconds() >= self._probeAt:
            self._probe()
        self._undoNext()

    def afterOutage(self) -> None:
        """
        Called when claims work again after failures.
        """
        if not self.can:
            self._probe()

    def end(self, claim: str) -> Deferred[bool]:
        """
        Have the endpoint end a claim.

        @return: Fires with whether it has; never fails.
        """
        return self._request(claim).addCallback(self._ended)

    def undo(self, claim: str) -> None:
        """
        Send C{DELETE} for a failed claim, so that tasks leased under it go back.  If
        that fails, retry with later claims, until the leases must have expired.
        """
        self._undo(claim, self._clock.seconds() + self._lease)

    def undoLater(self, claim: str) -> None:
        """
        As L{undo}, but not before the next claim is made.
        """
        self._remember(claim, self._clock.seconds() + self._lease)

    def close(self) -> None:
        """
        Undo at once, side by side, what is still to be undone, and nothing after that.
        """
        self._isClosed = True
        undone, self._undone = self._undone, {}
        if self.can is not False:
            for claim in undone:
                self.end(claim)

    def abort(self) -> None:
        """
        Drop the requests that have not been answered.
        """
        for request in list(self.pending):
            request.cancel()

    def _probe(self) -> None:
        self._probeAt = self._clock.seconds() + LONGEST
        self._request(str(uuid4())).addCallback(self._probed)

    def _probed(self, can: bool | None) -> None:
        if can is not None:
            self._learn(can)

    def _ended(self, can: bool | None) -> bool:
        """
        A claim that was made has been ended, or not.
        """
        if can:
            self._learn(True)
        elif can is False and self.can is not False:
            self._probeAt = -inf
        return bool(can)

    def _learn(self, can: bool) -> None:
        """
        Whether the endpoint can end claims is known.
        """
        known, self.can = self.can, can
        self._probeAt = inf if can else self._clock.seconds() + PROBE_INTERVAL
        if can and known is False:
            self._log.info("The endpoint can end claims now")
            self._undoNext()
        elif not can and known is not False:
            self._log.info(
                "The endpoint cannot end claims: a stop has to wait for open ones, "
                "and what a broken one has leased is leased until that expires"
            )

    def _undo(self, claim: str, until: float) -> None:
        def told(ended: bool) -> None:
            if ended:
                self._undoNext()
            else:
                self._remember(claim, until)

        if self.can is False:
            self._remember(claim, until)
        else:
            self.end(claim).addCallback(told)

    def _undoNext(self) -> None:
        """
        Undo the oldest of the failed claims; once the endpoint has answered, the
        next.
        """
        now = self._clock.seconds()
        while self._undone and self.can is not False:
            claim = next(iter(self._undone))
            until = self._undone.pop(claim)
            if until > now:
                self._undo(claim, until)
                return

    def _remember(self, claim: str, until: float) -> None:
        now = self._clock.seconds()
        self._undone = {
            claim: until for claim, until in self._undone.items() if until > now
        }
        if len(self._undone) < MOST_UNDONE and not self._isClosed:
            self._undone[claim] = until

    def _request(self, claim: str) -> Deferred[bool | None]:
        """
        Send one request.

        @return: Fires with what the queue says, or with C{None} if the request has
            failed; never fails.
        """

        def answered(can: bool) -> bool:
            self._retry.succeeded()
            return can

        def failed(failure: Failure) -> None:
            # A fault needs no word here: claims meet it as well.
            if not failure.check(FaultError, CancelledError):
                self._retry.failed(failure)

        def done(can: bool | None) -> bool | None:
            self.pending.discard(request)
            return can

        request = Sending(self._requests)
        self.pending.add(request)
        request.addCallbacks(answered, failed).addCallback(done)
        request.cancelClaim(claim)
        return request
