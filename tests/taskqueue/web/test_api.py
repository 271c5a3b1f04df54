"""
Tests for L{myconsumer.taskqueue.web.api}: the HTTP API over a real store in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.http.client import Client
from myconsumer.http.serving.guard import Guard
from myconsumer.http.serving.site import GuardedSite
from myconsumer.http.urls import parseURL
from myconsumer.queues.json import JSONQueue
from myconsumer.task import Settlement
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.schema import CONNECTION, prepare
from myconsumer.taskqueue.store.sqlite import SQLiteStore
from myconsumer.taskqueue.store.writer import Writer
from myconsumer.taskqueue.web.api import QueueAPI
from tests.test_contract import problems, values

NOW = 1_800_000_000.0
ZEROS = {"ready": 0, "leased": 0, "delayed": 0, "failed": 0, "completed": 0}


class APICase(SynchronousTestCase):
    """
    Has a queue without a file, and talks to it over HTTP.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.connection = sqlite3.connect(":memory:", **CONNECTION)
        prepare(self.connection, "normal")
        #: operations that wait to be run; L{None}: they are run at once
        self.held: list[Any] | None = None
        clock = EpochClock(self.clock, self.clock.seconds)
        store = SQLiteStore(Writer(self.run_, clock), clock)
        self.broker = Broker(store, self.clock, 3600.0)
        self.broker.open()
        resource = QueueAPI(self.broker).app.resource()
        self.guard = Guard(None)
        self.site = GuardedSite(resource, self.guard, self.clock)
        self.treq = StubTreq(resource)
        self.addCleanup(self.close)

    def close(self) -> None:
        """
        Close the queue; nothing may be left on the clock but waits that are over.
        """
        self.successResultOf(self.broker.close())
        self.clock.advance(3600)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.connection.close()

    def run_(self, function: Any, *args: Any) -> Deferred[Any]:
        """
        Run something with the connection, at once or when L{release} is called.
        """
        if self.held is None:
            return execute(function, self.connection, *args)
        done: Deferred[Any] = Deferred()
        done.addCallback(lambda _: function(self.connection, *args))
        self.held.append(done)
        return done

    def release(self) -> None:
        held, self.held = self.held, None
        for each in held or ():
            each.callback(None)
        self.treq.flush()

    def wire(self, start: str, body: Any = None) -> StringTransportWithDisconnection:
        """
        Send a request through a connection of its own, guarded.

        @param start: How its head begins.
        """
        transport = StringTransportWithDisconnection()
        channel = self.site.buildProtocol(None)
        transport.protocol = channel
        channel.makeConnection(transport)
        data = json.dumps(body).encode()
        head = f"{start}\r\nContent-Length: {len(data)}\r\n\r\n"
        channel.dataReceived(head.encode("latin-1") + data)
        return transport

    def send(self, method: str, path: str, body: Any = None) -> Deferred[Any]:
        """
        @return: Fires with the answer's code, what it holds, and its headers.
        """
        isPlain = body is None or isinstance(body, bytes)
        data = body if isPlain else json.dumps(body).encode()
        sent = self.treq.request(method, f"http://h{path}", data=data)

        async def read() -> tuple[int, Any, Mapping[str, str]]:
            response = await sent
            content = await self.treq.content(response)
            headers = {
                name.decode().lower(): value.decode()
                for name, [value] in response.headers.getAllRawHeaders()
            }
            return response.code, json.loads(content) if content else None, headers

        answer = Deferred.fromCoroutine(read())
        self.treq.flush()
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """
        @return: The answer's code and what it holds; it has to come at once.
        """
        code, content, _ = self.successResultOf(self.send(method, path, body))
        return code, content

    def given_(self, *tasks: Mapping[str, Any]) -> list[str]:
        """
        Queue tasks, and return their ids.
        """
        code, content = self.ask("POST", "/q", list(tasks))
        self.assertEqual(code, 201)
        ids: list[str] = content["ids"]
        return ids

    def claimed(self, **fields: Any) -> list[dict[str, Any]]:
        code, content = self.ask("POST", "/q/claim", {"limit": 9} | fields)
        self.assertEqual(code, 200)
        tasks: list[dict[str, Any]] = content["tasks"]
        return tasks

    def settle(self, task: Mapping[str, Any], outcome: str, **fields: Any) -> Any:
        """
        Settle a task.

        @return: What is lost.
        """
        settlement = {"receipt": task["receipt"], "outcome": outcome, **fields}
        code, content = self.ask("POST", "/q/settle", {"settle": [settlement]})
        self.assertEqual(code, 200)
        return content["lost"]

    def counts(self, **counts: int) -> None:
        self.assertEqual(self.ask("GET", "/q"), (200, ZEROS | counts))


