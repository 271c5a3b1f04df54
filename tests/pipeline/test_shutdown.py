"""
Tests for L{myconsumer.pipeline.shutdown}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.pipeline.shutdown import Shutdown


class ShutdownTests(SynchronousTestCase):
    """
    L{Shutdown}.
    """

    def setUp(self) -> None:
        self.drains: list[Deferred[None]] = []
        self.hurries: list[Deferred[None]] = []
        self.shutdown = Shutdown(self.drain)

    async def drain(self, hurry: Deferred[None]) -> None:
        self.hurries.append(hurry)
        self.drains.append(Deferred())
        await self.drains[-1]

    def test_drainsOnce(self) -> None:
        """
        Whoever stops the service while it drains waits for the same drain.
        """
        self.shutdown.start()
        stops = [self.shutdown.stop() for _ in range(3)]
        [drain] = self.drains
        for stopped in stops:
            self.assertNoResult(stopped)
        drain.callback(None)
        for stopped in stops:
            self.successResultOf(stopped)

    def test_hurriesOnTheSecondStop(self) -> None:
        """
        The second stop hurries the drain, and further ones change nothing.
        """
        self.shutdown.start()
        self.shutdown.stop()
        [hurry] = self.hurries
        self.assertNoResult(hurry)
        self.shutdown.stop()
        self.successResultOf(hurry)
        self.shutdown.stop()
        self.drains[0].callback(None)

    def test_drainsAgainAfterAStart(self) -> None:
        """
        A service that was started again after a hurried stop is drained in no hurry.
        """
        self.shutdown.start()
        self.shutdown.stop()
        self.shutdown.stop()
        self.drains[0].callback(None)
        self.shutdown.start()
        stopped = self.shutdown.stop()
        self.assertNoResult(self.hurries[1])
        self.assertNoResult(stopped)
        self.drains[1].callback(None)
        self.successResultOf(stopped)

    def test_drainsWhatNeverStarted(self) -> None:
        """
        A service that was never started is drained, too: it may have children.
        """
        stopped = self.shutdown.stop()
        self.drains[0].callback(None)
        self.successResultOf(stopped)

    def test_drainsOnWhenStartedAgain(self) -> None:
        """
        A start does not end the drain that is under way, nor its hurry.
        """
        for _ in range(2):
            self.shutdown.start()
            stopped = self.shutdown.stop()
            self.shutdown.start()
        self.successResultOf(self.hurries[0])
        self.drains[0].callback(None)
        self.successResultOf(stopped)

    def test_failsAsTheDrainDoes(self) -> None:
        """
        If the drain fails, so does each stop that waits for it.
        """
        self.shutdown.start()
        stops = [self.shutdown.stop(), self.shutdown.stop()]
        self.drains[0].errback(ZeroDivisionError())
        for stopped in stops:
            self.failureResultOf(stopped, ZeroDivisionError)

    def test_stopsFromWithinTheDrain(self) -> None:
        """
        A stop that the drain itself brings about hurries that drain.
        """
        stops: list[Deferred[None]] = []

        async def drain(hurry: Deferred[None]) -> None:
            stops.append(shutdown.stop())
            await hurry

        shutdown = Shutdown(drain)
        shutdown.start()
        self.successResultOf(shutdown.stop())
        self.successResultOf(stops[0])
