"""
How the reactor ends, in real C{twistd} processes.
"""

from __future__ import annotations

import signal

from tests.command.application import ProcessCase

BUSY = """
    import time
    from twisted.internet.threads import deferToThread
    from myconsumer.command.mainloop import leaveThreads

    def work():
        time.sleep({seconds})
        print("worked")

    leaveThreads(reactor)
    reactor.callWhenRunning(deferToThread, work)
    {end}
"""


class ThreadsTests(ProcessCase):
    """
    L{leaveThreads<myconsumer.command.mainloop.leaveThreads>} in a process.
    """

    def test_busyThreadKeepsNoSignalledProcess(self) -> None:
        """
        A thread that is busy does not keep a process that was signalled.
        """
        status, said = self.run_(BUSY.format(seconds=60, end='slow.run("SIGTERM")'))
        self.assertEqual(status, -signal.SIGTERM)
        self.assertIn("1 threads of the reactor's are busy and left behind", said)
        self.assertIn("Server Shut Down", said)

    def test_busyThreadKeepsNoStatus(self) -> None:
        """
        A thread that is busy does not keep a process that ends with a status, and what
        others have left for the end is done.
        """
        for reason, expected in (("None", 0), ("Failure(OSError())", 1)):
            ends = f"reactor.callLater(0.1, end, {reason})"
            status, said = self.run_(BUSY.format(seconds=60, end=ends))
            self.assertEqual(status, expected)
            self.assertEqual(said.count("atexit\n"), 1)
            self.assertIn("left behind", said)

    def test_threadEndsWhatItDoes(self) -> None:
        """
        A thread gets a moment to end what it does.
        """
        ends = "reactor.callLater(0.1, end, None)"
        status, said = self.run_(BUSY.format(seconds=0.3, end=ends))
        self.assertEqual(status, 0)
        self.assertIn("worked", said)
        self.assertNotIn("left behind", said)


EXIT = """
    import asyncio
    from myconsumer.command.mainloop import drainOnExit

    async def leave():
        {leave}

    tasks = []

    def begin():
        tasks.append(asyncio.ensure_future(leave()))

    slow.signals = []
    slow.enough = {stops}
    drainOnExit(reactor, end)
    reactor.callWhenRunning(reactor.callLater, 0, begin)
    {more}
"""


class ExitTests(ProcessCase):
    """
    L{drainOnExit<myconsumer.command.mainloop.drainOnExit>} in a process.
    """

    def leave(self, leave: str, stops: int = 1, more: str = "") -> tuple[int, str]:
        """
        Run an application with a task of asyncio's that ends the loop.
        """
        script = EXIT.format(leave=leave, stops=stops, more=more)
        return self.run_(script, "--reactor=asyncio")

    def test_drainsWhenTheLoopIsEnded(self) -> None:
        """
        Where a task of asyncio ends the loop the service is stopped, and the process
        ends with status 1.
        """
        for leave, shown in (
            ("raise SystemExit(3)", "SystemExit(3)"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt()"),
        ):
            status, said = self.leave(leave)
            self.assertEqual(status, 1)
            self.assertIn(f"ended by {shown} in a task of asyncio's", said)
            self.assertIn("stop 1", said)
            self.assertIn("Server Shut Down", said)
            self.assertEqual(said.count("atexit\n"), 1)

    def test_goesOnDrainingWhenEndedAgain(self) -> None:
        """
        While the service drains another task that ends the loop changes nothing, and a
        signal is heard.
        """
        status, said = self.leave(
            "raise SystemExit(3)",
            2,
            """
    handleSignals(slow, reactor)
    stopping = partial(reactor.addSystemEventTrigger, "before", "shutdown")
    stopping(reactor.callLater, 0.1, begin)
    stopping(reactor.callLater, 0.3, kill, "SIGTERM")
    stopping(reactor.callLater, 0.5, kill, "SIGTERM")
            """,
        )
        self.assertEqual(status, 1)
        self.assertEqual(said.count("ended by SystemExit(3)"), 2)
        self.assertIn("SIGTERM: draining", said)
        self.assertIn("stop 2", said)

    def test_changesNothingWithoutAsyncio(self) -> None:
        """
        On a reactor without asyncio nothing changes.
        """
        status, said = self.run_(
            """
            from myconsumer.command.mainloop import drainOnExit

            drainOnExit(reactor, end)
            slow.run("SIGTERM")
            """
        )
        self.assertEqual(status, -signal.SIGTERM)
        self.assertIn("stop 1", said)
