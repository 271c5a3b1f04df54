"""
The service: what a stop does, in which order, and within which time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, nan
from typing import Any

from msgspec.json import encode
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer.errors import LeaseLostError, NotBegunError, Reject
from myconsumer.interfaces import IPausable, IScalableTaskHandler, IScalableTaskQueue
from myconsumer.pipeline.observers import Observer
from myconsumer.service import ConsumerService
from myconsumer.status.state import Status
from myconsumer.task import LoggedReason, Settlement
from myconsumer.testing import (
    NOTHING,
    Cancel,
    Claim,
    ControlledHandler,
    Handling,
    ScriptedQueue,
    Settle,
    passTime,
)
from tests.model import busy, fault, refusal, task, tasks


class Child(Service):
    """
    A service that handlers need, and that takes its time to stop.
    """

    def __init__(self) -> None:
        self.started = self.stops = 0
        self.stopping: Deferred[None] = Deferred()

    def startService(self) -> None:
        """
        See L{Service.startService}.
        """
        super().startService()
        self.started += 1

    def stopService(self) -> Deferred[None]:
        """
        See L{Service.stopService}.
        """
        super().stopService()
        self.stops += 1
        return self.stopping


class Noted(Observer):
    """
    Notes the changes of settings.
    """

    def __init__(self) -> None:
        self.changes: list[tuple[str, Any, Any]] = []

    def settingChanged(self, name: str, old: Any, new: Any) -> None:
        """
        See L{IConsumerObserver.settingChanged}.
        """
        self.changes.append((name, old, new))


@implementer(IScalableTaskHandler)
class Scaled(ControlledHandler):
    """
    A handler that keeps something for each slot.
    """

    def __init__(self, scale: Callable[[int], None]) -> None:
        super().__init__()
        self._scale = scale

    def setLimit(self, limit: int) -> None:
        """
        See L{IScalableTaskHandler.setLimit}.
        """
        self._scale(limit)


@implementer(IScalableTaskQueue)
class ScaledQueue(ScriptedQueue):
    """
    A queue that keeps something for each claim.
    """

    def __init__(self, clock: Clock, scale: Callable[[int], None]) -> None:
        super().__init__(clock)
        self._scale = scale

    def setPollers(self, pollers: int) -> None:
        """
        See L{IScalableTaskQueue.setPollers}.
        """
        self._scale(pollers)


class Greedy(ControlledHandler):
    """
    A handler that opens files for each task.
    """

    descriptorsEach = 1000


class ServiceCase(SynchronousTestCase):
    """
    A service whose queue the test answers; settlements and heartbeats are taken.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = ScriptedQueue(self.clock)
        self.queue.onSettle = Settle.take
        self.handler = ControlledHandler()
        self.ends: list[Failure | None] = []
        self.whenEnded: Callable[[], object] = lambda: None
        self.stopped: list[Deferred[None]] = []
        self.child = Child()
        self.addCleanup(self.endsClean)

    def endsClean(self) -> None:
        if self.service.running:
            self.stop()
        for stopping in [*self.stopped, self.child.stopping]:
            if not stopping.called:
                passTime(self.clock, 60)
        if not self.child.stopping.called:
            self.child.stopping.callback(None)
        for stopped in self.stopped:
            self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def make(self, limit: int = 2, **options: Any) -> None:
        self.service = ConsumerService(
            self.queue,
            self.handler,
            limit,
            clock=self.clock,
            onEnd=self.onEnd,
            **options,
        )
        self.service.addService(self.child)
        self.service.startService()
        passTime(self.clock, 0)

    def onEnd(self, reason: Failure | None) -> None:
        self.ends.append(reason)
        self.whenEnded()

    def stop(self) -> Deferred[None]:
        stopped = self.service.stopService()
        self.stopped.append(stopped)
        return stopped

    def isDone(self) -> bool:
        """
        Whether all is done but the stop of the child.
        """
        return self.child.stops > 0

    def settlements(self) -> list[Settlement]:
        """
        All that was settled, in order.
        """
        return [each for one in self.queue.outcomes for each in one.settlements]

    def released(self, number: int) -> Settlement:
        """
        A task given back as if it had not been delivered.
        """
        return Settlement(f"r-{number}", "release", counted=False)


