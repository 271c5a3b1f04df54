"""
Tests for L{myconsumer.queues.json}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError, RefusalError
from myconsumer.http import Client
from myconsumer.http.answer import LONGEST_BODY
from myconsumer.http.offload import LARGE
from myconsumer.http.urls import parseURL
from myconsumer.interfaces import IProbed, IScalableTaskQueue, ITaskQueue
from myconsumer.jsontext import MOST_VALUES
from myconsumer.queues.json import JSONQueue, makeQueue
from myconsumer.retrying import QUIET
from myconsumer.task import Claimed, Settlement, Task
from myconsumer.tokenfile import TokenFile
from tests.http.test_client import ClientCase, says, stalls

GOOD = b'{"id":"good","payload":1}'


def inTurn(*responses: Any) -> Any:
    """
    Answer each request with the next of the responses.
    """
    left = iter(responses)
    return lambda request: next(left)(request)


class QueueCase(ClientCase):
    """
    A queue at an endpoint in memory.
    """

    def setUp(self) -> None:
        super().setUp()
        url = parseURL("http://host/q/?key=value")
        self.queue = JSONQueue(self.client, url, "me")

    def sent(self) -> Any:
        return json.loads(self.endpoint.bodies[-1])

    def claim(self) -> Deferred[Claimed]:
        return self.queue.claim("c-1", 4, 20.0, 60.0)

    def claimed(self, body: bytes, code: int = 200) -> Claimed:
        """
        @return: What a claim gets that is answered with C{body}.
        """
        self.endpoint.respond = says(code, body, content_type="application/json")
        return self.successResultOf(self.claim())

    def elements(self, *elements: bytes) -> Claimed:
        """
        @return: What a claim gets that is answered with C{elements}, without the good
        task behind them, which has to come through.
        """
        body = b'{"tasks":[%s]}' % b",".join([*elements, GOOD])
        claimed = self.claimed(body)
        self.assertEqual(claimed.tasks[-1], Task("good", 1))
        return Claimed(claimed.tasks[:-1], claimed.malformed)

    def claimFault(self, body: bytes, code: int = 200, **headers: str) -> str:
        """
        @return: The text of the fault with which a claim fails that is answered with
        C{body}.
        """
        self.endpoint.respond = says(code, body, **headers)
        return str(self.failureResultOf(self.claim(), FaultError).value)


class ClaimTests(QueueCase):
    """
    Tests for L{JSONQueue.claim}.
    """

    def test_providesInterface(self) -> None:
        """
        The queue provides L{ITaskQueue}.
        """
        verifyObject(ITaskQueue, self.queue)

    def test_sendsClaim(self) -> None:
        """
        A claim is posted below the URL; whole seconds are sent as integers.
        """
        self.claimed(b"", 204)
        request = self.endpoint.requests[0]
        self.assertEqual(request.method, b"POST")
        self.assertEqual(request.uri, b"/q/claim?key=value")
        self.assertEqual(
            self.endpoint.bodies[0],
            b'{"limit":4,"wait":20,"lease":60,"consumer":"me","claim":"c-1"}',
        )
        self.queue.claim("c-2", 1, 0.5, 7.25)
        self.assertEqual((self.sent()["wait"], self.sent()["lease"]), (0.5, 7.25))

    def test_takesTasks(self) -> None:
        """
        Tasks come in order, with what the endpoint says of them.
        """
        claimed = self.claimed(
            b'{"tasks": [{"id": "17", "payload": {"a": [1, null]}, "receipt": "r-1",'
            b' "attempt": 2, "lease": 60, "enqueued": 1790000000.5, "more": 1},'
            b' {"id": 18, "payload": null}], "more": 2}'
        )
        first = Task("17", {"a": [1, None]}, 2, "r-1", 60.0, 1790000000.5)
        self.assertEqual(claimed, Claimed([first, Task(18, None)]))

    def test_takesNone(self) -> None:
        """
        204, an empty list and C{null} mean that no task came.
        """
        self.assertEqual(self.claimed(b"", 204), Claimed([]))
        for none in (b'{"tasks":[]}', b'{"tasks":null}'):
            self.assertEqual(self.claimed(none), Claimed([]))

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

    def test_makesUpConsumer(self) -> None:
        """
        The consumer's name is made up when it is first needed, and then kept; another
        queue has another name.
        """
        self.endpoint.respond = says(204)
        names = set()
        for _ in range(2):
            queue = JSONQueue(self.client, parseURL("http://host/q"))
            for _ in range(2):
                queue.claim("c", 1, 0, 1)
                names.add(self.sent()["consumer"])
        self.assertEqual(len(names), 2)
        for name in names:
            self.assertRegex(name, r"^.+-\d+-[0-9a-f]{8}$")

    def test_failsOnRefusal(self) -> None:
        """
        A claim that the endpoint refuses fails with L{RefusalError}.
        """
        self.endpoint.respond = says(404)
        self.failureResultOf(self.claim(), RefusalError)


class MalformedTests(QueueCase):
    """
    Tests for elements that are no tasks: each costs itself alone.
    """

    def test_failsElementsWithReceipt(self) -> None:
        """
        A malformed task that has a receipt is failed with the reason.
        """
        for element, reason in {
            b'{"receipt":"r"}': "it has no id",
            b'{"receipt":"r","id":1}': "it has no payload",
            b'{"receipt":"r","payload":1}': "it has no id",
            b'{"receipt":"r","id":null,"payload":1}': "it has no id",
            b'{"receipt":"r","id":true,"payload":1}': "it has no id",
            b'{"receipt":"r","id":1.5,"payload":1}': "it has no id",
            b'{"receipt":"r","id":[],"payload":1}': "it has no id",
            b'{"receipt":"r","id":"\xff","payload":1}': "it has no id",
            b'{"receipt":"r","id":1,"payload":"\xff"}': "its payload cannot be read",
            b'{"receipt":"r","id":1,"payload":1e999}': "its payload cannot be read",
            b'{"receipt":"r","id":1,"payload":%s}' % (b"9" * 5000): "cannot be read",
        }.items():
            claimed = self.elements(element)
            self.assertEqual(claimed.tasks, [])
            [settlement] = claimed.malformed
            self.assertEqual((settlement.receipt, settlement.outcome), ("r", "fail"))
            self.assertIn(reason, str(settlement.error))

    def test_dropsElementsWithoutReceipt(self) -> None:
        """
        A malformed task that has no receipt is dropped, with an error in the log and no
        traceback.
        """
        for element in (
            *(b"1", b'"text"', b"null", b"true", b"[]", b"[[1]]", b"{}"),
            *(b'{"id":1}', b'{"id":1,"receipt":7}', b'{"id":1,"receipt":null}'),
        ):
            with capturedLogs() as events:
                self.assertEqual(self.elements(element), Claimed([]))
            error = events[-1]
            self.assertEqual(error["log_level"].name, "error")
            self.assertIn("malformed task", error["reasons"])
            self.assertNotIn("log_failure", error)

    def test_logsOneLine(self) -> None:
        """
        However many tasks are malformed, there is one line that is not too long, and no
        payload in it.
        """
        with capturedLogs() as events:
            self.elements(*[b'{"payload":"s3cret","attempt":"s3cret"}'] * 1000)
            self.elements(*[b'{"id":1,"payload":1,"attempt":"s3cret"}'] * 1000)
        self.assertEqual([e["log_level"].name for e in events], ["error", "warn"])
        self.assertEqual(events[0]["count"], 1000)
        for event in events:
            self.assertLess(len(repr(event)), 2000)
            self.assertNotIn("s3cret", repr(event))

    def test_ignoresUnfitFields(self) -> None:
        """
        An optional field that is unfit is taken as absent, with a warning that names it
        and the task.
        """
        for field, values in {
            "attempt": (b"0", b"-1", b"1.5", b"true", b'"1"', b"[]", b"1e999"),
            "receipt": (b"1", b"true", b"{}", b'"\xff"'),
            "lease": (b"0", b"-1", b"true", b'"60"', b"1e999", b"9" * 5000),
            "enqueued": (b'"now"', b"true", b"1e999"),
        }.items():
            for value in values:
                element = b'{"id":17,"payload":1,"%s":%s}' % (field.encode(), value)
                with capturedLogs() as events:
                    self.assertEqual(self.elements(element).tasks, [Task(17, 1)])
                [warning] = events
                self.assertEqual(warning["log_level"].name, "warn")
                self.assertIn(f"{field} of task 17 is not", warning["fields"])
                self.clock.advance(QUIET)

    def test_takesNullForAbsent(self) -> None:
        """
        C{null} for an optional field is absent, and not worth a warning.
        """
        with capturedLogs() as events:
            claimed = self.elements(
                b'{"id":1,"payload":1,"attempt":null,"receipt":null,"lease":null,'
                b'"enqueued":null}'
            )
        self.assertEqual(claimed.tasks, [Task(1, 1)])
        self.assertEqual(events, [])

    def test_keepsOtherFields(self) -> None:
        """
        The fit fields of a task with an unfit one count.
        """
        claimed = self.elements(
            b'{"id":1,"payload":1,"attempt":0,"receipt":"r","lease":5,"enqueued":7}'
        )
        self.assertEqual(claimed.tasks, [Task(1, 1, 1, "r", 5, 7)])

    def test_takesHalfSurrogates(self) -> None:
        """
        Half a character, as JavaScript's JSON may hold, costs no task.
        """
        claimed = self.elements(
            b'{"id":"\\ud83d","payload":"\\ud83d","receipt":"r"}',
            b'{"id":1,"receipt":"s"}',
            b'{"id":2,"payload":1,"receipt":"\\ud83d","lease":1e999}',
        )
        self.assertEqual(
            claimed.tasks, [Task("\ud83d", "\ud83d", receipt="r"), Task(2, 1)]
        )
        self.assertEqual([each.receipt for each in claimed.malformed], ["s"])

    def test_takesStrangeJSON(self) -> None:
        """
        Huge integers, repeated keys and control characters are taken as they are.
        """
        claimed = self.elements(
            b'{"id":%s,"payload":%s}' % (b"9" * 50, b"9" * 500),
            b'{"id":1,"id":2,"payload":1,"payload":2}',
            b'{"id":"\\u0000","payload":"\\u0000"}',
        )
        big = Task(int("9" * 50), int("9" * 500))
        self.assertEqual(claimed.tasks, [big, Task(2, 2), Task("\0", "\0")])

    def test_ignoresByteOrderMark(self) -> None:
        """
        A byte order mark at the start of a body is ignored.
        """
        claimed = self.claimed(b'\xef\xbb\xbf{"tasks":[%s]}' % GOOD)
        self.assertEqual(claimed, Claimed([Task("good", 1)]))


class LargeTests(QueueCase):
    """
    Tests for answers that are decoded in parts.
    """

    def test_takesTasks(self) -> None:
        """
        A large body is read as a small one is: tasks with all their fields, malformed
        ones as such.
        """
        payload = {"a": ["x" * LARGE, 1.5], "b": {"c": None}}
        whole = {"id": 1, "payload": payload, "receipt": "r", "attempt": 2, "lease": 5}
        elements = [{"id": "2", "payload": 1}, whole, {"receipt": "s"}, "\ud83d"]
        for some in (elements[:3], elements):
            with capturedLogs():
                claimed = self.claimed(json.dumps({"tasks": some}).encode())
            tasks = [Task("2", 1), Task(1, payload, 2, "r", 5)]
            self.assertEqual(claimed.tasks, tasks)
            self.assertEqual([each.receipt for each in claimed.malformed], ["s"])

    def test_failsUnreadablePayload(self) -> None:
        """
        A large payload that cannot be read costs its own task alone.
        """
        element = b'{"id":1,"receipt":"r","payload":["%s","\xff"]}' % (b"x" * LARGE)
        claimed = self.elements(element)
        self.assertEqual(claimed.tasks, [])
        self.assertIn("payload cannot be read", str(claimed.malformed[0].error))


class UndecodableTests(QueueCase):
    """
    Tests for bodies that are not what they should be.
    """

    def test_namesWhatIsExpected(self) -> None:
        """
        A body that holds no list of tasks is a fault that says what is expected.
        """
        for body in (
            *(b"", b" \n", b"[]", b"null", b"17", b'"tasks"', b"{}", b'{"task":[]}'),
            *(b'{"tasks":{}}', b'{"tasks":[]', b'{"tasks":[]}x'),
            *(b"tasks", b"\xff\xfe", b"\x00", b'{"tasks":[NaN]}', b"[" * 100_000),
            *(b'{"tasks":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",),
            *('{"tasks":[]}'.encode("utf-16"), b'{"tasks":["\x01"]}', b'{"tasks"'),
        ):
            text = self.claimFault(body)
            self.assertIn('{"tasks": [...]} is expected', text)
            self.assertTrue(text.isprintable())
            self.assertLess(len(text), 400)

    def test_quotesHTML(self) -> None:
        """
        The page of a proxy is quoted, with its type.
        """
        page = b"<html>\n<body>Sign in" + b" please" * 1000
        text = self.claimFault(page, content_type="text/html; charset=utf-8")
        self.assertIn("'<html> <body>Sign in please", text)
        self.assertIn("text/html", text)

    def test_quotesNoPayloads(self) -> None:
        """
        A body that may hold tasks is not quoted.
        """
        text = self.claimFault(b'{"tasks":[{"id":1,"payload":"s3cret"')
        self.assertNotIn("s3cret", text)
        self.assertIn("truncated", text)

    def test_failsOnLargeBody(self) -> None:
        """
        A body that is too long, or holds too many values, is a fault that asking for
        fewer tasks may avoid.
        """
        crowd = b",".join([b"1"] * (MOST_VALUES + 1))
        for body, text in (
            (b" " * (LONGEST_BODY + 1), "16 MiB"),
            (b'{"tasks":[' + crowd + b"]}", "more than 1000000 JSON values"),
        ):
            self.endpoint.respond = says(200, body)
            error = self.failureResultOf(self.claim(), FaultError).value
            self.assertIn(text, str(error))
            self.assertTrue(error.tooLong)

    def test_quotesNoToken(self) -> None:
        """
        The token is left out of a quoted body.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("s3cret/x")
        client = Client(self.treq, self.clock, TokenFile(path))
        self.queue = JSONQueue(client, parseURL("http://host/q"))
        for body in (b"hello, Bearer s3cret/x", b'"hello, Bearer s3cret\\/x"'):
            text = self.claimFault(body)
            self.assertIn("hello, Bearer (token)", text)
            self.assertNotIn("s3cret", text)


