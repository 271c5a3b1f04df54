"""
Tests for L{myconsumer.cli.running}.  What needs a process is in
L{tests.cli.test_console}.
"""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.cli.running import CommandError, LineObserver, Running
from myconsumer.errors import FaultError


class Reactor(Clock):
    """
    A reactor that never comes to run.
    """

    def callWhenRunning(self, *call: Any) -> None:
        pass


class Full(StringIO):
    """
    Standard output on a disk that is full.
    """

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class RunningTests(SynchronousTestCase):
    """
    Tests for L{Running}.
    """

    def setUp(self) -> None:
        self.out, self.errors = StringIO(), StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.errors)

    def status(self, result: Deferred[int], lines: int = 0) -> Any:
        """
        Give the status of a command that writes lines, and ends with a result.
        """

        async def command(reactor: Any, write: Any) -> int:
            for number in range(lines):
                write(f"{number}")
            return await result

        ended = Running("test").start(Reactor(), command)
        return self.failureResultOf(ended, SystemExit).value.code

    def test_passesTheStatusOn(self) -> None:
        """
        The exit status is that of the command, and its lines are on standard output.
        """
        for status in (0, 1):
            self.assertEqual(self.status(succeed(status), lines=2), status)
        self.assertEqual(self.out.getvalue(), "0\n1\n0\n1\n")
        self.assertEqual(self.errors.getvalue(), "")

    def test_saysAnErrorInOneLine(self) -> None:
        """
        An error that was to be expected is one line.
        """
        for error in (CommandError("it is\nso"), FaultError("it is so")):
            self.assertEqual(self.status(fail(error)), 1)
        self.assertEqual(self.errors.getvalue(), "test: it is so\n" * 2)

    def test_logsAMistake(self) -> None:
        """
        An error that nobody expected is logged with its traceback.
        """
        self.assertEqual(self.status(fail(ZeroDivisionError("oh"))), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_saysThatTheDiskIsFull(self) -> None:
        """
        Output that cannot be written is complained of.
        """
        self.patch(sys, "stdout", Full())
        self.assertEqual(self.status(succeed(0), lines=1), 1)
        self.assertEqual(
            self.errors.getvalue(),
            "test: standard output cannot be written: No space left on device\n",
        )

    def test_survivesWithoutAReader(self) -> None:
        """
        A line that standard error does not take is no failure.
        """
        self.patch(sys, "stderr", Full())
        self.assertEqual(self.status(fail(CommandError("it is so"))), 1)


class LineObserverTests(SynchronousTestCase):
    """
    Tests for L{LineObserver}.
    """

    def setUp(self) -> None:
        self.said: list[str] = []
        self.observer = LineObserver(self.said.append)
        self.log = Logger(observer=LogPublisher(self.observer))

    def test_isAnObserver(self) -> None:
        """
        L{Complaints} is an observer of the log.
        """
        verifyObject(ILogObserver, self.observer)

    def test_makesALine(self) -> None:
        """
        A log event becomes a line.
        """
        self.log.warn("{what} is\nodd", what="this")
        self.assertEqual(self.said, ["this is odd"])

    def test_addsTheTraceback(self) -> None:
        """
        The line of a failure has its traceback.
        """
        self.log.failure("oh", Failure(ZeroDivisionError("zero")))
        [text] = self.said
        self.assertTrue(text.startswith("oh\nTraceback"))
        self.assertIn("ZeroDivisionError: zero", text)
