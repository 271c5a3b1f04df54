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
        """
        Have a soft limit that can be raised.
        """
        before = resource.getrlimit(RLIMIT_NOFILE)
        self.hard = before[1]
        self.addCleanup(resource.setrlimit, RLIMIT_NOFILE, before)
        resource.setrlimit(RLIMIT_NOFILE, (1000, self.hard))
        self.patch(descriptors, "_usual", None)

    def limits(self, pid: int) -> tuple[int, int]:
        """
        The limits of a process.
        """
        return resource.prlimit(pid, RLIMIT_NOFILE)


class RaiseTests(LimitCase):
    """
    L{raiseLimit} and L{restoreLimit}.
    """

    def test_raised(self) -> None:
        """
        The soft limit is raised to the hard one, and again that does nothing.
        """
        for _ in range(2):
            raiseLimit(Clock())
            self.assertEqual(self.limits(0), (self.hard, self.hard))

    def test_select(self) -> None:
        """
        A reactor that takes no high descriptors has no more of them.
        """
        raiseLimit(object.__new__(SelectReactor))
        self.assertEqual(self.limits(0), (1000, self.hard))

    def test_restored(self) -> None:
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

    def test_isGone(self) -> None:
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

    def test_fits(self) -> None:
        """
        What fits is taken, and so is any number of tasks that need none.
        """
        checkLimit((1000 - RESERVE) // 2, 2)
        checkLimit(1_000_000, 0)

    def test_doesNotFit(self) -> None:
        """
        What does not fit is refused, with what it takes.
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

    def test_lacking(self) -> None:
        """
        They are lacking where none is to be had.
        """
        self.assertFalse(areLacking())
        withDescriptors(self, 1)
        self.assertFalse(areLacking())
        taken = os.dup(0)
        self.addCleanup(os.close, taken)
        self.assertTrue(areLacking())
