"""
Tests for L{myconsumer.taskqueue.polls}.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.taskqueue.polls import REMEMBERED, Polls
from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.taskqueue.store.records import Delivery, NewTask
from myconsumer.taskqueue.store.sqlite import SQLiteStore
from myconsumer.taskqueue.store.tables import Tables
from myconsumer.taskqueue.store.writer import Writer
from tests.taskqueue.core import Turns, connect


class GivenStore(SQLiteStore):
    """
    A store that takes the test's word for how many tasks are ready.
    """

    given = 0

    def ready(self, queue: str) -> int:
        """
        See L{ITaskStore.ready}.
        """
        return self.given


class PollsTests(SynchronousTestCase):
    """
    Tests for L{Polls}, whose writer does things when the test says.
    """

    def setUp(self) -> None:
        self.connection = connect(self.mktemp())
        self.addCleanup(self.connection.close)
        self.turns = Turns(self.connection)
        self.clock = Clock()
        self.clock.advance(1000.0)
        ours = EpochClock(self.clock, self.clock.seconds)
        self.store = GivenStore(Writer(self.turns.run, ours), ours)
        self.polls = Polls(self.store, self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def enqueue(self, count: int) -> list[str]:
        """
        Queue tasks, of which nobody is told yet.
        """
        task = NewTask(b"1")
        done = self.store.enqueue("a", [task] * count)
        self.turns.all()
        return self.successResultOf(done).ids

    def leased(self) -> int:
        """
        @return: How many tasks are leased.
        """
        return Tables(Database(self.connection)).count()["a", "leased"]

    def claim(
        self, name: str, limit: int = 1, wait: float = 20.0
    ) -> Deferred[list[Delivery]]:
        return self.polls.claim("a", name, limit, wait, 60.0)

    def serve(self, ready: int) -> None:
        """
        Tell that so many tasks are ready, and have done what comes of it.
        """
        self.store.given = ready
        self.polls.serve("a")
        self.store.given = 0
        self.turns.all()

    def ids(self, done: Deferred[list[Delivery]]) -> Sequence[str]:
        """
        @return: The names of the tasks that a claim was answered with.
        """
        return [delivery.id for delivery in self.successResultOf(done)]

    def test_waitsForReadyTask(self) -> None:
        """
        While nothing is ready a claim asks the store for nothing, and is answered empty
        at the end of its wait.
        """
        done = self.claim("c", wait=20.0)
        self.assertFalse(self.turns.waiting)
        self.clock.advance(19.9)
        self.assertNoResult(done)
        self.clock.advance(0.1)
        self.assertEqual(self.ids(done), [])
        self.assertFalse(self.turns.waiting)

    def test_asksWithoutWaiting(self) -> None:
        """
        A claim that does not wait is answered at once; where tasks may be ready the
        store is asked first.
        """
        self.assertEqual(self.ids(self.claim("c", wait=0.0)), [])
        ids = self.enqueue(2)
        self.store.given = 2
        done = self.claim("d", 5, wait=0.0)
        self.assertNoResult(done)
        self.turns.all()
        self.assertEqual(self.ids(done), ids)

    def test_deliversAfterWait(self) -> None:
        """
        Tasks that the store was asked for before the end of a claim's wait are still
        delivered after it.
        """
        ids = self.enqueue(1)
        self.store.given = 1
        done = self.claim("c", wait=2.0)
        self.store.given = 0
        self.clock.advance(2.0)
        self.assertNoResult(done)
        self.turns.all()
        self.assertEqual(self.ids(done), ids)

    def test_answersEmptyAfterWait(self) -> None:
        """
        A claim whose wait ends while the store is asked is answered empty if there was
        nothing.
        """
        self.store.given = 1
        done = self.claim("c", wait=2.0)
        self.store.given = 0
        self.clock.advance(2.0)
        self.assertNoResult(done)
        self.turns.all()
        self.assertEqual(self.ids(done), [])

    def test_asksOnce(self) -> None:
        """
        However many tasks are ready, and however often that is told, the store is asked
        once at a time for a claim.
        """
        ids = self.enqueue(5)
        done = self.claim("c", 2)
        self.store.given = 5
        made = self.turns.made
        for _ in range(3):
            self.polls.serve("a")
        self.turns.all()
        self.assertEqual(self.turns.made, made + 1)
        self.assertEqual(self.ids(done), ids[:2])
        self.assertEqual(self.leased(), 2)

    def test_servesInOrder(self) -> None:
        """
        Claims are served in the order in which they came, no more of them than there
        are tasks for.
        """
        ids = self.enqueue(3)
        claims = [self.claim(name, 2) for name in "abc"]
        self.serve(3)
        self.assertEqual(self.ids(claims[0]), ids[:2])
        self.assertEqual(self.ids(claims[1]), ids[2:])
        self.assertNoResult(claims[2])
        self.serve(0)
        self.assertNoResult(claims[2])
        self.polls.close()

    def test_servesInOrderAgain(self) -> None:
        """
        Claims that found nothing keep their places.
        """
        claims = [self.claim(name) for name in "abc"]
        self.serve(10)
        for done in claims:
            [id] = self.enqueue(1)
            self.serve(1)
            self.assertEqual(self.ids(done), [id])

    def test_waitsOnInVain(self) -> None:
        """
        To ask the store in vain costs a claim no time and no place.
        """
        done = self.claim("c", wait=20.0)
        self.serve(10)
        self.clock.advance(10.0)
        self.serve(10)
        self.assertNoResult(done)
        self.clock.advance(10.0)
        self.assertEqual(self.ids(done), [])

    def test_endsClaim(self) -> None:
        """
        A claim that waits and is ended is answered empty at once; others wait on.
        """
        one, two = self.claim("one"), self.claim("two")
        self.successResultOf(self.polls.end("a", "one"))
        self.assertEqual(self.ids(one), [])
        self.successResultOf(self.polls.end("b", "two"))
        self.assertNoResult(two)
        self.clock.advance(20.0)

    def test_endsClaimToCome(self) -> None:
        """
        A claim that comes after its end is answered empty, in its own queue only.
        """
        self.enqueue(1)
        self.store.given = 1
        self.successResultOf(self.polls.end("a", "c"))
        self.assertEqual(self.ids(self.claim("c")), [])
        self.successResultOf(self.polls.end("b", "d"))
        done = self.claim("d")
        self.turns.all()
        self.assertEqual(len(self.ids(done)), 1)

    def test_keepsAnsweredLeases(self) -> None:
        """
        What a claim was answered with stays leased when the claim is ended.
        """
        self.enqueue(1)
        self.store.given = 1
        done = self.claim("c")
        self.turns.all()
        self.successResultOf(self.polls.end("a", "c"))
        self.turns.all()
        self.assertEqual(len(self.ids(done)), 1)
        self.assertEqual(self.leased(), 1)

    def test_endsClaimMeanwhile(self) -> None:
        """
        A claim that is ended while the store is asked is answered empty at once; its
        end is confirmed once nothing is leased to it.
        """
        self.enqueue(2)
        self.store.given = 2
        done = self.claim("c", 2)
        self.store.given = 0
        ended = [self.polls.end("a", "c") for _ in range(2)]
        self.assertEqual(self.ids(done), [])
        self.turns.next()
        self.assertEqual(self.leased(), 2)
        ended.append(self.polls.end("a", "c"))
        for each in ended:
            self.assertNoResult(each)
        self.turns.next()
        self.assertEqual(self.leased(), 0)
        for each in ended:
            self.successResultOf(each)

    def test_asksNothingForLostClient(self) -> None:
        """
        A claim whose client is lost asks the store for nothing any more.
        """
        done = self.claim("c")
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.serve(1)
        self.assertEqual(self.turns.made, 0)

    def test_releasesForLostClient(self) -> None:
        """
        What is leased to a claim whose client was lost meanwhile is released uncounted,
        and goes to the next claim.
        """
        ids = self.enqueue(1)
        self.store.given = 1
        gone, waits = self.claim("c"), self.claim("d")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        ended = self.polls.end("a", "c")
        self.turns.next()
        self.store.given = 0
        self.turns.all()
        self.successResultOf(ended)
        self.serve(1)
        [delivery] = self.successResultOf(waits)
        self.assertEqual((delivery.id, delivery.attempt), (ids[0], 1))

    def test_releasesAgain(self) -> None:
        """
        A release that failed is repeated a second later.
        """
        self.enqueue(1)
        self.store.given = 1
        gone = self.claim("c")
        self.store.given = 0
        gone.addErrback(lambda reason: reason.trap(CancelledError))
        gone.cancel()
        self.turns.next()
        self.turns.fail(sqlite3.OperationalError("disk I/O error"))
        self.assertEqual(self.leased(), 1)
        ended = self.polls.end("a", "c")
        self.assertNoResult(ended)
        self.clock.advance(1.0)
        self.turns.all()
        self.assertEqual(self.leased(), 0)
        self.successResultOf(ended)

    def test_failsClaim(self) -> None:
        """
        A claim for which the store fails fails, and the next one is served.
        """
        ids = self.enqueue(1)
        self.store.given = 1
        fails, waits = self.claim("c"), self.claim("d")
        self.turns.fail(sqlite3.OperationalError("disk I/O error"))
        self.failureResultOf(fails, StoreError)
        self.turns.all()
        self.assertEqual(self.ids(waits), ids)

    def test_failsEndedClaim(self) -> None:
        """
        If the store fails for a claim that was ended meanwhile, the end is confirmed.
        """
        self.store.given = 1
        done = self.claim("c")
        self.store.given = 0
        ended = self.polls.end("a", "c")
        self.turns.fail(sqlite3.OperationalError("disk I/O error"))
        self.successResultOf(ended)
        self.assertEqual(self.ids(done), [])

    def test_closes(self) -> None:
        """
        Once closed, claims are answered empty: those that wait, and those that come;
        what the store was asked for is delivered.
        """
        ids = self.enqueue(1)
        self.store.given = 1
        asked, waits = self.claim("c"), self.claim("d")
        self.polls.close()
        self.assertEqual(self.ids(waits), [])
        self.assertEqual(self.ids(self.claim("e")), [])
        self.turns.all()
        self.assertEqual(self.ids(asked), ids)

    def test_forgetsEndedClaims(self) -> None:
        """
        A bounded number of ended claims is remembered, each for one answer: a client
        that uses a name again gets tasks.
        """
        for number in range(REMEMBERED + 1):
            self.successResultOf(self.polls.end("a", f"c{number}"))
        waits = self.claim("c0", wait=2.0)
        self.assertNoResult(waits)
        self.assertEqual(self.ids(self.claim("c1")), [])
        self.assertNoResult(self.claim("c1", wait=1.0))
        self.clock.advance(2.0)