class SettleTests(QueueCase):
    """
    Tests for L{JSONQueue.settle}.
    """

    def settle(self, *settlements: Settlement) -> Deferred[Any]:
        return self.queue.settle(settlements, 10)

    def test_sendsSettlements(self) -> None:
        """
        Each settlement is sent with the fields that it has; whole seconds as integers.
        """
        self.settle(
            Settlement("r-1", "complete", result=Raw(b'{"a": 1}')),
            Settlement("r-2", "release", delay=5.0, error="text", counted=True),
            Settlement("r-3", "fail", error="text"),
            Settlement("r-4", "extend", lease=60.0),
            Settlement("r-5", "release", delay=0.5, counted=False),
            Settlement("r-6", "complete"),
        )
        self.assertEqual(self.endpoint.requests[0].uri, b"/q/settle?key=value")
        self.assertEqual(
            self.endpoint.bodies[0],
            b'{"consumer":"me","settle":['
            b'{"receipt":"r-1","outcome":"complete","result":{"a": 1}},'
            b'{"receipt":"r-2","outcome":"release","delay":5,"error":"text",'
            b'"counted":true},'
            b'{"receipt":"r-3","outcome":"fail","error":"text"},'
            b'{"receipt":"r-4","outcome":"extend","lease":60},'
            b'{"receipt":"r-5","outcome":"release","delay":0.5,"counted":false},'
            b'{"receipt":"r-6","outcome":"complete"}]}',
        )

    def test_sendsAnyError(self) -> None:
        """
        An error's text may be any text.
        """
        self.successResultOf(self.settle(Settlement("r", "fail", error="a\udcffb")))
        self.assertEqual(self.sent()["settle"][0]["error"], "a?b")

    def test_givesLostReceipts(self) -> None:
        """
        The receipts that the endpoint calls lost are given.
        """
        self.endpoint.respond = says(200, b'{"lost":["r-4"],"more":1}')
        lost = self.successResultOf(self.settle(Settlement("r-4", "complete")))
        self.assertEqual(list(lost), ["r-4"])

    def test_takesEmptyAnswers(self) -> None:
        """
        An answer that names no lost receipt means that none is lost.
        """
        for code, body in (
            *((200, b"{}"), (200, b'{"lost":[]}'), (200, b'{"lost":null}')),
            *((204, b""), (200, b"")),
        ):
            self.endpoint.respond = says(code, body)
            lost = self.successResultOf(self.settle(Settlement("r", "complete")))
            self.assertEqual(list(lost), [])

    def test_failsOnOtherBodies(self) -> None:
        """
        An answer that cannot be decoded is a fault that says what is expected.
        """
        for body in (
            *(b"[]", b"null", b"<html>", b'{"lost":{}}', b'{"lost":[1]}', b"\xff"),
            *(b'{"lost":"r"}', b'{"lost":["\xff"]}', b"[" * 100_000, b" "),
        ):
            self.endpoint.respond = says(200, body)
            settled = self.settle(Settlement("r", "complete"))
            error = self.failureResultOf(settled, FaultError).value
            self.assertIn('{"lost": ["receipt", ...]} is expected', str(error))

    def test_failsAtDeadline(self) -> None:
        """
        The deadline is the caller's.
        """
        self.endpoint.respond = stalls()
        settled = self.settle(Settlement("r", "complete"))
        self.clock.advance(9)
        self.assertNoResult(settled)
        self.clock.advance(1)
        self.failureResultOf(settled, FaultError)

    def test_marksBatchDivisible(self) -> None:
        """
        A refusal of a batch that is too large says that the batch may be divided.
        """
        self.endpoint.respond = says(413)
        settled = self.settle(Settlement("r", "complete"))
        self.assertTrue(self.failureResultOf(settled, RefusalError).value.divisible)


