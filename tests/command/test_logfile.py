"""
Where the lines of a log go.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from twisted.logger import capturedLogs, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.logfile import LogFile, LogStream


class FileCase(SynchronousTestCase):
    """
    A log file in a directory of its own.
    """

    def setUp(self) -> None:
        self.directory = Path(mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "my[1].log"

    def open(self, keep: int = 2, longest: int = 30) -> LogFile:
        return LogFile(str(self.path), 0o640, keep, longest)

    def left(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.directory.iterdir()}


class LogFileTests(FileCase):
    """
    L{LogFile}.
    """

    def test_appends(self) -> None:
        """
        Lines are written at once, after those that are there, and what UTF-8 cannot
        encode is escaped.
        """
        self.open().write("one ü\n")
        self.open().write("two \ud800\n")
        self.assertEqual(self.left(), {"my[1].log": "one ü\ntwo \\ud800\n"})

    def test_permissions(self) -> None:
        """
        A file that is made has the given permissions whatever the umask is, the first
        and those after a rotation; one that is there keeps those that it has.
        """
        self.addCleanup(os.umask, os.umask(0o077))
        log = self.open()
        for line in ("a" * 29, "b" * 29):
            log.write(f"{line}\n")
        modes = {path.stat().st_mode & 0o777 for path in self.directory.iterdir()}
        self.assertEqual(modes, {0o640})
        self.path.chmod(0o604)
        self.open()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o604)

    def test_rotates(self) -> None:
        """
        A file is rotated before it gets too long, no more than the given number of
        rotated files is kept, and others are left alone.
        """
        for number in (3, 17):
            Path(f"{self.path}.{number}").write_text("of a larger --log-keep")
        for name in ("my1.log.1", "my[1].log.1.gz", "my[1].log.x"):
            (self.directory / name).write_text("another's")
        log = self.open()
        for number in range(9):
            log.write(f"line {number} of ten bytes\n")
        self.assertEqual(
            self.left(),
            {
                "my[1].log": "line 8 of ten bytes\n",
                "my[1].log.1": "line 7 of ten bytes\n",
                "my[1].log.2": "line 6 of ten bytes\n",
                "my1.log.1": "another's",
                "my[1].log.1.gz": "another's",
                "my[1].log.x": "another's",
            },
        )

    def test_keepsOneFile(self) -> None:
        """
        Where no rotated file is to be kept the file is never rotated.
        """
        log = self.open(keep=0)
        for _ in range(9):
            log.write("a line of many bytes\n")
        self.assertEqual(list(self.left()), ["my[1].log"])

    def test_takesALongLine(self) -> None:
        """
        A line that is longer than a file may be has a file of its own.
        """
        log = self.open()
        for line in ("a\n", "b" * 99 + "\n", "c\n"):
            log.write(line)
        self.assertEqual(self.left()["my[1].log.1"], "b" * 99 + "\n")

    def test_reopens(self) -> None:
        """
        After another process has moved the file, lines go to the moved one until it is
        opened anew, and then to a new one.
        """
        log = self.open()
        log.write("one\n")
        self.path.rename(self.directory / "moved")
        log.write("two\n")
        self.assertTrue(log.reopen())
        log.write("three\n")
        self.assertEqual(self.left(), {"moved": "one\ntwo\n", "my[1].log": "three\n"})

    def test_cannotReopen(self) -> None:
        """
        Where the file cannot be opened anew the old one stays in use.
        """
        log = self.open()
        moved = self.directory / "moved"
        self.path.rename(moved)
        self.path.mkdir()
        self.assertRaises(OSError, log.reopen)
        log.write("two\n")
        self.assertEqual(moved.read_text(), "two\n")

    def test_cannotRotate(self) -> None:
        """
        Where files cannot be renamed the current one grows, and one line says so, not
        one with each line that is logged.
        """
        log = self.open(keep=1)
        Path(f"{self.path}.1").mkdir()
        (Path(f"{self.path}.1") / "file").touch()
        with capturedLogs() as logs:
            for number in range(4):
                log.write(f"line {number}\n" * 2)
        [event] = logs
        self.assertIn("cannot be rotated, and grows", formatEvent(event))
        self.assertEqual(self.path.read_text().count("line"), 8)

    def test_keepsItsDescriptor(self) -> None:
        """
        Rotation and opening anew use no further descriptor, and leave the file where a
        command that is executed does not inherit it.
        """
        log = self.open()
        before = sorted(os.listdir("/proc/self/fd"))
        for _ in range(9):
            log.write("a line of many bytes\n")
            log.reopen()
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)
        [number] = [
            int(each)
            for each in before
            if os.path.exists(f"/proc/self/fd/{each}")
            and os.readlink(f"/proc/self/fd/{each}") == str(self.path)
        ]
        self.assertFalse(os.get_inheritable(number))


class LogStreamTests(SynchronousTestCase):
    """
    L{LogStream}.
    """

    def test_countsLostLines(self) -> None:
        """
        What cannot be written is lost without an exception; once lines can be written
        again one says how many were lost, and why.  A line that was cut off is ended.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_blocking(writing, False)
        log = LogStream(writing)
        line = "x" * 40_000 + "\n"
        for _ in range(4):
            log.write(line)
        received = os.read(reading, 1_000_000)
        with capturedLogs() as logs:
            log.write("again\n")
            log.write("and again\n")
        [event] = logs
        self.assertEqual(event["lost"], 3)
        self.assertIn("could not be written: Resource temp", formatEvent(event))
        received += os.read(reading, 1_000_000)
        ends = received.decode().split("\n")
        self.assertEqual(ends[0], "x" * 40_000)
        self.assertEqual(ends[-3:], ["again", "and again", ""])

    def test_survivesTheEndOfItsReader(self) -> None:
        """
        Lines for nobody are lost.
        """
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        LogStream(writing).write("for nobody\n")

    def test_fullDisk(self) -> None:
        """
        A full disk raises nothing, also where the log logs its own loss.
        """
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        log = LogStream(full)

        def observe(event: object) -> None:
            log.write("a line\n")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for _ in range(3):
            log.write("a line\n")

    def test_isNoFile(self) -> None:
        """
        There is nothing to open anew.
        """
        self.assertFalse(LogStream(2).reopen())