class RunTests(ServiceCase):
    """
    While it runs.
    """

    def test_providesIService(self) -> None:
        """
        L{ConsumerService} is a service with children, and can be paused.
        """
        self.make()
        verifyObject(IService, self.service)
        verifyObject(IPausable, self.service)
        self.assertIsInstance(self.service, MultiService)

    def test_claimsRunsAndSettles(self) -> None:
        """
        Tasks are claimed, run and settled; a slot that is freed is claimed.
        """
        self.make(2)
        self.queue.claims[0].bring(*tasks(1, 2))
        self.assertEqual(len(self.handler.running), 2)
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [Settlement("r-1", "complete")])
        self.assertEqual(self.queue.claims[-1].limit, 1)
        self.handler.of("2").succeed()

    def test_claimsAsItIsTold(self) -> None:
        """
        The service claims with the wait, the lease and the prefetch that it was given.
        """
        self.make(2, wait=3.0, lease=30.0, prefetch=4)
        [claim] = self.queue.claims
        self.assertEqual((claim.limit, claim.wait, claim.lease), (6, 3, 30))

    def test_refusesUnfitNumbers(self) -> None:
        """
        A number that is out of range, or none, is refused at once, by the argument's
        name and what it takes.
        """
        rows: list[tuple[str, str, list[Any], list[Any]]] = [
            ("limit", "1 or more", [0, -1], [1.0, True, None]),
            ("prefetch", "0 or more", [-1], [0.5, "1"]),
            ("pollers", "1 or more", [0], [1.5, False]),
            ("maxAttempts", "0 or more", [-1], [None]),
            ("lease", "above 0", [0, -1.0, nan, inf], ["60", None, True]),
            ("rate", "starts in a second", [0, -1.0, nan, inf, 1e-9], ["5/s", True]),
            *(
                (name, "from 0 to", [-0.1, nan, inf], ["1", None, True])
                for name in ("wait", "interval", "timeout", "drain")
            ),
        ]
        self.make()
        for name, takes, values, others in rows:
            for error, unfit in ((ValueError, values), (TypeError, others)):
                for value in unfit:
                    with self.subTest(name=name, value=value):
                        options = {"limit": 1, name: value}
                        with self.assertRaisesRegex(error, f"^{name} takes .*not") as r:
                            ConsumerService(
                                self.queue, self.handler, clock=self.clock, **options
                            )
                        self.assertIn(takes, str(r.exception))

    def test_takesFitNumbers(self) -> None:
        """
        The least of each number is taken, and whole seconds too.
        """
        self.make(
            1,
            wait=0,
            lease=1,
            interval=0.1,
            prefetch=0,
            pollers=1,
            timeout=0,
            drain=0,
            maxAttempts=0,
            rate=1,
        )

    def test_limitsTimeAndAttempts(self) -> None:
        """
        A task runs no longer than the time limit, and fails for good in the last
        attempt.
        """
        self.make(2, timeout=7.0, maxAttempts=2)
        self.queue.claims[0].bring(task(1), task(2, attempt=2))
        passTime(self.clock, 7)
        self.assertEqual(
            [each.outcome for each in self.settlements()], ["release", "fail"]
        )

    def test_waitsOutTheInterval(self) -> None:
        """
        The next claim after an empty answer waits out the interval.
        """
        self.make(interval=5.0)
        self.queue.claims[0].bring()
        passTime(self.clock, 4.9)
        self.assertEqual(len(self.queue.claims), 1)
        passTime(self.clock, 0.1)
        self.assertEqual(len(self.queue.claims), 2)

    def test_cancelsALostTask(self) -> None:
        """
        A running task whose lease is lost is cancelled, and its slot used again.
        """
        self.make(2)
        self.queue.claims[0].bring(*tasks(1, 2))
        self.queue.onSettle = lambda request: request.take("r-1")
        passTime(self.clock, 20)
        self.assertEqual(self.handler.of("1").cancels, 1)
        self.assertEqual([claim.limit for claim in self.queue.openClaims], [1])
        self.queue.onSettle = Settle.take
        self.assertEqual(self.settlements(), [])

    def test_pausesWhileUnsettled(self) -> None:
        """
        With more than four times the limit unsettled, claims pause, and go on once
        the endpoint takes settlements again.
        """
        self.make(2)
        self.handler.script = lambda handling: NOTHING
        self.queue.onSettle = lambda request: None
        for number in range(0, 10, 2):
            self.queue.claims[-1].bring(*tasks(number, 2))
            passTime(self.clock, 0)
        self.assertEqual(self.queue.openClaims, [])
        self.queue.onSettle = Settle.take
        self.queue.outcomes[0].take()
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.openClaims), 1)

    def test_keepsToTheRate(self) -> None:
        """
        Tasks are started no faster than the rate says.
        """
        self.make(4, rate=2.0)
        self.assertEqual(self.queue.claims[0].limit, 1)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0.4)
        self.assertEqual(len(self.queue.claims), 1)
        passTime(self.clock, 0.1)
        self.assertEqual(len(self.queue.claims), 2)

    def test_startsAtOnceWithoutRate(self) -> None:
        """
        Without a rate tasks are started at once.
        """
        self.handler.script = lambda handling: NOTHING
        self.make(50)
        self.queue.claims[0].bring(*tasks(1, 50))
        passTime(self.clock, 0)
        self.assertEqual(self.queue.claims[1].limit, 50)

    def test_extendsALease(self) -> None:
        """
        A running task extends its lease, beside all that are like it, and from then
        on it is renewed to as much.
        """
        self.make(2)
        self.queue.claims[0].bring(*tasks(1, 2))
        extended = self.handler.of("1").task.extend(100)
        passTime(self.clock, 0)
        self.assertIsNone(self.successResultOf(extended))
        [beat] = self.queue.beats
        lengths = [(each.receipt, each.lease) for each in beat.settlements]
        self.assertEqual(lengths, [("r-1", 100), ("r-2", 60)])
        passTime(self.clock, 20)
        self.assertEqual(self.queue.beats[1].settlements, beat.settlements)
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [Settlement("r-1", "complete")])
        failed = self.handler.of("1").task.extend(600)
        self.failureResultOf(failed, LeaseLostError)

    def test_doesNotEnd(self) -> None:
        """
        Without C{untilEmpty} nothing ends the run.
        """
        self.queue.onClaim = lambda claim: claim.fail(refusal())
        self.make()
        passTime(self.clock, 1000)
        self.queue.onClaim = Claim.bring
        passTime(self.clock, 100)
        self.assertEqual(self.ends, [])


