"""
The least that a pull worker can be: a loop over C{treq.post} and msgspec.

It makes the requests that a consumer with a handler that does nothing makes: a
claim, and beside the next claim a settlement of what the last one brought.  It
bounds nothing, times nothing out, keeps no lease alive and takes no fault.

Usage: C{python -P bare.py URL LIMIT}
"""

from __future__ import annotations

import sys
from typing import Any

import treq
from msgspec import Struct
from msgspec.json import Decoder, Encoder
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

HEADERS = Headers({"Content-Type": ["application/json"]})


class Task(Struct):
    """
    What an answer says of one task.
    """

    id: str | int
    payload: Any
    receipt: str
    attempt: int = 1
    lease: float | None = None
    enqueued: float | None = None


class Tasks(Struct):
    """
    The answer to a claim.
    """

    tasks: list[Task]


class Lost(Struct):
    """
    The answer to a settle request.
    """

    lost: list[str]


class Claim(Struct):
    """
    The body of a claim.
    """

    limit: int
    wait: float
    lease: float
    consumer: str
    claim: str


class Settlement(Struct):
    """
    How one task ended.
    """

    receipt: str
    outcome: str


class Settle(Struct):
    """
    The body of a settle request.
    """

    consumer: str
    settle: list[Settlement]


encode = Encoder().encode
decodeTasks = Decoder(Tasks).decode
decodeLost = Decoder(Lost).decode


async def settle(url: str, tasks: list[Task]) -> None:
    """
    Complete some tasks.
    """
    settlements = [Settlement(task.receipt, "complete") for task in tasks]
    body = encode(Settle("bare", settlements))
    response = await treq.post(f"{url}/settle", data=body, headers=HEADERS)
    if decodeLost(await treq.content(response)).lost:
        raise RuntimeError("a lease was lost")


async def loop(url: str, limit: int) -> None:
    """
    Claim for ever, and settle each answer beside the claim that follows it.
    """
    number = 0
    settled: Deferred[None] | None = None
    while True:
        number += 1
        body = encode(Claim(limit, 20, 60, "bare", f"bare-{number}"))
        response = await treq.post(f"{url}/claim", data=body, headers=HEADERS)
        tasks = decodeTasks(await treq.content(response)).tasks
        if settled is not None:
            await settled
        settled = Deferred.fromCoroutine(settle(url, tasks))


def main() -> None:
    """
    Run the loop until it is stopped by a signal.
    """

    def failed(reason: Failure) -> None:
        print(reason.getTraceback(), file=sys.stderr)
        reactor.stop()

    def begin() -> None:
        ensureDeferred(loop(sys.argv[1], int(sys.argv[2]))).addErrback(failed)

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()
