"""
Tests for L{myconsumer.handlers.forward}, over treq's stub and a clock of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from time import time
from typing import Any
from urllib.parse import unquote

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.application.service import IService, MultiService
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.server import Request
from zope.interface import implementer
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError, Reject, TaskFailedError
from myconsumer.handlers.forward import (
    DAY,
    FEW,
    ForwardHandler,
    encoded,
    makeHandler,
)
from myconsumer.handlers.readiness import INTERVAL, WaitFor
from myconsumer.http import Client, parseURL
from myconsumer.http.answer import LONGEST_BODY, Answer
from myconsumer.interfaces import IPausable, IScalableTaskHandler
from myconsumer.jsontext import MOST_VALUES
from myconsumer.testing import FakeTask
from tests.http.test_client import Endpoint, says, stalls
from tests.processes import withDescriptors

WEBAPP = parseURL("http://host/tasks?queue=a")


class Refusing:
    """
    Stands for treq where nothing listens.
    """

    def request(self, *args: object, **kwargs: object) -> Deferred[Any]:
        """
        Fail as an agent does then.
        """
        return fail(ConnectionRefusedError())


class Scripted:
    """
    Stands for a client whose requests end as the test says.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.ends: list[Answer | FaultError] = []

    def request(self, *args: object, **kwargs: object) -> Deferred[Any]:
        end = self.ends.pop(0)
        return succeed(end) if isinstance(end, Answer) else fail(end)

    def read(self, answer: Answer, function: Callable[[Answer], Any]) -> Any:
        """
        See L{Client.read}.
        """
        return function(answer)


