"""
Signals and exit status, of real C{twistd} processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

from twisted.application.service import Service
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.daemon import handleSignals

TWISTD = Path(sys.executable).with_name("twistd")
CHECKOUT = Path(__file__).parents[2]

SERVICE = """
    import atexit, os, signal
    from functools import partial
    from twisted.application.service import Application, Service
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from myconsumer.command.daemon import ExitStatus, handleSignals

    def kill(name):
        os.kill(os.getpid(), getattr(signal, name))

    class Slow(Service):
        # ends its stop only when it is told to stop so many times
        enough = 1
        stops = 0

        def stopService(self):
            self.stops += 1
            print("stop", self.stops)
            if self.stops == 1:
                self.stopped = Deferred()
            if self.stops == self.enough:
                self.stopped.callback(None)
            elif self.stops < len(self.signals):
                reactor.callLater(0, kill, self.signals[self.stops])
            return self.stopped

        def run(self, *signals):
            self.signals = signals
            handleSignals(self, reactor)
            reactor.callWhenRunning(reactor.callLater, 0, kill, signals[0])

    slow = Slow()
    application = Application("slow")
    slow.setServiceParent(application)
    end = partial(ExitStatus().end, reactor)
    atexit.register(os.write, 1, b"atexit\\n")
"""


class ProcessCase(SynchronousTestCase):
    """
    Runs applications that signal or end themselves.
    """

    def run_(self, script: str, *options: str) -> tuple[int, str]:
        """
        Run an application with C{twistd -n}.

        @return: Its exit status and all that it wrote.
        """
        with TemporaryDirectory() as folder:
            tac = Path(folder) / "slow.tac"
            tac.write_text(dedent(SERVICE) + dedent(script))
            ended = subprocess.run(
                [TWISTD, "-n", *options, "-y", tac],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
                text=True,
                timeout=30,
                check=False,
            )
            self.assertNotIn("Traceback", ended.stdout)
            self.assertNotIn("ReactorNotRunning", ended.stdout)
            left = sorted(path.name for path in Path(folder).iterdir())
            if ended.returncode >= 0:
                self.assertEqual(left, ["slow.tac"])
        return ended.returncode, ended.stdout


class SignalTests(ProcessCase):
    """
    L{handleSignals} in a process.
    """

    def test_firstSignalStopsTheService(self) -> None:
        """
        The first signal stops the service once, and C{twistd} ends by that signal.
        """
        for name in ("SIGTERM", "SIGINT"):
            status, said = self.run_(f"slow.run({name!r})")
            self.assertEqual(status, -getattr(signal, name))
            self.assertIn(f"{name}: draining; another signal skips", said)
            self.assertIn("stop 1", said)
            self.assertNotIn("stop 2", said)

    def test_secondSignalSkipsTheWaiting(self) -> None:
        """
        The second signal, of either kind, stops the service once more, and C{twistd}
        ends by the first.
        """
        for first, second in (("SIGTERM", "SIGTERM"), ("SIGTERM", "SIGINT")):
            status, said = self.run_(
                f"""
                slow.enough = 2
                slow.run({first!r}, {second!r})
                """
            )
            self.assertEqual(status, -getattr(signal, first))
            self.assertIn(f"{second}: no more waiting; another signal ends", said)
            self.assertIn("stop 2", said)
            self.assertNotIn("stop 3", said)

    def test_thirdSignalEndsTheProcess(self) -> None:
        """
        The third signal ends the process, though the service never stops.
        """
        status, said = self.run_(
            """
            slow.enough = 99
            slow.run("SIGTERM", "SIGTERM", "SIGINT")
            """
        )
        self.assertEqual(status, -signal.SIGINT)
        self.assertIn("stop 2", said)
        self.assertNotIn("stop 3", said)
        self.assertNotIn("atexit", said)

    def test_thirdSignalEndsABusyProcess(self) -> None:
        """
        The third signal ends the process, though the reactor never gets to anything.
        """
        status, _ = self.run_(
            """
            import threading, time
            handleSignals(slow, reactor)

            def hang():
                for name in ("SIGTERM", "SIGTERM", "SIGTERM"):
                    kill(name)
                time.sleep(60)

            reactor.callWhenRunning(reactor.callLater, 0, hang)
            """
        )
        self.assertEqual(status, -signal.SIGTERM)

    def test_forkedChildEndsByItsOwnSignal(self) -> None:
        """
        A child that was forked, in a thread as well, ends by a signal that it is sent,
        and the parent is not woken by it.
        """
        status, said = self.run_(
            """
            import time, warnings
            from twisted.internet.threads import deferToThread

            warnings.simplefilter("ignore", DeprecationWarning)

            def forkAndKill(number):
                reading, writing = os.pipe()
                child = os.fork()
                if not child:
                    os.write(writing, b"it runs")
                    time.sleep(30)
                    os._exit(0)
                os.read(reading, 10)
                os.kill(child, number)
                print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

            def begin():
                for number in (signal.SIGTERM, signal.SIGINT):
                    forkAndKill(number)
                    deferToThread(forkAndKill, number)
                reactor.callLater(0.5, end, None)

            handleSignals(slow, reactor)
            reactor.callWhenRunning(reactor.callLater, 0, begin)
            """
        )
        self.assertEqual(status, 0)
        self.assertEqual(said.count(f"child -{int(signal.SIGTERM)}"), 2)
        self.assertEqual(said.count(f"child -{int(signal.SIGINT)}"), 2)
        self.assertNotIn("draining", said)
        self.assertNotIn("Received", said)

    def test_twoSignalsAtOnceSkipTheWaiting(self) -> None:
        """
        Two signals before the reactor got to the first one skip the waiting.
        """
        status, said = self.run_(
            """
            slow.enough = 2
            slow.run("SIGTERM")
            reactor.callWhenRunning(reactor.callLater, 0, kill, "SIGINT")
            """
        )
        self.assertEqual(status, -signal.SIGTERM)
        self.assertIn("stop 2", said)

    def test_handlesSignalsOnAsyncio(self) -> None:
        """
        On the asyncio reactor the first signal stops the service, and the second skips
        the waiting, too.
        """
        status, said = self.run_(
            """
            slow.enough = 2
            slow.run("SIGTERM", "SIGTERM")
            """,
            "--reactor=asyncio",
        )
        self.assertEqual(status, -signal.SIGTERM)
        self.assertIn("stop 2", said)


class ClockTests(ProcessCase):
    """
    L{steadyClock} in a process.
    """

    def test_wallClockMovesNoTimer(self) -> None:
        """
        What the wall clock does moves no timer, and what was scheduled before keeps
        its time.
        """
        status, said = self.run_(
            """
            from myconsumer.command.daemon import steadyClock

            class Wall:
                seconds = 1000.0

            reactor.seconds = lambda: Wall.seconds
            reactor.callLater(0.2, print, "scheduled before")
            steadyClock(reactor)
            Wall.seconds = 0.0
            reactor.callLater(0.1, print, "scheduled after")
            reactor.callLater(0.4, end, None)
            """
        )
        self.assertEqual(status, 0)
        self.assertIn("scheduled before", said)
        self.assertIn("scheduled after", said)


class ExitStatusTests(ProcessCase):
    """
    L{ExitStatus} in a process.
    """

    def test_endsWithStatus0(self) -> None:
        """
        Ended without a reason the process has status 0.
        """
        status, said = self.run_("reactor.callWhenRunning(end, None)")
        self.assertEqual(status, 0)
        self.assertIn("Server Shut Down", said)
        self.assertEqual(said.count("atexit\n"), 1)

    def test_endsWithStatus1(self) -> None:
        """
        Ended with a reason the process has status 1, after all others did what they had
        left for the end.
        """
        status, said = self.run_("reactor.callLater(0, end, Failure(OSError()))")
        self.assertEqual(status, 1)
        self.assertIn("Server Shut Down", said)
        self.assertEqual(said.count("atexit\n"), 1)

    def test_endsBeforeTheReactorRuns(self) -> None:
        """
        A process may be ended as early as the service starts.
        """
        status, _ = self.run_("slow.startService = lambda: end(Failure(OSError()))")
        self.assertEqual(status, 1)

    def test_earlierSignalDecidesTheStatus(self) -> None:
        """
        A signal that came before the end of the run decides how the process ends.
        """
        status, _ = self.run_(
            """
            slow.enough = 2
            slow.run("SIGTERM", "SIGTERM")
            reactor.addSystemEventTrigger(
                "before", "shutdown", end, Failure(OSError())
            )
            """
        )
        self.assertEqual(status, -signal.SIGTERM)

    def test_laterSignalChangesNothing(self) -> None:
        """
        A signal that comes after the end of the run changes nothing, and the next one
        skips the waiting.
        """
        status, said = self.run_(
            """
            slow.enough = 2
            slow.signals = [None, "SIGTERM"]
            handleSignals(slow, reactor)
            reactor.callWhenRunning(end, Failure(OSError()))
            reactor.addSystemEventTrigger(
                "before", "shutdown", reactor.callLater, 0.01, kill, "SIGTERM"
            )
            """
        )
        self.assertEqual(status, 1)
        self.assertIn("SIGTERM: draining", said)
        self.assertIn("stop 2", said)


class FakeReactor:
    """
    Runs at once.
    """

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        function()

    def addSystemEventTrigger(self, *args: Any) -> None:
        pass


class InstallTests(SynchronousTestCase):
    """
    Which handlers L{handleSignals} puts itself before.
    """

    def setUp(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def test_leavesIgnoredSignals(self) -> None:
        """
        A signal that is ignored stays ignored (as under C{nohup}), and one that the
        reactor does not handle is left as it is.
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        handleSignals(Service(), FakeReactor())
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_IGN)

    def test_takesOverTheReactorsSignals(self) -> None:
        """
        A signal that the reactor handles is taken over.
        """
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        before = signal.getsignal(signal.SIGTERM)
        handleSignals(Service(), FakeReactor())
        self.assertIsNot(signal.getsignal(signal.SIGTERM), before)
