"""
Tests for L{myconsumer.taskqueue.store.disk}.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.taskqueue.store.disk import RESERVED, Disk, DiskFullError, FileGoneError

BLOCK = 4096

#: What has to be free for new tasks to be taken again.
AGAIN = RESERVED * 5 // 4


def disk(free: int, size: int = 100 * RESERVED) -> os.statvfs_result:
    """
    @return: What is told of a disk of C{size} bytes, of which C{free} may be used.
    """
    sizes = (BLOCK, BLOCK, size // BLOCK, size // BLOCK, free // BLOCK)
    return os.statvfs_result((*sizes, 0, 0, 0, 0, 255))


class FileTests(SynchronousTestCase):
    """
    Tests for L{Disk.checkFile}.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.disk = Disk(str(self.path))
        self.disk.create()

    def test_createsFile(self) -> None:
        """
        The file is made, for its owner alone; one that is there is left as it is.
        """
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.path.write_text("content")
        self.disk.create()
        self.disk.checkFile()
        self.assertEqual(self.path.read_text(), "content")

    def test_findsFileGone(self) -> None:
        """
        A file that was removed, moved or replaced is gone until it is opened again,
        also when another is put in its place.
        """
        other, path = Path(f"{self.path} 2"), self.path
        for change in (
            path.unlink,
            lambda: path.rename(other),
            lambda: (shutil.copy(path, other), other.rename(path)),
        ):
            self.disk.checkFile()
            change()
            with self.assertRaisesRegex(FileGoneError, f"^{path} was moved"):
                self.disk.checkFile()
            path.touch()
            self.assertRaises(FileGoneError, self.disk.checkFile)
            self.disk.create()

    def test_trustsWhereItCannotLook(self) -> None:
        """
        Where the system cannot tell whether the file is there, it is not gone.
        """
        link = Path(self.mktemp()).absolute()
        link.symlink_to(self.path.absolute())
        disk = Disk(str(link))
        disk.create()
        disk.checkFile()
        link.unlink()
        link.symlink_to(link)
        disk.checkFile()


class RoomTests(SynchronousTestCase):
    """
    Tests for L{Disk.checkRoom}.
    """

    def setUp(self) -> None:
        self.looked = disk(RESERVED)
        self.disk = Disk("file", lambda path: self.looked)

    def test_refusesWithoutRoom(self) -> None:
        """
        New tasks are refused unless what is reserved is free, or a tenth of a small
        disk.
        """
        self.disk.checkRoom()
        self.looked = disk(BLOCK, 10 * BLOCK)
        self.disk.checkRoom()
        for self.looked in (disk(RESERVED - 1), disk(0, 10 * BLOCK)):
            self.assertRaises(DiskFullError, self.disk.checkRoom)

    def test_logsWhenRoomGoesAndComes(self) -> None:
        """
        A line is logged when the room goes, and another when it is back.
        """
        with capturedLogs() as events:
            for free, least in (
                (RESERVED, None),
                (0, "64 MiB"),
                (0, "80 MiB"),
                (AGAIN, None),
                (RESERVED, None),
            ):
                self.looked = disk(free)
                if least is None:
                    self.disk.checkRoom()
                else:
                    with self.assertRaisesRegex(DiskFullError, f"than {least}"):
                        self.disk.checkRoom()
        self.assertEqual([each["log_level"].name for each in events], ["error", "info"])
        self.assertIn("64 MiB are free on the disk of file", formatEvent(events[0]))

    def test_logsOnceWhereRoomHovers(self) -> None:
        """
        New tasks are refused until a quarter more than is reserved is free, so that a
        disk that hovers about the limit is not logged again and again.
        """
        with capturedLogs() as events:
            for free in (RESERVED - BLOCK, RESERVED, RESERVED - BLOCK, AGAIN - BLOCK):
                self.looked = disk(free)
                with self.assertRaisesRegex(DiskFullError, "^less than (64|80) MiB"):
                    self.disk.checkRoom()
            for free in (AGAIN, RESERVED, AGAIN):
                self.looked = disk(free)
                self.disk.checkRoom()
        self.assertEqual([each["log_level"].name for each in events], ["error", "info"])
        self.assertIn("refused until 80 MiB are", formatEvent(events[0]))

    def test_trustsUnknownDisk(self) -> None:
        """
        Where nothing can be found out about the disk, it is left to SQLite.
        """
        Disk(self.mktemp()).checkRoom()
