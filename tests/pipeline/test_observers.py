"""
What can be observed, and how it is announced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.interfaces import IConsumerObserver
from myconsumer.pipeline.observers import Observer, Observers
from myconsumer.retrying import QUIET
from myconsumer.task import COMPLETE, Request, Task
from tests.pipeline.case import Recorder

REQUEST = Request("claim", 1, 50.0, 0.0, "c")
TASK = Task("1", None)

#: Each event, with what it says.
EVENTS: list[tuple[Any, ...]] = [
    ("requestSent", REQUEST),
    ("requestAnswered", REQUEST, 1.0, 1),
    ("requestFailed", REQUEST, 1.0, Failure(ValueError())),
    ("taskStarted", TASK),
    ("taskEnded", TASK, COMPLETE, 1.0),
    ("leasesLost", ["1"]),
    ("settlementsGivenUp", ["1"]),
    ("paused", "a"),
    ("resumed", "a"),
    ("settingChanged", "limit", 1, 2),
    ("started",),
    ("stopping", 1, 0),
    ("stopped",),
]


class ObserversTests(SynchronousTestCase):
    """
    L{Observers}, and L{Observer}.
    """

    def setUp(self) -> None:
        self.clock = Clock()

    def observed(self, observers: Iterable[Any]) -> Observers:
        return Observers(observers, self.clock)

    def test_provideTheirInterface(self) -> None:
        """
        The base of observers and what calls them provide L{IConsumerObserver}, and the
        events of these tests are all that there are.
        """
        verifyObject(IConsumerObserver, Observer())
        verifyObject(IConsumerObserver, self.observed([]))
        self.assertEqual({name for name, *_ in EVENTS}, set(IConsumerObserver.names()))

    def test_announcesEachEventToAll(self) -> None:
        """
        Each event is announced to all observers, in their order, as it is.
        """
        calls: list[Recorder] = []

        class Ordered(Recorder):
            def _note(self, name: str, *said: Any) -> None:
                calls.append(self)
                super()._note(name, *said)

        first, second = Ordered(), Ordered()
        observers = self.observed([first, Observer(), second])
        for name, *said in EVENTS:
            getattr(observers, name)(*said)
        self.assertEqual(first.events, EVENTS)
        self.assertEqual(second.events, EVENTS)
        self.assertEqual(calls, [first, second] * len(EVENTS))

    def test_knowsWhatIsObserved(self) -> None:
        """
        An event is observed if an observer overrides its method, in its class or in
        one above, or is no L{Observer}; to announce another does nothing.
        """

        class Tasks(Observer):
            def taskEnded(self, *_: Any) -> None:
                pass

        class Derived(Tasks):
            pass

        for observers, observed in (
            ([], set()),
            ([Observer()], set()),
            ([Observer(), Derived()], {"taskEnded"}),
            ([Recorder()], {name for name, *_ in EVENTS}),
        ):
            with self.subTest(observed=observed):
                announced = self.observed(observers)
                self.assertEqual(
                    {name for name, *_ in EVENTS if announced.isObserved(name)},
                    observed,
                )
                for name, *said in EVENTS:
                    self.assertIsNone(getattr(announced, name)(*said))

    def test_outlivesObserversThatRaise(self) -> None:
        """
        What an observer raises is logged once a minute, with how often one has raised,
        and keeps no other from being called.
        """

        class Raises(Observer):
            def taskStarted(self, task: Task) -> None:
                raise ValueError("no")

        recorder = Recorder()
        observers = self.observed([Raises(), recorder])
        with capturedLogs() as logs:
            for _ in range(3):
                observers.taskStarted(TASK)
            self.clock.advance(QUIET)
            observers.taskStarted(TASK)
        self.assertEqual(len(recorder.events), 4)
        self.assertEqual([event["count"] for event in logs], [1, 3])
        self.assertIn("taskStarted", formatEvent(logs[0]))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
