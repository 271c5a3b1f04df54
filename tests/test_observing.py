"""
What observers of a service are called with, and what they may do then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from myconsumer import ConsumerService, IConsumerObserver
from myconsumer.errors import NotBegunError, TaskFailedError
from myconsumer.pipeline.breaker import REASON, TRIAL
from myconsumer.testing import Handling, Settle, passTime
from tests.model import fault, task, tasks
from tests.pipeline.case import Recorder
from tests.test_service import ServiceCase

CHECKOUT = Path(__file__).resolve().parent.parent

#: The events from within which the service is called.
EVENTS = sorted(set(IConsumerObserver.names()) - {"settingChanged", "stopped"})

#: What happens one after the other, with all events among it: numbers are seconds.
LIFE = [
    *("bring", "0.1", "end", "1"),
    *("bring", "0.1", "end", "1"),
    *("fault", "lost", "21"),
    *("down", "1", "bring", "1", "end", "end", "70"),
    *("taken", "31"),
]


def raising(error: Exception) -> Callable[[Handling], Any]:
    """
    @return: A handler's script that raises.
    """

    def script(handling: Handling) -> Any:
        raise error

    return script


class ObservingCase(ServiceCase):
    """
    A service with an observer that notes what it is called with.
    """

    def setUp(self) -> None:
        super().setUp()
        self.observer = Recorder()

    def make(self, limit: int = 2, **options: Any) -> None:
        options.setdefault("observers", [self.observer])
        super().make(limit, **options)

    def ended(self) -> list[tuple[str | int, str, float]]:
        """
        @return: The id of each task that has ended, its outcome and its seconds.
        """
        return [
            (ended.id, ending.outcome, seconds)
            for ended, ending, seconds in self.observer.of("taskEnded")
        ]


class EventTests(ObservingCase):
    """
    What is announced.
    """

    def test_recordsEveryEvent(self) -> None:
        """
        The observer of these tests provides L{IConsumerObserver}.
        """
        self.make()
        verifyObject(IConsumerObserver, self.observer)

    def test_announcesTheWayOfATask(self) -> None:
        """
        From the start to the stop each event comes once, in the order in which it
        happens.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 3)
        self.handler.running[0].succeed()
        passTime(self.clock, 0)
        self.stop()
        self.queue.claims[-1].bring()
        passTime(self.clock, 0)
        self.child.stopping.callback(None)
        self.assertEqual(
            " ".join(self.observer.names()),
            "started requestSent requestAnswered requestSent requestAnswered "
            "taskStarted taskEnded requestSent requestAnswered requestSent stopping "
            "requestSent requestAnswered requestAnswered stopped",
        )
        self.assertEqual(self.ended(), [("1", "complete", 3)])
        self.assertEqual(self.observer.of("stopping"), [(0, 0)])

    def test_announcesLostLeases(self) -> None:
        """
        Leases that are lost are announced with the ids of their tasks, and the end of
        one that ran with the outcome C{lost}.
        """
        self.make(1, prefetch=1)
        self.queue.claims[0].bring(*tasks(1, 2))
        passTime(self.clock, 0)
        self.queue.onSettle = lambda request: request.take("r-1", "r-2")
        passTime(self.clock, 20)
        self.assertEqual(self.observer.of("leasesLost"), [(["1", "2"],)])
        self.assertEqual(self.ended(), [("1", "lost", 20)])

    def test_announcesLostLeasesBeforeTheEndOfAStop(self) -> None:
        """
        Lost leases are announced before the end of the stop that waited for nothing
        but their tasks.
        """
        self.make(1, drain=60)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.queue.onSettle = lambda request: request.take("r-1")
        self.child.stopping.callback(None)
        stopped = self.stop()
        passTime(self.clock, 20)
        self.successResultOf(stopped)
        last = [name for name in self.observer.names() if "request" not in name]
        self.assertEqual(last[-3:], ["leasesLost", "taskEnded", "stopped"])

    def test_announcesATaskThatEndsAfterItsLease(self) -> None:
        """
        A lease that turns out to be lost when its task is settled is announced as well.
        """
        self.make(1)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.queue.onSettle = lambda request: request.take("r-1")
        self.handler.running[0].succeed()
        passTime(self.clock, 0)
        self.assertEqual(self.observer.of("leasesLost"), [(["1"],)])
        self.assertEqual(self.observer.of("requestAnswered")[-1][1:], (0, 0))

    def test_announcesSettlementsGivenUp(self) -> None:
        """
        Settlements that the endpoint has not acknowledged when their leases end, or
        when the service has stopped, are announced with the ids of their tasks.
        """
        for stops in (False, True):
            self.setUp()
            self.make(1, drain=0)
            self.queue.onSettle = lambda request: request.expireAfter(
                self.clock, request.deadline
            )
            self.queue.claims[0].bring(task(1))
            passTime(self.clock, 0)
            self.handler.running[0].succeed()
            if stops:
                self.stop()
            passTime(self.clock, 200)
            self.assertEqual(self.observer.of("settlementsGivenUp"), [(["1"],)])
            if not stops:
                self.stop()
            passTime(self.clock, 30)
            self.child.stopping.callback(None)

    def test_announcesPauses(self) -> None:
        """
        Each reason for a pause is announced once, as is its end; one that was there
        before the start, once the service has started.
        """
        super().make(
            observers=[self.observer],
        )
        for reason in "abab":
            self.service.pause(reason)
        for reason in "aa":
            self.service.resume(reason)
        self.assertEqual(self.observer.of("paused"), [("a",), ("b",)])
        self.assertEqual(self.observer.of("resumed"), [("a",)])
        self.stop()
        self.child.stopping.callback(None)
        passTime(self.clock, 30)
        self.assertEqual(self.observer.names()[-1], "stopped")
        self.service.pause("c")
        self.service.resume("b")
        self.assertEqual(self.observer.names()[-1], "stopped")
        self.service.startService()
        self.assertEqual(
            [event for event in self.observer.events if len(event) <= 2][-2:],
            [("started",), ("paused", "c")],
        )

    def test_announcesThePauseOfTheBreaker(self) -> None:
        """
        That tasks cannot be begun is announced as one pause, however many trials fail
        meanwhile.
        """
        self.make(1)
        self.handler.script = raising(NotBegunError("no room"))
        for number in range(4):
            self.queue.claims[-1].bring(task(number))
            passTime(self.clock, 30)
        self.assertEqual(self.observer.of("paused"), [(REASON,)])
        self.assertEqual(self.observer.of("resumed"), [])
        assert self.service.pipeline is not None
        self.assertEqual(self.service.pipeline.pauses, {REASON})
        self.handler.script = lambda handling: None
        self.queue.claims[-1].bring(task(9))
        passTime(self.clock, TRIAL)
        self.assertEqual(self.observer.of("paused", "resumed"), [(REASON,), (REASON,)])
        self.assertEqual(self.service.pipeline.pauses, frozenset())

    def test_announcesRequestsThatAStopDrops(self) -> None:
        """
        Requests that are never answered have failed when the service has stopped, since
        they were cancelled.
        """
        self.queue.onSettle = self.queue.onCancel = lambda request: None
        self.make(1, drain=0)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.stop()
        passTime(self.clock, 100)
        self.child.stopping.callback(None)
        sent = [request for (request,) in self.observer.of("requestSent")]
        over = [
            request
            for request, *_ in self.observer.of("requestAnswered", "requestFailed")
        ]
        self.assertEqual(sorted(map(id, sent)), sorted(map(id, over)))
        self.assertEqual(
            {each.kind for each in sent}, {"claim", "settle", "extend", "cancel"}
        )
        for *_, reason in self.observer.of("requestFailed"):
            reason.trap(CancelledError)
        self.assertEqual(self.observer.names()[-1], "stopped")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_announcesWhatAStopGivesUp(self) -> None:
        """
        A task that does not end although it was cancelled has ended uncounted, once;
        when it does end nothing is announced.
        """
        self.make(1, drain=0)
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 0)
        self.handler.running[0].stubborn = True
        self.stop()
        passTime(self.clock, 30)
        self.assertEqual([each[:2] for each in self.ended()], [("1", "uncounted")])
        [(_, ending, _)] = self.observer.of("taskEnded")
        self.assertEqual(ending.cause, "stuck")
        self.child.stopping.callback(None)
        self.handler.running[0].succeed()
        self.assertEqual(len(self.ended()), 1)

    def test_announcesRefusedTasks(self) -> None:
        """
        A task that was delivered too often has ended, and has not started.
        """
        self.make(1, maxAttempts=2)
        self.queue.claims[0].bring(task(1, attempt=3))
        passTime(self.clock, 0)
        self.assertEqual(self.observer.of("taskStarted"), [])
        self.assertEqual(self.ended(), [("1", "fail", 0)])

    def test_callsDocumentedObservers(self) -> None:
        """
        The observer of docs/composing.md finds slow tasks.
        """
        text = (CHECKOUT / "docs" / "composing.md").read_text(encoding="utf-8")
        block = text.partition("## Observers")[2].partition("```python\n")[2]
        made: list[ConsumerService] = []

        def makeService(*args: Any, **options: Any) -> None:
            made.append(ConsumerService(*args, clock=self.clock, **options))

        names: dict[str, Any] = {
            "ConsumerService": makeService,
            "PythonHandler": lambda _: self.handler,
            "queue": self.queue,
            "send": None,
        }
        exec("from __future__ import annotations\n" + block.partition("```")[0], names)
        [self.service] = made
        self.service.addService(self.child)
        self.service.startService()
        passTime(self.clock, 0)
        self.queue.claims[0].bring(*tasks(1, 2))
        passTime(self.clock, 60)
        self.handler.running[0].succeed()
        passTime(self.clock, 1)
        self.handler.running[0].succeed()
        self.assertEqual(names["slow"].found, {"2": 61})


