"""
Tests for L{myconsumer.handlers.lines}.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.lines import LONGEST_LINE, MOST_LINES, Lines


class LinesTests(SynchronousTestCase):
    """
    L{Lines}.
    """

    def setUp(self) -> None:
        self.lines = Lines()
        watching = capturedLogs()
        self.events = watching.__enter__()
        self.addCleanup(watching.__exit__, None, None, None)

    def logged(self) -> list[str]:
        texts = [str(formatEvent(event)) for event in self.events]
        self.assertEqual({e["log_level"] for e in self.events} - {LogLevel.info}, set())
        self.events.clear()
        return texts

    def test_namesTheTask(self) -> None:
        """
        Each line is logged with the id of the task and the name of the stream.
        """
        self.lines.begin("t-1")
        self.lines.write("stdout", b"one\nt")
        self.lines.write("stderr", b"two\n")
        self.lines.write("stdout", b"hree\n")
        expected = ["Task t-1 stdout: one", "Task t-1 stderr: two"]
        self.assertEqual(self.logged(), [*expected, "Task t-1 stdout: three"])

    def test_escapesTheTasksID(self) -> None:
        """
        The control characters of the task's id are escaped.
        """
        self.lines.begin("\x1b[2J")
        self.lines.write("stdout", b"one\n")
        self.assertEqual(self.logged(), [r"Task \x1b[2J stdout: one"])

    def test_namesAProcessWithoutATask(self) -> None:
        """
        A line that is written before the first task is logged as the process's.
        """
        self.lines.write("stderr", b"warning\n")
        self.assertEqual(self.logged(), ["A worker process stderr: warning"])

    def test_endsAnUnfinishedLineWithItsTask(self) -> None:
        """
        A last line without an end is logged, with its own task, when the next task
        begins.
        """
        self.lines.begin("t-1")
        self.lines.write("stdout", b"first")
        self.assertEqual(self.logged(), [])
        self.lines.begin("t-2")
        self.lines.write("stdout", b"second\n")
        expected = ["Task t-1 stdout: first", "Task t-2 stdout: second"]
        self.assertEqual(self.logged(), expected)

    def test_truncatesALongLine(self) -> None:
        """
        A line is truncated after 1000 characters, in however many pieces it arrives.
        """
        self.lines.begin("t-1")
        for _ in range(20):
            self.lines.write("stdout", "ü".encode() * 500)
        self.lines.write("stdout", b"\nnext\n")
        long = "Task t-1 stdout: " + "ü" * LONGEST_LINE + "..."
        self.assertEqual(self.logged(), [long, "Task t-1 stdout: next"])

    def test_countsFurtherLines(self) -> None:
        """
        Of one task's lines, on all streams together, the first 200 are logged, and the
        number of the others at the end; the next task has 200 lines of its own.
        """
        self.lines.begin("t-1")
        self.lines.write("stderr", b"line\n" * (MOST_LINES - 1))
        self.lines.write("stdout", b"line\n" * 3 + b"unfinished")
        self.assertEqual(len(self.logged()), MOST_LINES)
        self.lines.begin("t-2")
        self.assertEqual(self.logged(), ["Task t-1 wrote 3 more lines"])
        self.lines.write("stdout", b"line\n" * MOST_LINES)
        self.assertEqual(len(self.logged()), MOST_LINES)

    def test_countsFurtherLinesOnce(self) -> None:
        """
        The number of omitted lines is logged once, however often the task is ended.
        """
        self.lines.write("stdout", b"line\n" * (MOST_LINES + 1))
        self.logged()
        self.lines.end()
        self.lines.end()
        self.assertEqual(self.logged(), ["A worker process wrote 1 more lines"])
