"""
The service that consumes tasks from a queue, and drains when it is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import TypedDict, Unpack, cast

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.interfaces import (
    IConsumerObserver,
    IPausable,
    ITaskHandler,
    ITaskQueue,
)
from myconsumer.pipeline.drain import Drain
from myconsumer.pipeline.observers import Observers
from myconsumer.pipeline.parts import Pipeline, makePipeline
from myconsumer.pipeline.scaling import leaveRoom, makeRoom
from myconsumer.pipeline.shutdown import Shutdown
from myconsumer.pipeline.terms import SETTINGS, Claiming, Terms
from myconsumer.status.finish import sayFinish
from myconsumer.status.journal import Journal, VerboseJournal
from myconsumer.status.state import Status, stateOf
from myconsumer.status.summary import Summary
from myconsumer.status.totals import Totals


class Settings(TypedDict, total=False):
    """
    What L{ConsumerService.change} takes: arguments of L{ConsumerService}.
    """

    limit: int
    wait: float
    lease: float
    interval: float
    prefetch: int
    pollers: int
    rate: float | None
    timeout: float
    drain: float
    maxAttempts: int


@implementer(IPausable)
class ConsumerService(MultiService):
    """
    Consumes tasks while it runs.  C{stopService} drains: it claims no more, gives
    back what has not started, lets running tasks end, and settles everything.

    Its own children are stopped after that, so that they can be what handler and
    queue need.
    """

    _log = Logger()

    # What consumes, and what is being drained.
    _pipeline: Pipeline | None = None
    _draining: Pipeline | None = None

    def __init__(
        self,
        queue: ITaskQueue,
        handler: ITaskHandler,
        limit: int,
        *,
        wait: float = Claiming.wait,
        lease: float = Claiming.lease,
        interval: float = Claiming.interval,
        prefetch: int = Claiming.prefetch,
        pollers: int = Claiming.pollers,
        timeout: float = Terms.timeout,
        drain: float = Terms.drain,
        maxAttempts: int = Terms.maxAttempts,
        untilEmpty: bool = Claiming.untilEmpty,
        onEnd: Callable[[Failure | None], object] | None = None,
        rate: float | None = Claiming.rate,
        observers: Iterable[IConsumerObserver] = (),
        verbose: bool = False,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param queue: Where the tasks come from.
        @param handler: What is done with each.
        @param limit: The most tasks to run at once, 1 or more.
        @param wait: See L{Claiming}, as of C{lease}, C{interval}, C{prefetch},
            C{pollers}, C{untilEmpty} and C{rate}.
        @param timeout: The seconds that a task may run for; 0 for no limit.
        @param drain: The seconds that running tasks get when the service is
            stopped; then they are cancelled and given back.
        @param maxAttempts: A task that fails in this attempt has failed for good;
            0 leaves that to the endpoint.
        @param onEnd: With C{untilEmpty}, called when the run has ended by itself:
            with C{None} if nothing is left, with a failure if claiming failed for
            good.  The service runs on, idle, until it is stopped.
        @param observers: Are called with all that happens, one after the other, for as
            long as the service exists: each derives from L{Observer
            <myconsumer.pipeline.observers.Observer>}, or provides
            L{IConsumerObserver}.
        @param verbose: Whether every event is logged, at the level C{debug}.
        @param clock: What keeps the time; the reactor by default.

        @raise TypeError: A number is of another type.
        @raise ValueError: A number is out of range.
        """
        super().__init__()
        claiming = Claiming(
            wait=wait,
            lease=lease,
            interval=interval,
            prefetch=prefetch,
            pollers=pollers,
            untilEmpty=untilEmpty,
            rate=rate,
        )
        self._terms = Terms(limit, claiming, timeout, drain, maxAttempts)
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self._queue = queue
        self._handler = handler
        self._onEnd = onEnd
        self._clock = clock
        self._totals = Totals(clock)
        self._journal = journal = (VerboseJournal if verbose else Journal)(clock)
        summary = Summary(self._totals, self.status, clock)
        listeners = [self._totals, journal, summary, *observers]
        self._observers = Observers(listeners, clock)
        self._pauses: set[str] = set()
        # Those of them that are still to be announced.
        self._unannounced: set[str] = set()
        self._shutdown = Shutdown(self._stop)

    @property
    def claiming(self) -> Claiming:
        """
        How tasks are claimed now.
        """
        return self._terms.claiming

    @property
    def settings(self) -> Settings:
        """
        What is in force now of all that L{change} takes.
        """
        return cast(Settings, {name: self._terms.value(name) for name in SETTINGS})

    @property
    def pipeline(self) -> Pipeline | None:
        """
        What this run is made of, until it has drained; C{None} while the service is
        stopped.
        """
        return self._pipeline or self._draining

    @property
    def isDraining(self) -> bool:
        """
        Whether the service is being stopped, and has not drained.
        """
        return self._draining is not None

    def status(self) -> Status:
        """
        @return: What the service is at, and what it has done, as plain values.
        """
        now = self._clock.seconds()
        return stateOf(
            self.pipeline, self._totals, self._terms.limit, self.isDraining, now
        )

    def startService(self) -> None:
        """
        Begin to consume.
        """
        super().startService()
        self._shutdown.start()
        self._pipeline = pipeline = self._makePipeline()
        self._log.info(
            "Consuming from {queue}, at most {limit} tasks at once",
            queue=self._queue,
            limit=self._terms.limit,
        )
        self._unannounced = set(self._pauses)
        for reason in self._pauses:
            pipeline.source.pause(reason)
        pipeline.consumer.consume(pipeline.source).addCallback(self._ended, pipeline)
        self._observers.started()
        while self._pipeline is pipeline and self._unannounced:
            self._observers.paused(self._unannounced.pop())

    def stopService(self) -> Deferred[None]:
        """
        Drain.  Called again meanwhile it skips the waiting: what runs is cancelled
        and given back at once, and everything is settled all the same.

        @return: Fires once nothing is left to be done: nothing is leased any more,
            as long as the endpoint answers.
        """
        return self._shutdown.stop()

    def pause(self, reason: str) -> None:
        """
        Claim nothing until resumed, and give back what has not started; what runs
        goes on.

        @param reason: Why.  As long as there is any reason it lasts.
        """
        isNew = reason not in self._pauses
        self._pauses.add(reason)
        if self._pipeline is not None:
            self._pipeline.source.pause(reason)
            if isNew:
                self._observers.paused(reason)

    def resume(self, reason: str) -> None:
        """
        Claim again, unless there is another reason not to.

        @param reason: The reason that L{pause} was called with.
        """
        isOver = reason in self._pauses
        self._pauses.discard(reason)
        if self._pipeline is not None:
            self._pipeline.source.resume(reason)
            if isOver and reason not in self._unannounced:
                self._observers.resumed(reason)
        self._unannounced.discard(reason)

    def setLimit(self, limit: int) -> None:
        """
        Change how many tasks may run at once.  See L{change}.

        @param limit: The most tasks, 1 or more.

        @raise TypeError: C{limit} is no integer.
        @raise ValueError: C{limit} is out of range, or needs more file descriptors than
            this process may have.
        """
        self.change(limit=limit)

    def change(self, **settings: Unpack[Settings]) -> None:
        """
        Change settings, whether the service runs, is paused, drains or is stopped: all
        of them, or none where one is refused.  They are in force until they are changed
        again, also after a stop and a start.

        A higher C{limit} or C{prefetch} has more tasks claimed at once.  With a lower
        one nothing is cancelled or given back, and nothing is claimed before fewer
        tasks are held.  C{timeout} holds for tasks that start from now on, C{wait} and
        C{lease} for claims made from now on, C{drain} for a drain that begins from now
        on.  C{untilEmpty} cannot be changed.

        @raise TypeError: There is no such setting, or a number is of another type.
        @raise ValueError: A number is out of range, or C{limit} needs more file
            descriptors than this process may have, or more than the handler can keep.
        """
        old, new = copy(self._terms), self._terms.changed(dict(settings))
        makeRoom(self._queue, self._handler, old, new)
        self._terms.adopt(new)
        if self._pipeline is not None:
            self._pipeline.termsChanged()
        leaveRoom(self._queue, self._handler, old, new)
        for name, values in old.differences(new).items():
            self._observers.settingChanged(name, *values)

    def reload(self, **settings: Unpack[Settings]) -> None:
        """
        As L{change}, for those who log themselves what changes.

        @raise TypeError: As L{change}.
        @raise ValueError: As L{change}.
        """
        with self._journal.quiet():
            self.change(**settings)

    def _makePipeline(self) -> Pipeline:
        return makePipeline(
            self._queue, self._handler, self._terms, self._observers, self._clock
        )

    def _ended(self, _: None, pipeline: Pipeline) -> None:
        """
        The run has ended, by itself or because it was stopped.
        """
        if not self.running:
            return
        sayFinish(pipeline, self._clock.seconds() - self._totals.startedAt)
        if self._onEnd is not None:
            self._onEnd(pipeline.source.givenUp)

    async def _stop(self, hurry: Deferred[None]) -> None:
        """
        Stop everything, in the order in which one thing needs another.

        @param hurry: Fires when neither tasks nor claims are to be waited for.
        """
        self.running = False
        pipeline, self._pipeline = self._pipeline, None
        self._draining = pipeline
        try:
            if pipeline is not None:
                drain = Drain(pipeline, self._queue, self._observers, self._clock)
                await drain.run(hurry)
            await maybeDeferred(super().stopService)
        finally:
            self._draining = None
            if pipeline is not None:
                self._observers.stopped()
        self._log.info("Stopped")
