"""
Tests for L{myconsumer.queues.plain}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError, RefusalError
from myconsumer.http.urls import parseURL
from myconsumer.interfaces import IProbed, ISelfTimedTaskQueue, ITaskQueue
from myconsumer.queues.plain import PlainQueue, makeQueue
from myconsumer.task import Claimed, Settlement, Task
from tests.http.test_client import ClientCase, says, stalls
from tests.http.wire import OK, sends, serve


class PlainQueueTests(ClientCase):
    """
    Tests for L{PlainQueue}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.queue = PlainQueue(self.client, parseURL("http://host/q/?key=value"))

    def claim(self) -> Deferred[Claimed]:
        return self.queue.claim("c-1", 4, 20.0, 60.0)

    def tasks(self, body: bytes, code: int = 200) -> list[Task]:
        """
        @return: The tasks of a claim that is answered with C{body}.
        """
        self.endpoint.respond = says(code, body)
        claimed = self.successResultOf(self.claim())
        self.assertEqual(claimed.malformed, [])
        return claimed.tasks

    def test_providesInterfaces(self) -> None:
        """
        The queue provides L{ITaskQueue}, and L{ISelfTimedTaskQueue}.
        """
        verifyObject(ITaskQueue, self.queue)
        verifyObject(ISelfTimedTaskQueue, self.queue)

    def test_probesWithoutARequest(self) -> None:
        """
        The probe sends no request: a GET may take a task.
        """
        verifyObject(IProbed, self.queue)
        answer = self.successResultOf(self.queue.probe())
        self.assertIn("it was asked nothing", answer)
        self.assertEqual(self.endpoint.requests, [])

    def test_asksForURL(self) -> None:
        """
        The URL is asked for as it was given.
        """
        self.claim()
        request = self.endpoint.requests[0]
        self.assertEqual((request.method, request.uri), (b"GET", b"/q/?key=value"))
        self.assertEqual(self.endpoint.bodies, [b""])

    def test_findsNone(self) -> None:
        """
        204, 404 and an empty list mean that there is no task.
        """
        for code, body in ((204, b""), (404, b"not found"), (200, b"[]")):
            self.assertEqual(self.tasks(body, code), [])

    def test_takesTasks(self) -> None:
        """
        A task, or a list of them, comes without receipt and lease.
        """
        task = (
            b'{"id":7,"payload":1,"attempt":2,"enqueued":3.5,"receipt":"r","lease":9}'
        )
        expected = Task(7, 1, attempt=2, enqueued=3.5)
        self.assertEqual(self.tasks(task), [expected])
        self.assertEqual(self.tasks(b"[%s,%s]" % (task, task)), [expected, expected])

    def test_takesPayloads(self) -> None:
        """
        A value that is no task is the payload of a task with an id of its own.
        """
        for body, payload in {
            b"17": 17,
            b'"text"': "text",
            b"[null]": None,
            b'{"id":1}': {"id": 1},
            b"[[1]]": [1],
            b'"\\ud83d"': "\ud83d",
            b"\xef\xbb\xbf1": 1,
        }.items():
            [task] = self.tasks(body)
            self.assertEqual(task.payload, payload)
            self.assertRegex(str(task.id), "^[0-9a-f]{32}$")
        ids = {task.id for task in self.tasks(b"[1,1,1]")}
        self.assertEqual(len(ids), 3)

    def test_takesNullForNone(self) -> None:
        """
        C{null} means that there is no task, as many an endpoint has it.
        """
        self.assertEqual(self.tasks(b"null"), [])
        self.assertEqual(self.tasks(b"\xef\xbb\xbfnull"), [])

    def test_showsNoSecret(self) -> None:
        """
        In the log the queue is its URL, without the query, which may hold a secret.
        """
        queue = PlainQueue(self.client, parseURL("http://queue.example/next?key=123"))
        self.assertEqual(repr(queue), "<PlainQueue http://queue.example/next>")

    def test_makesIDs(self) -> None:
        """
        A task without a fit C{id} gets one.
        """
        for element in (b"", b'"id":null,', b'"id":true,', b'"id":[1],'):
            [task] = self.tasks(b'{%s"payload":1}' % element)
            self.assertEqual(task.payload, 1)
            self.assertRegex(str(task.id), "^[0-9a-f]{32}$")

    def test_dropsUnreadableValues(self) -> None:
        """
        A value that cannot be read is dropped with an error in the log; its neighbours
        come.
        """
        for value in (b"1e999", b'"\xff"', b"9" * 5000):
            with capturedLogs() as events:
                tasks = self.tasks(b'[1,%s,{"id":2,"payload":2}]' % value)
            self.assertEqual([task.payload for task in tasks], [1, 2])
            self.assertEqual([e["log_level"].name for e in events], ["error"])

    def test_ignoresUnfitFields(self) -> None:
        """
        An optional field that is unfit is taken as absent, with a warning.
        """
        with capturedLogs() as events:
            tasks = self.tasks(b'{"id":7,"payload":1,"attempt":"x"}')
        self.assertEqual(tasks, [Task(7, 1)])
        self.assertIn("attempt of task 7", events[0]["fields"])

    def test_failsOnOtherBodies(self) -> None:
        """
        A body that is no JSON is a fault.
        """
        for body in (b"", b"<html>", b"{", b"[1,", b"NaN", b"[" * 100_000):
            self.endpoint.respond = says(200, body)
            self.failureResultOf(self.claim(), FaultError)

    def test_failsOnOtherCodes(self) -> None:
        """
        Status codes but 204 and 404 mean what they mean to other queues.
        """
        for code, error in (
            (500, FaultError),
            (302, RefusalError),
            (410, RefusalError),
        ):
            self.endpoint.respond = says(code, location="/r")
            self.failureResultOf(self.claim(), error)

    def test_failsAtDeadline(self) -> None:
        """
        The answer may take ten seconds longer than C{wait}.
        """
        self.endpoint.respond = stalls()
        claimed = self.claim()
        self.clock.advance(29)
        self.assertNoResult(claimed)
        self.clock.advance(1)
        self.failureResultOf(claimed, FaultError)

    def test_sendsNothingElse(self) -> None:
        """
        Nothing is settled, and no claim can be ended: neither sends a request.
        """
        settled = self.queue.settle([Settlement("r", "complete")], 10)
        self.assertEqual(list(self.successResultOf(settled)), [])
        self.assertIs(self.successResultOf(self.queue.cancelClaim("c")), False)
        self.assertEqual(self.endpoint.requests, [])

    def test_closeFailsClaims(self) -> None:
        """
        Closing the queue makes claims in flight fail.
        """
        self.endpoint.respond = stalls()
        claimed = self.claim()
        self.successResultOf(self.queue.close())
        self.failureResultOf(claimed, FaultError)

    @settings(deadline=None)
    @given(st.binary() | st.binary().map(b'[1,"'.__add__))
    def test_takesAnyBytes(self, body: bytes) -> None:
        """
        Any bytes give tasks or a fault.
        """
        self.endpoint.respond = says(200, body)
        results: list[Any] = []
        with capturedLogs():
            self.claim().addBoth(results.append)
        if not isinstance(results[0], Claimed):
            results[0].trap(FaultError)

    @settings(deadline=None)
    @given(st.lists(st.text() | st.integers() | st.dictionaries(st.text(), st.text())))
    def test_takesAnyValues(self, values: list[Any]) -> None:
        """
        Each value of a list becomes one task.
        """
        with capturedLogs():
            tasks = self.tasks(json.dumps(values).encode())
        self.assertEqual(len(tasks), len(values))


class MakeQueueTests(TestCase):
    """
    Tests for L{makeQueue}.
    """

    async def test_keepsNoConnection(self) -> None:
        """
        No connection is kept, and a lost GET is not sent again.
        """
        server, url = serve(self, sends(OK))
        queue = makeQueue(reactor, {"url": parseURL(url), "token-file": None})
        for _ in range(3):
            [task] = (await queue.claim("c", 1, 0, 60)).tasks
            self.assertEqual(task.payload, {})
        self.assertEqual(server.opened, 3)
        server.reply = sends(close=True)
        await self.assertFailure(queue.claim("c", 1, 0, 60), FaultError)
        self.assertEqual(len(server.requests), 4)
        await queue.close()

    def test_refusesUnreadableToken(self) -> None:
        """
        A token file that cannot be read is refused when the queue is made.
        """
        options = {"url": parseURL("http://h"), "token-file": self.mktemp()}
        self.assertRaises(ValueError, makeQueue, Clock(), options)