class ChangeTests(ServiceCase):
    """
    Settings that change while the service runs.
    """

    def setUp(self) -> None:
        super().setUp()
        self.observer = Noted()

    def make(self, limit: int = 2, **options: Any) -> None:
        super().make(limit, observers=[self.observer], **options)

    def running(self) -> int:
        return len(self.handler.running)

    def test_fillsNewSlotsAtOnce(self) -> None:
        """
        With a higher limit new slots are filled within one round trip.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 10)
        self.assertEqual(len(self.queue.claims), 1)
        self.service.setLimit(3)
        passTime(self.clock, 0)
        self.assertEqual(self.queue.claims[-1].limit, 2)
        self.queue.claims[-1].bring(*tasks(2, 2))
        self.assertEqual(self.running(), 3)

    def test_letsTheSurplusRunOut(self) -> None:
        """
        With a lower limit nothing is cancelled, and nothing is claimed or started
        before fewer tasks run, prefetched ones included.
        """
        self.make(4, prefetch=1)
        self.queue.claims[0].bring(*tasks(1, 5))
        self.service.setLimit(2)
        passTime(self.clock, 100)
        self.assertEqual((self.running(), len(self.queue.claims)), (4, 1))
        for id in "12":
            self.handler.of(id).succeed()
            passTime(self.clock, 1)
        self.assertEqual((self.running(), len(self.queue.claims)), (2, 1))
        self.handler.of("3").succeed()
        passTime(self.clock, 0)
        self.assertEqual(self.running(), 2)
        self.assertEqual(self.queue.claims[-1].limit, 1)
        self.assertEqual({each.outcome for each in self.settlements()}, {"complete"})

    def test_claimsANewPrefetchAtOnce(self) -> None:
        """
        With a higher prefetch more is claimed at once; with a lower one nothing is
        given back, and nothing is claimed before less waits.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        self.service.change(prefetch=2)
        passTime(self.clock, 0)
        self.assertEqual(self.queue.claims[-1].limit, 2)
        self.queue.claims[-1].bring(*tasks(2, 2))
        self.service.change(prefetch=1)
        passTime(self.clock, 0)
        self.handler.of("1").succeed()
        passTime(self.clock, 1)
        self.assertEqual((self.running(), len(self.queue.claims)), (1, 2))
        self.assertEqual([each.receipt for each in self.settlements()], ["r-1"])
        self.handler.of("2").succeed()
        passTime(self.clock, 1)
        self.assertEqual(len(self.queue.claims), 3)

    def test_claimsAsItIsToldFromThenOn(self) -> None:
        """
        The next claim has the new wait and lease; the tasks that an open one brings
        have the lease that this one has asked for.
        """
        self.make(1, lease=60.0)
        self.service.change(wait=3, lease=6)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 19)
        self.assertEqual(self.queue.beats, [])
        passTime(self.clock, 2)
        [beat] = self.queue.beats
        self.assertEqual(beat.settlements[0].lease, 60)
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        claim = self.queue.claims[-1]
        self.assertEqual((claim.wait, claim.lease), (3, 6))
        claim.bring(task(2))
        passTime(self.clock, 2)
        self.assertEqual(self.queue.beats[-1].settlements[0].lease, 6)

    def test_waitsOutTheNewInterval(self) -> None:
        """
        A shorter interval holds for a wait that has begun already, and so does a longer
        one.
        """
        for first, second in ((1000.0, 5.0), (1.0, 5.0)):
            with self.subTest(first=first):
                self.make(interval=first)
                self.queue.claims[-1].bring()
                before = len(self.queue.claims)
                passTime(self.clock, 0.5)
                self.service.change(interval=second)
                passTime(self.clock, 4.4)
                self.assertEqual(len(self.queue.claims), before)
                passTime(self.clock, 0.2)
                self.assertEqual(len(self.queue.claims), before + 1)
                self.stop()
                self.queue.claims[-1].bring()
                passTime(self.clock, 30)

    def test_opensMoreClaims(self) -> None:
        """
        With more pollers more claims are open side by side while they come back full.
        """
        self.make(4)
        self.queue.claims[0].bring(*tasks(1, 4))
        self.service.change(pollers=2, prefetch=1)
        passTime(self.clock, 0)
        self.service.change(prefetch=3)
        passTime(self.clock, 0)
        self.assertEqual([each.limit for each in self.queue.openClaims], [1, 2])

    def test_limitsTimeAndAttemptsFromThenOn(self) -> None:
        """
        A new time limit holds for tasks that start from then on, and a new last attempt
        for those that end.
        """
        self.make(2, timeout=100.0, maxAttempts=0)
        self.queue.claims[0].bring(task(1, attempt=3))
        self.service.change(timeout=7, maxAttempts=3)
        passTime(self.clock, 1)
        self.queue.claims[-1].bring(task(2))
        passTime(self.clock, 8)
        [second] = self.settlements()
        self.assertEqual((second.receipt, second.error), ("r-2", "timed out after 7 s"))
        passTime(self.clock, 91)
        first = self.settlements()[-1]
        self.assertEqual(
            (first.receipt, first.outcome, first.error),
            ("r-1", "fail", "timed out after 100 s"),
        )

    def test_switchesTheRate(self) -> None:
        """
        A rate can be switched on, changed and off; permits that are taken stay taken.
        """
        self.make(9, prefetch=9)
        self.service.change(rate=0.1)
        self.queue.claims[0].bring(*tasks(1, 9))
        self.assertEqual(self.running(), 1)
        self.service.change(rate=0.2)
        passTime(self.clock, 4.9)
        self.assertEqual(self.running(), 1)
        passTime(self.clock, 0.2)
        self.assertEqual(self.running(), 2)
        self.service.change(rate=None)
        passTime(self.clock, 0)
        self.assertEqual(self.running(), 9)

    def test_drainsForTheNewTime(self) -> None:
        """
        A drain lasts as long as it is to when it begins.
        """
        self.make(1, drain=100.0)
        self.queue.claims[0].bring(task(1))
        self.service.change(drain=5)
        self.stop()
        self.service.change(drain=50)
        passTime(self.clock, 4.9)
        self.assertEqual(self.running(), 1)
        passTime(self.clock, 0.2)
        self.assertEqual(self.running(), 0)

    def test_changesAllOrNothing(self) -> None:
        """
        Where one value is refused, with the constructor's words, nothing is changed.
        """
        self.make(2)
        before = self.service.settings
        for error, takes, wrong in (
            (ValueError, "limit takes .*1 or more", {"limit": 0}),
            (TypeError, "limit takes", {"limit": 1.5}),
            (ValueError, "prefetch takes", {"prefetch": -1}),
            (ValueError, "pollers takes", {"pollers": 0}),
            (ValueError, "wait takes", {"wait": -1}),
            (ValueError, "lease takes", {"lease": 0}),
            (ValueError, "interval takes", {"interval": nan}),
            (ValueError, "rate takes", {"rate": 0}),
            (ValueError, "drain takes", {"drain": inf}),
            (ValueError, "timeout takes", {"timeout": -1}),
            (TypeError, "maxAttempts takes", {"maxAttempts": None}),
            (TypeError, "untilEmpty is not among", {"untilEmpty": True}),
            (TypeError, "colour is not among", {"colour": 1}),
        ):
            changes: dict[str, Any] = {"prefetch": 5, "limit": 7, "drain": 3.0, **wrong}
            with self.assertRaisesRegex(error, takes):
                self.service.change(**changes)
            self.assertEqual(self.service.settings, before)
        self.assertEqual(self.observer.changes, [])
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 1)

    def test_announcesWhatDiffers(self) -> None:
        """
        Each setting that differs is announced once, and what stays as it was is not.
        """
        self.make(2, lease=60)
        self.service.change(limit=3, lease=60.0, drain=5)
        self.service.change(limit=3)
        self.service.change(rate=2)
        self.assertEqual(
            self.observer.changes,
            [("limit", 2, 3), ("drain", 20.0, 5), ("rate", None, 2)],
        )

    def test_changesAtAnyTime(self) -> None:
        """
        Settings can be changed before the start, while paused, while draining and after
        the stop; they survive a stop and a start.
        """
        self.service = ConsumerService(self.queue, self.handler, 1, clock=self.clock)
        self.service.setLimit(2)
        self.service.pause("test")
        self.service.startService()
        passTime(self.clock, 0)
        self.service.setLimit(3)
        passTime(self.clock, 0)
        self.assertEqual(self.queue.claims, [])
        self.service.resume("test")
        passTime(self.clock, 0)
        [claim] = self.queue.claims
        self.assertEqual(claim.limit, 3)
        claim.bring(*tasks(1, 3))
        self.stop()
        self.service.setLimit(9)
        passTime(self.clock, 1)
        self.assertEqual((len(self.queue.claims), self.running()), (1, 3))
        for handling in list(self.handler.running):
            handling.succeed()
        passTime(self.clock, 30)
        self.service.setLimit(4)
        self.service.startService()
        passTime(self.clock, 0)
        self.assertEqual(self.queue.claims[-1].limit, 4)
        self.child.stopping.callback(None)

    def test_scalesTheHandlerAndTheQueue(self) -> None:
        """
        What keeps something for each slot or claim is told before there are more, and
        after there are fewer.
        """
        told: list[tuple[str, int, int, int]] = []

        def note(name: str, number: int) -> None:
            now = self.service.settings
            told.append((name, number, now["limit"], now["pollers"]))

        self.handler = Scaled(partial(note, "handler"))
        self.queue = ScaledQueue(self.clock, partial(note, "queue"))
        self.queue.onSettle = Settle.take
        self.make(2)
        self.service.change(limit=5, pollers=2)
        self.service.change(limit=1, pollers=1)
        self.service.change(drain=1.0)
        self.assertEqual(
            told,
            [
                ("handler", 5, 2, 1),
                ("queue", 2, 2, 1),
                ("handler", 1, 1, 1),
                ("queue", 1, 1, 1),
            ],
        )

    def test_changesNothingTheHandlerCannotKeep(self) -> None:
        """
        Where the handler refuses a higher limit nothing is changed; where it fails with
        a lower one that is logged.
        """

        def refuse(limit: int) -> None:
            raise ValueError("no more machines")

        self.handler = Scaled(refuse)
        self.make(2)
        with self.assertRaisesRegex(ValueError, "no more machines"):
            self.service.change(limit=3, drain=1.0)
        self.assertEqual(self.observer.changes, [])
        self.service.setLimit(1)
        self.assertEqual(self.observer.changes, [("limit", 2, 1)])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_letsTheHandlerShrinkIfTheQueueRefuses(self) -> None:
        """
        Where the queue refuses more claims the handler, which had grown already, keeps
        what it kept before.
        """
        limits: list[int] = []

        def refuse(pollers: int) -> None:
            if pollers > 1:
                raise ValueError("no more connections")

        self.handler = Scaled(limits.append)
        self.queue = ScaledQueue(self.clock, refuse)
        self.make(2)
        with self.assertRaisesRegex(ValueError, "no more connections"):
            self.service.change(limit=3, pollers=2)
        self.assertEqual(limits, [3, 2])
        self.assertEqual(self.service.settings["limit"], 2)

    def test_refusesALimitPastTheDescriptors(self) -> None:
        """
        A higher limit for which this process may not open enough file descriptors is
        refused.
        """
        self.handler = Greedy()
        self.make(2)
        with self.assertRaisesRegex(ValueError, "--limit 3000000 needs .* descriptors"):
            self.service.setLimit(3_000_000)
        self.assertEqual(self.service.settings["limit"], 2)