class ProducerTests(APICase):
    """
    How tasks are queued.
    """

    def test_queuesOne(self) -> None:
        """
        One task is queued under its own id.
        """
        code, content = self.ask("POST", "/q", {"payload": {"a": 1}, "id": "x"})
        self.assertEqual((code, content), (201, {"ids": ["x"]}))
        self.counts(ready=1)

    def test_claimsInOrder(self) -> None:
        """
        Tasks are claimed in the order of their list, those with a higher priority
        before, and one with a delay after it is over.
        """
        ids = self.given_(
            {"payload": 1},
            {"payload": 2, "delay": 5},
            {"payload": 3, "priority": 1},
            {"payload": 4},
        )
        self.assertEqual(len(set(ids)), 4)
        self.counts(ready=3, delayed=1)
        self.assertEqual([task["payload"] for task in self.claimed()], [3, 1, 4])
        self.clock.advance(5)
        [task] = self.claimed()
        self.assertEqual((task["payload"], task["id"]), (2, ids[1]))

    def test_queuesKnownIdOnce(self) -> None:
        """
        An id that is known, from before or from the same list, is not queued again.
        """
        self.given_({"payload": 1, "id": 7})
        tasks = [{"payload": 2, "id": name} for name in ("7", "a", "a")]
        code, content = self.ask("POST", "/q", tasks)
        expected = {"ids": ["7", "a", "a"], "known": ["7", "a"]}
        self.assertEqual((code, content), (201, expected))
        self.assertEqual([task["payload"] for task in self.claimed()], [1, 2])

    def test_queuesAllOrNone(self) -> None:
        """
        Where one task of a list is wrong none is queued, and the refusal names it.
        """
        code, content = self.ask("POST", "/q", [{"payload": 1}, {"payload": 1, "x": 1}])
        self.assertEqual(code, 400)
        self.assertIn('[1] has a field "x"', content["error"])
        self.counts()

    def test_answersOnceDurable(self) -> None:
        """
        Tasks are not acknowledged before they are written.
        """
        self.held = []
        answer = self.send("POST", "/q", {"payload": 1})
        self.assertNoResult(answer)
        self.release()
        self.assertEqual(self.successResultOf(answer)[0], 201)