class ObserverTests(ObservingCase):
    """
    What an observer may do.
    """

    def test_mayRaise(self) -> None:
        """
        An observer that raises, whatever happens, changes nothing, and what it raises
        is logged once a minute.
        """

        class Raises(Recorder):
            def _note(self, name: str, *said: Any) -> None:
                raise ValueError(name)

        self.make(1, observers=[Raises(), self.observer])
        self.queue.claims[0].bring(task(1))
        passTime(self.clock, 1)
        self.handler.running[0].succeed()
        passTime(self.clock, 1)
        self.assertEqual(self.ended(), [("1", "complete", 1)])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.stop()
        passTime(self.clock, 30)
        self.child.stopping.callback(None)
        self.assertEqual(self.observer.names()[-1], "stopped")
        self.flushLoggedErrors(ValueError)

    def test_mayResumeWhatWasPausedBefore(self) -> None:
        """
        A pause that is ended, or begun, from within the event C{started} is announced
        as any other: no end without a begin, and nothing twice.
        """

        def steer(name: str) -> None:
            if name == "started":
                self.service.resume("old")
                self.service.pause("older")
                self.service.pause("new")

        self.observer.when = steer
        self.service = ConsumerService(
            self.queue, self.handler, 1, clock=self.clock, observers=[self.observer]
        )
        self.service.addService(self.child)
        for reason in ("old", "older"):
            self.service.pause(reason)
        self.service.startService()
        self.assertEqual(
            self.observer.events, [("started",), ("paused", "new"), ("paused", "older")]
        )
        self.service.resume("older")
        self.assertEqual(self.observer.of("resumed"), [("older",)])

    def test_mayCallTheService(self) -> None:
        """
        An observer may pause, resume or stop the service from within each event:
        everything is settled, every request and task is announced to its end, and
        nothing is left.
        """
        for event in EVENTS:
            for call in ("pause", "stop", "hurry"):
                with self.subTest(event=event, call=call):
                    self.setUp()
                    self.begin([(event, 1, call)])
                    for step in LIFE:
                        self.do(step)
                    self.endRun()
                    self.assertEqual(self.plan, [])

    @given(
        plan=st.lists(
            st.tuples(
                st.sampled_from(EVENTS),
                st.integers(1, 4),
                st.sampled_from(["pause", "resume", "stop", "hurry"]),
            ),
            min_size=1,
            max_size=4,
        ),
        steps=st.lists(st.sampled_from(sorted({*LIFE, "badly", "empty"})), max_size=20),
    )
    @settings(max_examples=200, deadline=None)
    def test_mayCallTheServiceWhenever(
        self, plan: list[tuple[str, int, str]], steps: list[str]
    ) -> None:
        """
        The same holds whatever happens, and however often an observer calls it.
        """
        self.setUp()
        self.begin(plan)
        for step in steps:
            self.do(step)
        self.endRun()

    def begin(self, plan: list[tuple[str, int, str]]) -> None:
        """
        Start a service.

        @param plan: In which event the service is to be called, in the how manieth,
            and how.
        """
        self.plan, self.number = list(plan), 0
        self.counts: Counter[str] = Counter()
        self.observer.when = self.onEvent
        self.queue.onSettle = Settle.take
        self.service = ConsumerService(
            self.queue,
            self.handler,
            2,
            drain=1,
            clock=self.clock,
            observers=[self.observer],
        )
        self.service.addService(self.child)
        self.service.pause("before")
        self.service.startService()
        self.service.resume("before")
        passTime(self.clock, 0)

    def onEvent(self, name: str) -> None:
        self.counts[name] += 1
        number = self.counts[name]
        due = [each for each in self.plan if each[:2] == (name, number)]
        self.plan = [each for each in self.plan if each not in due]
        for _, _, call in due:
            self.callService(call)

    def callService(self, call: str) -> None:
        if call == "pause":
            self.service.pause("observed")
            self.clock.callLater(5, self.service.resume, "observed")
        elif call == "resume":
            self.service.resume("observed")
        else:
            self.stop()
            if call == "hurry":
                self.stop()

    def do(self, step: str) -> None:
        """
        Let something happen.
        """
        if step == "bring":
            for claim in self.queue.openClaims:
                self.number += 2
                claim.bring(*tasks(self.number, 2))
        elif step == "empty":
            for claim in self.queue.openClaims:
                claim.bring()
        elif step == "fault":
            for claim in self.queue.openClaims:
                claim.fail(fault())
        elif step == "end":
            for handling in self.handler.running[:1]:
                handling.succeed()
        elif step == "badly":
            for handling in self.handler.running[:1]:
                handling.fail(TaskFailedError("no"))
        elif step == "taken":
            self.queue.onSettle = Settle.take
        elif step == "lost":
            self.queue.onSettle = lambda request: request.take(*request.receipts)
        elif step == "down":
            self.queue.onSettle = lambda request: request.fail(fault())
        else:
            passTime(self.clock, float(step))

    def endRun(self) -> None:
        """
        Stop it, unless an observer has, and see that nothing is left.
        """
        if self.service.running:
            self.stop()
        passTime(self.clock, 40)
        if not self.child.stopping.called:
            self.child.stopping.callback(None)
        passTime(self.clock, 6)
        for stopped in self.stopped:
            self.successResultOf(stopped)
        self.checkPairs()
        self.assertEqual(self.observer.names()[-1], "stopped")
        self.assertEqual(self.counts["stopped"], 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def checkPairs(self) -> None:
        """
        Each request and each task is announced twice.
        """
        sent = [id(request) for (request,) in self.observer.of("requestSent")]
        over = [
            id(request)
            for request, *_ in self.observer.of("requestAnswered", "requestFailed")
        ]
        self.assertEqual(sorted(sent), sorted(over))
        began = [id(started) for (started,) in self.observer.of("taskStarted")]
        ended = [id(each) for each, *_ in self.observer.of("taskEnded")]
        self.assertEqual(sorted(began), sorted(ended))
