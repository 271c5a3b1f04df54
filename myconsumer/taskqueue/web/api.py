"""
The HTTP API of the embedded queue: the pull contract for consumers, and what producers
and operators need.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred, succeed
from twisted.web.http import Request

from myconsumer.fields import LONGEST_NAME
from myconsumer.http.serving.answers import Refusal, answered
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.store.records import (
    LARGEST_NUMBER,
    STATES,
    TaskRecord,
)
from myconsumer.taskqueue.web.bodies import (
    readClaim,
    readNumber,
    readRetry,
    readSettle,
    readTasks,
)
from myconsumer.taskqueue.web.routes import makeApp
from myconsumer.text import oneLine

#: The longest that a claim waits, in seconds, and the most tasks that it brings.
LONGEST_WAIT = 3_600.0
MOST_CLAIMED = 1_000


class QueueAPI:
    """
    Answers consumers, producers and operators.
    """

    app = makeApp()

    def __init__(self, broker: Broker) -> None:
        """
        @param broker: The queues.
        """
        self._broker = broker

    @app.route("/", methods=["GET"])
    def showQueues(self, request: Request) -> Deferred[bytes]:
        """
        Count all tasks.
        """
        return self._broker.counts().addCallback(
            lambda counts: answered(request, {"queues": counts})
        )

    @app.route("/<queue:queue>", methods=["GET"])
    def showQueue(self, request: Request, queue: str) -> Deferred[bytes]:
        """
        Count the tasks of a queue.
        """
        return self._broker.counts().addCallback(
            lambda counts: answered(
                request, counts.get(queue) or dict.fromkeys(STATES, 0)
            )
        )

    @app.route("/<queue:queue>", methods=["POST"])
    def enqueue(self, request: Request, queue: str) -> Deferred[bytes]:
        """
        Queue tasks.
        """
        tasks = readTasks(_body(request))
        return self._broker.enqueue(queue, tasks).addCallback(
            lambda enqueued: answered(request, enqueued, HTTPStatus.CREATED)
        )

    @app.route("/<queue:queue>/claim", methods=["POST"])
    def claim(self, request: Request, queue: str) -> Deferred[bytes]:
        """
        Lease tasks, or wait for them.  Klein cancels what is returned when the client
        goes away.
        """
        asked = readClaim(_body(request))
        return self._broker.claim(
            queue,
            str(uuid4()) if asked.claim is None else asked.claim,
            min(asked.limit, MOST_CLAIMED),
            min(asked.wait, LONGEST_WAIT),
            asked.lease,
        ).addCallback(lambda tasks: answered(request, {"tasks": tasks}))

    @app.route("/<queue:queue>/claim/<rest:claim>", methods=["DELETE"])
    def endClaim(self, request: Request, queue: str, claim: str) -> Deferred[bytes]:
        """
        End a claim.
        """

        def ended(_: None) -> bytes:
            answered(request, None, HTTPStatus.NO_CONTENT)
            request.responseHeaders.removeHeader(b"Content-Length")
            request.responseHeaders.removeHeader(b"Content-Type")
            return b""

        if len(claim) > LONGEST_NAME:
            # no claim has such a name
            return succeed(None).addCallback(ended)
        return self._broker.cancelClaim(queue, claim).addCallback(ended)

    @app.route("/<queue:queue>/settle", methods=["POST"])
    def settle(self, request: Request, queue: str) -> Deferred[bytes]:
        """
        Settle tasks.
        """
        settlements = readSettle(_body(request))
        return self._broker.settle(queue, settlements).addCallback(
            lambda lost: answered(request, {"lost": lost})
        )

    @app.route("/<queue:queue>/failed", methods=["GET"])
    def showFailed(self, request: Request, queue: str) -> Deferred[bytes]:
        """
        List tasks that have failed.
        """
        limit = readNumber(request.args, "limit", 100, 1, 1000)
        after = readNumber(request.args, "after", 0, 0, LARGEST_NUMBER)
        return self._broker.failed(queue, limit, after).addCallback(
            lambda failed: answered(request, failed)
        )

    @app.route("/<queue:queue>/failed/retry", methods=["POST"])
    def retry(self, request: Request, queue: str) -> Deferred[bytes]:
        """
        Retry failed tasks.
        """
        asked = readRetry(_body(request))
        retried = (
            self._broker.retryAll(queue, asked.limit, asked.after)
            if asked.all
            else self._broker.retry(queue, asked.names)
        )
        return retried.addCallback(lambda retried: answered(request, retried))

    @app.route("/<queue:queue>/tasks/<rest:id>", methods=["GET"])
    def showTask(self, request: Request, queue: str, id: str) -> Deferred[bytes]:
        """
        Show the record of a task.
        """

        def found(task: TaskRecord | None) -> bytes:
            if task is None:
                raise Refusal(404, f"queue {queue} knows no task {oneLine(id, 300)!r}")
            return answered(request, task)

        return self._broker.task(queue, id).addCallback(found)


def _body(request: Request) -> bytes:
    content: Any = request.content
    body: bytes = content.read()
    return body
