"""
Tests for L{myconsumer.http}, over treq's stub and a clock of their own.  What needs
a network is in L{tests.test_wire}.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from myconsumer.errors import FaultError, RefusalError
from myconsumer.http import Client
from myconsumer.http.answer import LONGEST_BODY, Answer
from myconsumer.http.client import EVERY_CODE
from myconsumer.http.connection import ConnectionPool
from myconsumer.http.offload import LARGE
from myconsumer.http.urls import FixedURL, parseURL
from myconsumer.tokenfile import TokenFile

URL = FixedURL.of(parseURL("http://host/q"))


class Endpoint(Resource):
    """
    Keeps the requests, and answers with C{respond}.
    """

    isLeaf = True

    def __init__(self, respond: Callable[[Request], Any]) -> None:
        super().__init__()
        self.respond = respond
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []

    def render(self, request: Request) -> Any:
        """
        See L{Resource.render}.
        """
        self.requests.append(request)
        self.bodies.append(request.content.read())
        return self.respond(request)


def says(code: int, body: bytes = b"", **headers: str) -> Callable[[Request], bytes]:
    """
    Make what answers with a code and a body.
    """

    def respond(request: Request) -> bytes:
        request.setResponseCode(code)
        for name, value in headers.items():
            request.setHeader(name.replace("_", "-"), value)
        return body

    return respond


def stalls(*pieces: bytes, code: int = 200) -> Callable[[Request], int]:
    """
    Make what answers with a code and some pieces, and never comes to an end.
    """

    def respond(request: Request) -> int:
        request.setResponseCode(code)
        for piece in pieces:
            request.write(piece)
        return NOT_DONE_YET

    return respond


class ClientCase(SynchronousTestCase):
    """
    A client of an endpoint in memory that answers with an empty object.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint(says(200, b"{}"))
        self.treq = StubTreq(self.endpoint)
        self.client = Client(self.treq, self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def ask(self, deadline: float = 30, **more: Any) -> Deferred[Answer]:
        return self.client.request("POST", URL, b"{}", deadline, **more)

    def answer(self, respond: Callable[[Request], Any], **more: Any) -> Answer:
        """
        Send a request that is answered at once.
        """
        self.endpoint.respond = respond
        return self.successResultOf(self.ask(**more))

    def fault(self, respond: Callable[[Request], Any]) -> FaultError:
        """
        Send a request that fails at once.
        """
        self.endpoint.respond = respond
        return self.faultOf(self.ask())

    def faultOf(self, asked: Deferred[Answer]) -> FaultError:
        error = self.failureResultOf(asked, FaultError).value
        assert isinstance(error, FaultError)
        return error

    def dropped(self) -> bool:
        """
        @return: Whether the endpoint sees its last request's connection gone.
        """
        gone: list[object] = []
        self.endpoint.requests[-1].notifyFinish().addErrback(gone.append)
        self.treq.flush()
        return bool(gone)


class RequestTests(ClientCase):
    """
    Tests for what is sent.
    """

    def test_sendsWholeRequest(self) -> None:
        """
        A request is sent with its method, URL and body, and the usual headers.
        """
        self.ask()
        request = self.endpoint.requests[0]
        self.assertEqual(request.method, b"POST")
        self.assertEqual(request.uri, b"/q")
        self.assertEqual(self.endpoint.bodies, [b"{}"])
        headers = request.requestHeaders
        for name, pattern in {
            "content-type": "application/json",
            "content-length": "2",
            "host": "host",
            "user-agent": r"myconsumer/\d",
        }.items():
            self.assertRegex(headers.getRawHeaders(name, ["?"])[0], pattern)
        self.assertIsNone(headers.getRawHeaders("authorization"))
        self.assertIsNone(headers.getRawHeaders("cookie"))

    def test_sendsNoTypeWithoutBody(self) -> None:
        """
        A request without a body has no content type.
        """
        self.successResultOf(self.client.request("GET", URL, None, 30))
        headers = self.endpoint.requests[0].requestHeaders
        self.assertEqual(self.endpoint.bodies, [b""])
        self.assertIsNone(headers.getRawHeaders("content-type"))

    def test_sendsHeadersOfOneRequest(self) -> None:
        """
        Headers of one request are sent with it, and not with the next one.
        """
        self.ask(headers={b"Task-Id": b"a b", b"Content-Type": b"text/plain"})
        self.ask()
        first, second = (each.requestHeaders for each in self.endpoint.requests)
        self.assertEqual(first.getRawHeaders("task-id"), ["a b"])
        self.assertEqual(first.getRawHeaders("content-type"), ["text/plain"])
        self.assertRegex(first.getRawHeaders("user-agent", ["?"])[0], "myconsumer")
        self.assertIsNone(second.getRawHeaders("task-id"))
        self.assertEqual(second.getRawHeaders("content-type"), ["application/json"])


class AnswerTests(ClientCase):
    """
    Tests for what comes back.
    """

    def test_givesCodeHeadersAndBody(self) -> None:
        """
        An answer has its code, headers and body.
        """
        answer = self.answer(says(201, b"body", x_some="thing"))
        self.assertEqual((answer.code, answer.body), (201, b"body"))
        self.assertEqual(answer.header(b"X-Some"), "thing")
        self.assertEqual(answer.header(b"x-other"), "")

    def test_takesEmptyBody(self) -> None:
        """
        An answer without a body succeeds with an empty one.
        """
        for code in (200, 204):
            answer = self.answer(says(code))
            self.assertEqual((answer.code, answer.body), (code, b""))

    def test_decompressesBody(self) -> None:
        """
        A compressed body is decompressed, however many times it was compressed.
        """
        body = gzip.compress(b"body")
        for coding in ("gzip", "gzip, gzip"):
            answer = self.answer(says(200, body, content_encoding=coding))
            self.assertEqual(answer.body, b"body")
            body = gzip.compress(body)

    def test_failsOnDamagedCompression(self) -> None:
        """
        A compressed body that is damaged or truncated is a fault.
        """
        body = gzip.compress(b"body" * 1000)
        for damaged in (body[:-1], b"?" + body, body[:20] + b"????" + body[24:]):
            error = self.fault(says(200, damaged, content_encoding="gzip"))
            self.assertIn("compression is damaged", str(error))

    def test_failsOnManyLayersOfCompression(self) -> None:
        """
        A body that was compressed five times is a fault.
        """
        coding = ", ".join(["gzip"] * 5)
        error = self.fault(says(200, b"", content_encoding=coding))
        self.assertIn("compressed more than", str(error))

    def test_decompressesAllMembers(self) -> None:
        """
        A compressed body of several members is decompressed whole; a damaged member, or
        thousands of members, are a fault.
        """
        parts = gzip.compress(b"bo") + gzip.compress(b"") + gzip.compress(b"dy")
        for body in (parts, parts + b"\0" * 100):
            answer = self.answer(says(200, body, content_encoding="gzip"))
            self.assertEqual(answer.body, b"body")
        for body in (parts[:-1], parts + b"?", gzip.compress(b"") * 2000):
            error = self.fault(says(200, body, content_encoding="gzip"))
            self.assertIn("compression is damaged", str(error))

    def test_takesEmptyCompressedBody(self) -> None:
        """
        An empty body that is said to be compressed is taken as empty.
        """
        for code in (200, 204):
            answer = self.answer(says(code, content_encoding="gzip"))
            self.assertEqual(answer.body, b"")

    def test_boundsBody(self) -> None:
        """
        A body may have 16 MiB and not a byte more, before and after it is decompressed.
        """
        body = b" " * LONGEST_BODY
        self.assertEqual(len(self.answer(says(200, body)).body), LONGEST_BODY)
        answer = self.answer(says(200, gzip.compress(body), content_encoding="gzip"))
        self.assertEqual(len(answer.body), LONGEST_BODY)
        body += b" "
        for respond in (
            says(200, body),
            says(200, gzip.compress(body), content_encoding="gzip"),
            stalls(body),
        ):
            error = self.fault(respond)
            self.assertIn("longer than 16 MiB", str(error))
            self.assertTrue(error.tooLong)
        self.assertFalse(self.fault(says(500)).tooLong)

    def test_leavesOutLongBody(self) -> None:
        """
        Where the code is enough, a body that is too long is left out of a success.
        """
        body = b" " * (LONGEST_BODY + 1)
        for respond in (
            says(200, body),
            stalls(body),
            says(200, gzip.compress(body), content_encoding="gzip"),
        ):
            answer = self.answer(respond, codeIsEnough=True)
            self.assertEqual((answer.code, answer.body), (200, b""))
            self.assertTrue(answer.tooLong)
        self.assertFalse(self.answer(says(200, b"{}"), codeIsEnough=True).tooLong)
        self.endpoint.respond = says(400, body)
        self.failureResultOf(self.ask(codeIsEnough=True), RefusalError)

    def test_dropsConnectionOfLongBody(self) -> None:
        """
        The connection of a body that is too long is dropped, whether or not its length
        was announced.
        """

        def announces(request: Request) -> int:
            request.setHeader("content-length", str(LONGEST_BODY + 1))
            request.write(b" ")
            return NOT_DONE_YET

        for respond in (announces, stalls(b" " * LONGEST_BODY, b"  ")):
            self.fault(respond)
            self.assertTrue(self.dropped())

    def test_acceptsExpectedCodes(self) -> None:
        """
        An answer with a code that the caller accepts is no failure.
        """
        self.assertEqual(self.answer(says(404), accept={404}).code, 404)
        for code in (200, 302, 401, 422, 500, 599, 999):
            self.assertEqual(self.answer(says(code), accept=EVERY_CODE).code, code)

    def test_failsOnOtherCodes(self) -> None:
        """
        An answer with a code that nobody accepts is a fault or a refusal, which says
        what the answer says.
        """
        error = self.fault(says(503, b"busy", retry_after="7"))
        self.assertEqual(error.retryAfter, 7)
        self.assertIn("busy", str(error))
        self.endpoint.respond = says(413)
        error = self.failureResultOf(self.ask(), RefusalError).value
        self.assertTrue(error.divisible)

    def test_followsNoRedirect(self) -> None:
        """
        A redirect is a refusal that names its target, and is not followed.
        """
        for code in (301, 302, 303, 307, 308):
            for method in ("POST", "GET", "DELETE"):
                self.endpoint.respond = says(code, location="/elsewhere")
                asked = self.client.request(method, URL, None, 30)
                error = self.failureResultOf(asked, RefusalError).value
                self.assertIn("http://host/elsewhere", str(error))
        self.assertEqual(len(self.endpoint.requests), 15)


class DeadlineTests(ClientCase):
    """
    Tests for the one deadline over head and body.
    """

    def test_failsAtDeadlineBeforeHead(self) -> None:
        """
        A request whose answer does not begin fails at the deadline, not before, and is
        dropped.
        """
        self.endpoint.respond = stalls()
        asked = self.ask()
        self.clock.advance(29)
        self.assertNoResult(asked)
        self.clock.advance(1)
        self.assertIn("no whole answer within 30 s", str(self.faultOf(asked)))
        self.assertTrue(self.dropped())

    def test_failsAtDeadlineWithinBody(self) -> None:
        """
        A request whose answer does not end fails at the deadline, even if more of the
        answer comes now and then.
        """
        self.endpoint.respond = stalls(b"{")
        asked = self.ask()
        for _ in range(29):
            self.clock.advance(1)
            self.endpoint.requests[-1].write(b" ")
            self.treq.flush()
        self.assertNoResult(asked)
        self.clock.advance(1)
        self.assertIn("no whole answer within 30 s", str(self.faultOf(asked)))
        self.assertTrue(self.dropped())

    def test_succeedsBeforeDeadline(self) -> None:
        """
        An answer that ends right before the deadline succeeds.
        """
        self.endpoint.respond = stalls(b"{")
        asked = self.ask()
        self.clock.advance(29)
        self.endpoint.requests[-1].write(b"}")
        self.endpoint.requests[-1].finish()
        self.treq.flush()
        self.assertEqual(self.successResultOf(asked).body, b"{}")

    def test_dropsCancelledRequest(self) -> None:
        """
        A cancelled request is dropped, before its answer begins and within the body.
        """
        for respond in (stalls(), stalls(b"{")):
            self.endpoint.respond = respond
            asked = self.ask()
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.assertTrue(self.dropped())
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_judgesCodeAtDeadline(self) -> None:
        """
        A code that is no success counts even if the rest of its page does not come.
        """
        self.endpoint.respond = stalls(b"because", code=400)
        asked = self.ask()
        self.clock.advance(30)
        error = self.failureResultOf(asked, RefusalError).value
        self.assertIn("because", str(error))
        self.assertTrue(self.dropped())


class FailureTests(ClientCase):
    """
    Tests for what does not even get an answer.
    """

    def test_logsUnexpectedFailures(self) -> None:
        """
        A failure that no network causes is a fault, with a traceback in the log.
        """

        class Broken:
            def request(self, *args: object, **kwargs: object) -> Any:
                raise ZeroDivisionError("oops")

        class Failing:
            def request(self, *args: object, **kwargs: object) -> Any:
                return fail(ZeroDivisionError("oops"))

        class Strange:
            def request(self, *args: object, **kwargs: object) -> Any:
                answer: Deferred[object] = Deferred()
                answer.callback(object())
                return answer

        for treq in (Broken(), Failing(), Strange()):
            self.client = Client(treq, self.clock)
            self.assertIn("the request failed", str(self.faultOf(self.ask())))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_closeFailsRequestsInFlight(self) -> None:
        """
        Closing makes requests in flight fail, and the client can be used again.
        """
        self.endpoint.respond = stalls(b"{")
        asked = self.ask()
        self.successResultOf(self.client.close())
        self.assertIn("closed", str(self.faultOf(asked)))
        self.assertTrue(self.dropped())
        self.answer(says(200))

    def test_closeIsBounded(self) -> None:
        """
        Closing waits for connections to be closed, but no longer than a second.
        """

        class Pool(ConnectionPool):
            closed: Deferred[None]

            def closeCachedConnections(self) -> Deferred[None]:
                self.closed = Deferred()
                return self.closed

        pool = Pool(self.clock)
        client = Client(self.treq, self.clock, pool=pool)
        closing = client.close()
        self.clock.advance(0.9)
        self.assertNoResult(closing)
        self.clock.advance(0.1)
        self.successResultOf(closing)
        pool.closed.callback(None)
        closing = client.close()
        self.assertNoResult(closing)
        pool.closed.errback(ZeroDivisionError())
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OffloadTests(ClientCase):
    """
    Tests for answers that are decompressed and decoded elsewhere.
    """

    def setUp(self) -> None:
        """
        Make a client whose work elsewhere is done when C{work} is called.
        """
        super().setUp()
        self.jobs: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.client = Client(self.treq, self.clock, offload=self.offload)

    def offload(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        See L{Offload <myconsumer.http.offload.Offload>}.
        """
        done: Deferred[Any] = Deferred()
        self.jobs.append((done, lambda: function(*args)))
        return done

    def work(self) -> None:
        done, job = self.jobs.pop(0)
        try:
            done.callback(job())
        except Exception:
            done.errback()

    def askLarge(self) -> Deferred[Answer]:
        """
        Send a request whose answer is decompressed elsewhere.
        """
        body = gzip.compress(b" " * (LARGE + 1))
        self.endpoint.respond = says(200, body, content_encoding="gzip")
        return self.ask(10)

    def test_handlesSmallBodyAtOnce(self) -> None:
        """
        A small body is decompressed and decoded at once.
        """
        body = gzip.compress(b" " * LARGE)
        answer = self.answer(says(200, body, content_encoding="gzip"))
        self.assertEqual(self.client.read(answer, lambda a: len(a.body)), LARGE)

    def test_handlesLargeBodyElsewhere(self) -> None:
        """
        A large body is decompressed and decoded elsewhere; the deadline is met once all
        of the body has come.
        """
        asked = self.askLarge()
        self.clock.advance(100)
        self.assertNoResult(asked)
        self.work()
        answer = self.successResultOf(asked)
        self.assertEqual(len(answer.body), LARGE + 1)
        read = self.client.read(answer, lambda a: len(a.body))
        assert isinstance(read, Deferred)
        self.assertNoResult(read)
        self.work()
        self.assertEqual(self.successResultOf(read), LARGE + 1)

    def test_failsOnDamageFoundElsewhere(self) -> None:
        """
        A large compressed body that is damaged is a fault.
        """
        body = gzip.compress(b" " * (LARGE + 1))[:-1]
        self.endpoint.respond = says(200, body, content_encoding="gzip")
        asked = self.ask()
        self.work()
        self.assertIn("damaged", str(self.faultOf(asked)))

    def test_dropsResultOfCancelledWork(self) -> None:
        """
        A request or a decoding that is cancelled while it is worked on elsewhere ends
        at once; its result or failure is dropped.
        """
        for decode in (len, lambda body: 1 / 0):
            asked = self.askLarge()
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.work()
            answer = Answer(200, Headers(), b" " * (LARGE + 1))
            read = self.client.read(answer, lambda a, decode=decode: decode(a.body))
            assert isinstance(read, Deferred)
            read.cancel()
            self.failureResultOf(read, CancelledError)
            self.work()

    def test_closeFailsWorkElsewhere(self) -> None:
        """
        Closing the client makes requests and decodings fail that are worked on
        elsewhere.
        """
        asked = self.askLarge()
        read = self.client.read(Answer(200, Headers(), b" " * (LARGE + 1)), len)
        assert isinstance(read, Deferred)
        self.successResultOf(self.client.close())
        for failed in (asked, read):
            self.assertIn("closed", str(self.faultOf(failed)))
        self.work()
        self.work()


class TokenTests(ClientCase):
    """
    Tests for the token.
    """

    def setUp(self) -> None:
        super().setUp()
        self.path = self.mktemp()
        self.write("one")
        self.client = Client(self.treq, self.clock, TokenFile(self.path))

    def write(self, token: str) -> None:
        with open(self.path, "w") as file:
            file.write(token + "\n")

    def sent(self) -> list[str]:
        return [
            request.requestHeaders.getRawHeaders("authorization", ["none"])[0]
            for request in self.endpoint.requests
        ]

    def test_sendsCurrentToken(self) -> None:
        """
        The token is sent, and a changed one from the next request on.
        """
        self.ask()
        self.ask()
        self.write("other")
        self.ask()
        self.successResultOf(self.client.request("GET", URL, None, 30))
        self.assertEqual(
            self.sent(), ["Bearer one", "Bearer one", "Bearer other", "Bearer other"]
        )

    def test_failsOnRefusedToken(self) -> None:
        """
        A request whose token is refused and has not changed is a refusal at once, which
        does not quote the token.
        """
        for code in (401, 403):
            self.endpoint.respond = says(code, b"bad token: one")
            with capturedLogs() as events:
                error = self.failureResultOf(self.ask(), RefusalError).value
            self.assertIn("--token-file", str(error))
            self.assertIn("bad token: (token)", str(error))
            self.assertEqual(events, [])
        self.assertEqual(len(self.endpoint.requests), 2)

    def test_resendsWithChangedToken(self) -> None:
        """
        A request whose token is refused is sent again if the file holds another token
        by then.
        """

        def respond(request: Request) -> bytes:
            if request.getHeader("authorization") == "Bearer other":
                return b"{}"
            self.write("other")
            request.setResponseCode(401)
            return b""

        answer = self.answer(respond, headers={b"X-Own": b"1"})
        self.assertEqual(answer.body, b"{}")
        self.assertEqual(self.sent(), ["Bearer one", "Bearer other"])
        self.assertEqual(self.endpoint.bodies, [b"{}", b"{}"])
        own = [request.getHeader("x-own") for request in self.endpoint.requests]
        self.assertEqual(own, ["1", "1"])

    def test_resendsOnce(self) -> None:
        """
        A request is sent again once, however often the token changes.
        """

        def respond(request: Request) -> bytes:
            self.write(f"token{len(self.endpoint.requests)}")
            request.setResponseCode(403)
            return b""

        self.endpoint.respond = respond
        self.failureResultOf(self.ask(), RefusalError)
        self.assertEqual(self.sent(), ["Bearer one", "Bearer token1"])

    def test_resendsWithinDeadline(self) -> None:
        """
        A request that is sent again has what is left of its deadline, and can be
        cancelled.
        """

        def respond(request: Request) -> int:
            if len(self.endpoint.requests) % 2:
                request.setResponseCode(401)
                request.write(b"{")
            return NOT_DONE_YET

        self.endpoint.respond = respond
        for end in (lambda asked: self.clock.advance(10), Deferred.cancel):
            asked = self.ask()
            self.clock.advance(20)
            self.write(f"token{len(self.endpoint.requests)}")
            self.endpoint.requests[-1].finish()
            self.treq.flush()
            self.assertNoResult(asked)
            end(asked)
            self.failureResultOf(asked)
            self.assertTrue(self.dropped())
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sendsNothingWithoutToken(self) -> None:
        """
        A client whose token file never held a token sends nothing.
        """
        self.client = Client(self.treq, self.clock, TokenFile(self.mktemp()))
        error = self.failureResultOf(self.ask(), RefusalError).value
        self.assertIn("cannot be read", str(error))
        self.assertEqual(self.endpoint.requests, [])

    def test_headersAreNotShared(self) -> None:
        """
        What treq does to the headers of one request does not show in the next.
        """
        for _ in range(3):
            self.ask()
        for request in self.endpoint.requests:
            for name, values in Headers.getAllRawHeaders(request.requestHeaders):
                self.assertEqual(len(values), 1, name)
