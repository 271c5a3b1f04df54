"""
How one run of the service ends when it is stopped.

Promise 5: a stop leaves nothing leased, while the endpoint answers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from myconsumer.interfaces import ITaskQueue
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.parts import Pipeline

#: The seconds that open claims get which cannot be ended.
CLAIM_GRACE = 15.0

#: The seconds that requests to end dropped claims get.
ABORT_GRACE = 1.0

#: The seconds that a cancelled task gets to end.
CANCEL_GRACE = 0.5

#: The seconds that the last settlements get.
SETTLE_GRACE = 5.0


class Drain:
    """
    Lets what runs end, settles everything, and then drops what is still in flight.
    """

    _log = Logger()

    def __init__(
        self,
        pipeline: Pipeline,
        queue: ITaskQueue,
        observers: Observers,
        clock: IReactorTime,
    ) -> None:
        """
        @param pipeline: What is drained.
        @param queue: Where its tasks came from: closed at the end.
        @param observers: Observe that it begins.
        @param clock: What keeps the time.
        """
        self._pipeline = pipeline
        self._queue = queue
        self._observers = observers
        self._clock = clock

    async def run(self, hurry: Deferred[None]) -> None:
        """
        Drain.

        @param hurry: Fires when neither tasks nor claims are to be waited for.
        """
        pipeline = self._pipeline
        await self._finishTasks(hurry)
        await self._until(pipeline.settling.flush(), SETTLE_GRACE)
        pipeline.close()
        await self._queue.close()

    async def _finishTasks(self, hurry: Deferred[None]) -> None:
        """
        Claim no more, and let what runs end, or cancel it.
        """
        pipeline = self._pipeline
        consumer, source = pipeline.consumer, pipeline.source
        began = self._clock.seconds()
        seconds = self._begin()
        pipeline.breaker.close()
        closed = source.close()
        drained = consumer.drain()
        await self._until(drained, seconds, hurry)
        if consumer.running:
            self._log.info("Cancelling {running} tasks", running=consumer.running)
            pipeline.execution.stop()
            await self._until(drained, CANCEL_GRACE)
            pipeline.execution.abandon()
        left = began + CLAIM_GRACE - self._clock.seconds()
        await self._until(closed, left, hurry)
        source.abort()
        await self._until(closed, ABORT_GRACE)

    def _begin(self) -> float:
        """
        Say that the drain begins.

        @return: The seconds that running tasks get.
        """
        seconds = self._pipeline.terms.drain
        running, waiting = self._pipeline.running, self._pipeline.waiting
        self._log.info(
            "Stopping: {running} tasks run and get {drain:g} s, {waiting} that wait "
            "are given back",
            running=running,
            drain=seconds,
            waiting=waiting,
        )
        self._observers.stopping(running, waiting)
        return seconds

    def _until(
        self, done: Deferred[Any], seconds: float, hurry: Deferred[None] | None = None
    ) -> Deferred[None]:
        """
        @return: Fires once C{done} has, but after C{seconds} at the latest, or when
            C{hurry} does.
        """
        waited: Deferred[None] = Deferred()

        def end(_: object = None) -> None:
            if timer.active():
                timer.cancel()
            if not waited.called:
                waited.callback(None)

        timer = self._clock.callLater(max(0, seconds), end)
        if hurry is not None:
            hurry.addCallback(end)
        done.addCallback(end)
        return waited
