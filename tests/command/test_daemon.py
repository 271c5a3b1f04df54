"""
Clock and exit status, of real C{twistd} processes.
"""

from __future__ import annotations

import signal

from tests.command.application import ProcessCase


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
