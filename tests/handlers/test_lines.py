"""
Tests for L{myconsumer.handlers.lines}.
"""

from __future__ import annotations

import logging

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.lines import (
    BURST,
    BYTES_PER_MINUTE,
    LONGEST_LINE,
    LONGEST_LOGGER,
    MOST_LINES,
    OVERHEAD,
    Lines,
    Outlet,
)


class LinesTests(SynchronousTestCase):
    """
    L{Lines}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.outlet = Outlet(self.clock)
        self.lines = Lines(self.outlet)
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
        # until there is room for them again
        self.clock.advance(120)
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

    def test_logsRecords(self) -> None:
        """
        A record of logging keeps its level and its logger, bears the task's id, and has
        no control characters but the ends of its lines.
        """
        self.lines.begin("t-1")
        self.lines.record(logging.WARNING, "app.mail", "not sent\x1b[2J\n  why")
        [event] = self.events
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual((event["log_namespace"], event["id"]), ("app.mail", "t-1"))
        self.assertEqual(formatEvent(event), "Task t-1: not sent\\x1b[2J\n  why")

    def test_countsRecordsAsLines(self) -> None:
        """
        Records of one task count as its lines do.
        """
        self.lines.begin("t-1")
        for _ in range(MOST_LINES + 2):
            self.lines.record(logging.INFO, "x" * 1000, "a record")
        namespaces = {len(event["log_namespace"]) for event in self.events}
        self.assertEqual(namespaces, {LONGEST_LOGGER})
        self.assertEqual(len(self.logged()), MOST_LINES)
        self.lines.end()
        self.assertEqual(self.logged(), ["Task t-1 wrote 2 more lines"])


class OutletTests(SynchronousTestCase):
    """
    What is logged of all tasks together.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.outlet = Outlet(self.clock)

    def written(self, lines: int) -> list[str]:
        """
        @return: What is logged of a task that writes as many long lines.
        """
        with capturedLogs() as events:
            task = Lines(self.outlet, "t-1")
            task.write("stderr", (b"x" * LONGEST_LINE + b"\n") * lines)
            task.end()
        return [str(formatEvent(event)) for event in events]

    def test_boundsAllTasksTogether(self) -> None:
        """
        In an hour of tasks that write a lot no more is logged than is allowed in a
        minute, and at once; what is left out is counted in a line now and then.
        """
        size, logged = 0, []
        for _ in range(3600):
            logged = self.written(5)
            size += sum(len(line) + OVERHEAD for line in logged)
            self.clock.advance(1)
        self.assertLess(size, 1.1 * (60 * BYTES_PER_MINUTE + BURST))
        self.assertGreater(size, 0.9 * 60 * BYTES_PER_MINUTE)

    def test_countsWhatIsLeftOut(self) -> None:
        """
        The number of lines that were left out is logged with the next one that is not,
        or when the handler is stopped.
        """
        most = BURST // (LONGEST_LINE + OVERHEAD)
        self.assertEqual(len(self.written(most + 1)), most)
        self.clock.advance(60)
        counted, line = self.written(1)
        self.assertIn("1 lines that tasks wrote are not logged", counted)
        self.assertIn("xxx", line)
        self.written(MOST_LINES)
        with capturedLogs() as events:
            self.outlet.countOmitted()
            self.outlet.countOmitted()
        [event] = events
        self.assertGreater(event["count"], 100)

    def test_keepsSilent(self) -> None:
        """
        A silent outlet logs nothing, and counts nothing.
        """
        self.outlet = Outlet(self.clock, isSilent=True)
        self.assertEqual(self.written(2 * MOST_LINES), [])
        with capturedLogs() as events:
            self.outlet.countOmitted()
        self.assertEqual(events, [])
