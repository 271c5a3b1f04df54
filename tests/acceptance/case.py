"""
What each acceptance test has: an endpoint, consumers, and patience.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.acceptance.endpoint import Endpoint
from tests.acceptance.model import Job
from tests.acceptance.twistd import Twistd

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """
    A line of the journal that the handlers keep.
    """

    event: str
    id: str
    attempt: int
    pid: int
    at: float


class ProcessCase(TestCase):
    """
    Starts processes, and ends them with the test.
    """

    timeout = 100

    #: Whether processes get a terminal, which controls them.
    onTerminal = False

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.directory = Path(mkdtemp(prefix="acceptance-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.journal = self.directory / "journal"
        self.journal.touch()
        self.processes: list[Twistd] = []

    def start(
        self,
        *twistd: str,
        environment: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        **options: Any,
    ) -> Twistd:
        """
        Start a consumer, by default with 4 slots.

        @param twistd: Options of C{twistd} itself; none: stay in the foreground.
        @param environment: Variables for it.
        @param files: Files for its working directory, by their names.
        @param options: Options of C{consumer}, with C{_} for C{-}.  L{True} stands
            for a flag, and L{None} leaves out one that is given otherwise.
        """
        usual = {"limit": 4, "python": "tests.acceptance.handlers.work"}
        words = [*(twistd or ["-n"]), "consumer"]
        for name, value in (usual | options).items():
            if value is not None:
                words.append("--" + name.replace("_", "-"))
            if value is not None and value is not True:
                words.append(str(value))
        return self.spawn(words, environment or {}, files or {})

    def spawn(
        self, arguments: list[str], environment: dict[str, str], files: dict[str, str]
    ) -> Twistd:
        """
        Start a C{twistd} in a directory of its own.
        """
        directory = self.directory / str(len(self.processes))
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        directory.mkdir(exist_ok=True)
        process = Twistd(self.reactor, directory)
        surroundings = {"JOURNAL": str(self.journal)} | environment
        process.spawn(arguments, surroundings, self.onTerminal)
        self.processes.append(process)
        self.addCleanup(self._finish, process)
        return process

    async def _finish(self, process: Twistd) -> None:
        await process.kill()
        print(f"--- what process {len(self.processes)} wrote ---\n{process.output}")
        self.processes.pop()

    async def until(
        self, condition: Callable[[], T], what: str, seconds: float = 30
    ) -> T:
        """
        Wait for a condition, and fail if it does not come true.

        @param what: The condition in words.
        """
        deadline = self.reactor.seconds() + seconds
        while not (value := condition()):
            if self.reactor.seconds() > deadline:
                self.fail(f"not within {seconds} seconds: {what}")
            await deferLater(self.reactor, 0.02)
        return value

    async def always(
        self, condition: Callable[[], Any], what: str, seconds: float
    ) -> None:
        """
        Watch for C{seconds}, and fail as soon as a condition does not hold.

        @param what: The condition in words.
        """
        end = self.reactor.seconds() + seconds
        while self.reactor.seconds() < end:
            self.assertTrue(condition(), f"no longer true: {what}")
            await deferLater(self.reactor, 0.02)

    async def untilEvents(self, event: str, count: int, seconds: float = 30) -> None:
        """
        Wait until the handlers' journal has C{count} entries of an event.
        """
        mark = f'"event": "{event}"'
        await self.until(
            lambda: self.journal.read_text().count(mark) >= count,
            f"{count} x {event}",
            seconds,
        )

    async def untilEnded(self, process: Twistd, seconds: float = 30) -> None:
        await self.until(lambda: process.ending, "the process ends", seconds)

    def entries(self, event: str | None = None) -> list[Entry]:
        """
        What the handlers noted so far: all, or one kind of event.
        """
        lines = self.journal.read_text().splitlines()
        entries = [Entry(**json.loads(line)) for line in lines]
        return [entry for entry in entries if event in (None, entry.event)]

    def mostAtOnce(self) -> int:
        """
        The most handlers of one process that ever ran at once, by the journal.
        """
        most, running = 0, dict.fromkeys({entry.pid for entry in self.entries()}, 0)
        for entry in self.entries():
            running[entry.pid] += 1 if entry.event == "start" else -1
            most = max(most, running[entry.pid])
        return most


class AcceptanceCase(ProcessCase):
    """
    An endpoint on the real reactor, and as many consumers of it as a test starts.
    """

    def setUp(self) -> None:
        super().setUp()
        self.endpoint = self.makeEndpoint()
        self.queue = self.endpoint.queue

    def makeEndpoint(self) -> Endpoint:
        """
        Listen on a free port until the test ends.
        """
        endpoint = Endpoint(self.reactor)
        self.addCleanup(endpoint.close)
        return endpoint

    def start(self, *twistd: str, **more: Any) -> Twistd:
        """
        Start a consumer of the endpoint; see L{ProcessCase.start}.
        """
        return super().start(*twistd, **{"url": self.endpoint.url, **more})

    async def untilIdle(self, claims: int = 1) -> None:
        """
        Wait until a consumer waits for tasks, on C{claims} open claims.
        """
        await self.until(lambda: self.endpoint.openClaims == claims, "claims wait")

    async def untilState(
        self, state: str, jobs: Iterable[Job] | None = None, seconds: float = 30
    ) -> None:
        """
        Wait until jobs, all unless they are given, are C{state}.
        """
        wanted = list(self.queue.jobs if jobs is None else jobs)
        await self.until(
            lambda: all(job.state == state for job in wanted),
            f"jobs are {state}",
            seconds,
        )

    def assertCompletedOnce(self, jobs: Iterable[Job] | None = None) -> None:
        """
        Each job was started once, ended once, and completed in its first delivery.
        """
        wanted = [job.id for job in (self.queue.jobs if jobs is None else jobs)]
        for event in ("start", "end"):
            self.assertEqual(
                sorted(e.id for e in self.entries(event) if e.id in set(wanted)),
                sorted(wanted),
            )
        for job in self.queue.jobs:
            if job.id in wanted:
                self.assertEqual(
                    (job.state, [d.ended for d in job.deliveries]),
                    ("completed", ["complete"]),
                )

    def assertAskedForNoMoreThan(self, room: int) -> None:
        """
        No claim ever asked for more than is free of C{room}, the number of tasks that
        may be claimed and not ended.
        """
        ends = {(e.id, e.attempt): e.at for e in self.entries() if e.event != "start"}
        claims = self.endpoint.requests("claim")
        for claim in claims:
            unended = [
                delivery
                for delivery in self.queue.deliveries
                if delivery.at < claim.at
                and ends.get((delivery.job.id, delivery.attempt), inf) > claim.at
            ]
            asked = [c.body["limit"] for c in claims if c.at <= claim.at < c.overAt]
            self.assertLessEqual(len(unended) + sum(asked), room)

    def assertNothingLeased(self) -> None:
        """
        No lease is left, and no claim is open that could bring one.
        """
        self.assertEqual([d.job.id for d in self.queue.held()], [])
        self.assertEqual(self.queue.polls, [])