class OperatorTests(APICase):
    """
    What operators see and do.
    """

    def test_countsByState(self) -> None:
        """
        Each state is counted; a queue without tasks counts zeros, and is not listed.
        """
        self.counts()
        self.assertEqual(self.ask("GET", "/"), (200, {"queues": {}}))
        self.given_(*({"payload": n} for n in range(4)), {"payload": 4, "delay": 9})
        first, second, _ = self.claimed(limit=3)
        self.settle(first, "complete")
        self.settle(second, "fail")
        counts = {"ready": 1, "leased": 1, "delayed": 1, "failed": 1, "completed": 1}
        self.counts(**counts)
        self.assertEqual(self.ask("GET", "/"), (200, {"queues": {"q": counts}}))

    def test_listsFailed(self) -> None:
        """
        Failed tasks are listed page by page, the oldest first.
        """
        ids = self.given_(*({"payload": {"n": n}} for n in range(3)))
        self.clock.advance(2)
        for task in self.claimed():
            self.settle(task, "fail", error="no")
        code, page = self.ask("GET", "/q/failed?limit=2")
        self.assertEqual(code, 200)
        expected = {
            "id": ids[0],
            "payload": {"n": 0},
            "attempts": 1,
            "enqueued": NOW,
            "ended": NOW + 2,
            "error": "no",
        }
        self.assertEqual(page["failed"][0], expected)
        _, rest = self.ask("GET", f"/q/failed?limit=2&after={page['next']}")
        self.assertNotIn("next", rest)
        found = [each["id"] for each in page["failed"] + rest["failed"]]
        self.assertEqual(found, ids)
        self.assertEqual(self.ask("GET", "/other/failed"), (200, {"failed": []}))

    def test_refusesWrongPage(self) -> None:
        """
        A page that cannot be is refused.
        """
        for query in ("limit=0", "limit=1001", "limit=x", "after=-1", f"after={2**63}"):
            code, content = self.ask("GET", f"/q/failed?{query}")
            self.assertEqual(code, 400)
            self.assertIn(f"{query.split('=')[0]} takes a whole", content["error"])

    def test_retriesFailed(self) -> None:
        """
        Failed tasks are retried with their attempts beginning anew; ids of no failed
        task are reported.
        """
        a, b = self.given_({"payload": 1, "id": "a"}, {"payload": 2, "id": "b"})
        for task in self.claimed():
            self.settle(task, "fail")
        code, content = self.ask("POST", "/q/failed/retry", {"ids": ["x", a, 3]})
        self.assertEqual((code, content), (200, {"retried": 1, "unknown": ["x", "3"]}))
        [task] = self.claimed()
        self.assertEqual((task["id"], task["attempt"]), (a, 1))
        answer = self.ask("POST", "/q/failed/retry", {"all": True})
        self.assertEqual(answer, (200, {"retried": 1}))
        self.assertEqual([task["id"] for task in self.claimed()], [b])

    def test_showsTask(self) -> None:
        """
        A task is shown in each of its states.
        """
        self.given_({"payload": 1, "id": "a", "delay": 5, "priority": 2})
        shown = {"id": "a", "attempts": 0, "priority": 2, "enqueued": NOW}

        def assertShown(state: str, **fields: Any) -> None:
            shown.update(fields, state=state)
            self.assertEqual(self.ask("GET", "/q/tasks/a"), (200, shown))

        assertShown("delayed", due=NOW + 5)
        self.clock.advance(5)
        del shown["due"]
        assertShown("ready")
        [task] = self.claimed(lease=60)
        assertShown("leased", due=NOW + 65, attempts=1)
        self.settle(task, "release", error="once")
        del shown["due"]
        assertShown("ready", error="once")
        [task] = self.claimed(lease=60)
        self.settle(task, "complete", result={"b": [1.50]})
        del shown["error"]
        assertShown("completed", attempts=2, ended=NOW + 5, result={"b": [1.5]})

    @given(st.text(min_size=1, max_size=20) | st.sampled_from(["/", "a//b/", "%2F"]))
    def test_findsTaskByAnyId(self, name: str) -> None:
        """
        A task is found by its id, whatever characters that has.
        """
        self.ask("POST", "/q", {"payload": 1, "id": name})
        code, content = self.ask("GET", f"/q/tasks/{quote(name, safe='')}")
        self.assertEqual((code, content.get("id")), (200, name))

    def test_answersUnknownTask(self) -> None:
        """
        A task that is not known is answered 404, with its id.
        """
        self.given_({"payload": 1, "id": "a"})
        for path in ("/q/tasks/b%2Fc", "/other/tasks/b%2Fc"):
            code, content = self.ask("GET", path)
            self.assertEqual(code, 404)
            self.assertIn("knows no task 'b/c'", content["error"])