class ForwardCase(SynchronousTestCase):
    """
    A handler, and the web application that it posts to.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.webapp = Endpoint(says(200))
        self.treq = StubTreq(self.webapp)
        self.unanswered = 0
        self.handler = self.makeHandler(self.treq)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def makeHandler(self, treq: Any) -> ForwardHandler:
        handler = ForwardHandler(Client(treq, self.clock), WEBAPP)
        handler.onNoAnswer = self.count
        return handler

    def count(self) -> None:
        self.unanswered += 1

    def handle(self, payload: Any = None, **fields: Any) -> Deferred[Any]:
        return self.handler.handle(FakeTask(fields.pop("id", "17"), payload, **fields))

    def result(self, respond: Callable[[Request], Any]) -> Any:
        self.webapp.respond = respond
        return self.successResultOf(self.handle())

    def failed(self, respond: Callable[[Request], Any]) -> TaskFailedError:
        """
        @return: What a task fails with that is answered so.
        """
        self.webapp.respond = respond
        return self.failureOf(self.handle())

    def failureOf(self, handling: Deferred[Any]) -> TaskFailedError:
        """
        @return: What a task fails with.
        """
        error = self.failureResultOf(handling, TaskFailedError).value
        assert isinstance(error, TaskFailedError)
        return error

    def header(self, name: str) -> str:
        """
        @return: The one value of a header of the last request.
        """
        [value] = self.webapp.requests[-1].requestHeaders.getRawHeaders(name, [])
        return value


class RequestTests(ForwardCase):
    """
    Tests for what the application is sent.
    """

    def test_providesItsInterfaces(self) -> None:
        """
        L{ForwardHandler} is a handler, and a service.
        """
        verifyObject(IScalableTaskHandler, self.handler)
        verifyObject(IService, self.handler)

    def test_postsThePayload(self) -> None:
        """
        The payload is posted as JSON, with the task's id and attempt.
        """
        self.handle({"ü": [1, None, 1.5]}, attempt=3)
        [request] = self.webapp.requests
        self.assertEqual((request.method, request.uri), (b"POST", b"/tasks?queue=a"))
        self.assertEqual(self.header("Content-Type"), "application/json")
        self.assertEqual(json.loads(self.webapp.bodies[0]), {"ü": [1, None, 1.5]})
        self.assertEqual(
            (self.header("Task-Id"), self.header("Task-Attempt")), ("17", "3")
        )
        self.assertEqual(self.header("Content-Length"), str(len(self.webapp.bodies[0])))

    def test_postsEachTaskByItself(self) -> None:
        """
        The headers of one task are not those of the next.
        """
        self.handle(id="a", attempt=2)
        self.handle(id=5)
        self.assertEqual(
            (self.header("Task-Id"), self.header("Task-Attempt")), ("5", "1")
        )

    def test_quotesStrangeIds(self) -> None:
        """
        What is not printable ASCII is percent-encoded in the id, and so is C{%}.
        """
        for given_, sent in {
            "a/b:c,d;e\"f'~": "a/b:c,d;e\"f'~",
            " a b\t": "%20a%20b%09",
            "1\r\nX-Admin: 1": "1%0D%0AX-Admin:%201",
            "100%41": "100%2541",
            "üß\N{SNOWMAN}": "%C3%BC%C3%9F%E2%98%83",
            "\x00\x7f": "%00%7F",
            "\ud800": "%ED%A0%80",
            "": "",
        }.items():
            self.handle(id=given_)
            self.assertEqual(self.header("Task-Id"), sent)
            self.assertIsNone(
                self.webapp.requests[-1].requestHeaders.getRawHeaders("X-Admin")
            )

    @given(st.text())
    def test_quotesAnyId(self, name: str) -> None:
        """
        What decodes parts of URLs gives back any id.
        """
        self.handle(id=name)
        self.assertEqual(unquote(self.header("Task-Id")), name)

    def test_postsAnyPayload(self) -> None:
        """
        A payload may hold whatever JSON can say, half a surrogate pair too.
        """
        for payload in (
            None,
            0,
            "",
            [],
            {},
            10**30,
            1.5,
            "ü",
            "\ud83d",
            {"a": "\ud83d"},
        ):
            self.assertEqual(json.loads(encoded(payload)), payload)


class OutcomeTests(ForwardCase):
    """
    Tests for what becomes of a task.
    """

    def test_takesJSONForTheResult(self) -> None:
        """
        After any 2xx, a body that is JSON is the result, to the letter, whatever its
        type is called.
        """
        for code in (200, 201, 202, 206, 299):
            for kind in ("application/json", "text/html"):
                body = b' {"a": [1.0, 100000000000000000000000]}\n'
                result = self.result(says(code, body, content_type=kind))
                self.assertEqual(msgspec.json.encode(result), body)

    def test_takesOtherBodiesForNoResult(self) -> None:
        """
        After 2xx there is no result if the body is empty or null, or no JSON.
        """
        for body in (
            b"",
            b"null",
            b" null ",
            b"OK",
            b"<html>",
            b'"\xff"',
            b"[1,",
            b"NaN",
        ):
            self.assertIsNone(self.result(says(200, body)))
        self.assertIsNone(self.result(says(200, b"[" * 100000 + b"]" * 100000)))
        self.assertIsNone(self.result(says(204)))
        self.assertEqual(self.unanswered, 0)

    def test_takesALargeResult(self) -> None:
        """
        A result may have 16 MiB.
        """
        body = b'"' + b"x" * (LONGEST_BODY - 2) + b'"'
        self.assertEqual(bytes(self.result(says(200, body))), body)

    def test_leavesOutATooLargeResult(self) -> None:
        """
        A task whose result is longer is complete without it, whether or not its
        length was said beforehand, and so is one with too many values in its result:
        what was done is not done again.
        """
        body = b'"' + b"x" * (LONGEST_BODY - 1) + b'"'
        crowded = b"[" + b"0," * MOST_VALUES + b"0]"
        for respond in (says(200, body), stalls(body), says(201, crowded)):
            with capturedLogs() as events:
                self.assertIsNone(self.result(respond))
            [warning] = events
            self.assertEqual(warning["log_level"].name, "warn")
            self.assertIn("Task 17 has no result", formatEvent(warning))
        self.assertEqual(self.unanswered, 0)

    def test_boundsWhatItLogsOfTooLargeResults(self) -> None:
        """
        That results are left out is logged within the bounds of the log, however many.
        """
        client: Any = Scripted()
        handler = ForwardHandler(client, WEBAPP)
        with capturedLogs() as events:
            for _ in range(1000):
                client.ends = [Answer(200, Headers(), b"", tooLong=True)]
                self.assertIsNone(self.successResultOf(handler.handle(FakeTask(1, 2))))
        self.assertLess(len(events), 500)

    def test_judgesATooLargeAnswerByItsCode(self) -> None:
        """
        An answer with a page that is too long is judged by its code.
        """
        error = self.failed(says(500, b"x" * (LONGEST_BODY + 1)))
        self.assertIn("answered 500", str(error))

    def test_rejectsByCode(self) -> None:
        """
        410 and 422 are never to be posted again; the reason is told.
        """
        for code, name in ((410, "410 Gone"), (422, "422")):
            self.webapp.respond = says(code, b"no such\r\nthing" + b"!" * 1000)
            error = self.failureResultOf(self.handle(), Reject).value
            text = str(error)
            self.assertIn(f"the application answered {name}", text)
            self.assertIn("no such thing!!!", text)
            self.assertLess(len(text), 500)
            self.assertEqual(len(text.splitlines()), 1)

    def test_failsWhateverComesOfItsPage(self) -> None:
        """
        The code decides, even if the page that comes with it never ends.
        """
        self.webapp.respond = stalls(b"piece", code=422)
        handling = self.handle()
        self.assertNoResult(handling)
        self.clock.advance(DAY)
        self.failureResultOf(handling, Reject)

    def test_failsForNow(self) -> None:
        """
        All other codes are failures that may pass; no delay is asked for.
        """
        for code in (300, 304, 400, 401, 403, 404, 408, 409, 413, 500, 502, 504, 599):
            error = self.failed(says(code, b"sorry"))
            self.assertIn(f"the application answered {code}", str(error))
            self.assertIsNone(error.delay)
        self.assertIn("sorry", str(error))
        self.assertEqual(self.unanswered, 0)

    def test_followsNoRedirect(self) -> None:
        """
        A redirect is not followed.
        """
        for code in (301, 302, 303, 307, 308):
            error = self.failed(says(code, location="http://host/other"))
            self.assertIn("redirects are not followed", str(error))
        self.assertEqual(len(self.webapp.requests), 5)

    def test_obeysRetryAfter(self) -> None:
        """
        C{Retry-After} of 429 and 503 is the delay, up to a day.
        """
        for code in (429, 503):
            for text, delay in (
                ("7", 7),
                ("0", 0),
                ("3600", 3600),
                ("9" * 400, DAY),
                ("soon", None),
                ("", None),
            ):
                self.assertEqual(self.failed(says(code, retry_after=text)).delay, delay)
            self.assertIsNone(self.failed(says(code)).delay)

    def test_obeysADateInRetryAfter(self) -> None:
        """
        C{Retry-After} may be a date.
        """
        error = self.failed(
            says(503, retry_after=formatdate(time() + 600, usegmt=True))
        )
        self.assertApproximates(error.delay or 0, 600, 5)

    def test_ignoresRetryAfterOfOtherCodes(self) -> None:
        """
        C{Retry-After} of other codes counts for nothing.
        """
        for code in (500, 502, 404, 302):
            self.assertIsNone(self.failed(says(code, retry_after="7")).delay)


class NoAnswerTests(ForwardCase):
    """
    Tests for requests without a whole answer.
    """

    def test_failsWhenRefused(self) -> None:
        """
        Where nothing listens, the task has failed for now, and whoever wants to know
        is told.
        """
        self.handler = self.makeHandler(Refusing())
        error = self.failureOf(self.handle())
        self.assertIn("refused", str(error))
        self.assertIsNone(error.delay)
        self.assertEqual(self.unanswered, 1)

    def unreachable(self, *ends: Answer | FaultError | None) -> list[str]:
        """
        Handle tasks, with no connection to be had for C{None}.

        @return: What each failed with.
        """
        client: Any = Scripted()
        handler = ForwardHandler(client, WEBAPP)
        failures = []
        for end in ends:
            client.ends = [end or FaultError("cannot connect", unreachable=True)]
            handling = handler.handle(FakeTask("1", None))
            handling.addErrback(lambda failure: failures.append(failure.type.__name__))
        return failures

    def test_hasNotBegunWhatIsUnreachable(self) -> None:
        """
        Where no connection is to be had for several tasks in a row they could not be
        begun; before that, and once there was one again, each has failed.
        """
        failed, notBegun = "TaskFailedError", "NotBegunError"
        few: list[None] = [None] * (FEW - 1)
        self.assertEqual(
            self.unreachable(*few, None, None), [failed] * len(few) + [notBegun] * 2
        )
        answer, broken = Answer(200, Headers(), b""), FaultError("it was closed")
        self.assertEqual(self.unreachable(*few, answer, *few), [failed] * 2 * len(few))
        self.assertEqual(
            self.unreachable(*few, broken, *few, None),
            [failed] * (2 * len(few) + 1) + [notBegun],
        )

    def test_hasNotBegunWithoutDescriptors(self) -> None:
        """
        Where there are no descriptors for a connection the first could not be begun.
        """
        withDescriptors(self, 0)
        failures = self.unreachable(None, FaultError("it was closed"))
        self.assertEqual(failures, ["NotBegunError", "TaskFailedError"])

    def test_worksWithoutAProbe(self) -> None:
        """
        Without a probe a request that has no answer fails its task.
        """
        self.handler = ForwardHandler(Client(Refusing(), self.clock), WEBAPP)
        self.failureOf(self.handle())

    def test_failsWhenTheConnectionBreaks(self) -> None:
        """
        A connection that breaks within the answer is a failure for now.
        """

        def breaks(request: Request) -> Any:
            request.setHeader("content-length", "10")
            request.write(b"[1,")
            request.loseConnection()
            return 1

        self.webapp.respond = breaks
        handling = self.handle()
        self.treq.flush()
        self.assertIn("connection", str(self.failureOf(handling)))
        self.assertEqual(self.unanswered, 1)

    def test_takesADayAtMost(self) -> None:
        """
        A request may take a day, and no longer.
        """
        self.webapp.respond = stalls()
        handling = self.handle()
        self.clock.advance(DAY - 1)
        self.assertNoResult(handling)
        self.clock.advance(1)
        self.assertIn("within 86400 s", str(self.failureOf(handling)))

    def test_takesAsLongAsATask(self) -> None:
        """
        A request may take longer than a day where the time limit of its task, as it
        was when the task started, is longer; the task is cancelled first.
        """
        self.webapp.respond = stalls()
        handling = self.handle(deadline=time() + 2 * DAY)
        self.clock.advance(2 * DAY + 1)
        self.assertNoResult(handling)
        self.clock.advance(60)
        self.failureOf(handling)

    def test_keepsToADayAtLeast(self) -> None:
        """
        A time limit that is shorter than a day does not end a request: the end of the
        task does.
        """
        self.webapp.respond = stalls()
        handling = self.handle(deadline=time() + 1)
        self.clock.advance(DAY - 1)
        self.assertNoResult(handling)
        self.clock.advance(1)
        self.failureOf(handling)

    def test_dropsTheConnectionWhenCancelled(self) -> None:
        """
        Cancelling ends a task at once, and the application sees its connection gone.
        """
        for respond in (lambda request: 1, stalls(b"piece")):
            gone: list[object] = []
            self.webapp.respond = respond
            handling = self.handle()
            self.webapp.requests[-1].notifyFinish().addErrback(gone.append)
            handling.cancel()
            self.failureResultOf(handling, CancelledError)
            self.treq.flush()
            self.assertEqual(len(gone), 1)
        self.assertEqual(self.unanswered, 0)


class ServiceTests(ForwardCase):
    """
    Tests for the handler as a service.
    """

    def test_dropsRequestsWhenStopped(self) -> None:
        """
        A stop of the handler drops the requests in flight.
        """
        self.webapp.respond = stalls()
        self.handler.startService()
        handling = self.handle()
        self.successResultOf(self.handler.stopService())
        self.failureOf(handling)

    def test_startsAgain(self) -> None:
        """
        A handler that was stopped can be started again.
        """
        for _ in range(2):
            self.handler.startService()
            self.assertIsNone(self.result(says(200)))
            self.successResultOf(self.handler.stopService())


@implementer(IPausable)
class Parent(MultiService):
    """
    Stands for the consumer.

    @ivar paused: The reasons why it claims nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paused: list[str] = []
        self.pause = self.paused.append
        self.resume = self.paused.remove


