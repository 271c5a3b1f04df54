"""
Tests for L{myconsumer.cli.enqueueing.sending} and L{myconsumer.cli.queue}.
"""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from myconsumer.cli.enqueueing.batches import Batch
from myconsumer.cli.enqueueing.sending import Sending
from myconsumer.cli.queue import DEADLINE, Queue
from myconsumer.errors import FaultError, QueueError, RefusalError
from myconsumer.http import Client, parseURL
from myconsumer.taskqueue.limits import MOST_VALUES
from tests.cli.memory import MemoryQueue, answers, stalls


class SendingCase(SynchronousTestCase):
    """
    A queue in memory.
    """

    def setUp(self) -> None:
        """
        Wait 2 s after each failure, for 5 s in all.
        """
        self.clock = Clock()
        self.memory = MemoryQueue()
        self.addCleanup(self.memory.close)
        client = Client(StubTreq(self.memory), self.clock)
        self.queue = Queue(client, parseURL("http://host/q/?key=1"))
        self.sending = Sending(self.queue, self.clock, 5.0, lambda failures: 2.0)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def send(self, *ids: str) -> Deferred[None]:
        """
        Send a batch, the last line of which is the tenth.
        """
        tasks = [f'{{"id": "{id}", "payload": 0}}'.encode() for id in ids]
        lines = list(range(11 - len(ids), 11))
        batch = Batch(tasks, lines, lastLine=10)
        return Deferred.fromCoroutine(self.sending.send(batch))

    def takeAtMost(self, most: int) -> None:
        """
        Have the queue refuse requests with more than C{most} tasks.
        """

        def refuse(request: Request) -> Any:
            if len(self.memory.seen[-1][2]) > most:
                return answers(413, {"error": "send it in parts"})(request)
            return None

        self.memory.plan = [refuse] * 9


