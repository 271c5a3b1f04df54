"""
Signals that stop, of real C{twistd} processes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.signals import handleSignals
from tests.command.application import ProcessCase


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