class ConsumerTests(APICase):
    """
    The pull contract.
    """

    def test_claimsWholeTask(self) -> None:
        """
        A claimed task has id, payload, receipt, attempt, lease and time.
        """
        self.given_({"payload": {"a": [1, None]}, "id": "x"})
        [task] = self.claimed(lease=1.5)
        receipt = task.pop("receipt")
        self.assertIsInstance(receipt, str)
        expected = {
            "id": "x",
            "payload": {"a": [1, None]},
            "attempt": 1,
            "lease": 1.5,
            "enqueued": NOW,
        }
        self.assertEqual(task, expected)

    def test_keepsPayload(self) -> None:
        """
        A payload is delivered to the last digit and blank as it was queued.
        """
        text = b'{"n":  1.50e0, "n": 123456789012345678901234567890}'
        self.ask("POST", "/q", b'{"payload": %b}' % text)
        sent = self.treq.post("http://h/q/claim", data=b"{}")
        content = self.successResultOf(self.treq.content(self.successResultOf(sent)))
        self.assertIn(text, content)

    def test_boundsClaim(self) -> None:
        """
        One claim brings a thousand tasks at most.
        """
        self.given_(*[{"payload": 1}] * 1001)
        self.assertEqual(len(self.claimed(limit=10**20)), 1000)

    def test_waitsForTask(self) -> None:
        """
        A claim waits for its first task, and is answered as soon as there is one.
        """
        answer = self.send("POST", "/q/claim", {"limit": 2, "wait": 20})
        self.clock.advance(19)
        self.treq.flush()
        self.assertNoResult(answer)
        self.given_({"payload": 1})
        self.treq.flush()
        self.assertEqual(len(self.successResultOf(answer)[1]["tasks"]), 1)

    def test_answersEmptyAfterWait(self) -> None:
        """
        A claim is answered empty after its wait, an hour at most.
        """
        for wait, seconds in ((20, 20), (86_400, 3600)):
            answer = self.send("POST", "/q/claim", {"wait": wait})
            self.clock.advance(seconds - 0.5)
            self.treq.flush()
            self.assertNoResult(answer)
            self.clock.advance(1)
            self.treq.flush()
            code, content, _ = self.successResultOf(answer)
            self.assertEqual((code, content), (200, {"tasks": []}))

    def test_claimsOwnQueue(self) -> None:
        """
        A claim brings tasks of its own queue only.
        """
        self.given_({"payload": 1})
        answer = self.ask("POST", "/other/claim", {"limit": 9})
        self.assertEqual(answer, (200, {"tasks": []}))

    def test_endsClaim(self) -> None:
        """
        A claim that is ended is answered empty at once, whether it came before or after
        its end, whatever characters its name has.
        """
        for name in ("c", "c/d", "c d%", "\n"):
            answer = self.send("POST", "/q/claim", {"wait": 20, "claim": name})
            self.assertNoResult(answer)
            path = f"/q/claim/{quote(name, safe='')}"
            code, content, headers = self.successResultOf(self.send("DELETE", path))
            self.assertEqual((code, content), (204, None))
            self.assertNotIn("content-type", headers)
            self.treq.flush()
            self.assertEqual(self.successResultOf(answer)[1], {"tasks": []})
            self.given_({"payload": 1})
            self.assertEqual(self.claimed(claim=name), [])
            [task] = self.claimed()
            self.settle(task, "complete")

    def test_endsUnknownClaim(self) -> None:
        """
        A claim that was never made can be ended.
        """
        for name in ("x", "x" * 1000):
            self.assertEqual(self.ask("DELETE", f"/q/claim/{name}"), (204, None))

    def test_settlesEach(self) -> None:
        """
        Each settlement counts by itself, and the receipts that are lost are reported.
        """
        self.given_(*({"payload": n} for n in range(4)))
        a, b, c, d = (task["receipt"] for task in self.claimed(lease=60))
        body = {
            "consumer": "x",
            "settle": [
                {"receipt": a, "outcome": "complete", "result": 42},
                {"receipt": "1.0", "outcome": "complete"},
                {"receipt": b, "outcome": "release", "delay": 5, "counted": False},
                {"receipt": c, "outcome": "fail", "error": "e" * 100_000},
                {"receipt": d, "outcome": "extend", "lease": 600},
            ],
        }
        answer = self.ask("POST", "/q/settle", body)
        self.assertEqual(answer, (200, {"lost": ["1.0"]}))
        self.counts(completed=1, delayed=1, failed=1, leased=1)
        self.clock.advance(599)
        self.counts(completed=1, ready=1, failed=1, leased=1)

    def test_settlesNoneOfWrongBatch(self) -> None:
        """
        Where one settlement of a batch is wrong none is done.
        """
        self.given_({"payload": 1})
        [task] = self.claimed()
        fine = {"receipt": task["receipt"], "outcome": "complete"}
        body = {"settle": [fine, {"receipt": "r", "outcome": "done"}]}
        code, content = self.ask("POST", "/q/settle", body)
        self.assertEqual(code, 400)
        self.assertIn("settle[1].outcome", content["error"])
        self.counts(leased=1)


class GoneTests(APICase):
    """
    What becomes of tasks when a client goes away.
    """

    def test_passesByLostWaiter(self) -> None:
        """
        A task that is queued after the client of an open claim is lost goes to the next
        claim.
        """
        transport = self.wire("POST /q/claim HTTP/1.1\r\nHost: h", {"wait": 20})
        transport.loseConnection()
        self.given_({"payload": 1})
        self.counts(ready=1)
        self.assertEqual(len(self.claimed()), 1)

    def test_releasesWhatLostClientLeased(self) -> None:
        """
        What is leased to a client in the moment in which it is lost is released,
        uncounted.
        """
        self.given_({"payload": 1})
        self.held = []
        transport = self.wire("POST /q/claim HTTP/1.1\r\nHost: h", {"wait": 20})
        transport.loseConnection()
        self.release()
        self.assertEqual(transport.value(), b"")
        self.counts(ready=1)
        [task] = self.claimed()
        self.assertEqual(task["attempt"], 1)

    def test_settlesForLostClient(self) -> None:
        """
        A settlement counts although its client is lost before the answer.
        """
        self.given_({"payload": 1})
        [task] = self.claimed()
        self.held = []
        settlement = {"receipt": task["receipt"], "outcome": "complete"}
        start = "POST /q/settle HTTP/1.1\r\nHost: h"
        transport = self.wire(start, {"settle": [settlement]})
        transport.loseConnection()
        self.release()
        self.counts(completed=1)