class WaitForTests(ForwardCase):
    """
    L{ForwardHandler.waitFor}.
    """

    URL = parseURL("http://host/health")

    def setUp(self) -> None:
        super().setUp()
        self.health = Endpoint(says(503))
        self.probes = StubTreq(self.health)
        self.parent = Parent()
        self.handler.waitFor(Client(self.probes, self.clock), self.URL, self.clock)
        self.handler.setServiceParent(self.parent)

    def after(self, seconds: float) -> list[str]:
        self.clock.advance(seconds)
        self.probes.flush()
        return self.parent.paused

    def test_pausesUntilItAnswers(self) -> None:
        """
        The parent is paused from the start of the handler until the application
        answers, and no request is left after a stop.
        """
        self.assertTrue(verifyObject(IPausable, self.parent))
        self.parent.startService()
        reason = "http://host/health does not answer"
        self.assertEqual(self.after(0), [reason])
        self.health.respond = says(200)
        self.assertEqual(self.after(INTERVAL), [])
        self.successResultOf(self.parent.stopService())

    def test_probesWhenATaskHadNoAnswer(self) -> None:
        """
        A request for a task that had no answer has the application probed at once.
        """
        self.health.respond = says(200)
        self.parent.startService()
        self.assertEqual(self.after(0), [])
        self.webapp.respond = stalls()
        self.health.respond = says(503)
        handling = self.handle()
        self.treq.flush()
        self.webapp.requests[-1].loseConnection()
        self.treq.flush()
        self.failureOf(handling)
        self.assertEqual(len(self.after(0)), 1)
        self.successResultOf(self.parent.stopService())

    def test_needsAParentThatPauses(self) -> None:
        """
        Started without a parent that can be paused, the handler fails at once rather
        than not to wait.
        """
        self.handler.disownServiceParent()
        with self.assertRaises(TypeError):
            self.handler.startService()
        self.successResultOf(self.handler.stopService())