class PauseTests(ServiceCase):
    """
    A service that is told to claim nothing for a while.
    """

    def test_pauses(self) -> None:
        """
        A pause ends the claim, has what waits or arrives given back, uncounted, and
        lets what runs go on and be settled; resumed, the service claims what is free.
        """
        self.make(1, prefetch=2)
        self.queue.claims[0].bring(*tasks(1, 2))
        passTime(self.clock, 0)
        [claim] = self.queue.openClaims
        self.service.pause("no web application")
        self.assertEqual(self.queue.cancels[-1].claim, claim.claim)
        claim.bring(task(3))
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [self.released(2), self.released(3)])
        self.handler.of("1").succeed()
        passTime(self.clock, 100)
        self.assertEqual(self.settlements()[2:], [Settlement("r-1", "complete")])
        self.assertEqual(self.queue.openClaims, [])
        self.service.resume("no web application")
        passTime(self.clock, 0)
        self.assertEqual([claim.limit for claim in self.queue.openClaims], [3])

    def test_leavesRunningTasksAlone(self) -> None:
        """
        A pause does not cancel what runs, and its lease is kept alive.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        self.service.pause("a")
        passTime(self.clock, 100)
        self.assertEqual(len(self.queue.beats), 5)
        self.assertEqual(self.handler.of("1").cancels, 0)
        self.handler.of("1").succeed()

    def test_pausesForAsLongAsAReason(self) -> None:
        """
        The service is paused as long as there is any reason.
        """
        self.make()
        self.queue.claims[0].bring()
        for reason in ("a", "b"):
            self.service.pause(reason)
        self.service.resume("a")
        passTime(self.clock, 10)
        self.assertEqual(len(self.queue.claims), 1)
        self.service.resume("b")
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 2)

    def test_claimsNothingWhenStartedPaused(self) -> None:
        """
        A service that was paused before its start claims nothing once it is started.
        """
        self.service = ConsumerService(self.queue, self.handler, 2, clock=self.clock)
        self.service.pause("a")
        self.service.startService()
        passTime(self.clock, 100)
        self.assertEqual((self.queue.claims, self.queue.cancels), ([], []))
        self.service.resume("a")
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 1)

    def test_claimsWhenResumedBeforeTheStart(self) -> None:
        """
        A service that was paused and resumed before its start claims as ever.
        """
        self.service = ConsumerService(self.queue, self.handler, 2, clock=self.clock)
        self.service.pause("a")
        self.service.resume("a")
        passTime(self.clock, 100)
        self.assertEqual(self.queue.claims, [])
        self.service.startService()
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 1)

    def test_pausesWhenAChildAsks(self) -> None:
        """
        A child may pause the service when it is started: nothing is claimed before.
        """

        class Pausing(Service):
            """
            Pauses its parent.
            """

            def startService(self) -> None:
                """
                See L{Service.startService}.
                """
                super().startService()
                parent: Any = self.parent
                parent.pause("a child")

        self.service = ConsumerService(self.queue, self.handler, 2, clock=self.clock)
        Pausing().setServiceParent(self.service)
        self.service.startService()
        passTime(self.clock, 100)
        self.assertEqual(self.queue.claims, [])
        self.service.resume("a child")
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 1)

    def test_staysPausedOverARestart(self) -> None:
        """
        A pause outlasts a stop and a start, until it is resumed.
        """
        self.make(1)
        self.child.stopping.callback(None)
        self.service.pause("a")
        self.stop()
        passTime(self.clock, 2)
        self.successResultOf(self.stopped[0])
        self.service.startService()
        passTime(self.clock, 100)
        self.assertEqual(len(self.queue.claims), 1)
        self.service.resume("a")
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 2)

    def test_claimsWhenResumedWhileStopped(self) -> None:
        """
        Resumed between a stop and a start, the service claims as ever.
        """
        self.make(1)
        self.child.stopping.callback(None)
        self.service.pause("a")
        self.stop()
        passTime(self.clock, 2)
        self.service.resume("a")
        passTime(self.clock, 100)
        self.assertEqual(len(self.queue.claims), 1)
        self.service.startService()
        passTime(self.clock, 0)
        self.assertEqual(len(self.queue.claims), 2)

    def test_changesNothingWhileItStops(self) -> None:
        """
        While the service stops, to pause and resume changes nothing.
        """
        self.make(1, prefetch=1)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.stop()
        cancels = len(self.queue.cancels)
        self.service.pause("a")
        self.assertEqual(len(self.queue.cancels), cancels)
        self.service.resume("a")
        passTime(self.clock, 10)
        self.assertEqual(self.handler.of("1").cancels, 0)
        self.handler.of("1").succeed()
        passTime(self.clock, 10)
        self.assertTrue(self.isDone())
        self.assertEqual(self.queue.openClaims, [])

    def test_stopsWhilePaused(self) -> None:
        """
        The service can be stopped while it is paused, as soon as what runs has ended.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.service.pause("a")
        self.stop()
        passTime(self.clock, 3)
        self.assertFalse(self.isDone())
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.assertTrue(self.isDone())
        self.assertEqual(self.settlements(), [Settlement("r-1", "complete")])

    def test_doesNotEndWhilePaused(self) -> None:
        """
        No run ends while the service is paused; the first empty answer after that ends
        it.
        """
        self.make(untilEmpty=True)
        self.service.pause("a")
        self.queue.claims[0].bring()
        passTime(self.clock, 100)
        self.assertEqual(self.ends, [])
        self.service.resume("a")
        passTime(self.clock, 0)
        self.queue.claims[1].bring()
        self.assertEqual(self.ends, [None])


