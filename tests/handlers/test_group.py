"""
Sessions of processes, and the count of them.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from time import monotonic, sleep

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers import census, group
from myconsumer.handlers.census import Census
from myconsumer.handlers.group import ProcessGroup
from tests.processes import isAlive


class CountingCensus(Census):
    """
    A census that notes how often it has counted.
    """

    counts = 0

    def _count(self) -> None:
        self.counts += 1
        super()._count()


class SessionCase(SynchronousTestCase):
    """
    Starts sessions, and ends them with the test.
    """

    def start(self, script: str) -> subprocess.Popen[str]:
        """
        Start a shell that leads a session, and wait until it has written a line.
        """
        process = subprocess.Popen(
            ["setsid", "bash", "-c", script], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.communicate)
        self.addCleanup(self.end, process.pid)
        assert process.stdout is not None
        self.line = process.stdout.readline()
        return process

    def end(self, leader: int) -> None:
        """
        Leave nothing of a session behind.
        """
        for pid in Census().members(leader):
            os.kill(pid, signal.SIGKILL)


class LackTests(SessionCase):
    """
    A process that has no descriptor left to look with.
    """

    def test_signalsTheLeadersGroupWithoutDescriptors(self) -> None:
        """
        Without a descriptor to look with, the leader's group is signalled all the same.
        """
        process = self.start("echo; exec sleep 60")
        ours = ProcessGroup(process.pid)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limit[1]))
        try:
            ours.signal(signal.SIGKILL)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        self.assertEqual(process.wait(), -signal.SIGKILL)


class CensusTests(SessionCase):
    """
    L{Census}.
    """

    def test_findsMembers(self) -> None:
        """
        A session holds all that was started in it, whatever its group.
        """
        leader = self.start("set -m; sleep 60 & echo $!; wait").pid
        members = Census().members(leader)
        self.assertEqual(sorted(members), sorted([leader, int(self.line)]))
        self.assertNotIn(leader, Census().members(os.getsid(0)))

    def test_sharesACount(self) -> None:
        """
        All who ask in the same moment share a count, unless it is too old for one.
        """
        self.patch(census, "FRESH", 60)
        counting = CountingCensus()
        for session in range(1, 50):
            counting.members(session)
        self.assertEqual(counting.counts, 1)
        counting.members(1, monotonic())
        self.assertEqual(counting.counts, 2)

    def test_countsAgainAfterAMoment(self) -> None:
        """
        A count is used for a moment only.
        """
        counting = CountingCensus()
        counting.members(1)
        sleep(census.FRESH)
        counting.members(1)
        self.assertEqual(counting.counts, 2)


class ProcessGroupTests(SessionCase):
    """
    L{ProcessGroup}.
    """

    def test_livesUntilTheLastHasEnded(self) -> None:
        """
        A session lives until its last process has ended, in whatever group, and from
        that moment on it does not.
        """
        process = self.start("set -m; sleep 60 & echo $!")
        session = ProcessGroup(process.pid)
        process.wait()
        session.hasLeader = False
        self.assertTrue(session.lives())
        session.signal(signal.SIGKILL)
        while isAlive(self.line.strip()):
            sleep(0.001)
        self.assertFalse(session.lives())

    def test_countsOnceForMany(self) -> None:
        """
        Many that are signalled and looked at in one turn need one count of processes,
        and another where what was counted has ended meanwhile.
        """
        self.patch(census, "FRESH", 60)
        counting = CountingCensus()
        self.patch(group, "_census", counting)
        processes = [self.start("sleep 60 & echo; wait") for _ in range(10)]
        sessions = [ProcessGroup(process.pid) for process in processes]
        for session in sessions:
            session.signal(signal.SIGCONT)
            self.assertTrue(session.lives())
        self.assertEqual(counting.counts, 1)

    def test_ignoresASessionThatIsGone(self) -> None:
        """
        A signal to a session that is gone does nothing.
        """
        # no number of a process is as high as that
        session = ProcessGroup(2**31 - 2)
        session.signal(signal.SIGTERM)
        session.hasLeader = False
        self.assertEqual((session.lives(), session.reap()), (False, False))
