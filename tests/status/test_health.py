"""
Health and readiness.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.health import TICK, Health
from myconsumer.status.state import Status


class HealthCase(SynchronousTestCase):
    """
    Has a judge of a consumer that is made up.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.status = Status(limit=1, state="running", answered=1.0)
        self.stuck: str | None = None
        self.health = self.make(60.0)

    def make(self, wedged: float) -> Health:
        """
        @return: A judge, which has started.
        """
        health = Health(self.clock, lambda: self.status, lambda: self.stuck, wedged)
        health.start()
        self.addCleanup(self.assertStops, health)
        return health

    def assertStops(self, health: Health) -> None:
        """
        Fail unless it leaves no timer.
        """
        health.stop()
        health.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class IllnessTests(HealthCase):
    """
    L{Health.illness}.
    """

    def test_saysWhatHangs(self) -> None:
        """
        A consumer that makes no progress is ill for as long as that lasts.
        """
        self.assertIsNone(self.health.illness())
        self.stuck = "A claim has hung"
        self.assertEqual(self.health.illness(), "A claim has hung")
        self.stuck = None
        self.assertIsNone(self.health.illness())

    def test_isHealthyWhateverTheEndpointDoes(self) -> None:
        """
        Neither a pause, nor an endpoint that is down, nor a drain is an illness.
        """
        for status in (
            Status(limit=1, state="paused", pauses=["why"]),
            Status(limit=1, state="running", failingFor=3600.0),
            Status(limit=1, state="draining"),
        ):
            self.status = status
            self.assertIsNone(self.health.illness())

    def test_remembersABlockedReactor(self) -> None:
        """
        A reactor that was blocked for longer than allowed is an illness for as long
        again as is allowed, with one line of the log.
        """
        with capturedLogs() as logs:
            self.clock.pump([TICK] * 5)
            self.assertEqual(logs, [])
            self.clock.advance(62)
            self.assertEqual(
                self.health.illness(),
                "Something has blocked the reactor for 61 s, until 0 s ago",
            )
            self.clock.pump([TICK] * 59)
            self.assertIn("until 59 s ago", str(self.health.illness()))
            self.clock.advance(TICK)
            self.assertIsNone(self.health.illness())
        [event] = logs
        self.assertIn("blocked the reactor for 61 s", str(formatEvent(event)))

    def test_allowsToBlockForAWhile(self) -> None:
        """
        A reactor that was blocked for not longer than allowed is no illness.
        """
        self.clock.advance(60)
        self.assertIsNone(self.health.illness())

    def test_allowsToBlockForEver(self) -> None:
        """
        With C{--wedged 0} the reactor may be blocked for any time, and no line is
        logged.
        """
        self.health.stop()
        health = self.make(0.0)
        with capturedLogs() as logs:
            self.clock.advance(1e6)
        self.assertIsNone(health.illness())
        self.assertEqual(logs, [])


class ReadinessTests(HealthCase):
    """
    L{Health.unreadiness}.
    """

    def test_isReadyOnceTheEndpointHasAnswered(self) -> None:
        """
        A consumer is ready once its endpoint has answered, also while the endpoint is
        down later, or in a pause; not before, and not while it stops.
        """
        cases: list[tuple[dict[str, Any], str | None]] = [
            ({"state": "stopped"}, "The consumer is not running"),
            ({"state": "running"}, "The endpoint has not answered yet"),
            ({"state": "running", "answered": 0.0}, None),
            ({"state": "running", "answered": 900.0, "failingFor": 800.0}, None),
            ({"state": "paused", "answered": 9.0}, None),
            ({"state": "draining", "answered": 1.0}, "The consumer is draining"),
        ]
        for given, said in cases:
            self.status = Status(limit=1, **given)
            self.assertEqual(self.health.unreadiness(), said, given)
