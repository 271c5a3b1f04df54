"""
What systemd is told, by a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.notification import Notifier
from myconsumer.command.supervision import LOOK, Supervision


class Recorder(Notifier):
    """
    Keeps what it is to send.
    """

    def __init__(self, watchdog: float | None) -> None:
        super().__init__("/run/notify", watchdog)
        self.sent: list[str] = []

    def send(self, *assignments: str) -> None:
        self.sent += assignments


class Reactor(Clock):
    """
    A clock that runs, and can be stopped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stop: Callable[[], object] = lambda: None

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        function()

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:
        assert (phase, event) == ("before", "shutdown")
        self.stop = function


class SupervisionTests(SynchronousTestCase):
    """
    L{Supervision}.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.state = "running"
        self.stuck: str | None = None

    def begin(self, watchdog: float | None = None) -> Recorder:
        notifier = Recorder(watchdog)
        Supervision(
            self.reactor,
            notifier,
            lambda: self.state,
            lambda: self.stuck,
            lambda: 30.5,
        ).begin()
        return notifier

    def test_saysWhatChanges(self) -> None:
        """
        It is ready at once; its state is sent when it has changed, looked at every ten
        seconds.
        """
        notifier = self.begin()
        self.assertEqual(notifier.sent, ["READY=1", "STATUS=running"])
        self.reactor.pump([LOOK] * 3)
        self.state = "paused"
        self.reactor.pump([LOOK] * 3)
        self.assertEqual(notifier.sent[2:], ["STATUS=paused"])

    def test_tellsTheWatchdog(self) -> None:
        """
        The watchdog is told twice in its time that there is progress, and not while
        there is none, which is logged once a minute.
        """
        notifier = self.begin(watchdog=4.0)
        self.reactor.pump([1] * 20)
        self.assertEqual(notifier.sent.count("WATCHDOG=1"), 11)
        self.stuck = "a claim hangs"
        with capturedLogs() as logs:
            self.reactor.pump([1] * 50)
        self.assertEqual(notifier.sent.count("WATCHDOG=1"), 11)
        [event] = logs
        self.assertIn("No progress", formatEvent(event))
        self.assertIn("a claim hangs", formatEvent(event))
        self.stuck = None
        self.reactor.pump([1] * 2)
        self.assertEqual(notifier.sent.count("WATCHDOG=1"), 12)

    def test_survivesAFailure(self) -> None:
        """
        Where the state cannot be worded once, the next look is made all the same.
        """
        notifier = self.begin(watchdog=4.0)
        notifier.sent.clear()
        del self.state
        self.assertRaises(AttributeError, self.reactor.advance, 2)
        self.state = "running"
        self.reactor.advance(2)
        self.assertEqual(notifier.sent, ["WATCHDOG=1"])

    def test_saysThatItStops(self) -> None:
        """
        When the reactor begins to stop systemd learns that, and how long it may take;
        the watchdog is told on.
        """
        notifier = self.begin(watchdog=4.0)
        notifier.sent.clear()
        self.reactor.stop()
        self.reactor.advance(2)
        self.assertEqual(
            notifier.sent,
            ["STOPPING=1", "EXTEND_TIMEOUT_USEC=30500000", "WATCHDOG=1"],
        )

    def test_doesNothingForNobody(self) -> None:
        """
        Where nobody is to be notified nothing is scheduled.
        """
        nobody = Notifier(None)
        Supervision(self.reactor, nobody, str, lambda: None, lambda: 0).begin()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
