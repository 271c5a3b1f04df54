"""
Tests for L{myconsumer.taskqueue.upkeep}, with the store that it looks after.
"""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.records import NewTask
from myconsumer.taskqueue.upkeep import DOUBTING, PRUNING, TRUSTING
from myconsumer.testing import passTime
from tests.taskqueue.test_broker import KEEP, BrokerCase

YEAR = 31_536_000.0


class UpkeepTests(BrokerCase):
    """
    What a queue does where the clock is wrong.
    """

    def fail_(self) -> None:
        self.enqueue(0.0)
        [delivery] = self.now(self.claim("f"))
        told = Settlement(delivery.receipt, "fail")
        self.assertEqual(self.now(self.broker.settle("a", [told])), [])

    def minutes(self, seconds: float) -> None:
        for _ in range(int(seconds / PRUNING)):
            self.live(PRUNING)

    def test_keepsWhileClockIsAhead(self) -> None:
        """
        Where the clock is years ahead at the start, and is set right within an hour,
        nothing is forgotten, with a warning.
        """
        self.fail_()
        self.clock.advance(YEAR)
        with capturedLogs() as events:
            self.restart()
            self.minutes(TRUSTING + PRUNING)
            self.wall = -YEAR
            self.live(PRUNING)
            self.live(KEEP / 4)
        self.assertEqual(self.counts(), {"a": {"failed": 1}})
        said = [formatEvent(event) or "" for event in events]
        self.assertIn("In case the clock is wrong", said[0])
        self.assertIn("ahead of that of the machine", said[1])

    def test_forgetsOldAfterAnHour(self) -> None:
        """
        Where the clock stays as it is at the start, old tasks are forgotten after an
        hour, and the failed ones are logged.
        """
        self.fail_()
        self.clock.advance(YEAR)
        with capturedLogs() as events:
            self.restart()
            self.minutes(DOUBTING - PRUNING)
            self.assertEqual(self.counts(), {"a": {"failed": 1}})
            self.minutes(2 * PRUNING)
        self.assertEqual(self.counts(), {"a": {}})
        said = formatEvent(events[1])
        self.assertEqual(said, "Forgot 1 failed tasks of queue a")

    def test_keepsLeaseWhileSetBack(self) -> None:
        """
        A lease that is extended in the transaction in which the clock is set back is
        not lost.
        """
        self.enqueue(0.0)
        [delivery] = self.now(self.claim("c", lease=600.0))
        self.wall = -1200.0
        self.broker.enqueue("b", [NewTask(b"1")])
        passTime(self.clock, PRUNING)
        told = Settlement(delivery.receipt, "extend", lease=600.0)
        self.assertEqual(self.now(self.broker.settle("a", [told])), [])
        self.assertEqual(self.counts(), {"a": {"leased": 1}, "b": {"ready": 1}})

    def test_endsDelaysOnceSetForward(self) -> None:
        """
        Where the clock was years behind at the start and is set right, delays that have
        passed end within a minute, and leases restart.
        """
        self.enqueue(KEEP)
        self.enqueue(0.0)
        [delivery] = self.now(self.claim("c", lease=200.0))
        self.wall = YEAR
        self.live(PRUNING)
        self.assertEqual(self.counts(), {"a": {"ready": 1, "leased": 1}})
        self.live(199.0)
        self.assertEqual(self.counts(), {"a": {"ready": 1, "leased": 1}})
        self.live(1.0)
        self.assertEqual(self.counts(), {"a": {"ready": 2}})
        told = Settlement(delivery.receipt, "complete")
        self.assertEqual(self.now(self.broker.settle("a", [told])), [delivery.receipt])

    def test_setsClockAfterFault(self) -> None:
        """
        If the leases could not be restarted, the clock is not set until they could.
        """
        self.enqueue(0.0)
        self.now(self.claim("c", lease=200.0))
        self.wall = YEAR
        self.clock.advance(PRUNING)
        self.breakDown()
        self.turns.all()
        self.assertEqual(self.counts(), {"a": {"leased": 1}})
        self.live(PRUNING)
        self.live(199.0)
        self.assertEqual(self.counts(), {"a": {"leased": 1}})