class AnswerTests(APICase):
    """
    What all answers have in common.
    """

    def assertRefused(self, method: str, path: str, code: int, text: str) -> Any:
        """
        Fail unless a request is refused with a sentence that holds C{text}.

        @return: The answer's headers.
        """
        answer = self.successResultOf(self.send(method, path, b""))
        self.assertEqual(answer[0], code, path)
        self.assertIn(text, answer[1]["error"])
        self.assertHeaders(answer[2])
        return answer[2]

    def assertHeaders(self, headers: Mapping[str, str]) -> None:
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        self.assertNotIn("server", headers)
        self.assertNotIn("access-control-allow-origin", headers)

    def test_answersJSON(self) -> None:
        """
        Answers are JSON that nobody stores and nobody takes for anything else.
        """
        for method, path, body in (
            ("GET", "/", None),
            ("GET", "/q", None),
            ("POST", "/q", {"payload": 1}),
            ("POST", "/q/claim", {}),
            ("POST", "/q/settle", {"settle": []}),
            ("GET", "/q/failed", None),
            ("POST", "/q/failed/retry", {"all": True}),
        ):
            _, _, headers = self.successResultOf(self.send(method, path, body))
            self.assertHeaders(headers)

    def test_answersHead(self) -> None:
        """
        HEAD is GET without a body.
        """
        code, content, headers = self.successResultOf(self.send("HEAD", "/q"))
        self.assertEqual((code, content), (200, None))
        self.assertEqual(headers["content-length"], "59")

    def test_takesQueueNames(self) -> None:
        """
        The name of a queue needs no encoding; a refusal says which characters it takes.
        """
        for name in ("a", "A.b_c-9", "x" * 64, "claim"):
            self.assertEqual(self.ask("GET", f"/{name}"), (200, ZEROS))
        for name in ("x" * 65, "a%20b", "%C3%BC", "a+b", "a:b", "%0A", "a%0A"):
            for path in (f"/{name}", f"/{name}/failed", f"/{name}/x"):
                self.assertRefused(
                    "GET", path, 404, "1 to 64 letters, digits, '.', '_'"
                )

    def test_answersUnknownPath(self) -> None:
        """
        A path where nothing is is answered with the paths that there are.
        """
        for path in (
            "/q/",
            "/q/x",
            "/q/failed/x",
            "/q/tasks",
            "/q/tasks/",
            "/q//claim",
        ):
            self.assertRefused("GET", path, 404, "/NAME/failed/retry")

    def test_refusesMethod(self) -> None:
        """
        A method that a path does not have is refused with those that it has.
        """
        for method, path, allowed in (
            ("DELETE", "/q", "GET, HEAD, POST"),
            ("GET", "/q/claim", "POST"),
            ("POST", "/q/claim/c", "DELETE"),
            ("GET", "/q/settle", "POST"),
            ("POST", "/q/failed", "GET, HEAD"),
            ("PUT", "/q/failed/retry", "POST"),
            ("DELETE", "/q/tasks/a", "GET, HEAD"),
            ("OPTIONS", "/q", "GET, HEAD, POST"),
            ("POST", "/", "GET, HEAD"),
            ("BREW", "/", "GET, HEAD"),
        ):
            text = f"{path} takes {allowed}, not {method}"
            headers = self.assertRefused(method, path, 405, text)
            self.assertEqual(headers["allow"], allowed)

    def test_requiresBody(self) -> None:
        """
        A body that is required and missing is asked for.
        """
        for path in ("/q", "/q/settle", "/q/failed/retry"):
            self.assertRefused("POST", path, 400, "the body is empty; it takes JSON")

    def test_answersFullDisk(self) -> None:
        """
        While the file cannot grow, queueing is answered 503 with when to try again, and
        works once it can.
        """
        execute_ = self.connection.execute
        [size] = execute_("PRAGMA page_count").fetchone()
        execute_(f"PRAGMA max_page_count = {size}")
        tasks = [{"payload": "x" * 100_000}] * 3
        with capturedLogs() as events:
            code, content, headers = self.successResultOf(
                self.send("POST", "/q", tasks)
            )
        self.assertEqual((code, headers["retry-after"]), (503, "5"))
        self.assertIn("cannot be written now: database or disk is", content["error"])
        self.assertEqual([e["log_level"].name for e in events], ["error"])
        self.counts()
        execute_("PRAGMA max_page_count = 1000000")
        self.given_(*tasks)

    def test_answersUnreadableFile(self) -> None:
        """
        The answer says whether reading or writing the file fails.
        """
        self.connection.execute("DROP TABLE results")
        code, content = self.ask("GET", "/q/tasks/a")
        self.assertEqual(code, 503)
        self.assertIn("the queue cannot be read now: no such table", content["error"])
        self.assertEqual(self.ask("HEAD", "/q/tasks/a"), (503, None))

    def test_answersClaimsOnceClosed(self) -> None:
        """
        Claims of a closed queue are answered empty.
        """
        answer = self.send("POST", "/q/claim", {"wait": 20})
        self.broker.close()
        self.treq.flush()
        self.assertEqual(self.successResultOf(answer)[1], {"tasks": []})
        self.assertEqual(self.claimed(wait=20), [])