class MakeHandlerTests(SynchronousTestCase):
    """
    Tests for L{makeHandler}.
    """

    def make(self, **options: Any) -> ForwardHandler:
        usual = {"forward": WEBAPP, "limit": 7, "timeout": 0.0, "token-file": "/secret"}
        return makeHandler(Clock(), usual | options)

    def test_keepsAConnectionForEachSlot(self) -> None:
        """
        The handler's client keeps a connection for each slot, and does not so much as
        read the token.
        """
        handler = self.make()
        pool = handler._client._pool
        assert pool is not None
        self.assertEqual(pool.maxPersistentPerHost, 7)
        self.assertFalse(pool.retryAutomatically)
        self.assertIsNone(handler._client._token)

    def test_keepsAConnectionForEachNewSlot(self) -> None:
        """
        With another limit the client keeps as many connections.
        """
        handler = self.make()
        pool = handler._client._pool
        assert pool is not None
        for limit in (70, 3):
            handler.setLimit(limit)
            self.assertEqual(pool.maxPersistentPerHost, limit)

    def test_waitsOnlyIfToldSo(self) -> None:
        """
        The handler has a probe only with C{--forward-wait-for}.
        """
        self.assertEqual(list(self.make()), [])
        [probe] = self.make(**{"forward-wait-for": WEBAPP})
        self.assertIsInstance(probe, WaitFor)

    def test_refusesWithoutAURL(self) -> None:
        """
        Without a URL there is no handler.
        """
        with self.assertRaisesRegex(ValueError, "--forward is missing"):
            self.make(forward=None)

    def test_hidesSecrets(self) -> None:
        """
        What may be a secret in the URL is not shown.
        """
        self.assertEqual(repr(self.make()), "<ForwardHandler http://host/tasks>")