class CancelClaimTests(QueueCase):
    """
    Tests for L{JSONQueue.cancelClaim}.
    """

    def test_deletesClaim(self) -> None:
        """
        The claim is deleted by its name.
        """
        self.queue.cancelClaim("c/1?ü")
        request = self.endpoint.requests[0]
        self.assertEqual(request.method, b"DELETE")
        self.assertEqual(request.uri, b"/q/claim/c%2F1%3F%C3%BC?key=value")
        self.assertEqual(self.endpoint.bodies, [b""])

    def test_saysWhetherClaimEnded(self) -> None:
        """
        Any success means that the claim is ended; some codes mean that the endpoint can
        end none.
        """
        for code, ended in {
            200: True,
            202: True,
            204: True,
            404: False,
            405: False,
            501: False,
        }.items():
            self.endpoint.respond = says(code)
            result = self.successResultOf(self.queue.cancelClaim("c"))
            self.assertIs(result, ended, code)

    def test_failsOnOtherCodes(self) -> None:
        """
        A fault or a refusal makes the end of a claim fail.
        """
        for code, error in ((500, FaultError), (403, RefusalError)):
            self.endpoint.respond = says(code)
            self.failureResultOf(self.queue.cancelClaim("c"), error)

    def test_failsAtDeadline(self) -> None:
        """
        The answer to the end of a claim may take a second.
        """
        self.endpoint.respond = stalls()
        ended = self.queue.cancelClaim("c")
        self.clock.advance(1)
        self.failureResultOf(ended, FaultError)


