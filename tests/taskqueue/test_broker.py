"""
Tests for L{myconsumer.taskqueue.broker}.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.task import Settlement
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.store.database import CHUNK, Database
from myconsumer.taskqueue.store.disk import DiskFullError
from myconsumer.taskqueue.store.interface import IStoreListener, StoreError
from myconsumer.taskqueue.store.records import STATES, Delivery, NewTask, Retried
from myconsumer.taskqueue.store.tables import Tables
from myconsumer.testing import passTime
from tests.taskqueue.core import Turns, connect, storeOf

KEEP = 500.0

NONE = dict.fromkeys(STATES, 0)


class BrokerCase(SynchronousTestCase):
    """
    Has a broker, whose writer does things when the test says.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        #: the seconds by which the wall clock is ahead
        self.wall = 0.0
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.connection = connect(self.path)
        self.addCleanup(lambda: self.connection.close())
        self.start()
        self.turns.all()

    def tearDown(self) -> None:
        self.close()

    def start(self, checkRoom: Callable[[], object] = lambda: None) -> None:
        self.turns = Turns(self.connection)
        store = storeOf(
            self.turns,
            self.clock,
            checkRoom,
            lambda: self.clock.seconds() + self.wall,
        )
        self.broker = Broker(store, self.clock, KEEP)
        self.broker.open()

    def close(self) -> None:
        closed = self.broker.close()
        self.turns.all()
        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def restart(self, checkRoom: Callable[[], object] = lambda: None) -> None:
        """
        Let the process die, and begin to open the queue anew.
        """
        for call in [*self.clock.getDelayedCalls()]:
            call.cancel()
        self.start(checkRoom)

    def now(self, done: Deferred[Any]) -> Any:
        """
        @return: What a Deferred fires with once all transactions are made.
        """
        self.turns.all()
        return self.successResultOf(done)

    def enqueue(self, *delays: float, queue: str = "a") -> list[str]:
        tasks = [NewTask(b"1", delay=delay) for delay in delays]
        ids: list[str] = self.now(self.broker.enqueue(queue, tasks)).ids
        return ids

    def claim(
        self, name: str, limit: int = 1, wait: float = 0.0, lease: float = 60.0
    ) -> Deferred[list[Delivery]]:
        """
        Claim tasks of queue a.
        """
        return self.broker.claim("a", name, limit, wait, lease)

    def counts(self) -> Any:
        """
        @return: The counts, without the zeros.
        """
        counts = self.now(self.broker.counts())
        return {
            queue: {state: count for state, count in states.items() if count}
            for queue, states in counts.items()
        }

    def live(self, seconds: float) -> None:
        passTime(self.clock, seconds)
        while self.turns.waiting:
            self.turns.all()
            passTime(self.clock, 0)

    def breakDown(self) -> None:
        """
        Make a transaction fail.
        """
        self.turns.fail(sqlite3.OperationalError("disk I/O error"))


