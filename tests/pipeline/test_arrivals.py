"""
Tasks that have arrived and wait for a slot.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from myconsumer.task import Settlement, Task
from tests.model import task, tasks
from tests.pipeline.case import SourceCase


class ArrivalTests(SourceCase):
    """
    What a claim's answer may hold.
    """

    def test_keepsASurplus(self) -> None:
        """
        More tasks than asked for wait, leased, for a slot; nothing is claimed
        until they have one.
        """
        self.make(2)
        self.claim.bring(*tasks(1, 5))
        self.assertEqual(self.ids(), ["1", "2"])
        self.assertEqual(len(self.leases.held), 5)
        self.endTask(1, 2)
        self.assertEqual(self.passTime(0), [])
        self.assertEqual(self.ids(), ["1", "2", "3", "4"])
        self.endTask(3)
        self.assertEqual(self.passTime(0), [])
        self.endTask(4)
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)

    def test_ignoresAReceiptHeldAlready(self) -> None:
        """
        A task whose receipt is held already is ignored, with a warning a minute that
        counts such tasks.
        """
        self.make(4)
        with capturedLogs() as logs:
            self.claim.bring(task(1), task(1))
            for seconds in (0, 59, 1):
                [claim] = self.passTime(seconds)
                self.assertEqual(claim.limit, 3)
                claim.bring(task(1))
        self.assertEqual(self.ids(), ["1"])
        self.assertEqual(
            [(e["log_level"], e["count"], e["id"]) for e in logs],
            [(LogLevel.warn, 1, "1"), (LogLevel.warn, 3, "1")],
        )

    def test_escapesIDsInTheLog(self) -> None:
        """
        The control characters of a task's id are escaped in the log, where the task
        came twice, and where it is lost.
        """
        self.make(1)
        with capturedLogs() as logs:
            self.claim.bring(
                task(1),
                Task("\x1b[2J", None, receipt="one"),
                Task("\x1b[3J", None, receipt="one"),
                Task("\x1b[4J\n", None),
            )
            self.close()
        [twice, lost] = logs
        self.assertEqual((twice["id"], lost["ids"]), (r"\x1b[3J", r"\x1b[4J"))

    def test_failsMalformedTasks(self) -> None:
        """
        What is malformed is settled as failed, with the reason, and an error in the
        log; its neighbours run.
        """
        self.make(4)
        bad = Settlement("bad", "fail", error="no payload")
        with capturedLogs() as logs:
            self.claim.bring(task(1), malformed=[bad])
        [event] = [e for e in logs if e["log_level"] == LogLevel.error]
        self.assertEqual(event["reason"], "no payload")
        self.passTime(0)
        [request] = self.queue.settles
        self.assertEqual(request.settlements, [bad])
        self.assertEqual(self.ids(), ["1"])
        self.assertEqual(self.claim.limit, 3)

    def test_boundsWhatItLogsOfMalformedTasks(self) -> None:
        """
        Any number of malformed tasks is settled, and fills no log.
        """
        self.make(4)
        bad = [Settlement(f"b-{i}", "fail", error="no payload") for i in range(2000)]
        with capturedLogs() as logs:
            self.claim.bring(malformed=bad)
        self.assertLess(len(logs), 100)
        self.assertEqual(self.settling.backlog, 2000)

    def test_failsAMalformedTaskOnce(self) -> None:
        """
        One that is malformed and comes again, before it is settled, is settled once.
        """
        self.make(4)
        bad = Settlement("bad", "fail", error="no payload")
        self.claim.bring(malformed=[bad, bad])
        self.passTime(0)
        self.assertEqual(self.queue.settles[0].settlements, [bad])

    def test_neverStartsALostTask(self) -> None:
        """
        A waiting task whose lease is lost is never started, and its place claimed.
        """
        self.make(1, prefetch=2)
        self.claim.bring(*tasks(1, 3))
        self.passTime(0)
        self.leases.lose(["r-2"])
        [claim] = self.passTime(0)
        self.assertEqual(claim.limit, 1)
        self.endTask(1)
        self.passTime(0)
        self.assertEqual(self.ids(), ["1", "3"])

    def test_waitingIsExtended(self) -> None:
        """
        What waits is kept alive.
        """
        self.make(1, prefetch=1)
        self.claim.bring(*tasks(1, 2))
        self.passTime(20)
        [beat] = self.queue.beats
        self.assertEqual(beat.receipts, ["r-1", "r-2"])