class ProbeTests(QueueCase):
    """
    Tests for L{JSONQueue.probe}.
    """

    def test_providesInterface(self) -> None:
        """
        The queue provides L{IProbed}.
        """
        verifyObject(IProbed, self.queue)

    def test_endsAClaimThatNeverWas(self) -> None:
        """
        Where the endpoint can end claims, that is all that is asked.
        """
        self.endpoint.respond = says(204)
        answer = self.successResultOf(self.queue.probe())
        self.assertEqual(answer, "answers, and can end claims")
        [request] = self.endpoint.requests
        self.assertEqual(request.method, b"DELETE")

    def test_extendsALeaseThatNeverWas(self) -> None:
        """
        Where the answer is that of a server without a queue, a lease that never was is
        extended: a queue takes that, or refuses the receipt; others do not.
        """
        for first in (404, 405, 501):
            for second in (200, 204, 400, 422):
                self.endpoint.respond = inTurn(says(first), says(second, b""))
                answer = self.successResultOf(self.queue.probe())
                self.assertEqual(answer, "answers, and cannot end claims")
                self.assertEqual(self.sent()["settle"][0]["outcome"], "extend")
            for second, error in (
                (404, RefusalError),
                (405, RefusalError),
                (403, RefusalError),
                (501, FaultError),
            ):
                self.endpoint.respond = inTurn(says(first), says(second))
                self.failureResultOf(self.queue.probe(), error)

    def test_failsAsTheEndOfAClaimDoes(self) -> None:
        """
        Where the end of a claim is refused, or fails, the probe fails.
        """
        for code, error in ((500, FaultError), (401, RefusalError)):
            self.endpoint.respond = says(code)
            self.failureResultOf(self.queue.probe(), error)


