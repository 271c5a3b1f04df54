"""
All leases that are held, kept alive in few requests.

Promise 2: a task that has ended keeps its lease until its settlement is acknowledged.

Promise 7: the task of a lost lease is cancelled, or never started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from myconsumer.errors import LeaseLostError
from myconsumer.pipeline.batching import paceOf
from myconsumer.pipeline.extension import Beats
from myconsumer.pipeline.heartbeat import Heartbeat
from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.requests import Requests
from myconsumer.retrying import BoundedLog
from myconsumer.text import shownID


class Leases:
    """
    Every lease that is held, from the arrival of its task until its settlement is
    acknowledged.

    Heartbeats extend all of them at a third of the shortest; much shorter ones, and
    those that heartbeats fail with, travel apart.  Only the endpoint can say that
    one is lost; by our own clock nothing is given up.

    @ivar held: The leases by their receipts.
    @ivar whenLost: Called after some were lost.
    @ivar log: Where what happens to tasks one by one is logged, within bounds.
    """

    _log = Logger()

    _isClosed = False
    # The length of the lease that came last, and what extends it.
    _length = 0.0
    _beat: Heartbeat

    def __init__(self, requests: Requests, clock: IReactorTime) -> None:
        """
        @param requests: What the heartbeats go to.
        @param clock: What keeps the time.
        """
        self._clock = clock
        self._observers = requests.observers
        self.log = BoundedLog(self._log, clock)
        self.held: dict[str, Lease] = {}
        self._beats = Beats(requests, clock, self.held, self.lose, self._beatOf)
        self._beatsOf: dict[tuple[int, bool], Heartbeat] = {}
        self.whenLost: Callable[[], object] = lambda: None

    def hold(
        self, receipt: str, id: str | int, length: float, arrived: float
    ) -> Lease | None:
        """
        Keep a lease from now on.

        @param receipt: The proof of it.
        @param id: The task's, for the log.
        @param length: The seconds that it lasts.
        @param arrived: When it arrived, by our clock.

        @return: The lease; C{None} if one of this receipt is held already.
        """
        if receipt in self.held:
            return None
        if length != self._length:
            # As a rule all are of one length.
            self._length = length
            self._beat = self._beatOf(paceOf(length), False)
        beat = self._beat
        lease = Lease(receipt, id, length, arrived + length, beat.pace)
        self.held[receipt] = lease
        due = arrived + length / 3
        if due < beat.due:
            beat.dueBy(due)
        return lease

    def drop(self, leases: Iterable[Lease]) -> None:
        """
        Keep leases no longer: they are settled, or given up.
        """
        held = self.held
        for lease in leases:
            if held.get(lease.receipt) is lease:
                del held[lease.receipt]
            if lease.extending:
                self._refuseToExtend(lease, f"task {shownID(lease.id)} has ended")

    def hasEnded(self, lease: Lease) -> bool:
        """
        @return: Whether a lease is lost, or has ended by our clock.  One that a
            heartbeat is about to extend has not, until that is answered.
        """
        isOver = lease.expires <= self._clock.seconds()
        return lease.isLost or (isOver and not lease.isBeating)

    def extend(self, lease: Lease, length: float) -> Deferred[None]:
        """
        Extend a lease now, together with all that are like it, and to as much from
        then on.

        @param lease: The lease.
        @param length: The seconds that it is to last.

        @return: Fires once it is extended; fails with L{LeaseLostError} if it is
            held no longer.
        """
        if self._isClosed or self.held.get(lease.receipt) is not lease:
            return fail(
                LeaseLostError(f"the lease of task {shownID(lease.id)} is lost")
            )
        lease.length = length
        lease.pace = paceOf(length)
        extended: Deferred[None] = Deferred()
        lease.extending.append(extended)
        self._beatOf(lease.pace, lease.part > 0).ask()
        return extended

    def _refuseToExtend(self, lease: Lease, why: str) -> None:
        """
        Tell whoever waits for a lease to be extended that it will not be.
        """
        extending, lease.extending = lease.extending, []
        for extended in extending:
            extended.errback(LeaseLostError(why))

    def lose(self, receipts: Iterable[str]) -> None:
        """
        The endpoint says that these are no longer ours.  A task among them is
        cancelled, or never started.
        """
        lost = [self.held.pop(receipt) for receipt in receipts if receipt in self.held]
        for lease in lost:
            lease.isLost = True
        # What was settled meanwhile is not ours any more, and rightly so.
        ids = [lease.id for lease in lost if not lease.sent]
        if ids:
            self.log.warn(
                "The leases of {count} tasks are lost, such as {id}'s: "
                "the endpoint gives them to somebody else",
                count=len(ids),
                id=shownID(ids[0]),
            )
            # before their tasks end, which may be all that a stop waits for
            self._observers.leasesLost(ids)
        for lease in lost:
            if lease.onLost is not None:
                lease.onLost()
            self._refuseToExtend(
                lease, f"the lease of task {shownID(lease.id)} is lost"
            )
        if lost:
            self.whenLost()

    def close(self) -> None:
        """
        Send no more heartbeats.  What is still held ends by itself.
        """
        self._isClosed = True
        for beat in self._beatsOf.values():
            beat.close()
        for lease in list(self.held.values()):
            self._refuseToExtend(lease, "the service has stopped")

    def _beatOf(self, pace: int, isDoubtful: bool) -> Heartbeat:
        """
        See L{Beats.of}.
        """
        beat = self._beatsOf.get((pace, isDoubtful))
        if beat is None:
            beat = Heartbeat(self._beats, pace, isDoubtful)
            self._beatsOf[pace, isDoubtful] = beat
        return beat
