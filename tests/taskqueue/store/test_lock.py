"""
Tests for L{myconsumer.taskqueue.store.lock}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.taskqueue.store.lock import FileLock

HOLDING = """
import sys
from myconsumer.taskqueue.store.lock import FileLock

FileLock(sys.argv[1]).acquire()
print("held", flush=True)
sys.stdin.read()
"""


#: What the system says of who has a lock.
PID = os.getpid()


class FileLockTests(SynchronousTestCase):
    """
    Tests for L{FileLock}.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "queue.sqlite"
        self.lock = FileLock(str(self.path))
        self.addCleanup(self.lock.release)

    def assertRefused(self, path: Path, said: str) -> None:
        with self.assertRaises(ValueError) as caught:
            FileLock(str(path)).acquire()
        self.assertIn(said, str(caught.exception))

    def test_excludesOthers(self) -> None:
        """
        A lock that is held is refused to others; released, it is there for the next.
        """
        self.lock.acquire()
        self.assertRefused(self.path, f"it is in use by another process (pid {PID})")
        self.lock.release()
        other = FileLock(str(self.path))
        other.acquire()
        self.assertRefused(self.path, "in use by another process")
        other.release()

    def test_checksWithoutTaking(self) -> None:
        """
        To check whether the lock can be taken neither makes its file nor takes it.
        """
        self.lock.check()
        self.assertEqual([*self.directory.iterdir()], [])
        self.lock.acquire()
        other = FileLock(str(self.path))
        self.assertRaisesRegex(ValueError, "another process", other.check)
        self.lock.release()
        other.check()
        self.lock.acquire()

    def test_refusedLeavesItHeld(self) -> None:
        """
        A refused attempt takes nothing from the holder and leaves nothing open.
        """
        self.lock.acquire()
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            self.assertRefused(self.path, "another process")
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))

    def test_releasesTwice(self) -> None:
        """
        To release a lock that is not held is harmless.
        """
        self.lock.release()
        self.lock.acquire()
        self.lock.release()
        self.lock.release()

    def test_followsLinks(self) -> None:
        """
        The file is locked, by whatever name it is reached.
        """
        self.lock.acquire()
        link = self.directory / "link"
        link.symlink_to("queue.sqlite")
        self.assertRefused(link, "another process")
        folder = self.directory.with_name(self.directory.name + "-link")
        folder.symlink_to(self.directory.absolute())
        self.assertRefused(folder / "queue.sqlite", "another process")

    def test_leavesFileItself(self) -> None:
        """
        The file itself is neither made nor opened; the lock's own file is for its owner
        only.
        """
        self.lock.acquire()
        [made] = self.directory.iterdir()
        self.assertEqual(made.name, "queue.sqlite.lock")
        self.assertEqual(made.stat().st_mode & 0o777, 0o600)

    def test_refusesWhereNoneCanBeMade(self) -> None:
        """
        Where the lock's file cannot be made, the refusal says so.
        """
        self.assertRefused(self.directory / "no" / "queue", "cannot be opened: No such")

    def test_endsWithProcess(self) -> None:
        """
        The lock ends with its process, however that ends.
        """
        with subprocess.Popen(
            [sys.executable, "-c", HOLDING, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as process:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), b"held\n")
            self.assertRefused(self.path, "another process")
            process.kill()
        self.lock.acquire()
