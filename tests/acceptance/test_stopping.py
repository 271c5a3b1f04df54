"""
How the process of a consumer stops when it gets a signal.

Promise 5: a stop leaves nothing leased, while the endpoint answers.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import NEVER, OBLIGING, STUBBORN, returning, sleeping
from tests.acceptance.model import Job
from tests.acceptance.twistd import Twistd

#: The seconds that a stop may take for settling, past C{--drain}.
SETTLING = 5

#: The seconds that a stop may take in all, with the usual C{--drain}.
LONGEST = 26

#: The seconds by which a busy machine may delay an end that is expected in seconds.
SLACK = 2


class StoppingTests(AcceptanceCase):
    """
    A stop is in time, leaves nothing leased, and costs the tasks that it interrupts no
    attempt.
    """

    async def stop(self, consumer: Twistd, name: str = "TERM") -> None:
        """
        Send a signal, and wait until the process has died of it.
        """
        consumer.signal(name)
        await self.untilEnded(consumer)
        self.assertDiedOf(consumer, name)

    def assertDiedOf(self, consumer: Twistd, name: str = "TERM") -> None:
        """
        The process ended by a signal, as C{twistd} does.
        """
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.Signals[f"SIG{name}"])

    async def untilNoticed(self, consumer: Twistd) -> None:
        """
        Wait until the process has noticed SIGTERM.
        """
        await self.until(lambda: "SIGTERM" in consumer.output, "it tells of the signal")

    def assertGivenBack(self, jobs: Iterable[Job]) -> None:
        """
        Each job was delivered once and released, uncounted.
        """
        for job in jobs:
            [delivery] = job.deliveries
            self.assertEqual((delivery.ended, job.attempts), ("release", 0))
            self.assertIs(delivery.settlement["counted"], False)

    async def test_stopsAtOnceWhenIdle(self) -> None:
        """
        Idle on a long poll, where claims can be ended, the process ends within half a
        second.
        """
        seconds = []
        for name in ("TERM", "INT", "TERM"):
            consumer = self.start()
            await self.untilIdle()
            await self.stop(consumer, name)
            self.assertNothingLeased()
            seconds.append(consumer.stopSeconds)
        self.assertLess(min(seconds), 0.5)
        self.assertLess(max(seconds), SLACK)

    async def test_releasesATaskThatComesDuringAStop(self) -> None:
        """
        Where claims cannot be ended, no claim is long, and a task that comes by one
        while the process stops is released.
        """
        for code in (404, 405, 501):
            self.endpoint.plan = faults.always("cancel", faults.status(code))
            consumer = self.start()
            await self.untilIdle()
            self.assertEqual(self.endpoint.requests("claim")[-1].body["wait"], 5)
            consumer.signal("TERM")
            await self.untilNoticed(consumer)
            job = self.queue.put(returning(1))
            await self.untilEnded(consumer)
            self.assertDiedOf(consumer)
            self.assertLess(consumer.stopSeconds, SLACK)
            self.assertGivenBack([job])
            self.assertNothingLeased()
            self.queue.withdraw(job)
        self.assertEqual(self.entries(), [])

    async def test_awaitsAClaimThatCannotBeEnded(self) -> None:
        """
        Where claims cannot be ended, the open one is awaited.
        """
        self.endpoint.canCancel = False
        consumer = self.start()
        await self.untilIdle()
        await self.stop(consumer)
        self.assertLess(consumer.stopSeconds, 5 + SLACK)
        self.assertNothingLeased()

    async def test_drainsRunningAndReleasesWaiting(self) -> None:
        """
        Running tasks may end; waiting tasks are released at once, and nothing is
        claimed.
        """
        running = self.queue.putAll(sleeping(2), 2)
        waiting = self.queue.putAll(sleeping(2), 2)
        left = self.queue.put(returning(1))
        consumer = self.start(limit=2, prefetch=2)
        await self.untilEvents("start", 2)
        await self.until(lambda: len(self.queue.held()) == 4, "two wait")
        claims = len(self.endpoint.requests("claim"))
        await self.stop(consumer)
        self.assertCompletedOnce(running)
        self.assertGivenBack(waiting)
        for job in waiting:
            self.assertLess(
                job.deliveries[0].endedAt, min(e.at for e in self.entries("end"))
            )
        self.assertEqual(len(self.endpoint.requests("claim")), claims)
        self.assertEqual(left.deliveries, [])
        self.assertNothingLeased()

    async def test_extendsLeasesMeanwhile(self) -> None:
        """
        The lease of a task that runs on while the process stops is extended.
        """
        [job] = self.queue.putAll(sleeping(4), 1)
        consumer = self.start(lease=1.5)
        await self.untilEvents("start", 1)
        await self.stop(consumer)
        self.assertCompletedOnce()
        self.assertGreaterEqual(job.deliveries[0].extended, 3)

    async def test_cancelsPastTheDrain(self) -> None:
        """
        A task that has not ended in time is cancelled and released, even if it ignores
        its cancellation; a task that ends well upon it is completed.
        """
        stubborn = self.queue.put(STUBBORN)
        endless = self.queue.put(NEVER)
        obliging = self.queue.put(OBLIGING)
        consumer = self.start(drain=1)
        await self.untilEvents("start", 3)
        await self.stop(consumer)
        self.assertGreaterEqual(consumer.stopSeconds, 1)
        self.assertLess(consumer.stopSeconds, 1 + SLACK)
        self.assertGivenBack([stubborn, endless])
        self.assertEqual(
            (obliging.state, obliging.result), ("completed", "just in time")
        )
        self.assertEqual(
            [entry.id for entry in self.entries("CancelledError")], [endless.id]
        )
        self.assertNothingLeased()

    async def test_secondSignalSkipsTheWaiting(self) -> None:
        """
        A second signal skips the waiting, and the running tasks are released.
        """
        jobs = self.queue.putAll(NEVER, 3)
        consumer = self.start(drain=60)
        await self.untilEvents("start", 3)
        consumer.signal("TERM")
        await self.untilNoticed(consumer)
        await self.stop(consumer)
        self.assertLess(consumer.stopSeconds, SLACK)
        self.assertGivenBack(jobs)
        self.assertNothingLeased()

    async def test_thirdSignalEndsTheProcess(self) -> None:
        """
        A third signal ends the process, whether or not everything is settled.
        """
        self.queue.put(NEVER)
        consumer = self.start(drain=60)
        await self.untilEvents("start", 1)
        self.endpoint.plan = faults.everything(faults.silent)
        consumer.signal("TERM")
        await self.untilNoticed(consumer)
        consumer.signal("TERM")
        await self.until(
            lambda: any("release" in s.outcomes for s in self.endpoint.seen),
            "it tries to settle",
        )
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertLess(consumer.stopSeconds, 1)

    async def test_stopsInTimeWithoutTheEndpoint(self) -> None:
        """
        With the endpoint gone, a stop is in time all the same.
        """
        self.queue.put(NEVER)
        consumer = self.start(drain=1)
        await self.untilEvents("start", 1)
        self.endpoint.goDown()
        await self.stop(consumer)
        self.assertLess(consumer.stopSeconds, 1 + SETTLING + SLACK)

    async def test_stopsInTimeInTheWorstCase(self) -> None:
        """
        With the default of C{--drain}, a task that ignores its cancellation, an open
        claim, and an endpoint that answers nothing any more, a stop takes no longer
        than is promised.
        """
        self.queue.put(STUBBORN)
        consumer = self.start()
        await self.untilEvents("start", 1)
        await self.untilIdle()
        self.endpoint.plan = faults.everything(faults.silent)
        await self.stop(consumer)
        self.assertLess(consumer.stopSeconds, LONGEST + 1)

    async def test_settlesThroughFaults(self) -> None:
        """
        A release at a stop is retried if the endpoint did not get it.
        """
        jobs = self.queue.putAll(NEVER, 2)
        consumer = self.start(drain=0)
        await self.untilEvents("start", 2)
        self.endpoint.plan = faults.first("settle", faults.status(500), faults.reset)
        await self.stop(consumer)
        self.assertGivenBack(jobs)
        self.assertNothingLeased()

    async def test_releasesWhatCrossesTheEndOfItsClaim(self) -> None:
        """
        Tasks whose delivery crosses the end of their claim are released.
        """
        consumer = self.start()
        await self.untilIdle()
        self.endpoint.roundTrip = 0.3
        consumer.signal("TERM")
        await self.until(
            lambda: len(self.endpoint.requests("cancel")) == 2, "the claim is to end"
        )
        [job] = self.queue.putAll(returning(1), 1)
        await self.untilEnded(consumer)
        self.assertGivenBack([job])
        self.assertNothingLeased()

    async def test_stopsAsSoonAsItHasStarted(self) -> None:
        """
        A consumer that is stopped as soon as it has started leaves nothing leased.
        """
        self.queue.putAll(NEVER, 10)
        consumer = self.start(drain=0)
        await self.until(lambda: "Consuming" in consumer.output, "it has begun")
        await self.stop(consumer)
        self.assertLess(consumer.stopSeconds, SLACK)
        self.assertNothingLeased()
        self.assertEqual({job.attempts for job in self.queue.jobs}, {0})

    async def test_nextConsumerRunsWhatWasReleased(self) -> None:
        """
        The tasks that a stopped consumer released are run by the next one, in the first
        attempt.
        """
        jobs = self.queue.putAll(sleeping(1), 4)
        first = self.start(limit=2, prefetch=2, drain=0)
        await self.untilEvents("start", 2)
        await self.stop(first)
        self.assertNothingLeased()
        self.start()
        await self.untilState("completed", jobs)
        self.assertEqual({e.attempt for e in self.entries("end")}, {1})
