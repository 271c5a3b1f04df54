"""
The standard library's logging in Twisted's log.
"""

from __future__ import annotations

import logging

from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.standardlog import (
    LONGEST_RECORD,
    TwistedHandler,
    addID,
    joinLogs,
)
from myconsumer.task import currentID


class TwistedHandlerTests(SynchronousTestCase):
    """
    L{TwistedHandler}.
    """

    def setUp(self) -> None:
        self.logger = logging.Logger("app.mail")
        self.logger.addHandler(TwistedHandler())

    def test_keepsLevels(self) -> None:
        """
        A record keeps its level, or gets the next lower one that Twisted has.
        """
        for number, level in (
            (5, LogLevel.debug),
            (logging.DEBUG, LogLevel.debug),
            (logging.INFO, LogLevel.info),
            (25, LogLevel.info),
            (logging.WARNING, LogLevel.warn),
            (logging.ERROR, LogLevel.error),
            (logging.CRITICAL, LogLevel.critical),
            (60, LogLevel.critical),
        ):
            with capturedLogs() as logs:
                self.logger.log(number, "sent to %s", "{x}")
            [event] = logs
            self.assertEqual(event["log_level"], level)
            self.assertEqual(event["log_namespace"], "app.mail")
            self.assertEqual(formatEvent(event), "sent to {x}")

    def test_addsTheTraceback(self) -> None:
        """
        An exception's traceback is part of the text.
        """
        with capturedLogs() as logs:
            try:
                raise ZeroDivisionError("one too many")
            except ZeroDivisionError:
                self.logger.exception("not sent")
        [event] = logs
        text = formatEvent(event)
        self.assertTrue(text.startswith("not sent\nTraceback"), text)
        self.assertTrue(text.endswith("ZeroDivisionError: one too many"), text)

    def test_namesTheTask(self) -> None:
        """
        A record that is logged for a task has its id, in text and as a field.
        """
        token = currentID.set("t-1\x1b")
        with capturedLogs() as logs:
            self.logger.warning("not sent")
            currentID.reset(token)
            self.logger.warning("of no task")
        self.assertEqual(
            [(str(formatEvent(event)), event.get("id")) for event in logs],
            [("Task t-1\\x1b: not sent", "t-1\\x1b"), ("of no task", None)],
        )

    def test_makesTextFit(self) -> None:
        """
        A record has no control characters but the ends of its lines, and a bounded
        length.
        """
        with capturedLogs() as logs:
            self.logger.warning("a\x1b[2J\nb")
            self.logger.warning("x" * 10**6)
        short, long = (str(formatEvent(event)) for event in logs)
        self.assertEqual(short, "a\\x1b[2J\nb")
        self.assertLess(len(long), LONGEST_RECORD + 10)

    def test_survivesWrongArguments(self) -> None:
        """
        A record that cannot be formatted raises nothing.
        """
        self.patch(logging, "raiseExceptions", False)
        with capturedLogs() as logs:
            self.logger.warning("%d", "x")
        self.assertEqual(logs, [])

    def test_sendsNothingBack(self) -> None:
        """
        What comes from Twisted's log is not sent back there.
        """
        logger = logging.Logger("twisted")
        logger.addHandler(TwistedHandler())
        with capturedLogs() as logs:
            logger.warning("an event")
        self.assertEqual(logs, [])


class AddIDTests(SynchronousTestCase):
    """
    L{addID}.
    """

    def test_addsTheID(self) -> None:
        """
        An event that is logged for a task gets its id, unless it has one; other events
        get none.
        """
        events: list[LogEvent] = [{}, {}, {"id": "mine"}]
        addID(events[0])
        token = currentID.set(17)
        self.addCleanup(currentID.reset, token)
        addID(events[1])
        addID(events[2])
        self.assertEqual(events, [{}, {"id": 17}, {"id": "mine"}])


class JoinLogsTests(SynchronousTestCase):
    """
    L{joinLogs}.
    """

    def test_joinsOnce(self) -> None:
        """
        The root logger gets one handler, however often the logs are joined.
        """
        self.patch(logging, "root", logging.RootLogger(logging.WARNING))
        joinLogs()
        joinLogs()
        [handler] = logging.root.handlers
        self.assertIsInstance(handler, TwistedHandler)
        self.assertEqual(logging.root.level, logging.WARNING)

    def test_leavesOwnLogging(self) -> None:
        """
        Logging that somebody has set up is left as it is.
        """
        root = logging.RootLogger(logging.WARNING)
        theirs = logging.NullHandler()
        root.addHandler(theirs)
        self.patch(logging, "root", root)
        joinLogs()
        self.assertEqual(root.handlers, [theirs])
