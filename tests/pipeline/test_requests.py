"""
Requests, each of which is announced when it is sent and when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError
from myconsumer.pipeline.observers import Observer, Observers
from myconsumer.pipeline.requests import Requests, Sending
from myconsumer.task import Request, Settlement
from myconsumer.testing import Cancel, Claim, ScriptedQueue, Settle
from tests.model import fault, task, tasks
from tests.pipeline.case import Recorder

BATCH = [Settlement(f"r-{number}", "complete") for number in range(3)]

#: How each kind is sent; the request as it is announced; how it is answered, and the
#: count that is announced then.
KINDS: list[
    tuple[
        Callable[[Sending], None],
        tuple[str, int, float, str | None],
        Callable[[Any], None],
        int,
    ]
] = [
    (
        lambda sending: sending.claim("c", 4, 20.0, 60.0),
        ("claim", 4, 50.0, "c"),
        lambda claim: claim.bring(*tasks(1, 2)),
        2,
    ),
    (
        lambda sending: sending.settle(BATCH, 10.0),
        ("settle", 3, 20.0, None),
        lambda settle: settle.take(),
        3,
    ),
    (
        lambda sending: sending.settle(BATCH, 2.0),
        ("settle", 3, 12.0, None),
        lambda settle: settle.take("r-0", "r-2"),
        1,
    ),
    (
        lambda sending: sending.extend(BATCH, 10.0),
        ("extend", 3, 20.0, None),
        lambda settle: settle.take("r-1"),
        2,
    ),
    (
        lambda sending: sending.cancelClaim("c"),
        ("cancel", 1, 30.0, "c"),
        lambda cancel: cancel.take(True),
        1,
    ),
    (
        lambda sending: sending.cancelClaim("c"),
        ("cancel", 1, 30.0, "c"),
        lambda cancel: cancel.take(False),
        0,
    ),
]


class SendingTests(SynchronousTestCase):
    """
    L{Sending}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = ScriptedQueue(self.clock)
        self.queue.onCancel = lambda cancel: None
        self.observer = Recorder()

    def sending(self, *observers: Any) -> Sending:
        """
        @return: A request that is still to be sent.
        """
        observing = Observers([self.observer, *observers], self.clock)
        return Sending(Requests(self.queue, observing, self.clock))

    def asked(self) -> list[Claim | Settle | Cancel]:
        """
        @return: What the queue was asked.
        """
        return [*self.queue.claims, *self.queue.settles, *self.queue.cancels]

    def test_announcesAnswers(self) -> None:
        """
        A request is announced with what it is and how long it may take, and its answer
        with how long it took and what it brought, before whoever waits has it.
        """
        for send, request, answer, count in KINDS:
            with self.subTest(request=request, count=count):
                self.setUp()
                sending = self.sending()
                sending.addCallback(lambda _: list(self.observer.names()))
                send(sending)
                [(announced,)] = self.observer.of("requestSent")
                self.assertEqual(
                    (
                        announced.kind,
                        announced.count,
                        announced.within,
                        announced.claim,
                    ),
                    request,
                )
                self.clock.advance(3)
                answer(self.asked()[0])
                [(answered, seconds, came)] = self.observer.of("requestAnswered")
                self.assertIs(answered, announced)
                self.assertEqual((seconds, came), (3, count))
                self.assertEqual(
                    self.successResultOf(sending), ["requestSent", "requestAnswered"]
                )

    def test_announcesFailures(self) -> None:
        """
        A request that fails, that raises or that is cancelled has failed, once, with
        the exception that whoever waits for it gets.
        """

        def raises(request: Any) -> None:
            raise ValueError("a bug")

        def fail(sending: Sending) -> None:
            self.asked()[0].fail(fault())

        for script, act, error in (
            (lambda request: None, fail, FaultError),
            (raises, lambda sending: None, ValueError),
            (lambda request: None, Sending.cancel, CancelledError),
        ):
            for send, *_ in KINDS:
                with self.subTest(error=error):
                    self.setUp()
                    self.queue.onClaim = self.queue.onSettle = script
                    self.queue.onCancel = script
                    sending = self.sending()
                    send(sending)
                    self.clock.advance(2)
                    act(sending)
                    failure = self.failureResultOf(sending, error)
                    [(request, seconds, reason)] = self.observer.of("requestFailed")
                    self.assertIs(request, self.observer.events[0][1])
                    self.assertIs(reason.value, failure.value)
                    self.assertEqual(seconds, 0 if error is ValueError else 2)
                    self.assertEqual(len(self.observer.events), 2)

    def test_announcesAnswersThatAreNone(self) -> None:
        """
        An answer that is no answer to such a request is a failure.
        """
        for send, (kind, *_), *_ in KINDS:
            if kind == "cancel":
                continue
            with self.subTest(kind=kind):
                self.setUp()
                sending = self.sending()
                send(sending)
                self.asked()[0].answer.callback(None)
                self.failureResultOf(sending)
                self.assertEqual(
                    self.observer.names(), ["requestSent", "requestFailed"]
                )

    def test_isNotSentAfterACancel(self) -> None:
        """
        A request that is cancelled before it is sent is neither sent nor announced.
        """
        sending = self.sending()
        sending.cancel()
        sending.claim("c", 1, 20.0, 60.0)
        self.failureResultOf(sending, CancelledError)
        self.assertEqual((self.asked(), self.observer.events), ([], []))

    def test_mayBeCancelledByObservers(self) -> None:
        """
        A request that is cancelled while it is announced is not sent, and has failed.
        """

        class Cancels(Observer):
            def requestSent(self, request: Request) -> None:
                sending.cancel()

        sending = self.sending(Cancels())
        sending.claim("c", 1, 20.0, 60.0)
        self.failureResultOf(sending, CancelledError)
        self.assertEqual(self.asked(), [])
        self.assertFalse(sending.isSent)
        self.assertEqual(self.observer.names(), ["requestSent", "requestFailed"])

    def test_mayBeCancelledByTheQueue(self) -> None:
        """
        Where the queue has a request cancelled while it is given it, the request is
        dropped, whatever comes of it.
        """
        for answer in (lambda claim: None, Claim.bring):
            with self.subTest(answer=answer):
                self.setUp()
                sending = self.sending()

                def cancel(
                    claim: Claim,
                    sending: Sending = sending,
                    answer: Callable[[Claim], None] = answer,
                ) -> None:
                    sending.cancel()
                    answer(claim)

                self.queue.onClaim = cancel
                sending.claim("c", 1, 20.0, 60.0)
                self.failureResultOf(sending, CancelledError)
                self.assertFalse(self.queue.openClaims)
                self.assertEqual(
                    self.observer.names(), ["requestSent", "requestFailed"]
                )

    def test_announcesNothingUnobserved(self) -> None:
        """
        Where nobody observes requests, an answer arrives, or a failure, all the same.
        """
        results: list[Any] = []
        requests = Requests(self.queue, Observers([Observer()], self.clock), self.clock)
        for send, *_ in KINDS[:2]:
            sending = Sending(requests)
            sending.addBoth(results.append)
            send(sending)
        self.queue.claims[0].bring(task(1))
        self.queue.settles[0].fail(fault())
        claimed, failure = results
        self.assertEqual(len(claimed.tasks), 1)
        self.assertIsInstance(failure, Failure)