class StopTests(ServiceCase):
    """
    A stop.
    """

    def test_stopsWhenIdle(self) -> None:
        """
        An idle service ends its claim, and stops as soon as that is answered.
        """
        self.make()

        def end(cancel: Cancel) -> None:
            cancel.take()
            self.queue.openClaims[0].bring()

        self.queue.onCancel = end
        self.stop()
        self.assertTrue(self.isDone())
        self.assertFalse(self.service.running)

    def test_stopsBeforeItsFirstClaim(self) -> None:
        """
        A service that is stopped in the turn in which it was started claims nothing.
        """
        self.service = ConsumerService(self.queue, self.handler, 2, clock=self.clock)
        self.service.startService()
        self.stop()
        passTime(self.clock, 100)
        self.assertEqual(self.queue.claims, [])
        self.successResultOf(self.stopped[0])

    def test_stopsBeforeStart(self) -> None:
        """
        A stop of the service before its start is harmless.
        """
        self.service = ConsumerService(self.queue, self.handler, 2, clock=self.clock)
        self.stop()
        self.successResultOf(self.stopped[0])

    def test_endsGivesBackAndExtendsAtOnce(self) -> None:
        """
        At once, side by side: the claims are ended, what waits is given back, and
        what runs goes on, its leases kept alive.
        """
        self.make(1, prefetch=2, drain=50.0)
        self.queue.claims[0].bring(*tasks(1, 2))
        passTime(self.clock, 0)
        [claim] = self.queue.openClaims
        stopped = self.stop()
        self.assertEqual(self.queue.cancels[-1].claim, claim.claim)
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [self.released(2)])
        claim.bring(task(3))
        passTime(self.clock, 0)
        self.assertEqual(self.settlements()[1:], [self.released(3)])
        passTime(self.clock, 40)
        self.assertEqual([beat.receipts for beat in self.queue.beats][-1], ["r-1"])
        self.assertEqual(self.handler.of("1").cancels, 0)
        self.assertNoResult(stopped)

    def test_stopsOnceTasksHaveEnded(self) -> None:
        """
        Once the last running task has ended, it is settled and the stop is done.
        """
        self.make(2)
        self.queue.claims[0].bring(*tasks(1, 2))
        self.queue.onSettle = lambda request: None
        self.stop()
        passTime(self.clock, 5)
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.queue.outcomes[-1].take()
        self.handler.of("2").succeed()
        passTime(self.clock, 0)
        self.assertFalse(self.isDone())
        self.queue.outcomes[-1].take()
        self.assertTrue(self.isDone())
        self.assertEqual(len(self.settlements()), 2)
        self.assertEqual(len(self.queue.claims), 1)

    def test_cancelsAfterTheDrain(self) -> None:
        """
        What runs longer than C{drain} seconds is cancelled and given back,
        uncounted.
        """
        self.make(2, drain=7.0)
        self.queue.claims[0].bring(*tasks(1, 2))
        self.stop()
        passTime(self.clock, 6.9)
        self.assertEqual(len(self.handler.running), 2)
        passTime(self.clock, 0.1)
        self.assertEqual(self.handler.running, [])
        self.assertCountEqual(self.settlements(), [self.released(1), self.released(2)])
        self.assertTrue(self.isDone())

    def test_cancelsAtOnceWithoutDrain(self) -> None:
        """
        With no drain what runs is cancelled at once.
        """
        self.make(2, drain=0.0)
        self.queue.claims[0].bring(task(1))
        self.queue.claims[0]
        passTime(self.clock, 0)
        self.stop()
        passTime(self.clock, 0)
        self.assertEqual(self.handler.of("1").cancels, 1)
        self.assertEqual(self.settlements(), [self.released(1)])

    def test_abandonsAStubbornTask(self) -> None:
        """
        A task that does not end upon being cancelled is given half a second, and
        then given back all the same; it is not waited for.
        """
        self.make(1, drain=7.0)
        self.queue.claims[0].bring(task(1))
        self.handler.of("1").stubborn = True
        self.stop()
        passTime(self.clock, 7.4)
        self.assertEqual(self.settlements(), [])
        passTime(self.clock, 0.1)
        self.assertEqual(self.settlements(), [self.released(1)])
        self.assertTrue(self.isDone())
        self.handler.of("1").succeed()
        passTime(self.clock, 10)
        self.assertEqual(len(self.settlements()), 1)

    def test_completesWhatEndsWellUponCancel(self) -> None:
        """
        A task that ends well upon being cancelled is completed.
        """
        self.make(1, drain=7.0)
        self.queue.claims[0].bring(task(1))
        self.handler.of("1").well = True
        self.stop()
        passTime(self.clock, 7)
        [settlement] = self.settlements()
        self.assertEqual(settlement.outcome, "complete")

    def test_survivesABrokenCancel(self) -> None:
        """
        A handler that raises while it is cancelled does not keep the service from
        being stopped.
        """

        def broken(_: Deferred[None]) -> None:
            raise ZeroDivisionError

        self.make(2, drain=7.0)
        self.handler.script = lambda handling: Deferred(broken)
        self.queue.claims[0].bring(*tasks(1, 2))
        self.stop()
        passTime(self.clock, 9)
        self.assertTrue(self.isDone())
        self.assertCountEqual(self.settlements(), [self.released(1), self.released(2)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_awaitsAClaimFor15Seconds(self) -> None:
        """
        A claim that can neither be ended nor comes back is awaited for 15 s.
        """
        self.queue.onCancel = lambda cancel: cancel.take(False)
        self.make(2, drain=7.0)
        self.stop()
        passTime(self.clock, 14.9)
        self.assertFalse(self.isDone())
        [claim] = self.queue.openClaims
        passTime(self.clock, 0.1)
        self.assertTrue(self.isDone())
        self.assertTrue(claim.dropped)

    def test_awaitsAClaimNoLongerForALongDrain(self) -> None:
        """
        With nothing running a claim is awaited for no longer than that, however long
        the drain.
        """
        self.queue.onCancel = lambda cancel: cancel.take(False)
        self.make(2, drain=100.0)
        self.stop()
        passTime(self.clock, 15)
        self.assertTrue(self.isDone())

    def test_givesBackStrandedTasks(self) -> None:
        """
        What a claim brings that is awaited is given back.
        """
        self.queue.onCancel = lambda cancel: cancel.take(False)
        self.make(2, drain=0.0)
        self.stop()
        passTime(self.clock, 5)
        self.queue.claims[0].bring(*tasks(1, 2))
        passTime(self.clock, 0)
        self.assertEqual(self.settlements(), [self.released(1), self.released(2)])
        self.assertTrue(self.isDone())
        self.assertEqual(self.handler.handled, [])

    def test_repeatsAnEndThatFails(self) -> None:
        """
        Where ending the claim fails, the request is repeated, before the claim is
        dropped.
        """
        self.make(2)
        self.queue.onCancel = lambda cancel: cancel.fail(fault())
        self.stop()
        [claim] = self.queue.openClaims
        passTime(self.clock, 1)
        self.queue.onCancel = lambda cancel: cancel.take()
        passTime(self.clock, 60)
        self.assertIn(claim.claim, [each.claim for each in self.queue.cancels[2:]])

    def test_extendsWhileItStops(self) -> None:
        """
        A task that runs on while the service stops can still extend its lease; one that
        is abandoned, or asks later, hears that there is none, and leaves nothing.
        """
        self.make(1, drain=7.0)
        self.queue.claims[0].bring(task(1))
        handling = self.handler.of("1")
        handling.stubborn = True
        self.stop()
        extended = handling.task.extend(90)
        passTime(self.clock, 0)
        self.assertIsNone(self.successResultOf(extended))
        # from now on the endpoint is silent
        self.queue.onSettle = lambda request: None
        passTime(self.clock, 7.5)
        self.assertEqual(handling.cancels, 1)
        late = handling.task.extend(90)
        passTime(self.clock, 30)
        self.assertTrue(self.isDone())
        self.failureResultOf(late, LeaseLostError)
        requests = len(self.queue.settles)
        later = handling.task.extend(90)
        passTime(self.clock, 100)
        self.failureResultOf(later, LeaseLostError)
        self.assertEqual(len(self.queue.settles), requests)
        handling.succeed()

    def test_settlesFor5Seconds(self) -> None:
        """
        What cannot be settled is tried for 5 s; then it is logged and left.
        """
        self.make(2, drain=7.0)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.queue.claims[-1].bring()
        self.queue.onSettle = lambda request: request.fail(fault())
        self.stop()
        with capturedLogs() as logs:
            passTime(self.clock, 11.9)
            self.assertFalse(self.isDone())
            passTime(self.clock, 0.1)
        self.assertTrue(self.isDone())
        self.assertGreater(len(self.queue.outcomes), 2)
        errors = [e for e in logs if e["log_level"] == LogLevel.error]
        self.assertEqual([(e["count"], e["ids"]) for e in errors], [(1, "1")])

    def test_settlesAtOnce(self) -> None:
        """
        A settlement that waits for its backoff is sent at once, when all tasks have
        ended.
        """
        self.make(1)
        self.queue.onSettle = lambda request: request.fail(busy(300))
        self.queue.claims[0].bring(task(1))
        self.handler.of("1").succeed()
        passTime(self.clock, 1)
        self.queue.claims[-1].bring()
        self.queue.onSettle = Settle.take
        self.stop()
        passTime(self.clock, 0)
        self.assertTrue(self.isDone())

    def test_stopsInTime(self) -> None:
        """
        With everything against it, the default stop takes 25.5 s.
        """
        self.queue.onCancel = lambda cancel: cancel.fail(fault())
        self.make(1, prefetch=1)
        self.queue.claims[0].bring(task(1))
        self.handler.of("1").stubborn = True
        self.queue.onSettle = lambda request: None
        self.stop()
        passTime(self.clock, 25.4)
        self.assertFalse(self.isDone())
        passTime(self.clock, 0.1)
        self.assertTrue(self.isDone())
        self.handler.of("1").succeed()

    def test_stopsChildrenLast(self) -> None:
        """
        Children are stopped, and the queue closed, after everything is settled; it
        has stopped once the children have.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        stopped = self.stop()
        passTime(self.clock, 1)
        self.assertEqual((self.child.stops, self.queue.closed), (0, 0))
        self.assertTrue(self.child.running)
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.assertEqual((self.child.stops, self.queue.closed), (1, 1))
        self.assertNoResult(stopped)
        self.child.stopping.callback(None)
        self.successResultOf(stopped)

    def test_stopsAsAChild(self) -> None:
        """
        The stop of a parent service waits for the drain of the consumer.
        """
        self.service = ConsumerService(self.queue, self.handler, 1, clock=self.clock)
        parent = MultiService()
        self.service.setServiceParent(parent)
        parent.startService()
        passTime(self.clock, 0)
        self.queue.claims[0].bring(task(1))
        stopped = parent.stopService()
        self.assertNoResult(stopped)
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.successResultOf(stopped)

    def test_stopsWhenAHandlerAsks(self) -> None:
        """
        A handler may stop the service: nothing is claimed any more, and its own task is
        settled.
        """
        self.make(1)

        def script(handling: Handling) -> Any:
            if handling.task.id == "2":
                self.stop()
                return NOTHING
            return None

        self.handler.script = script
        self.queue.claims[0].bring(*tasks(1, 3))
        self.handler.of("1").succeed()
        passTime(self.clock, 1)
        self.assertTrue(self.isDone())
        self.assertEqual(self.queue.openClaims, [])
        self.assertEqual(
            self.settlements(),
            [
                Settlement("r-1", "complete"),
                Settlement("r-2", "complete"),
                self.released(3),
            ],
        )

    def test_consumesAfterARestart(self) -> None:
        """
        A service that was stopped can be started again, and consumes as before.
        """
        self.make(1)
        self.child.stopping.callback(None)
        self.queue.claims[0].bring(task(1))
        stopped = self.stop()
        self.handler.of("1").succeed()
        passTime(self.clock, 0)
        self.successResultOf(stopped)
        self.service.startService()
        passTime(self.clock, 0)
        [claim] = self.queue.openClaims
        claim.bring(task(2))
        self.assertTrue(self.service.running)
        self.assertEqual(self.child.started, 2)
        stopped = self.stop()
        passTime(self.clock, 19.9)
        self.assertNoResult(stopped)
        passTime(self.clock, 0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.settlements()[-1], self.released(2))


class HurryTests(ServiceCase):
    """
    A stop in a hurry: C{stopService} called again.
    """

    def test_cancelsWhatRuns(self) -> None:
        """
        Running tasks are cancelled at once, given back, and settled; both calls wait
        for the same end.
        """
        self.make(2)
        self.queue.claims[0].bring(*tasks(1, 2))
        self.queue.onSettle = lambda request: None
        first = self.stop()
        passTime(self.clock, 1)
        second = self.stop()
        passTime(self.clock, 0)
        self.assertEqual(self.handler.running, [])
        self.assertFalse(self.isDone())
        self.queue.outcomes[-1].take()
        self.assertTrue(self.isDone())
        self.assertCountEqual(self.settlements(), [self.released(1), self.released(2)])
        self.child.stopping.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)

    def test_doesNotAwaitClaims(self) -> None:
        """
        After a second call claims that cannot be ended are not awaited.
        """
        self.queue.onCancel = lambda cancel: cancel.take(False)
        self.make(2)
        self.stop()
        passTime(self.clock, 1)
        self.assertFalse(self.isDone())
        self.stop()
        passTime(self.clock, 0)
        self.assertTrue(self.isDone())
        self.assertTrue(self.queue.claims[0].dropped)

    def test_sendsTheEndsOfClaims(self) -> None:
        """
        The ends of claims are sent even in a hurry, for a second at most.
        """
        self.make(2)
        self.queue.onCancel = lambda cancel: None
        self.stop()
        self.stop()
        passTime(self.clock, 0.9)
        self.assertFalse(self.isDone())
        self.assertFalse(self.queue.cancels[-1].dropped)
        passTime(self.clock, 0.1)
        self.assertTrue(self.isDone())

    def test_skipsTheClaimGrace(self) -> None:
        """
        A second call ends the wait for claims that cannot be ended, also if nothing
        else is left to wait for.
        """
        self.queue.onCancel = lambda cancel: cancel.take(False)
        self.make(2, drain=1.0)
        self.stop()
        passTime(self.clock, 5)
        self.stop()
        self.assertTrue(self.isDone())

    def test_givesBackAStubbornTask(self) -> None:
        """
        A task that does not end upon being cancelled is given back in half a second.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        self.handler.of("1").stubborn = True
        self.stop()
        self.stop()
        passTime(self.clock, 0.5)
        self.assertEqual(self.settlements(), [self.released(1)])
        self.assertTrue(self.isDone())
        self.handler.of("1").succeed()

    def test_goesOnSettling(self) -> None:
        """
        A second call while settlements are in flight does not end them.
        """
        self.make(1, drain=3.0)
        self.queue.claims[0].bring(task(1))
        self.queue.onSettle = lambda request: None
        self.stop()
        passTime(self.clock, 3)
        [request] = self.queue.outcomes
        self.stop()
        self.stop()
        self.assertTrue(request.open)
        self.assertFalse(self.isDone())
        request.take()
        self.assertTrue(self.isDone())

    def test_ignoresAThirdCall(self) -> None:
        """
        A third call changes nothing more.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        self.queue.onSettle = lambda request: None
        for _ in range(3):
            self.stop()
        passTime(self.clock, 0)
        self.assertFalse(self.isDone())
        self.queue.outcomes[-1].take()
        self.assertTrue(self.isDone())

    def test_forgetsTheHurryAtARestart(self) -> None:
        """
        A restart forgets the hurry.
        """
        self.make(1)
        self.child.stopping.callback(None)
        self.stop()
        self.stop()
        passTime(self.clock, 2)
        self.service.startService()
        passTime(self.clock, 0)
        self.queue.claims[-1].bring(task(1))
        self.stop()
        passTime(self.clock, 10)
        self.assertEqual(self.handler.of("1").cancels, 0)
        self.handler.of("1").succeed()


class EndTests(ServiceCase):
    """
    A run that ends by itself.
    """

    def test_tellsOfTheEndOnce(self) -> None:
        """
        Once nothing is left the end is told, once, with L{None}; the service runs
        on, idle.
        """
        self.make(untilEmpty=True)
        self.queue.claims[0].bring()
        self.assertEqual(self.ends, [None])
        passTime(self.clock, 1000)
        self.assertEqual(self.ends, [None])
        self.assertTrue(self.service.running)
        self.assertEqual(len(self.queue.claims), 1)
        self.stop()
        self.assertTrue(self.isDone())

    def test_tellsOfTheEndOnceAllIsSettled(self) -> None:
        """
        The end is told only when all that came was run and settled.
        """
        self.make(untilEmpty=True)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.queue.claims[-1].bring()
        self.handler.of("1").succeed()
        self.assertEqual(self.ends, [])
        passTime(self.clock, 1)
        self.queue.claims[-1].bring()
        self.assertEqual(self.ends, [None])

    def test_tellsOfAFailure(self) -> None:
        """
        When claiming has failed for good the end is told with the failure.
        """
        self.make(untilEmpty=True)
        error = refusal()
        self.queue.claims[0].fail(error)
        passTime(self.clock, 0)
        [failure] = self.ends
        assert failure is not None
        self.assertIs(failure.value, error)
        passTime(self.clock, 1000)
        self.assertEqual(len(self.queue.claims), 1)

    def test_logsOnceHowItEnded(self) -> None:
        """
        The log says once how a run has ended and why: that nothing is left, or why it
        has given up; it promises no retry.
        """

        def empty() -> None:
            passTime(self.clock, 75)
            self.queue.claims[-1].bring()

        def refuse() -> None:
            self.queue.claims[-1].fail(refusal())

        def fail() -> None:
            for _ in range(5):
                self.queue.claims[-1].fail(fault())
                passTime(self.clock, 30)

        refused, failed = str(refusal()), str(fault())
        for end, lines in (
            (empty, ["Nothing is left after 75 s"]),
            (
                refuse,
                [f"Giving up after 0 s, since claims are refused: {refused}"],
            ),
            (
                fail,
                [
                    "Giving up after 2 min, since 5 claims in a row have failed: "
                    f"{failed}"
                ],
            ),
        ):
            self.make(untilEmpty=True)
            with capturedLogs() as logs:
                end()
                passTime(self.clock, 0)
            said = [formatEvent(each) for each in logs]
            retries = [each for each in said if each.startswith("Claims fail, next")]
            self.assertEqual(said[len(retries) :], lines)
            self.assertLessEqual(len(retries), 4)
            self.assertEqual(retries, [] if end is not fail else retries)
            self.stop()
            passTime(self.clock, 30)

    def test_logsThatNothingCanBeBegun(self) -> None:
        """
        A run that ends since its tasks cannot be begun says so.
        """
        self.make(untilEmpty=True)

        def script(handling: Handling) -> Any:
            raise NotBegunError("no memory")

        self.handler.script = script
        self.queue.onClaim = lambda claim: claim.bring(task(len(self.queue.claims)))
        self.queue.claims[0].bring(task(0))
        with capturedLogs() as logs:
            passTime(self.clock, 120)
        self.assertEqual(len(self.ends), 1)
        line = formatEvent(logs[-1])
        self.assertIn("since tasks cannot be begun: no memory", line)
        self.queue.onClaim = lambda claim: None

    def test_tellsNothingOfAStop(self) -> None:
        """
        A stop is no end by itself: nothing is told.
        """
        self.make(untilEmpty=True)
        self.queue.claims[0].bring(task(1))
        self.stop()
        self.handler.of("1").succeed()
        passTime(self.clock, 30)
        self.assertEqual(self.ends, [])

    def test_stopsWhenToldOfTheEnd(self) -> None:
        """
        Whoever is told may stop the service at once.
        """
        self.make(untilEmpty=True)
        self.whenEnded = self.stop
        self.queue.claims[0].bring()
        passTime(self.clock, 0)
        self.assertTrue(self.isDone())


class StatusTests(ServiceCase):
    """
    What the service says of itself.
    """

    def test_isStopped(self) -> None:
        """
        A service that was not started, or has stopped, is stopped.
        """
        self.service = ConsumerService(self.queue, self.handler, 2, clock=self.clock)
        self.assertEqual(self.service.status(), Status(limit=2))
        self.make()
        self.stop()
        self.child.stopping.callback(None)
        passTime(self.clock, 30)
        self.assertEqual(self.service.status().state, "stopped")

    def test_saysWhatRunsAndWaits(self) -> None:
        """
        The status counts what runs and waits, what is held, and how tasks have ended.
        """
        self.make(2, prefetch=2)
        self.queue.claims[0].bring(*tasks(1, 4))
        passTime(self.clock, 4)
        self.handler.of("1").succeed()
        self.handler.of("2").fail(Reject("no"))
        self.queue.onSettle = lambda settle: None
        passTime(self.clock, 1)
        status = self.service.status()
        self.assertEqual((status.state, status.limit), ("running", 2))
        self.assertEqual((status.running, status.waiting), (2, 0))
        self.assertEqual((status.oldest, status.uptime), (1.0, 5.0))
        self.assertEqual((status.leases, status.unsettled), (4, 2))
        self.assertEqual(status.openClaims, 1)
        self.assertEqual(status.answered, 5.0)
        totals = status.totals
        self.assertEqual((totals.complete, totals.fail, totals.claimed), (1, 1, 4))
        self.queue.outcomes[-1].take()
        self.queue.onSettle = Settle.take

    def test_saysThatClaimsFail(self) -> None:
        """
        The status says how many claims have failed in a row, and since when.
        """
        self.make()
        self.queue.claims[0].fail(fault())
        self.queue.onClaim = lambda claim: claim.fail(fault())
        passTime(self.clock, 60)
        status = self.service.status()
        self.assertEqual(status.failingFor, 60.0)
        self.assertEqual(status.claimFailures, len(self.queue.claims))
        self.queue.onClaim = Claim.bring
        passTime(self.clock, 31)
        self.assertIsNone(self.service.status().failingFor)
        self.queue.onClaim = lambda claim: None

    def test_saysThatItIsPaused(self) -> None:
        """
        The status says why nothing is claimed, and so does the log, once for each
        pause.
        """
        self.make()
        with capturedLogs() as logs:
            for reason in ("lunch", "lunch", "nap"):
                self.service.pause(reason)
            self.service.resume("lunch")
            self.service.resume("lunch")
        status = self.service.status()
        self.assertEqual((status.state, status.pauses), ("paused", ["nap"]))
        self.assertEqual(
            [formatEvent(each) for each in logs],
            [
                "Pausing, nothing is claimed: lunch",
                "Pausing, nothing is claimed: nap",
                "A reason to pause is gone: lunch",
            ],
        )

    def test_leavesItToAReloadToSayWhatChanges(self) -> None:
        """
        Settings that a reload changes are in force, and announced, and the log has them
        at the level C{debug} only, for the reload has a line with all of them.
        """
        self.make()
        with capturedLogs() as logs:
            self.service.reload(limit=3, drain=5)
        self.assertEqual({each["log_level"] for each in logs}, {LogLevel.debug})
        self.assertEqual(self.service.settings["limit"], 3)
        with self.assertRaises(ValueError), capturedLogs() as logs:
            self.service.reload(limit=0)
        self.assertEqual(logs, [])
        with capturedLogs() as logs:
            self.service.setLimit(2)
        self.assertEqual(
            [formatEvent(each) for each in logs],
            ["The setting limit is 2 from now on, and was 3"],
        )

    def test_encodesReasonsThatAreLoggedElsewhere(self) -> None:
        """
        Whatever type of text the reason for a pause is, JSON can encode the status.
        """
        self.make()
        self.service.pause(LoggedReason("lunch"))
        self.assertIn(b'"pauses":["lunch"]', encode(self.service.status()))

    def test_saysThatItDrains(self) -> None:
        """
        While the service stops its status says so, and what still runs.
        """
        self.make()
        self.queue.claims[0].bring(task(1))
        self.stop()
        status = self.service.status()
        self.assertEqual((status.state, status.running), ("draining", 1))
        self.handler.of("1").succeed()

    def test_sumsUpAtTheEnd(self) -> None:
        """
        The last but one line of the log sums up what has happened.
        """
        self.make()
        self.queue.claims[0].bring(*tasks(1, 2))
        for id in "12":
            self.handler.of(id).succeed()
        self.child.stopping.callback(None)
        with capturedLogs() as logs:
            self.stop()
            passTime(self.clock, 30)
        self.assertEqual(
            [formatEvent(each) for each in logs][-2:],
            ["In 0 s: 2 complete; 0 running; 0 waiting", "Stopped"],
        )

    def test_logsEachEventIfWanted(self) -> None:
        """
        Each event is logged if that is wanted, and only then.
        """
        for verbose in (False, True):
            self.make(verbose=verbose)
            with capturedLogs() as logs:
                self.queue.claims[-1].bring(task(1))
                self.handler.of("1").succeed()
            levels = [each["log_level"] for each in logs]
            self.assertEqual(LogLevel.debug in levels, verbose)
            self.stop()
            passTime(self.clock, 30)