class CloseTests(QueueCase):
    """
    Tests for L{JSONQueue.close}.
    """

    def test_failsClaims(self) -> None:
        """
        Closing the queue makes claims in flight fail.
        """
        self.endpoint.respond = stalls()
        claimed = self.claim()
        self.successResultOf(self.queue.close())
        self.failureResultOf(claimed, FaultError)


class MakeQueueTests(SynchronousTestCase):
    """
    Tests for L{makeQueue}.
    """

    def test_opensNothing(self) -> None:
        """
        A queue is made of options, and nothing is opened.
        """
        clock = Clock()
        url = parseURL("http://host/q")
        options = {"url": url, "pollers": 2, "token-file": None}
        verifyObject(IScalableTaskQueue, makeQueue(clock, options))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_keepsAConnectionForEachPoller(self) -> None:
        """
        The client keeps a connection for each poller and three more, also where the
        number of pollers changes.
        """
        options = {"url": parseURL("http://h"), "pollers": 2, "token-file": None}
        queue = makeQueue(Clock(), options)
        pool = queue._client._pool
        assert pool is not None
        self.assertEqual(pool.maxPersistentPerHost, 5)
        queue.setPollers(7)
        self.assertEqual(pool.maxPersistentPerHost, 10)

    def test_refusesUnreadableToken(self) -> None:
        """
        A token file that cannot be read is refused when the queue is made.
        """
        url = parseURL("http://h")
        options = {"url": url, "pollers": 1, "token-file": self.mktemp()}
        self.assertRaises(ValueError, makeQueue, Clock(), options)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=5,
)
FIELDS = st.sampled_from(["id", "payload", "attempt", "receipt", "lease", "enqueued"])
ELEMENTS = VALUES | st.dictionaries(FIELDS, VALUES)


