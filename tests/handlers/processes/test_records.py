"""
Records of C{logging}, in a worker process.
"""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.processes.messages import Logged, Unlogged
from myconsumer.handlers.processes.records import MOST_RECORDS, RecordHandler
from myconsumer.task import currentID

#: The seconds that a thread gets to do what it does at once.
PATIENCE = 10.0


def record(text: str = "a record") -> logging.LogRecord:
    return logging.makeLogRecord({"name": "app", "levelno": 30, "msg": text})


class RecordHandlerTests(SynchronousTestCase):
    """
    L{RecordHandler}.
    """

    def setUp(self) -> None:
        self.sent: SimpleQueue[Any] = SimpleQueue()
        self.handler = RecordHandler(self.sent.put)
        self.addCleanup(self.handler.close)

    def allSent(self) -> list[Any]:
        self.handler.flush()
        return [self.sent.get_nowait() for _ in range(self.sent.qsize())]

    def test_sendsByItself(self) -> None:
        """
        A record is sent by a thread, without anybody asking for it.
        """
        self.handler.handle(record())
        message = self.sent.get(timeout=PATIENCE)
        self.assertEqual((message.level, message.logger), (30, "app"))

    def test_numbersRecordsOfTheTask(self) -> None:
        """
        What is logged for the task bears the number of its job, and all else does not.
        """
        self.handler.begin(7, "1")
        self.handler.handle(record("of none"))
        token = currentID.set("1")
        self.handler.handle(record("of the task"))
        currentID.reset(token)
        self.assertEqual(
            [(each.number, each.text) for each in self.allSent()],
            [(0, "of none"), (7, "of the task")],
        )

    def test_countsFurtherRecords(self) -> None:
        """
        Of one task a number of records is sent, and then how many more there were; the
        next task has as many of its own.
        """
        for _ in range(2):
            self.handler.begin(1, "1")
            for _ in range(MOST_RECORDS + 5):
                self.handler.handle(record())
            *sent, last = self.allSent()
            self.assertEqual({type(each) for each in sent}, {Logged})
            self.assertEqual((len(sent), last), (MOST_RECORDS, Unlogged(5)))

    def test_waitsForWhatIsBeingSent(self) -> None:
        """
        L{RecordHandler.flush} returns once each record is sent, also the one that the
        thread is just sending: what follows it comes after it.
        """
        isSending, maySend = threading.Event(), threading.Event()

        def send(message: Any) -> None:
            isSending.set()
            maySend.wait(PATIENCE)
            self.sent.put(message)

        handler = RecordHandler(send)
        handler.handle(record())
        self.assertTrue(isSending.wait(PATIENCE))
        flushing = threading.Thread(target=lambda: self.sent.put(handler.flush()))
        flushing.start()
        flushing.join(0.05)
        self.assertTrue(self.sent.empty())
        maySend.set()
        flushing.join(PATIENCE)
        self.assertIsInstance(self.sent.get_nowait(), Logged)

    def test_needsNoThread(self) -> None:
        """
        Where no thread can be started, whoever logs goes on, and L{RecordHandler.flush}
        sends the records.
        """

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        self.patch(threading.Thread, "start", start)
        self.handler.handle(record())
        self.assertTrue(self.sent.empty())
        self.assertEqual(len(self.allSent()), 1)

    def test_heedsFilters(self) -> None:
        """
        A filter may leave out a record, or put another in its place.
        """
        self.handler.addFilter(lambda each: each.getMessage() != "left out")
        for text in ("left out", "sent"):
            self.handler.handle(record(text))
        self.assertEqual([each.text for each in self.allSent()], ["sent"])

    def test_letsAFormatterLog(self) -> None:
        """
        What is formatted may log by itself.
        """

        class Talkative:
            def __str__(that) -> str:
                self.handler.handle(record("inner"))
                return "outer"

        self.handler.handle(record(Talkative()))  # type: ignore[arg-type]
        texts = [each.text for each in self.allSent()]
        self.assertEqual(texts, ["inner", "outer"])
