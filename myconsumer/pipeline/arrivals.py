"""
Tasks that have arrived and wait for a slot.

Promise 5: a stop leaves nothing leased: what waits is released.

Promise 7: a task that waits and whose lease is lost is never started.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from myconsumer.pipeline.lease import Lease
from myconsumer.pipeline.leases import Leases
from myconsumer.pipeline.settlements import Settling
from myconsumer.retrying import BoundedLog, Quiet
from myconsumer.task import Claimed, Settlement, Task
from myconsumer.text import shownID


class Arrivals:
    """
    The tasks that have arrived and have not been started, and their leases.

    @ivar tasks: Each task with its lease, if it has one; the oldest first.
    """

    _log = Logger()

    def __init__(self, leases: Leases, settling: Settling, clock: IReactorTime) -> None:
        """
        @param leases: Keeps the leases of what arrives.
        @param settling: Sends the settlements of tasks that are given back.
        @param clock: What keeps the time.
        """
        self._leases = leases
        self._settling = settling
        self.tasks: deque[tuple[Task, Lease | None]] = deque()
        self._repeated = Quiet(clock)
        self._malformedLog = BoundedLog(self._log, clock)

    def __len__(self) -> int:
        return len(self.tasks)

    def putBack(self, task: Task) -> None:
        """
        Let a task that came without a receipt, and could not be begun, wait on.
        """
        self.tasks.appendleft((task, None))

    def arrive(self, claimed: Claimed, lease: float, now: float) -> int:
        """
        Take in the answer to a claim; what is malformed is settled at once.

        @param lease: The seconds of a lease where a task does not say.
        @param now: When it arrived, by our clock.

        @return: How many tasks there were, malformed or not, that are not held
            already.
        """
        came = 0
        for settlement in claimed.malformed:
            came += self._refuse(settlement, lease, now)
        for task in claimed.tasks:
            held = None
            if task.receipt is not None:
                length = task.lease or lease
                held = self._leases.hold(task.receipt, task.id, length, now)
                if held is None:
                    self._ignore(task)
                    continue
            self.tasks.append((task, held))
            came += 1
        return came

    def _ignore(self, task: Task) -> None:
        if count := self._repeated.count():
            self._log.warn(
                "{count} tasks came with a receipt that is held already, the last one "
                "is {id}; ignored",
                count=count,
                id=shownID(task.id),
            )

    def _refuse(self, settlement: Settlement, usual: float, now: float) -> bool:
        receipt = settlement.receipt
        lease = self._leases.hold(receipt, "(malformed)", usual, now)
        if lease is None:
            return False
        self._malformedLog.error(
            "A task is malformed: {reason}", reason=settlement.error
        )
        self._settling.add(lease, settlement)
        return True

    def giveBack(self, keepUnleased: bool = False) -> None:
        """
        Release, uncounted, what waits.

        @param keepUnleased: Let wait on what came without a receipt, instead of
            losing it.
        """
        leases = [lease for _, lease in self.tasks if lease is not None]
        unleased = deque(each for each in self.tasks if each[1] is None)
        self.tasks = unleased
        if leases:
            self._settling.giveBack(leases)
        if unleased and not keepUnleased:
            self.tasks = deque()
            self._log.error(
                "{count} tasks came without a receipt, cannot be given back and "
                "are lost: {ids}",
                count=len(unleased),
                ids=", ".join(str(shownID(task.id)) for task, _ in list(unleased)[:10]),
            )

    def dropLost(self) -> None:
        """
        Forget the waiting tasks whose leases are lost.
        """
        self.tasks = deque(
            (task, lease)
            for task, lease in self.tasks
            if lease is None or not lease.isLost
        )