class BrokerTests(BrokerCase):
    """
    Tests for L{Broker}.
    """

    def test_providesListener(self) -> None:
        """
        The broker provides IStoreListener.
        """
        verifyObject(IStoreListener, self.broker)

    def test_countsByState(self) -> None:
        """
        Each queue is counted by states, all of them; an unknown one is not listed.
        """
        self.assertEqual(self.now(self.broker.counts()), {})
        self.enqueue(0.0, 0.0, 5.0)
        self.enqueue(0.0, queue="b")
        self.now(self.claim("c"))
        expected = {
            "a": {**NONE, "ready": 1, "leased": 1, "delayed": 1},
            "b": {**NONE, "ready": 1},
        }
        self.assertEqual(self.now(self.broker.counts()), expected)

    def test_makesNoQueueByAsking(self) -> None:
        """
        Whatever is asked of an unknown queue, it is not listed after that.
        """
        self.assertEqual(self.now(self.claim("c")), [])
        self.now(self.broker.settle("a", [Settlement("1.1", "complete")]))
        self.now(self.broker.retry("a", ["x"]))
        self.now(self.broker.retryAll("a"))
        self.now(self.broker.failed("a", 1, 0))
        self.now(self.broker.cancelClaim("a", "c"))
        self.assertIsNone(self.now(self.broker.task("a", "x")))
        self.assertEqual(self.counts(), {})

    def test_wakesClaims(self) -> None:
        """
        A claim that waits is answered by a task that is queued, released, or retried.
        """
        waits = self.claim("c", wait=60.0)
        self.assertNoResult(waits)
        self.enqueue(0.0)
        [delivery] = self.successResultOf(waits)
        waits = self.claim("d", wait=60.0)
        self.settle(delivery, "release")
        [delivery] = self.successResultOf(waits)
        waits = self.claim("e", wait=60.0)
        self.settle(delivery, "fail")
        self.assertNoResult(waits)
        self.now(self.broker.retry("a", [delivery.id]))
        self.assertEqual(len(self.successResultOf(waits)), 1)

    def settle(self, delivery: Delivery, outcome: str, **told: float) -> None:
        settlement = Settlement(delivery.receipt, outcome, **told)  # type: ignore[arg-type]
        self.assertEqual(self.now(self.broker.settle("a", [settlement])), [])

    def test_wakesClaimsInTime(self) -> None:
        """
        A claim that waits is answered the moment that a delay or a lease ends, as that
        was set last.
        """
        self.enqueue(0.0)
        [delivery] = self.now(self.claim("c", lease=60.0))
        for number, told in enumerate(({"delay": 2.0}, {"lease": 2.0})):
            waits = self.claim(f"c {number}", wait=60.0)
            self.settle(delivery, "release" if "delay" in told else "extend", **told)
            self.live(1.75)
            self.assertNoResult(waits)
            self.live(0.25)
            [delivery] = self.successResultOf(waits)

    def test_wakesInTime(self) -> None:
        """
        Each delay ends in time, whatever else is due before or after it.
        """
        waits = [self.claim(f"c{number}", wait=60.0) for number in range(3)]
        self.enqueue(5.0, 50.0, 2.5)
        for seconds, done in zip((2.5, 2.5, 45.0), waits, strict=True):
            self.live(seconds - 0.25)
            self.assertNoResult(done)
            self.live(0.25)
            self.assertEqual(len(self.successResultOf(done)), 1)

    def test_wakesWhileWaking(self) -> None:
        """
        A task that is delayed in the transaction in which others are woken is woken in
        time.
        """
        self.enqueue(1.0)
        done = self.claim("c", wait=0.0)
        self.successResultOf(done)
        passTime(self.clock, 1.0)
        later = self.broker.enqueue("a", [NewTask(b"1", delay=3.0)])
        self.now(later)
        self.live(0.0)
        waits = [self.claim(name, wait=60.0) for name in ("d", "e")]
        self.turns.all()
        self.successResultOf(waits[0])
        self.live(3.0)
        self.successResultOf(waits[1])

    def test_claimsWhileWaking(self) -> None:
        """
        A claim that comes while tasks are being woken gets them, though it does not
        wait.
        """
        self.enqueue(1.0)
        passTime(self.clock, 1.0)
        done = self.claim("c")
        self.assertNoResult(done)
        self.assertEqual(len(self.now(done)), 1)
        self.assertEqual(self.now(self.claim("d")), [])

    def test_wakesOnce(self) -> None:
        """
        While tasks are being woken no second waking begins.
        """
        self.enqueue(1.0)
        queued = self.broker.enqueue("a", [NewTask(b"1")])
        passTime(self.clock, 1.0)
        self.turns.next()
        self.successResultOf(queued)
        # one to forget the old ones
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.turns.all()
        self.assertEqual(self.counts(), {"a": {"ready": 2}})

    def test_wakesMany(self) -> None:
        """
        However many tasks are due at once, all are woken at once, a chunk at a time.
        """
        self.enqueue(*[1.0] * (2 * CHUNK + 1))
        self.live(1.0)
        self.assertEqual(self.counts(), {"a": {"ready": 2 * CHUNK + 1}})

    def test_wakesAfterFault(self) -> None:
        """
        Tasks that could not be woken are woken a second later.
        """
        self.enqueue(1.0)
        passTime(self.clock, 1.0)
        self.breakDown()
        self.live(0.9)
        self.assertEqual(self.counts(), {"a": {"delayed": 1}})
        self.live(0.1)
        self.assertEqual(self.counts(), {"a": {"ready": 1}})

    def test_keepsOneTimer(self) -> None:
        """
        However many tasks are leased or delayed, there is one timer for them.
        """
        for delay in range(1, 50):
            self.enqueue(float(delay), 0.0)
        self.now(self.claim("c", 100))
        # and one to forget the old ones
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)

    def test_retriesAll(self) -> None:
        """
        All failed tasks are retried, however many they are.
        """
        self.enqueue(*[0.0] * (CHUNK + 5))
        deliveries = self.now(self.claim("c", 2 * CHUNK))
        failed = [Settlement(delivery.receipt, "fail") for delivery in deliveries]
        self.now(self.broker.settle("a", failed))
        self.assertEqual(self.counts(), {"a": {"failed": CHUNK + 5}})
        self.assertEqual(self.now(self.broker.retryAll("a")).retried, CHUNK + 5)
        self.assertEqual(self.counts(), {"a": {"ready": CHUNK + 5}})

    def test_retriesAllOnce(self) -> None:
        """
        Tasks that fail again while others are still being retried are retried once.
        """
        self.enqueue(*[0.0] * (2 * CHUNK))
        self.failAll()
        retried = self.broker.retryAll("a")
        for _ in range(5):
            self.turns.next()
            if not self.turns.waiting:
                break
            passTime(self.clock, 0.5)
            self.failAll()
        self.assertEqual(self.successResultOf(retried).retried, 2 * CHUNK)

    def failAll(self) -> None:
        """
        Have all that is ready fail, without the writer.
        """
        tables, now = Tables(Database(self.connection)), self.clock.seconds()
        deliveries = tables.claim("a", "c", 9 * CHUNK, 60.0, now)
        failed = [Settlement(delivery.receipt, "fail") for delivery in deliveries]
        self.assertEqual(tables.settlements.settle("a", failed, now), [])

    def test_retriesAllInPages(self) -> None:
        """
        All failed tasks can be retried page by page.
        """
        self.enqueue(*[0.0] * 5)
        deliveries = self.now(self.claim("c", 5))
        failed = [Settlement(delivery.receipt, "fail") for delivery in deliveries]
        self.now(self.broker.settle("a", failed))
        first = self.now(self.broker.retryAll("a", 3))
        second = self.now(self.broker.retryAll("a", 3, first.next))
        self.assertEqual((first.retried, second), (3, Retried(2)))

    def test_prunes(self) -> None:
        """
        Tasks that ended are forgotten after the time for which they are kept, within a
        minute.
        """
        self.enqueue(*[0.0] * (CHUNK + 5))
        deliveries = self.now(self.claim("c", 2 * CHUNK))
        done = [Settlement(delivery.receipt, "complete") for delivery in deliveries]
        self.now(self.broker.settle("a", done))
        for _ in range(int(KEEP) - 1):
            self.live(1.0)
        self.assertEqual(self.counts(), {"a": {"completed": CHUNK + 5}})
        self.live(61.0)
        self.assertEqual(self.counts(), {"a": {}})

    def test_prunesAfterFault(self) -> None:
        """
        Nothing is forgotten in the first minutes; if that fails, it is tried again.
        """
        for _ in range(4):
            passTime(self.clock, 60.0)
            self.assertFalse(self.turns.waiting)
        passTime(self.clock, 60.0)
        self.breakDown()
        for _ in range(2):
            passTime(self.clock, 60.0)
            self.assertEqual(len(self.turns.waiting), 1)
            self.turns.all()

    def test_opensBeforeRequests(self) -> None:
        """
        Requests that come before the queue is open wait for that.
        """
        ids = self.enqueue(0.0)
        self.restart()
        claimed, counted = self.claim("c", wait=2.0), self.broker.counts()
        known = self.broker.enqueue("a", [NewTask(b"1", ids[0])])
        for each in (claimed, counted, known):
            self.assertNoResult(each)
        self.turns.all()
        self.assertEqual(self.successResultOf(known).known, ids)
        self.assertEqual([each.id for each in self.successResultOf(claimed)], ids)
        self.assertEqual(self.counts(), {"a": {"leased": 1}})

    def test_opensAfterFault(self) -> None:
        """
        If the queue cannot be opened, requests that waited for that fail, as do later
        ones until it can be; nothing is counted twice.
        """
        ids = self.enqueue(0.0)
        self.restart()
        waited = self.broker.enqueue("a", [NewTask(b"1")])
        self.breakDown()
        for refused in (
            waited,
            self.broker.counts(),
            self.claim("b"),
            self.broker.cancelClaim("a", "b"),
        ):
            self.failureResultOf(refused, StoreError)
        self.clock.advance(1.0)
        self.failureResultOf(self.broker.counts(), StoreError)
        self.turns.all()
        claims = [self.claim(name, wait=60.0) for name in ("c", "d", "e")]
        ids += self.enqueue(0.0)
        for id, done in zip(ids, claims, strict=False):
            self.assertEqual([each.id for each in self.successResultOf(done)], [id])
        self.assertNoResult(claims[2])
        self.assertEqual(self.counts(), {"a": {"leased": 2}})

    def test_closesUnopened(self) -> None:
        """
        If the queue is closed before it could be opened, claims are answered
        nevertheless.
        """
        self.restart()
        waits, ended = self.claim("c", wait=60.0), self.broker.cancelClaim("a", "d")
        closed = self.broker.close()
        self.breakDown()
        self.assertEqual(self.now(closed), None)
        self.assertEqual(self.successResultOf(waits), [])
        self.successResultOf(ended)

    def test_countsNothingUnopened(self) -> None:
        """
        If the queue is closed before its tasks are counted, a request for the counts
        fails: no queue would seem to be there.
        """
        self.enqueue(0)
        self.restart()
        waiting = self.broker.counts()
        closed = self.broker.close()
        self.failureResultOf(waiting, StoreError)
        self.failureResultOf(self.broker.counts(), StoreError)
        self.assertEqual(self.now(closed), None)

    def test_refusesOnceClosed(self) -> None:
        """
        After it is closed the queue refuses requests, as what may work later, and
        leaves no timer.
        """
        self.close()
        refused = self.broker.enqueue("a", [NewTask(b"1", delay=1.0)])
        self.turns.all()
        self.failureResultOf(refused, StoreError)
        self.assertEqual(self.now(self.claim("c", wait=60.0)), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endsClaimFromBefore(self) -> None:
        """
        A claim from before the start releases what is leased to it when it is ended,
        even before the queue is open; what others hold stays leased.
        """
        for early in (True, False):
            self.enqueue(0.0, 0.0)
            one = self.now(self.claim(f"one {early}"))
            self.now(self.claim(f"two {early}"))
            self.restart()
            if not early:
                self.turns.all()
            self.now(self.broker.cancelClaim("a", f"one {early}"))
            [again] = self.now(self.claim(f"again {early}", 5))
            self.assertEqual((again.id, again.attempt), (one[0].id, 1))

    def test_endsClaimFromBeforeTwice(self) -> None:
        """
        However often a claim from before the start is ended, each end is confirmed once
        nothing is leased to it, and one that failed can be repeated.
        """
        self.enqueue(0.0)
        self.now(self.claim("c"))
        self.restart()
        self.turns.all()
        failed = self.broker.cancelClaim("a", "c")
        self.breakDown()
        self.failureResultOf(failed, StoreError)
        ended = [self.broker.cancelClaim("a", "c") for _ in range(2)]
        for each in ended:
            self.assertNoResult(each)
        self.turns.all()
        for each in ended:
            self.successResultOf(each)
        self.assertEqual(self.counts(), {"a": {"ready": 1}})

    def test_restartsLeases(self) -> None:
        """
        After a start leases last as long as they were to last, since nobody could have
        extended them.
        """
        self.enqueue(0.0)
        [delivery] = self.now(self.claim("c", lease=10.0))
        passTime(self.clock, 9.0)
        for call in [*self.clock.getDelayedCalls()]:
            call.cancel()
        self.clock.advance(100.0)
        self.restart()
        self.turns.all()
        self.live(9.0)
        self.assertEqual(self.counts(), {"a": {"leased": 1}})
        self.live(1.0)
        self.assertEqual(self.counts(), {"a": {"ready": 1}})
        told = Settlement(delivery.receipt, "complete")
        self.assertEqual(self.now(self.broker.settle("a", [told])), [delivery.receipt])

    def test_asksNothingWhileNothingIsReady(self) -> None:
        """
        While nothing is ready, claims that come and go cost no transaction.
        """
        made = self.turns.made
        for number in range(10):
            self.claim(f"c{number}", wait=20.0)
        self.now(self.claim("d"))
        self.live(21.0)
        self.assertEqual(self.turns.made, made)

    def test_recountsWhatWasDeleted(self) -> None:
        """
        Where tasks were deleted from the file by hand, a claim that waits does not ask
        for them again and again: the queue is counted anew, with a warning, also what
        was done in the same transaction, and the claim gets the next task.
        """
        self.enqueue(0.0, 0.0, 9.0, 9.0)
        self.enqueue(0.0, queue="b")
        self.connection.execute(
            "DELETE FROM tasks WHERE queue = 1 AND (state = 'ready' OR number = 3)"
        )
        with capturedLogs() as events:
            first = self.broker.enqueue("c", [NewTask(b"1")])
            waits = self.claim("d", wait=60.0)
            self.broker.enqueue("a", [NewTask(b"1", delay=1.0)])
            self.now(first)
        self.assertNoResult(waits)
        [event] = events
        self.assertEqual((event["queue"], event["count"]), ("a", 2))
        self.assertEqual(self.counts()["a"], {"delayed": 2})
        self.enqueue(0.0)
        self.assertEqual(len(self.successResultOf(waits)), 1)
        self.assertEqual(self.counts()["a"], {"leased": 1, "delayed": 2})

    def test_refusesNewTasksWithoutRoom(self) -> None:
        """
        Where there is no room for new tasks they are refused, and those that are there
        are worked off.
        """
        self.enqueue(0.0)

        def checkRoom() -> None:
            raise DiskFullError("no room")

        self.restart(checkRoom)
        refused = self.broker.enqueue("a", [NewTask(b"1")])
        self.turns.all()
        self.failureResultOf(refused, DiskFullError)
        [delivery] = self.now(self.claim("c"))
        self.settle(delivery, "complete")
        self.assertEqual(self.counts(), {"a": {"completed": 1}})

    def test_recountsWithoutPayload(self) -> None:
        """
        A task whose payload was deleted by hand is no longer counted as ready.
        """
        self.enqueue(0.0)
        self.connection.execute("DELETE FROM payloads")
        with capturedLogs():
            waits = self.claim("c", wait=60.0)
            self.turns.all()
        self.assertNoResult(waits)
        self.assertEqual(self.counts(), {"a": {}})

    def test_keepsPayloads(self) -> None:
        """
        A payload is delivered byte by byte as it was queued.
        """
        payload = '{"a": ["\u00fc", 1e400, 12345678901234567890, null] }'.encode()
        done = self.broker.enqueue("a", [NewTask(payload, "x/\u00fc\x00")])
        self.now(done)
        [delivery] = self.now(self.claim("c"))
        self.assertEqual(bytes(delivery.payload), payload)
        self.assertEqual((delivery.id, delivery.enqueued), ("x/\u00fc\x00", 1000.0))
        self.assertEqual(self.now(self.broker.task("a", "x/\u00fc\x00")).due, 1060.0)
