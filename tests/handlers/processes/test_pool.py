"""
Calling a callable in processes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection
from random import Random
from typing import Any

from msgspec import UNSET, Raw
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import (
    LeaseLostError,
    NotBegunError,
    Reject,
    Release,
    TaskFailedError,
)
from myconsumer.handlers.group import ProcessGroup
from myconsumer.handlers.lines import LONGEST_LINE, MOST_LINES
from myconsumer.handlers.processes.contracts import IWorkerPool
from myconsumer.handlers.processes.messages import (
    ANSWERS,
    ORDERS,
    Begun,
    Broken,
    Done,
    Extend,
    FromWorker,
    Job,
    Path,
    Raised,
    Ready,
    encode,
    readToWorker,
)
from myconsumer.handlers.processes.pool import START_DEADLINE, ProcessHandler
from myconsumer.handlers.processes.session import (
    EXIT_GRACE,
    KILL_AFTER,
    OUTPUT_GRACE,
    REAP_INTERVAL,
)
from myconsumer.interfaces import IScalableTaskHandler
from myconsumer.testing import FakeTask

WORK = "tests.handlers.deeds.work"


class FakeProcess:
    """
    A worker process, as its protocol sees it; it does what the test says.

    @ivar pid: Its process id.
    @ivar signals: The signals that it was sent, and all that it has started.
    @ivar afterwards: The signals that the rest was sent once it was gone.
    @ivar orphans: How many of these have not been reaped, once it is gone.
    @ivar isQuick: Whether it begins each task as soon as it is given it.
    """

    def __init__(self, pid: int, protocol: Any, descriptors: Collection[int]) -> None:
        self.pid = pid
        self.orphans = 0
        self.done = 0
        self.isQuick = True
        self._protocol = protocol
        self._told = b""
        self._running = True
        self._isReady = False
        self.open = set(descriptors)
        self.signals: list[str] = []
        self.afterwards: list[str] = []

    @property
    def told(self) -> list[Any]:
        return [readToWorker(line) for line in self._told.splitlines()]

    @property
    def jobs(self) -> list[Any]:
        return [each.payload for each in self.told if hasattr(each, "payload")]

    @property
    def number(self) -> int:
        """
        The number of the task that it was given last.
        """
        return [each.number for each in self.told if hasattr(each, "payload")][-1]

    @property
    def isBusy(self) -> bool:
        """
        Whether it was given a task that it has not done.
        """
        return bool(self.jobs) and self.number != self.done

    def begins(self) -> None:
        """
        It says, once and unless it has ended, that it is ready.
        """
        if self._running and not self._isReady:
            self._isReady = True
            self.says(Ready())

    def says(self, *messages: FromWorker) -> None:
        self.writes(ANSWERS, b"".join(map(encode, messages)))

    def does(self, result: bytes | None = None) -> None:
        self.done = self.number
        self.says(Done(self.number, UNSET if result is None else Raw(result)))

    def raises(self, *raised: Any, **more: Any) -> None:
        self.says(Raised(self.number, *raised, **more))

    def writes(self, descriptor: int, data: bytes) -> None:
        self._protocol.childDataReceived(descriptor, data)

    def ends(self, status: int | None = 0, signal: int | None = None) -> None:
        """
        It is gone, and so is all that could write to its descriptors.
        """
        self.exits(status, signal)
        for descriptor in list(self.open):
            self.closeChildFD(descriptor)

    def exits(self, status: int | None = 0, signal: int | None = None) -> None:
        """
        It is gone, but something that it has started holds its descriptors open.
        """
        failed = status or signal
        error = ProcessTerminated(status, signal, None) if failed else ProcessDone(None)
        self._reason = Failure(error)
        self._running = False
        self._protocol.processExited(self._reason)

    def closeChildFD(self, descriptor: int) -> None:
        """
        See L{twisted.internet.interfaces.IProcessTransport}.
        """
        if descriptor in self.open:
            self.open.discard(descriptor)
            self._protocol.childConnectionLost(descriptor)
            if not self.open and not self._running:
                self._protocol.processEnded(self._reason)

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        """
        See L{twisted.internet.interfaces.IProcessTransport}.
        """
        assert descriptor == ORDERS
        assert descriptor in self.open
        self._told += data
        if self.isQuick and self.jobs and isinstance(self.told[-1], Job):
            self.says(Begun(self.number))


class FakeGroup(ProcessGroup):
    """
    What a fake process has started, and itself.
    """

    def __init__(self, process: FakeProcess) -> None:
        super().__init__(process.pid)
        self._process = process

    def signal(self, number: signal.Signals) -> None:
        """
        See L{ProcessGroup.signal}.
        """
        process = self._process
        signals = process.signals if self.hasLeader else process.afterwards
        signals.append(number.name.removeprefix("SIG"))

    def reap(self) -> bool:
        """
        See L{ProcessGroup.reap}.
        """
        return self._process.orphans > 0


class FakeReactor(Clock):
    """
    Starts fake processes.

    @ivar processes: Those started so far.
    @ivar refusal: Why no more can be started, if so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakeProcess] = []
        self.refusal: OSError | None = None

    def spawnProcess(
        self,
        protocol: Any,
        executable: str,
        arguments: list[str],
        env: dict[str, str],
        childFDs: dict[int, str],
    ) -> None:
        """
        See L{twisted.internet.interfaces.IReactorProcess}.
        """
        if self.refusal:
            raise self.refusal
        process = FakeProcess(len(self.processes) + 1, protocol, childFDs)
        self.processes.append(process)
        protocol.makeConnection(process)

    def group(self, pid: int) -> FakeGroup:
        return FakeGroup(self.processes[pid - 1])


