"""
What the embedded queue does once a minute: it forgets what ended long ago, and has the
store follow the machine's clock.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.taskqueue.store.interface import ITaskStore
from myconsumer.taskqueue.store.records import Pruned

#: The seconds between two attempts to forget tasks.
PRUNING = 60.0

#: The seconds after the start in which nothing is forgotten: a machine that has just
#: been started may not know the time yet.
TRUSTING = 300.0

#: The seconds after the start in which nothing is forgotten where all that has ended is
#: old enough, by the clock of the start, to be forgotten.
DOUBTING = 3_600.0


class Upkeep:
    """
    Looks after one store.
    """

    _log = Logger()

    _timer: IDelayedCall | None = None
    _isStopped = False

    def __init__(self, store: ITaskStore, clock: IReactorTime, keep: float) -> None:
        """
        @param store: Keeps the tasks.
        @param clock: What keeps the time.
        @param keep: The seconds for which tasks are kept that completed or failed.
        """
        self._store = store
        self._clock = clock
        self._keep = keep
        # from when on the store's clock is trusted
        self._trusted = 0.0

    def start(self, sinceEnd: float | None) -> None:
        """
        Begin.

        @param sinceEnd: The seconds since the last task completed or failed; C{None}:
            none is there.
        """
        isOld = sinceEnd is not None and sinceEnd >= self._keep
        self._trusted = self._clock.seconds() + (DOUBTING if isOld else TRUSTING)
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
        self._store.followClock().addCallbacks(self._followed, self._failed)

    def _followed(self, ahead: float) -> None:
        if ahead:
            self._log.warn(
                "The queue's clock was {seconds:.0f} seconds {way} that of the "
                "machine, and was set; leases last as long as they were to last from "
                "now on",
                seconds=abs(ahead),
                way="ahead of" if ahead > 0 else "behind",
            )
            self._in(PRUNING)
        elif self._clock.seconds() < self._trusted:
            self._in(PRUNING)
        else:
            self._store.prune(self._keep).addCallbacks(self._pruned, self._failed)

    def _pruned(self, pruned: Pruned) -> None:
        for queue, count in pruned.failed.items():
            self._log.info(
                "Forgot {count} failed tasks of queue {queue}", count=count, queue=queue
            )
        self._in(PRUNING if pruned.isAll else 0.0)

    def _failed(self, _: Failure) -> None:
        # the store has logged it
        self._in(PRUNING)