class SendingTests(SendingCase):
    """
    Tests for L{Sending}.
    """

    def test_sendsABatch(self) -> None:
        """
        A batch is one request.
        """
        self.successResultOf(self.send("a", "b"))
        tasks = [{"id": "a", "payload": 0}, {"id": "b", "payload": 0}]
        self.assertEqual(self.memory.seen, [("POST", "/q?key=1", tasks)])

    def test_givesAccount(self) -> None:
        """
        The account tells how many tasks were queued and how many were known.
        """
        said = [self.sending.account()]
        for ids in (["a"], ["a", "b"], ["a", "b"]):
            self.successResultOf(self.send(*ids))
            said.append(self.sending.account())
        self.assertEqual(
            said,
            [
                "0 tasks queued",
                "1 task queued",
                "2 tasks queued, 1 was known already",
                "2 tasks queued, 3 were known already",
            ],
        )
        self.assertEqual(
            self.sending.accountBefore(),
            "2 tasks were queued before that, up to line 10",
        )

    def test_retriesAfterAFault(self) -> None:
        """
        After a fault the batch is sent again; each fault is logged, and its end.
        """
        self.memory.plan = [answers(500), answers(503, retry_after="3")]
        with capturedLogs() as logs:
            sent = self.send("a")
            self.clock.advance(1.9)
            self.assertEqual(len(self.memory.seen), 1)
            self.clock.advance(0.1)
            self.assertEqual(len(self.memory.seen), 2)
            self.clock.advance(2.9)
            self.assertNoResult(sent)
            self.clock.advance(0.1)
            self.successResultOf(sent)
        self.assertEqual(
            [event["log_level"].name for event in logs], ["warn", "warn", "info"]
        )
        self.assertEqual(self.memory.count("ready"), 1)

    def test_givesUp(self) -> None:
        """
        After the seconds of its patience it gives up, with a last try then; what became
        of the batch is not known.
        """
        self.memory.plan = [None] + [answers(500)] * 9
        self.successResultOf(self.send("a"))
        sent = self.send("b", "c")
        self.clock.pump([2, 2, 0.9])
        self.assertNoResult(sent)
        self.clock.advance(0.1)
        self.failureResultOf(sent, FaultError)
        self.assertEqual(len(self.memory.seen), 5)
        self.assertEqual(
            self.sending.accountBefore(),
            "1 task was queued before that, up to line 10; the next 2 may be queued, "
            "too",
        )

    def test_hasPatienceForEachBatch(self) -> None:
        """
        Each batch has all the patience.
        """
        for id in ("a", "b"):
            self.memory.plan = [answers(500)] * 2
            sent = self.send(id)
            self.clock.pump([2, 2])
            self.successResultOf(sent)

    def test_givesUpWhereAskedToWaitTooLong(self) -> None:
        """
        A queue that asks to be left alone for longer than the patience lasts is left
        alone.
        """
        self.memory.plan = [answers(503, retry_after="6")]
        self.failureResultOf(self.send("a"), FaultError)

    def test_doesNotRetryARefusal(self) -> None:
        """
        A refusal is not tried again, and nothing of the batch is queued.
        """
        self.memory.plan = [answers(400, {"error": "tasks[0].id: it is\nodd"})]
        error = self.failureResultOf(self.send("a"), RefusalError).value
        self.assertEqual(
            str(error),
            "the queue answered 400 Bad Request; it says: tasks[0].id: it is odd",
        )
        self.assertEqual(
            self.sending.accountBefore(), "0 tasks were queued before that"
        )

    def test_dividesWhatIsTooLarge(self) -> None:
        """
        A batch that is too large for the queue is sent in parts, in order, each as
        large as the queue takes.
        """
        self.takeAtMost(2)
        self.successResultOf(self.send("a", "b", "c", "d", "e"))
        self.assertEqual(self.memory.batches, [5, 2, 3, 1, 2])
        sent = [task["id"] for task in self.memory.sent]
        self.assertEqual(sent, list("abcdeabcdecde"))
        self.assertEqual(self.memory.count("ready"), 5)
        self.assertEqual(self.sending.account(), "5 tasks queued")
        self.assertEqual(
            self.sending.accountBefore(),
            "5 tasks were queued before that, up to line 10",
        )

    def test_dividesWhatHasTooManyValues(self) -> None:
        """
        A batch of more values than the embedded queue takes at once is sent in parts.
        """
        payload = json.dumps([1] * (MOST_VALUES // 2)).encode()
        tasks = [b'{"id": "%d", "payload": %b}' % (n, payload) for n in range(2)]
        batch = Batch(tasks, [1, 2], lastLine=2)
        self.successResultOf(Deferred.fromCoroutine(self.sending.send(batch)))
        self.assertEqual(self.memory.batches, [2, 1, 1])
        self.assertEqual(self.memory.count("ready"), 2)

    def test_namesTheTaskThatIsTooLarge(self) -> None:
        """
        A task that is too large by itself is refused, and what was queued before it
        is told of.
        """

        def refuseC(request: Request) -> Any:
            if any(task["id"] == "c" for task in self.memory.seen[-1][2]):
                return answers(413, {"error": "too large"})(request)
            return None

        self.memory.plan = [refuseC] * 9
        error = self.failureResultOf(self.send("a", "b", "c", "d"), RefusalError).value
        self.assertEqual(
            str(error),
            "the task of line 9: the queue answered 413 Request Entity Too Large; it "
            "says: too large",
        )
        self.assertEqual(
            self.sending.accountBefore(),
            "2 tasks were queued before that, up to line 8",
        )

    def test_refusesWhatIsNoQueue(self) -> None:
        """
        Something that answers with other ids, or none, is no queue.
        """
        for body, text in (
            ({"ids": []}, "with the ids of 0 tasks to a request with 1 task"),
            ({"id": 1}, "a body that does not fit"),
            (b"<html>", "a body that begins '<html>'"),
        ):
            self.memory.plan = [answers(200, body)]
            error = self.failureResultOf(self.send("a"), QueueError).value
            self.assertIn(text, str(error))
            self.assertNotIsInstance(error, FaultError)

    def test_isCancelled(self) -> None:
        """
        Sending may be cancelled during a request and between two.
        """
        for plan in (stalls, answers(500)):
            self.memory.plan = [plan]
            sent = self.send("a")
            sent.cancel()
            self.failureResultOf(sent, CancelledError)


class QueueTests(SendingCase):
    """
    Tests for L{Queue}.
    """

    def ask(self, *steps: str, **more: Any) -> Deferred[Any]:
        asked = self.queue.ask(dict[str, int], "counts", "GET", steps, **more)
        return Deferred.fromCoroutine(asked)

    def refusal(self, code: int, content: Any = b"", **headers: str) -> str:
        self.memory.plan = [answers(code, content, **headers)]
        return str(self.failureResultOf(self.ask(), RefusalError).value)

    def test_addsStepsToTheURL(self) -> None:
        """
        Steps and a query are added to the queue's URL, whatever is in them.
        """
        self.ask("a b", "c", query={"after": "1&2"}).addErrback(lambda _: None)
        self.assertEqual(self.memory.seen[0][1], "/q/a%20b/c?after=1%262&key=1")

    def test_givesUpAtTheDeadline(self) -> None:
        """
        A request that is not answered within L{DEADLINE} fails.
        """
        self.memory.plan = [stalls]
        asked = self.ask()
        self.clock.advance(DEADLINE)
        self.failureResultOf(asked, FaultError)

    def test_explainsARefusal(self) -> None:
        """
        A refusal says what can be done about it, with the words of the queue.
        """
        self.assertEqual(
            self.refusal(404, b"nothing\nhere"),
            "the queue answered 404 Not Found: is the URL that of a queue?; it says: "
            "nothing here",
        )
        self.assertEqual(
            self.refusal(301, location="https://host/q"),
            "the queue answered 301 Moved Permanently and points to https://host/q: "
            "give the URL that leads to the queue",
        )
        self.assertIn("--token-file", self.refusal(401))
        for content in (b"[]", b"{}", b'{"error": 1}', b'{"error": ""}', b"\xff"):
            self.assertTrue(self.refusal(409, content).startswith("the queue answered"))
        self.assertLess(len(self.refusal(409, {"error": "x" * 9999})), 300)
