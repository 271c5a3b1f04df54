"""
The limit of file descriptors.
"""

from __future__ import annotations

import os
import resource
import subprocess
from resource import RLIMIT_NOFILE

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command import descriptors
from myconsumer.command.descriptors import (
    RESERVE,
    areLacking,
    checkLimit,
    raiseLimit,
    restoreLimit,
)
from tests.processes import withDescriptors


class LimitCase(SynchronousTestCase):
    """
    Keeps the limits of this process.
    """

    def setUp(self) -> None:
        before = resource.getrlimit(RLIMIT_NOFILE)
        self.hard = before[1]
        self.addCleanup(resource.setrlimit, RLIMIT_NOFILE, before)
        resource.setrlimit(RLIMIT_NOFILE, (1000, self.hard))
        self.patch(descriptors, "_usual", None)

    def limits(self, pid: int) -> tuple[int, int]:
        return resource.prlimit(pid, RLIMIT_NOFILE)


class RaiseTests(LimitCase):
    """
    L{raiseLimit} and L{restoreLimit}.
    """

    def test_raisesTheSoftLimit(self) -> None:
        """
        The soft limit is raised to the hard one, and raising it again does nothing.
        """
        for _ in range(2):
            raiseLimit(Clock())
            self.assertEqual(self.limits(0), (self.hard, self.hard))

    def test_leavesTheLimitOfSelect(self) -> None:
        """
        The limit is not raised for a reactor that takes no high descriptors.
        """
        raiseLimit(object.__new__(SelectReactor))
        self.assertEqual(self.limits(0), (1000, self.hard))

    def test_restoresTheLimitOfAChild(self) -> None:
        """
        A process that we start has the limits that we were started with.
        """
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
            restoreLimit(process.pid)
            self.assertEqual(self.limits(process.pid), (1000, self.hard))
        raiseLimit(Clock())
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
            self.assertEqual(self.limits(process.pid), (self.hard, self.hard))
            restoreLimit(process.pid)
            self.assertEqual(self.limits(process.pid), (1000, self.hard))

    def test_leavesAProcessThatIsGone(self) -> None:
        """
        A process that has ended already is left alone.
        """
        raiseLimit(Clock())
        with subprocess.Popen(["true"]) as process:
            process.wait()
            restoreLimit(process.pid)


class CheckTests(LimitCase):
    """
    L{checkLimit}.
    """

    def test_takesALimitThatFits(self) -> None:
        """
        A limit that fits is taken, and so is any number of tasks that need no
        descriptors.
        """
        checkLimit((1000 - RESERVE) // 2, 2)
        checkLimit(1_000_000, 0)

    def test_refusesALimitThatDoesNotFit(self) -> None:
        """
        A limit that does not fit is refused, with the number that it takes.
        """
        with self.assertRaises(ValueError) as caught:
            checkLimit(476, 2)
        text = str(caught.exception)
        self.assertIn("--limit 476 needs 1002 file descriptors", text)
        self.assertIn("have 1000", text)


class LackingTests(LimitCase):
    """
    L{areLacking}.
    """

    def test_lacksWhereNoneIsToBeHad(self) -> None:
        """
        Descriptors are lacking where none is to be had.
        """
        self.assertFalse(areLacking())
        withDescriptors(self, 1)
        self.assertFalse(areLacking())
        taken = os.dup(0)
        self.addCleanup(os.close, taken)
        self.assertTrue(areLacking())