class PoolTests(SynchronousTestCase):
    """
    L{ProcessHandler}, with processes that do what the tests say.
    """

    def setUp(self) -> None:
        """
        Make a handler with two processes at most, and a delay after failed starts that
        is 1 s and doubles.
        """
        self.reactor = FakeReactor()
        self.handler = ProcessHandler(
            WORK, 2, self.reactor, lambda n: 2.0**n, makeGroup=self.reactor.group
        )
        self.handled: list[Deferred[Any]] = []
        self.addCleanup(self.assertNothingLeft)

    def assertNothingLeft(self) -> None:
        """
        After a stop nothing runs, and nothing is put off.
        """
        for handled in self.handled:
            handled.addErrback(lambda reason: None)
        stopped = self.handler.stopService()
        for process in self.reactor.processes:
            if process.open:
                process.ends()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def handle(self, *payloads: Any) -> list[Deferred[Any]]:
        handled = [
            self.handler.handle(FakeTask(f"t-{each}", each)) for each in payloads
        ]
        self.handled += handled
        return handled

    def start(self, *payloads: Any) -> list[Deferred[Any]]:
        handled = self.handle(*payloads)
        for process in self.reactor.processes:
            process.begins()
        return handled

    def turn(self) -> None:
        self.reactor.advance(0)

    @property
    def spawned(self) -> int:
        return len(self.reactor.processes)

    def test_providesItsInterfaces(self) -> None:
        """
        L{ProcessHandler} is a handler, a service, and a pool of workers.
        """
        self.assertTrue(verifyObject(IScalableTaskHandler, self.handler))
        self.assertTrue(verifyObject(IWorkerPool, self.handler))
        self.assertTrue(verifyObject(IService, self.handler))

    def test_refusesACoroutineFunction(self) -> None:
        """
        A coroutine function is refused, and what is not there.
        """
        for name, what in (
            ("tests.handlers.deeds.coroutine", "--run-in process"),
            ("tests.handlers.deeds.nothing", "has no nothing"),
        ):
            with self.assertRaises(ValueError) as caught:
                ProcessHandler(name, 1, self.reactor)
            self.assertIn(what, str(caught.exception))

    def test_startsProcessesWhenNeeded(self) -> None:
        """
        A process is started for a task that finds none idle, up to the limit; more
        tasks wait.
        """
        self.assertEqual(self.spawned, 0)
        self.start(1)
        self.assertEqual(self.spawned, 1)
        handled = self.start(2, 3)
        self.assertEqual(self.spawned, 2)
        one, two = self.reactor.processes
        self.assertEqual((one.jobs, two.jobs), ([1], [2]))
        two.does(b"22")
        self.turn()
        self.assertEqual(self.successResultOf(handled[0]), Raw(b"22"))
        self.assertEqual((one.jobs, two.jobs), ([1], [2, 3]))

    def test_startsMoreProcesses(self) -> None:
        """
        With a higher limit a process is started for each task that waits, and for more.
        """
        self.start(1, 2, 3)
        self.assertEqual(self.spawned, 2)
        self.handler.setLimit(4)
        self.assertEqual(self.spawned, 3)
        self.start(4, 5)
        self.assertEqual(self.spawned, 4)
        self.assertEqual(self.reactor.processes[3].jobs, [4])

    def test_endsIdleProcessesTooMany(self) -> None:
        """
        With a lower limit idle processes end at once: those too many.
        """
        self.handler.setLimit(4)
        self.start(1, 2, 3, 4)
        for process in self.reactor.processes[:3]:
            process.does()
        self.turn()
        self.handler.setLimit(2)
        self.assertEqual(
            [ORDERS in process.open for process in self.reactor.processes],
            [False, False, True, True],
        )
        # while these two end no other is, and no third is used
        self.handler.setLimit(2)
        self.start(5, 6)
        self.assertEqual([p.jobs for p in self.reactor.processes[2:]], [[3, 5], [4]])
        for process in self.reactor.processes[:2]:
            process.ends()
        self.assertEqual(self.spawned, 4)

    def test_endsBusyProcessesTooMany(self) -> None:
        """
        With a lower limit what runs goes on, and a process too many ends when it has
        done its task; the result is taken.
        """
        handled = self.start(1, 2)
        self.handler.setLimit(1)
        one, two = self.reactor.processes
        self.assertEqual((one.signals, two.signals), ([], []))
        one.does(b"11")
        self.turn()
        self.assertEqual(self.successResultOf(handled[0]), Raw(b"11"))
        self.assertNotIn(ORDERS, one.open)
        one.ends()
        self.start(3)
        two.does()
        self.turn()
        self.assertEqual((two.jobs, two.signals, self.spawned), ([2, 3], [], 2))

    def test_startsAgainAfterEnding(self) -> None:
        """
        While processes too many end, a limit that is raised again has none started
        before they are gone: there are never more than the limit.
        """
        self.start(1, 2)
        for process in self.reactor.processes:
            process.does()
        self.turn()
        self.handler.setLimit(1)
        self.handler.setLimit(2)
        self.start(3, 4)
        self.assertEqual(self.spawned, 2)
        self.reactor.processes[0].ends()
        self.assertEqual(self.spawned, 3)

    def test_neverStartsMoreThanTheLimit(self) -> None:
        """
        However the limit goes up and down while tasks come and end and processes die,
        none is started while as many are there as the limit allows; and once all is
        quiet no more wait for tasks than that.
        """
        for seed in range(100):
            self.reactor = FakeReactor()
            self.handler = ProcessHandler(
                WORK, 2, self.reactor, lambda n: 2.0**n, makeGroup=self.reactor.group
            )
            self.handled = []
            self.changeAtRandom(Random(seed))
            self.assertNothingLeft()

    def changeAtRandom(self, random: Random) -> None:
        limit = 2
        for number in range(60):
            processes = [each for each in self.reactor.processes if each.open]
            alive, spawned = len(processes), self.spawned
            busy = [each for each in processes if each.isBusy]
            deed = random.choice(("limit", "task", "task", "done", "done", "end"))
            if deed == "limit":
                limit = random.randint(1, 6)
                self.handler.setLimit(limit)
            elif deed == "task" and sum(not e.called for e in self.handled) < limit:
                self.start(number)
            elif deed == "done" and busy:
                random.choice(busy).does()
                self.turn()
            elif deed == "end" and processes:
                random.choice(processes).ends(1)
                alive -= 1
            if self.spawned > spawned:
                self.assertLessEqual(alive + self.spawned - spawned, limit)
            for process in self.reactor.processes:
                process.begins()
        while busy := [e for e in self.reactor.processes if e.open and e.isBusy]:
            busy[0].does()
            self.turn()
        idle = [each for each in self.reactor.processes if ORDERS in each.open]
        self.assertLessEqual(len(idle), limit)

    def test_usesProcessesAgain(self) -> None:
        """
        A process that is idle does the next task, even one that comes of the end of
        the one before.
        """
        [first] = self.start(1)
        first.addCallback(lambda _: self.handle(2))
        [process] = self.reactor.processes
        process.does()
        self.turn()
        self.successResultOf(first)
        self.assertEqual(process.jobs, [1, 2])

    def test_sendsThePath(self) -> None:
        """
        A process is told first where we find modules.
        """
        self.start(1)
        self.assertEqual(
            self.reactor.processes[0].told[0], Path([os.fsencode(p) for p in sys.path])
        )

    def test_putsPiecesTogether(self) -> None:
        """
        Messages may come in pieces, or several in one.
        """
        [handled] = self.handle(1)
        [process] = self.reactor.processes
        data = encode(Ready()) + encode(Done(1, Raw(b'"a long text"')))
        for byte in data[:-1]:
            process.writes(ANSWERS, bytes([byte]))
            self.turn()
        self.assertNoResult(handled)
        process.writes(ANSWERS, data[-1:])
        self.turn()
        self.assertEqual(self.successResultOf(handled), Raw(b'"a long text"'))

    def test_failsTheTaskOfADeadProcess(self) -> None:
        """
        A process that ends fails its task, and says how it ended; the other goes on,
        and another takes its place.
        """
        first, second = self.start(1, 2)
        self.reactor.processes[0].ends(None, signal.SIGKILL)
        error = self.failureResultOf(first, TaskFailedError).value
        self.assertEqual(str(error), "the worker process was killed by SIGKILL")
        self.assertNoResult(second)
        [third] = self.start(3)
        self.assertEqual(self.reactor.processes[2].jobs, [3])
        self.reactor.processes[2].ends(3)
        error = self.failureResultOf(third, TaskFailedError).value
        self.assertEqual(str(error), "the worker process exited with status 3")

    def test_passesOverADeadIdleProcess(self) -> None:
        """
        A process that ends while it is idle is not given the next task, not even
        before it is known how it has ended.
        """
        [first] = self.start(1)
        [process] = self.reactor.processes
        process.does()
        self.turn()
        process.closeChildFD(ANSWERS)
        self.start(2)
        self.assertEqual(process.jobs, [1])
        self.assertEqual(self.reactor.processes[1].jobs, [2])
        process.ends(None, signal.SIGKILL)
        self.successResultOf(first)

    def test_killsWhatClosesItsPipe(self) -> None:
        """
        A process that closes its end, and goes on, is killed.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.closeChildFD(ORDERS)
        self.reactor.advance(EXIT_GRACE)
        self.assertEqual(process.signals, ["KILL"])
        process.ends(None, signal.SIGKILL)
        self.failureResultOf(handled, TaskFailedError)

    def test_keepsTheAnswerOfADeadProcess(self) -> None:
        """
        A task that is done stays so, even if its process ends in the same moment.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.does(b"1")
        process.ends(1)
        self.assertEqual(self.successResultOf(handled), Raw(b"1"))
        self.start(2)
        self.assertEqual(process.jobs, [1])

    def test_killsWhatWritesRubbish(self) -> None:
        """
        A process that does not speak our language is ended.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.writes(ANSWERS, b'{"type": "cheese"}\n')
        self.assertEqual(process.signals, ["KILL"])
        process.ends(None, signal.SIGKILL)
        error = self.failureResultOf(handled, TaskFailedError).value
        self.assertIn("wrote to descriptor 4", str(error))

    def test_killsWhatIsReadyTwice(self) -> None:
        """
        A worker that says for a second time that it is ready is not given its task
        twice: it is killed, no later message of it counts, its task has failed, and the
        log says why.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        with capturedLogs() as logs:
            process.says(Ready(), Done(1))
        self.assertEqual((process.jobs, process.signals), ([1], ["KILL"]))
        self.assertEqual([event["descriptor"] for event in logs], [ANSWERS])
        process.ends(None, signal.SIGKILL)
        error = self.failureResultOf(handled, TaskFailedError).value
        self.assertEqual(
            str(error),
            "the worker process wrote to descriptor 4, which was not its own, and "
            "was killed by SIGKILL",
        )

    def test_killsWhatIsReadyTwiceWhileIdle(self) -> None:
        """
        An idle worker that says for a second time that it is ready is killed, and is
        given neither one task nor two.
        """
        [first] = self.start(1)
        [process] = self.reactor.processes
        process.does()
        self.turn()
        self.successResultOf(first)
        process.says(Ready())
        self.assertEqual(process.signals, ["KILL"])
        process.ends(None, signal.SIGKILL)
        self.start(2, 3)
        self.assertEqual(process.jobs, [1])

    def test_answersBeforeItIsReady(self) -> None:
        """
        A task that is answered before its worker is ready is done; the worker does the
        next one once it is ready.
        """
        [first] = self.handle(1)
        [process] = self.reactor.processes
        process.says(Done(1, Raw(b"1")))
        self.turn()
        self.assertEqual(self.successResultOf(first), Raw(b"1"))
        process.begins()
        self.handle(2)
        self.assertEqual(process.jobs, [2])

    def test_stopsWhatAnsweredBeforeItIsReady(self) -> None:
        """
        A stop kills a worker that is not ready, also if it has answered its task in
        that moment.
        """
        [first] = self.handle(1)
        [process] = self.reactor.processes
        process.says(Done(1, Raw(b"1")))
        stopped = self.handler.stopService()
        self.assertEqual(process.signals, ["KILL"])
        process.ends(None, signal.SIGKILL)
        self.successResultOf(stopped)
        self.assertEqual(self.successResultOf(first), Raw(b"1"))

    def test_startsAnewForATaskAfterAStop(self) -> None:
        """
        A task that arrives while idle workers are stopped is done by a new worker, once
        those are gone.
        """
        [first] = self.start(1)
        [process] = self.reactor.processes
        process.does()
        self.turn()
        self.successResultOf(first)
        stopped = self.handler.stopService()
        self.start(2)
        process.ends()
        self.successResultOf(stopped)
        self.reactor.processes[1].begins()
        self.assertEqual((process.jobs, self.reactor.processes[1].jobs), ([1], [2]))

    def test_ignoresASecondAnswer(self) -> None:
        """
        A second answer, and one to nothing, are passed over.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.says(Done(1, Raw(b"1")), Done(1, Raw(b"2")))
        self.turn()
        process.does(b"3")
        self.turn()
        self.assertEqual(self.successResultOf(handled), Raw(b"1"))

    def test_waitsBrieflyForHeldPipes(self) -> None:
        """
        What holds the output of a process open that has ended is waited for, but not
        for long.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.exits(4)
        self.assertNoResult(handled)
        self.reactor.advance(OUTPUT_GRACE)
        self.failureResultOf(handled, TaskFailedError)

    def test_raisesWhatWasRaised(self) -> None:
        """
        What was raised is raised again.
        """
        for raised, kind, text, delay in (
            (("release", "a", 7), Release, "a", 7),
            (("release", "b"), Release, "b", None),
            (("failed", "d", 3), TaskFailedError, "d", 3),
        ):
            [handled] = self.start(1)
            self.reactor.processes[0].raises(*raised)
            self.turn()
            error = self.failureResultOf(handled, kind).value
            self.assertEqual((str(error), error.delay), (text, delay))
        [handled] = self.start(1)
        self.reactor.processes[0].raises("reject", "c")
        self.turn()
        self.assertEqual(str(self.failureResultOf(handled, Reject).value), "c")

    def test_logsTheTracebackOfABug(self) -> None:
        """
        What nobody foresaw fails the task with its type and text; the log has the
        traceback.
        """
        [handled] = self.start(1)
        self.reactor.processes[0].raises("other", "E: x", traceback="the lines")
        with capturedLogs() as logs:
            self.turn()
        error = self.failureResultOf(handled, TaskFailedError).value
        self.assertEqual((str(error), error.delay), ("E: x", None))
        [event] = logs
        self.assertEqual(
            (event["log_level"], event["id"], event["traceback"]),
            (LogLevel.error, "t-1", "the lines"),
        )

    def test_leavesOutAnUnsendableResult(self) -> None:
        """
        A result that is no JSON is left out, with an error in the log.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.says(Done(process.number, unsendable="no JSON"))
        with capturedLogs() as logs:
            self.turn()
        self.assertIsNone(self.successResultOf(handled))
        [event] = logs
        self.assertEqual(
            (event["log_level"], event["id"], event["error"]),
            (LogLevel.error, "t-1", "no JSON"),
        )

    def test_terminatesWhenCancelled(self) -> None:
        """
        Cancelling ends the process, by SIGKILL if need be; the task has ended when the
        process has, and only then another takes its place.
        """
        first, _, third = self.start(1, 2, 3)
        process = self.reactor.processes[0]
        first.cancel()
        self.assertEqual(process.signals, ["TERM"])
        self.reactor.advance(KILL_AFTER - 1)
        first.cancel()
        self.assertEqual(process.signals, ["TERM"])
        self.reactor.advance(1)
        self.assertEqual(process.signals, ["TERM", "KILL"])
        self.assertNoResult(first)
        self.assertEqual(self.spawned, 2)
        process.ends(None, signal.SIGKILL)
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(third)
        self.assertEqual(self.spawned, 3)

    def test_completesWhatAnswersAfterTheCancel(self) -> None:
        """
        A task that is done after its cancellation, but before its process has ended, is
        done.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        handled.cancel()
        process.does(b"1")
        self.turn()
        self.assertEqual(self.successResultOf(handled), Raw(b"1"))
        self.start(2)
        self.assertEqual(process.jobs, [1])

    def test_ignoresALateCancel(self) -> None:
        """
        The process of a task that is done already is let alone.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.does(b"1")
        handled.cancel()
        self.turn()
        self.assertEqual(process.signals, [])
        self.assertEqual(self.successResultOf(handled), Raw(b"1"))

    def test_forgetsAWaitingTask(self) -> None:
        """
        A task that waits for a process is not waited for.
        """
        *_, third = self.start(1, 2, 3)
        third.cancel()
        self.failureResultOf(third, NotBegunError)
        self.assertEqual([each.signals for each in self.reactor.processes], [[], []])

    def test_keepsTheStartOfACancelledTask(self) -> None:
        """
        A task that is cancelled before its process is ready has ended at once; the
        process begins all the same, and does the next, lest one that takes long to
        begin never does.
        """
        [first] = self.handle(1)
        first.cancel()
        self.failureResultOf(first, NotBegunError)
        [process] = self.reactor.processes
        process.says(Ready())
        self.assertEqual((process.signals, process.jobs), ([], []))
        [second] = self.handle(2)
        self.assertEqual(process.jobs, [2])
        self.assertNoResult(second)

    def test_killsALateStart(self) -> None:
        """
        A process that is not ready in time is killed, whether or not a task waits for
        it, and counts as one that could not begin.
        """
        [first] = self.handle(1)
        first.cancel()
        self.failureResultOf(first, NotBegunError)
        [second] = self.handle(2)
        late, later = self.reactor.processes
        self.reactor.advance(START_DEADLINE)
        self.assertEqual((late.signals, later.signals), (["KILL"], ["KILL"]))
        late.ends(None, signal.SIGKILL)
        later.ends(None, signal.SIGKILL)
        error = self.failureResultOf(second, NotBegunError).value
        self.assertEqual(
            str(error),
            "the worker process cannot begin: it was not ready after 60 s",
        )

    def test_forgetsTheStartDeadline(self) -> None:
        """
        A process that was ready in time may take as long as it likes after that.
        """
        self.start(1)
        self.reactor.advance(START_DEADLINE)
        self.assertEqual(self.reactor.processes[0].signals, [])

    def test_givesBackWhatCannotBegin(self) -> None:
        """
        A task whose process cannot begin is given back, with the reason, if there is
        no other; the next task is tried with the next process.
        """
        [first] = self.handle(1)
        broken = self.reactor.processes[0]
        broken.says(Broken("no such module"))
        broken.ends(1)
        error = self.failureResultOf(first, NotBegunError).value
        self.assertEqual(str(error), "the worker process cannot begin: no such module")
        [second] = self.handle(2)
        self.reactor.processes[1].ends(1)
        error = self.failureResultOf(second, NotBegunError).value
        self.assertEqual(
            str(error), "the worker process exited with status 1 before it had begun"
        )
        [third] = self.start(3)
        self.assertEqual(self.reactor.processes[2].jobs, [3])
        self.assertNoResult(third)

    def test_waitsForOthersIfOneCannotBegin(self) -> None:
        """
        Where other processes work a task waits for these, and for the time when the
        next may be started.
        """
        [first] = self.start(1)
        [second] = self.handle(2)
        self.reactor.processes[1].ends(1)
        self.assertNoResult(second)
        self.reactor.advance(0.9)
        self.assertEqual(self.spawned, 2)
        self.reactor.advance(0.1)
        self.assertEqual(self.spawned, 3)
        self.reactor.processes[2].ends(1)
        self.reactor.processes[0].does()
        self.turn()
        self.successResultOf(first)
        self.assertEqual(self.reactor.processes[0].jobs, [1, 2])

    def test_countsSeveralFailedStartsAsOne(self) -> None:
        """
        Processes that were started side by side count as one that could not begin, and
        once none is left all tasks are given back.
        """
        handled = self.handle(1, 2, 3)
        with capturedLogs() as logs:
            for process in list(self.reactor.processes):
                process.ends(1)
        self.assertEqual([event["delay"] for event in logs], [1])
        for each in handled:
            self.failureResultOf(each, NotBegunError)

    def test_startsOneAtATimeAfterAFailure(self) -> None:
        """
        After a failed start one process has to begin before others are started.
        """
        [first] = self.handle(1)
        self.reactor.processes[0].ends(1)
        self.failureResultOf(first, NotBegunError)
        self.handle(2, 3)
        self.assertEqual(self.spawned, 2)
        self.reactor.processes[1].says(Ready())
        self.assertEqual(self.spawned, 3)

    def test_waitsAgainIfStillNoneCanBeStarted(self) -> None:
        """
        A process that becomes ready while the system refuses to start another leads to
        one more attempt, and then to another delay.
        """
        self.handle(1)
        self.reactor.refusal = OSError(11, "Resource temporarily unavailable")
        self.handle(2)
        [one] = self.reactor.processes
        self.reactor.advance(0.5)
        with capturedLogs() as logs:
            one.begins()
        self.assertEqual([event["delay"] for event in logs], [1.0])
        self.assertEqual(one.jobs, [1])
        self.reactor.refusal = None
        self.reactor.advance(1.0)
        self.assertEqual(self.spawned, 2)
        self.reactor.processes[1].begins()
        self.assertEqual(self.reactor.processes[1].jobs, [2])

    def test_givesBackWithoutAProcess(self) -> None:
        """
        Where the system cannot start a process, tasks are given back with the reason,
        and the next task is tried with another.
        """
        self.reactor.refusal = OSError("too many processes")
        for handled in self.handle(1, 2):
            error = self.failureResultOf(handled, NotBegunError).value
            self.assertIn("too many processes", str(error))
        self.reactor.refusal = None
        self.handle(3)
        self.assertEqual(self.spawned, 1)

    def test_movesAnUnbegunTaskOnce(self) -> None:
        """
        A task whose process ends before it has begun the task is done by another, but
        only once: a task that ends each is to fail.
        """
        [first] = self.start(1)
        [process] = self.reactor.processes
        process.does()
        self.turn()
        self.successResultOf(first)
        process.isQuick = False
        [second] = self.start(2)
        self.assertEqual(process.jobs, [1, 2])
        process.ends(None, signal.SIGKILL)
        self.assertNoResult(second)
        other = self.reactor.processes[1]
        other.isQuick = False
        other.begins()
        self.assertEqual(other.jobs, [2])
        other.ends(None, signal.SIGKILL)
        error = self.failureResultOf(second, TaskFailedError).value
        self.assertEqual(str(error), "the worker process was killed by SIGKILL")

    def test_ignoresLateMessages(self) -> None:
        """
        What is said of a task that has ended is not taken for the next one's.
        """
        [first] = self.start(1)
        [process] = self.reactor.processes
        process.does(b"1")
        self.turn()
        self.assertEqual(self.successResultOf(first), Raw(b"1"))
        process.isQuick = False
        [second] = self.start(2)
        process.says(Done(1, Raw(b"3")), Raised(1, "reject", "x"), Begun(1))
        process.says(Extend(1, 30))
        self.turn()
        self.assertNoResult(second)
        self.assertEqual(process.told[-1].kind, "lost")
        process.does(b"2")
        self.turn()
        self.assertEqual(self.successResultOf(second), Raw(b"2"))

    def test_killsAndReapsWhatIsLeft(self) -> None:
        """
        What a process has started is killed when it is gone, and reaped where it has
        become ours; only then the task has ended, unless that takes long.
        """
        for takesLong in (False, True):
            [handled] = self.start(1)
            process = self.reactor.processes[-1]
            process.orphans = 1
            process.ends(3)
            self.assertEqual(process.afterwards, ["KILL"])
            self.assertNoResult(handled)
            if takesLong:
                self.reactor.pump([REAP_INTERVAL] * int(OUTPUT_GRACE / REAP_INTERVAL))
            else:
                process.orphans = 0
                self.reactor.advance(REAP_INTERVAL)
            self.failureResultOf(handled, TaskFailedError)

    def test_extendsTheLease(self) -> None:
        """
        A process may have the lease of its task extended.
        """
        task = FakeTask("1", None, receipt="r")
        self.handled += [self.handler.handle(task)]
        [process] = self.reactor.processes
        process.says(Ready(), Extend(1, 30))
        self.assertEqual(task.extended, [30])
        self.assertEqual((process.told[-1].error, process.jobs), (None, [None]))

    def test_saysWhyItDoesNotExtend(self) -> None:
        """
        A process whose lease cannot be extended is told why.
        """

        errors: list[tuple[Exception, str]] = [
            (LeaseLostError("gone"), "lost"),
            (ValueError("gone"), "value"),
            (OSError("gone"), "other"),
        ]

        def refuse(seconds: float) -> Deferred[None]:
            raise errors[0][0]

        task = FakeTask("1", None, receipt="r")
        task.onExtend = refuse
        self.handled += [self.handler.handle(task)]
        [process] = self.reactor.processes
        process.begins()
        while errors:
            process.says(Extend(process.number, 30))
            _, kind = errors.pop(0)
            told = process.told[-1]
            self.assertEqual((told.error, told.kind), ("gone", kind))

    def test_dropsALateExtension(self) -> None:
        """
        An extension that succeeds after the process is gone is dropped; one that is
        requested after the task is done is refused.
        """
        agreed: Deferred[None] = Deferred()
        task = FakeTask("1", None, receipt="r")
        task.onExtend = lambda seconds: agreed
        handled = self.handler.handle(task)
        [process] = self.reactor.processes
        process.says(Ready(), Extend(1, 30))
        process.ends(1)
        agreed.callback(None)
        self.failureResultOf(handled, TaskFailedError)
        [handled] = self.handle(2)
        process = self.reactor.processes[1]
        process.begins()
        process.does()
        self.turn()
        process.says(Extend(process.number, 30))
        self.assertEqual(process.told[-1].kind, "lost")

    def test_logsPrintedLines(self) -> None:
        """
        What a process prints is logged line by line, with its task; a long line is
        truncated, and control characters are escaped.
        """
        self.start(1)
        [process] = self.reactor.processes
        with capturedLogs() as logs:
            process.writes(1, b"one\ntw")
            process.writes(2, b"three \x1b[1m\xff\r\n\n")
            process.writes(1, b"o\n" + b"x" * (LONGEST_LINE + 1))
            process.does()
            process.writes(2, b"late\n")
            self.turn()
            [handled] = self.start(2)
            process.writes(2, b"next")
            process.ends(1)
        self.assertEqual(
            [(event["id"], event["stream"], event["line"]) for event in logs],
            [
                ("t-1", "stdout", "one"),
                ("t-1", "stderr", "three \\x1b[1m\ufffd"),
                ("t-1", "stdout", "two"),
                ("t-1", "stderr", "late"),
                ("t-1", "stdout", "x" * LONGEST_LINE + "..."),
                ("t-2", "stderr", "next"),
            ],
        )
        self.failureResultOf(handled, TaskFailedError)

    def test_countsFurtherLines(self) -> None:
        """
        Of what one task prints a bounded number of lines is logged, and the number of
        the others.
        """
        self.start(1)
        [process] = self.reactor.processes
        with capturedLogs() as logs:
            for _ in range(3):
                process.writes(1, b"line\n" * MOST_LINES)
            process.writes(2, b"x" * 10 * LONGEST_LINE)
            process.does()
            self.turn()
            self.start(2)
            process.writes(1, b"next\n")
        lines = [event["line"] for event in logs if "line" in event]
        self.assertEqual(lines, ["line"] * MOST_LINES + ["next"])
        [omitted] = [event for event in logs if "count" in event]
        self.assertEqual((omitted["id"], omitted["count"]), ("t-1", 401))

    def test_endsAllProcesses(self) -> None:
        """
        A stop lets idle processes exit and kills the others, and is over when all are
        gone.
        """
        first, second = self.start(1, 2)
        idle, busy = self.reactor.processes
        idle.does()
        self.turn()
        self.successResultOf(first)
        second.cancel()
        stopped = self.handler.stopService()
        self.assertNotIn(ORDERS, idle.open)
        self.assertEqual((idle.signals, busy.signals), ([], ["TERM", "KILL"]))
        busy.ends(None, signal.SIGKILL)
        self.failureResultOf(second, CancelledError)
        self.reactor.advance(EXIT_GRACE)
        self.assertEqual(idle.signals, ["KILL"])
        self.assertNoResult(stopped)
        idle.ends(None, signal.SIGKILL)
        self.successResultOf(stopped)

    def test_startsNoneAfterAStop(self) -> None:
        """
        After a stop no process is started any more.
        """
        first, second, third = self.handle(1, 2, 3)
        self.reactor.processes[0].ends(1)
        stopped = self.handler.stopService()
        for handled in (first, third):
            self.failureResultOf(handled, NotBegunError)
        self.reactor.processes[1].ends(1)
        self.successResultOf(stopped)
        self.failureResultOf(second, CancelledError)
        self.reactor.advance(100)
        self.assertEqual(self.spawned, 2)

    def test_stopsDespiteHeldPipes(self) -> None:
        """
        A process that has ended, but whose descriptors something else holds, does not
        hold up a stop.
        """
        [handled] = self.start(1)
        [process] = self.reactor.processes
        process.does()
        self.turn()
        self.successResultOf(handled)
        process.exits(1)
        stopped = self.handler.stopService()
        self.reactor.advance(OUTPUT_GRACE)
        self.successResultOf(stopped)

    def test_startsAgainAfterAStop(self) -> None:
        """
        After a stop the handler can be started again: that what had not begun was
        killed does not count as a failed start.
        """
        self.handle(1)
        self.assertNothingLeft()
        self.assertEqual(self.reactor.processes[0].signals, ["KILL"])
        self.handler.startService()
        self.start(2)
        self.assertEqual(self.reactor.processes[1].jobs, [2])