class HostTests(APICase):
    """
    Tests for L{Guard.hosts}, with the API behind it.
    """

    def test_checksHostsOnceSet(self) -> None:
        """
        The hosts of a guard are set once the address is known, and checked from then
        on.
        """
        self.assertIsNone(self.guard.hosts)
        self.guard.hosts = frozenset({"localhost"})
        for host, code in (("localhost", b"200"), ("evil.example", b"421")):
            transport = self.wire(f"GET / HTTP/1.1\r\nHost: {host}")
            self.assertEqual(transport.value().split()[1], code)
            transport.loseConnection()

    def test_takesHostThatIsNoName(self) -> None:
        """
        A Host header that is no name does no harm where any is taken.
        """
        for host in ("", "a..b", "a" * 300, "\xff", "[", "http://x/", ":"):
            transport = self.wire(f"GET /q HTTP/1.1\r\nHost: {host}")
            self.assertEqual(transport.value().split()[1], b"200", host)
            transport.loseConnection()


class ContractTests(APICase):
    """
    It keeps the pull contract as that is described.
    """

    def conforming(self, path: str, body: Any, name: str) -> Any:
        """
        Post, and check the answer.
        """
        code, content = self.ask("POST", path, body)
        self.assertEqual((code, problems(name, content)), (200, []), body)
        return content

    @given(values("Claim"), values("Settle"))
    def test_keepsContract(self, claim: Any, settle: Any) -> None:
        """
        The API takes every request that the description of the contract allows, and
        answers as that says.
        """
        claim["wait"] = 0
        claim["lease"] = min(claim["lease"], 31_536_000)
        for each in settle["settle"]:
            each["delay"] = min(each.get("delay", 0), 31_536_000)
            each["lease"] = min(each.get("lease", 1), 31_536_000)
        self.given_({"payload": claim, "id": json.dumps(claim)[:99]})
        self.conforming("/q/claim", claim, "Tasks")
        self.conforming("/q/settle", settle, "Settled")

    def test_servesOwnClient(self) -> None:
        """
        The client of the json protocol claims, settles and ends claims here.
        """
        queue = JSONQueue(Client(self.treq, self.clock), parseURL("http://h/q"))
        self.given_({"payload": "a"}, {"payload": "b"})
        claimed = self.successResultOf(queue.claim("c", 9, 20.0, 60.0))
        self.assertEqual([task.payload for task in claimed.tasks], ["a", "b"])
        settlements = [
            Settlement(task.receipt or "", "complete") for task in claimed.tasks
        ]
        lost = queue.settle([*settlements, Settlement("x", "fail")], 10.0)
        self.assertEqual(self.successResultOf(lost), ["x"])
        self.counts(completed=2)
        self.assertTrue(self.successResultOf(queue.cancelClaim("d")))
        late = queue.claim("d", 2, 20.0, 60.0)
        self.assertEqual(self.successResultOf(late).tasks, [])