class AnyAnswerTests(QueueCase):
    """
    Properties of what a claim makes of answers.
    """

    def take(self, body: bytes) -> Claimed | None:
        """
        @return: What a claim gets that is answered with C{body}; L{None} where it fails
        as it may.
        """
        self.endpoint.respond = says(200, body)
        results: list[Any] = []
        self.claim().addBoth(results.append)
        [result] = results
        if isinstance(result, Claimed):
            return result
        result.trap(FaultError)
        return None

    @settings(deadline=None)
    @given(st.binary() | st.binary().map(b'{"tasks":['.__add__))
    def test_takesAnyBytes(self, body: bytes) -> None:
        """
        Any bytes give tasks or a fault.
        """
        with capturedLogs():
            self.take(body)

    @settings(deadline=None)
    @given(VALUES | st.fixed_dictionaries({"tasks": VALUES}))
    def test_takesAnyJSON(self, value: Any) -> None:
        """
        Any JSON gives tasks, where it has a list of them, or a fault.
        """
        with capturedLogs():
            claimed = self.take(json.dumps(value).encode())
        if claimed is not None:
            self.assertIsInstance(value["tasks"], list | None)

    @settings(deadline=None)
    @given(st.lists(ELEMENTS), st.booleans())
    def test_takesTasksBetweenAnyOthers(self, elements: list[Any], ascii: bool) -> None:
        """
        A good task comes through whatever its neighbours are; each neighbour becomes a
        task, or a settlement that fails it, or nothing.
        """
        good = {"id": "good", "payload": 1, "receipt": "r"}
        text = json.dumps({"tasks": [good, *elements, good]}, ensure_ascii=ascii)
        with capturedLogs():
            claimed = self.take(text.encode("utf-8", "surrogatepass"))
        if claimed is None:
            # NaN is what Python writes, and no JSON
            self.assertRegex(text, "NaN|Infinity")
            return
        self.assertEqual(claimed.tasks[0], Task("good", 1, receipt="r"))
        self.assertEqual(claimed.tasks[-1], Task("good", 1, receipt="r"))
        both = len(claimed.tasks) + len(claimed.malformed)
        self.assertLessEqual(both, len(elements) + 2)
        for task in claimed.tasks:
            self.assertIsInstance(task.id, str | int)
            self.assertGreaterEqual(task.attempt, 1)
            self.assertIsInstance(task.receipt, str | None)
            self.assertGreater(task.lease or 1, 0)
