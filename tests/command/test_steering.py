"""
The signals that steer, in this process; L{tests.acceptance.test_signals} sends them to
others.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.steering import SECOND_LOOK, Steering
from myconsumer.command.terminal import Terminal

NUMBERS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Reactor(Clock):
    """
    Keeps what is to be called on its thread until it is asked to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queued: list[tuple[Any, ...]] = []
        self.stop: Callable[[], object] = lambda: None

    def callFromThread(self, function: Any, *args: Any) -> None:
        self.queued.append((function, *args))

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        pass

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:
        self.stop = function

    def turn(self) -> None:
        queued, self.queued = self.queued, []
        for function, *args in queued:
            function(*args)


class SteeringTests(SynchronousTestCase):
    """
    L{Steering}.
    """

    def setUp(self) -> None:
        for number in (*NUMBERS, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, signal.SIG_DFL)
        self.called: list[str] = []
        self.reactor = Reactor()
        self.tty = self.mktemp()
        open(self.tty, "w").close()
        self.lines: Any = ["one", "two"]

    def install(self, isDaemon: bool = False) -> None:
        Steering(
            self.reactor,
            Terminal(isDaemon, self.tty),
            lambda: self.called.append("reload"),
            lambda: self.called.append("reopen"),
            lambda: self.lines,
        ).install()
        signal.signal(signal.SIGTERM, lambda number, _: self.called.append("drain"))

    def send(self, number: int) -> None:
        os.kill(os.getpid(), number)
        self.reactor.turn()

    def test_actsOnTheReactorsThread(self) -> None:
        """
        Nothing is done before the reactor gets to it, and a signal that comes many
        times until then is acted upon once.
        """
        self.install()
        for _ in range(100):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(self.called, [])
        self.reactor.turn()
        self.assertEqual(self.called, ["reload", "reopen"])
        self.send(signal.SIGHUP)
        self.assertEqual(self.called, ["reload", "reopen", "reload"])

    def test_leavesTheHandlersOfOthers(self) -> None:
        """
        A signal that is handled already, by a debugger or by the user's code, is left
        alone; one that is ignored is taken over.
        """

        def handle(number: int, frame: object) -> None:
            self.called.append("another's")

        signal.signal(signal.SIGUSR2, handle)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self.install()
        self.send(signal.SIGUSR2)
        self.send(signal.SIGUSR1)
        self.assertEqual(self.called, ["another's", "reopen"])

    def test_showsTheState(self) -> None:
        """
        SIGUSR2 has a line of the log for each line of the state, be it there at once or
        later; a failure is logged.
        """
        self.install()
        for lines in (["one", "two"], succeed(["one", "two"])):
            self.lines = lines
            with capturedLogs() as logs:
                self.send(signal.SIGUSR2)
            said = [formatEvent(event) for event in logs]
            self.assertEqual(said, ["State: one", "State: two"])
        self.lines = fail(ZeroDivisionError())
        self.send(signal.SIGUSR2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.lines = Deferred()
        self.send(signal.SIGUSR2)

    def test_looksAtTheTerminalTwice(self) -> None:
        """
        Where the terminal is gone SIGHUP drains in place of a reload, also where it is
        gone only a second later.
        """
        self.install()
        self.send(signal.SIGHUP)
        self.assertEqual(self.called, ["reload"])
        self.reactor.advance(SECOND_LOOK)
        self.assertEqual(self.called, ["reload"])
        self.send(signal.SIGHUP)
        os.unlink(self.tty)
        self.reactor.advance(SECOND_LOOK)
        self.assertEqual(self.called, ["reload", "reload", "drain"])
        self.send(signal.SIGHUP)
        self.assertEqual(self.called[3:], ["drain"])

    def test_drainsOnce(self) -> None:
        """
        While the process stops SIGHUP neither reloads nor counts as a further signal to
        stop.
        """
        self.install()
        self.send(signal.SIGHUP)
        self.reactor.stop()
        os.unlink(self.tty)
        self.reactor.advance(SECOND_LOOK)
        self.send(signal.SIGHUP)
        self.assertEqual(self.called, ["reload"])

    def test_needsNoTerminal(self) -> None:
        """
        A daemon, a process that was started without a terminal, and one under nohup
        reload though there is no terminal.
        """
        for isDaemon, isIgnored, isThere in (
            (True, False, True),
            (False, True, True),
            (False, False, False),
        ):
            self.setUp()
            if isIgnored:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if not isThere:
                os.unlink(self.tty)
            self.install(isDaemon)
            if isThere:
                os.unlink(self.tty)
            self.send(signal.SIGHUP)
            self.assertEqual(self.called, ["reload"])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_survivesAFailure(self) -> None:
        """
        What an action raises is logged, and the next signal is handled.
        """
        self.install()
        self.called = None  # type: ignore[assignment]
        self.send(signal.SIGHUP)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.called = []
        self.send(signal.SIGHUP)
        self.assertEqual(self.called, ["reload"])
