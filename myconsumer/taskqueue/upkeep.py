"""
What the embedded queue does once a minute: it forgets what ended long ago, and makes
sure that its clock is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.database import CHUNK
from myconsumer.taskqueue.store.records import State
from myconsumer.taskqueue.store.writer import Writer

#: The seconds between two looks for tasks that are to be forgotten.
PRUNING = 60.0

#: The seconds after the start in which nothing is forgotten: a machine that has just
#: been started may not know the time yet.
TRUSTING = 300.0

#: The same where all that ended did so long ago, by the clock of the start.
DOUBTING = 3_600.0


class Upkeep:
    """
    Looks after the file of one queue.
    """

    _log = Logger()

    _timer: IDelayedCall | None = None
    _isStopped = False

    def __init__(
        self,
        writer: Writer,
        clock: EpochClock,
        keep: float,
        wasSet: Callable[[], object],
    ) -> None:
        """
        @param writer: Reaches the tasks.
        @param clock: What keeps the time.
        @param keep: The seconds for which tasks are kept that completed or failed.
        @param wasSet: Called after the clock was set.
        """
        self._writer = writer
        self._clock = clock
        self._keep = keep
        self._wasSet = wasSet
        # from when on the clock is trusted
        self._trusted = 0.0

    def start(self, lastEnd: float | None) -> None:
        """
        Begin.

        @param lastEnd: When the last task completed or failed, in seconds since the
            epoch; C{None}: none is there.
        """
        now = self._clock.seconds()
        isOld = lastEnd is not None and lastEnd <= now - self._keep
        self._trusted = now + (DOUBTING if isOld else TRUSTING)
        if isOld:
            self._log.warn(
                "All that has ended did so before the time for which it is kept. In "
                "case the clock is wrong, nothing is forgotten for {minutes} minutes",
                minutes=int(DOUBTING / 60),
            )
        self._in(PRUNING)

    def stop(self) -> None:
        """
        End.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._isStopped = True

    def _in(self, seconds: float) -> None:
        if not self._isStopped:
            self._timer = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        ahead = self._clock.ahead()
        if ahead:
            # what shares the transaction must not find a lease ended: a clock that goes
            # back does so before the leases, one that goes forward after them
            if ahead > 0:
                self._clock.setBack(ahead)
            later = max(0.0, -ahead)
            self._writer.do(lambda store, now: store.resume(now + later)).addCallbacks(
                lambda _: self._set(ahead), self._notSet, errbackArgs=(ahead,)
            )
        elif self._clock.seconds() < self._trusted:
            self._in(PRUNING)
        else:
            self._writer.do(
                lambda store, now: store.archive.prune(now - self._keep)
            ).addCallbacks(self._pruned, self._failed)

    def _notSet(self, failure: Failure, ahead: float) -> None:
        if ahead > 0:
            self._clock.setBack(-ahead)
        self._failed(failure)

    def _set(self, ahead: float) -> None:
        if ahead < 0:
            self._clock.setBack(ahead)
        self._trusted -= ahead
        self._log.warn(
            "The queue's clock was {seconds:.0f} seconds {way} that of the machine, "
            "and was set; leases last as long as they were to last from now on",
            seconds=abs(ahead),
            way="ahead of" if ahead > 0 else "behind",
        )
        self._wasSet()
        self._in(PRUNING)

    def _pruned(self, gone: Counter[tuple[str, State]]) -> None:
        for (queue, state), count in gone.items():
            if state == "failed":
                self._log.info(
                    "Forgot {count} failed tasks of queue {queue}",
                    count=count,
                    queue=queue,
                )
        self._in(0.0 if gone.total() == CHUNK else PRUNING)

    def _failed(self, _: Failure) -> None:
        # the writer has told of it
        self._in(PRUNING)
