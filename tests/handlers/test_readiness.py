"""
Tests for L{myconsumer.handlers.readiness}, over treq's stub and a clock of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treq.testing import StubTreq
from twisted.application.service import IService
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.handlers.readiness import DEADLINE, INTERVAL, WaitFor
from myconsumer.http import Client, parseURL
from myconsumer.task import LoggedReason
from tests.http.test_client import Endpoint, says, stalls

URL = parseURL("http://host/health?key=s3cret")


class WebApp:
    """
    Stands for treq and the web application behind it.

    @ivar listens: Whether connections are taken.
    @ivar attempts: How many requests were tried.
    """

    def __init__(self) -> None:
        self.endpoint = Endpoint(says(200))
        self.stub = StubTreq(self.endpoint)
        self.listens = True
        self.attempts = 0

    def request(self, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """
        Send a request as treq does.
        """
        self.attempts += 1
        if not self.listens:
            return fail(ConnectionRefusedError())
        sent: Deferred[Any] = self.stub.request(*args, **kwargs)
        return sent


class WaitForTests(SynchronousTestCase):
    """
    Tests for L{WaitFor}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.webapp = WebApp()
        self.calls: list[tuple[str, str]] = []
        self.service = self.make(lambda reason: self.calls.append(("resume", reason)))
        self.addCleanup(self.stop)

    def make(self, resume: Callable[[str], object]) -> WaitFor:
        return WaitFor(
            Client(self.webapp, self.clock),
            URL,
            lambda reason: self.calls.append(("pause", reason)),
            resume,
            self.clock,
        )

    def stop(self) -> None:
        if self.service.running:
            self.successResultOf(self.service.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def start(self) -> list[str]:
        """
        Start it.

        @return: What was called by then.
        """
        self.service.startService()
        return self.called()

    def called(self) -> list[str]:
        """
        @return: What was called since this was last asked.
        """
        called = [name for name, _ in self.calls]
        self.calls.clear()
        return called

    def after(self, seconds: float) -> list[str]:
        """
        Let time pass.

        @return: What was called by then.
        """
        self.clock.advance(seconds)
        self.webapp.stub.flush()
        return self.called()

    def test_providesIService(self) -> None:
        """
        L{WaitFor} is a service.
        """
        verifyObject(IService, self.service)

    def test_pausesFirst(self) -> None:
        """
        Claiming is paused before anything is known of the application.
        """
        self.webapp.endpoint.respond = stalls()
        self.assertEqual(self.start(), ["pause"])

    def test_pausesForAReasonThatItLogs(self) -> None:
        """
        The reason is of the type whose begin and end nobody else logs.
        """
        self.service.startService()
        self.assertEqual({type(reason) for _, reason in self.calls}, {LoggedReason})

    def test_resumesWhenAnswered(self) -> None:
        """
        Once there is an answer claiming is resumed, for the reason it was paused for.
        """
        self.service.startService()
        (first, reason), (second, sameReason) = self.calls
        self.assertEqual((first, second), ("pause", "resume"))
        self.assertEqual(reason, sameReason)
        self.assertEqual(reason, "http://host/health does not answer")

    def test_probesTheURL(self) -> None:
        """
        The URL is requested with a GET, once a second, and nothing is called as long as
        the answer is the same.
        """
        self.start()
        for _ in range(5):
            self.assertEqual(self.after(INTERVAL), [])
        requests = self.webapp.endpoint.requests
        self.assertEqual(len(requests), 6)
        self.assertEqual(
            {(request.method, request.uri) for request in requests},
            {(b"GET", b"/health?key=s3cret")},
        )

    def test_resumesLater(self) -> None:
        """
        An application that is down at first is waited for.
        """
        self.webapp.listens = False
        self.assertEqual(self.start(), ["pause"])
        for _ in range(10):
            self.assertEqual(self.after(INTERVAL), [])
        self.assertEqual(self.webapp.attempts, 11)
        self.webapp.listens = True
        self.assertEqual(self.after(INTERVAL), ["resume"])

    def test_pausesAgain(self) -> None:
        """
        Claiming is paused while the application does not answer.
        """
        self.start()
        for _ in range(2):
            self.webapp.listens = False
            self.assertEqual(self.after(INTERVAL), ["pause"])
            self.assertEqual(self.after(INTERVAL), [])
            self.webapp.listens = True
            self.assertEqual(self.after(INTERVAL), ["resume"])

    def test_takesOnly2xx(self) -> None:
        """
        Any 2xx is an answer, and nothing else is.
        """
        self.start()
        for code in (301, 401, 404, 429, 500, 503):
            self.webapp.endpoint.respond = says(code, location="http://host/other")
            self.assertEqual(self.after(INTERVAL), ["pause"])
            self.webapp.endpoint.respond = says(204 if code == 500 else 200)
            self.assertEqual(self.after(INTERVAL), ["resume"])

    def test_givesUpOnAStalledAnswer(self) -> None:
        """
        An answer that is not whole in time is none.
        """
        self.start()
        for respond in (lambda request: 1, stalls(b"piece")):
            self.webapp.endpoint.respond = respond
            self.assertEqual(self.after(INTERVAL), [])
            self.assertEqual(self.after(DEADLINE - 0.1), [])
            self.assertEqual(self.after(0.1), ["pause"])
            self.webapp.endpoint.respond = says(200)
            self.assertEqual(self.after(INTERVAL), ["resume"])

    def test_probesAtOnceWhenAsked(self) -> None:
        """
        A check probes at once.
        """
        self.start()
        self.webapp.listens = False
        self.service.check()
        self.service.check()
        self.assertEqual(self.after(0), ["pause"])
        self.assertEqual(self.webapp.attempts, 2)
        self.assertEqual(self.after(INTERVAL - 0.1), [])
        self.assertEqual(self.webapp.attempts, 2)
        self.after(0.1)
        self.assertEqual(self.webapp.attempts, 3)

    def test_probesOnceMoreAfterAProbe(self) -> None:
        """
        A check while a probe is in flight has another probe follow at once: the one in
        flight may report the old state.
        """
        self.start()
        self.webapp.endpoint.respond = lambda request: 1
        self.after(INTERVAL)
        self.service.check()
        self.webapp.endpoint.requests[-1].finish()
        self.webapp.listens = False
        self.assertEqual(self.after(0), [])
        self.assertEqual(self.after(0), ["pause"])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.after(INTERVAL - 0.1)
        self.assertEqual(self.webapp.attempts, 3)

    def test_probesNoSoonerWhilePaused(self) -> None:
        """
        While claiming is paused a check does not make the next probe come sooner.
        """
        self.webapp.listens = False
        self.start()
        self.service.check()
        self.after(0)
        self.assertEqual(self.webapp.attempts, 1)

    def test_probesNothingWhenStopped(self) -> None:
        """
        A check after a stop probes nothing.
        """
        self.service.check()
        self.start()
        self.stop()
        self.service.check()
        self.after(INTERVAL)
        self.assertEqual(self.webapp.attempts, 1)

    def test_dropsTheProbeWhenStopped(self) -> None:
        """
        A stop drops a request in flight, and leaves claiming as it is.
        """
        self.webapp.endpoint.respond = stalls()
        self.start()
        gone: list[object] = []
        self.webapp.endpoint.requests[-1].notifyFinish().addErrback(gone.append)
        self.stop()
        self.webapp.stub.flush()
        self.assertEqual(len(gone), 1)
        self.assertEqual(self.called(), [])

    def test_stopsTwice(self) -> None:
        """
        A second stop changes nothing.
        """
        self.start()
        for _ in range(2):
            self.successResultOf(self.service.stopService())

    def test_startsAgain(self) -> None:
        """
        A probe that is started again pauses claiming again.
        """
        self.start()
        self.stop()
        self.webapp.listens = False
        self.assertEqual(self.start(), ["pause"])
        self.webapp.listens = True
        self.assertEqual(self.after(INTERVAL), ["resume"])

    def test_goesOnWhateverHappens(self) -> None:
        """
        The requests go on even if what they have called raises.
        """

        def resume(reason: str) -> None:
            raise ZeroDivisionError

        self.service = self.make(resume)
        self.start()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.webapp.listens = False
        self.assertEqual(self.after(INTERVAL), ["pause"])

    def test_logsEachChangeOnce(self) -> None:
        """
        Each change is logged once, and each new reason; a secret is not.
        """
        with capturedLogs() as events:
            self.webapp.listens = False
            self.start()
            for _ in range(3):
                self.after(INTERVAL)
            self.webapp.listens = True
            for _ in range(4):
                self.webapp.endpoint.respond = says(503)
                self.after(INTERVAL)
                self.webapp.endpoint.respond = says(404)
                self.after(INTERVAL)
            self.webapp.endpoint.respond = says(200)
            self.after(INTERVAL)
            self.after(INTERVAL)
            self.webapp.endpoint.respond = says(503)
            self.after(INTERVAL)
        told = [event for event in events if event["log_namespace"].endswith("WaitFor")]
        self.assertEqual(
            [event.get("complaint") for event in told],
            [
                "cannot connect: Connection was refused by other side",
                "it answers 503 Service Unavailable",
                "it answers 404 Not Found",
                None,
                "it answers 503 Service Unavailable",
            ],
        )
        self.assertEqual({event["url"] for event in told}, {"http://host/health"})
