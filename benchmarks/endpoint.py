"""
A pull endpoint that costs as little as can be: it never runs out of tasks, each
has a receipt of its own, and what is settled is only counted.

It listens on a free port of the loopback interface and says which on standard
output.  For each line on standard input it writes its counts as one line of
JSON; it ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
import time
from functools import partial
from itertools import cycle, islice

LEASE = 60
SLOW_EVERY = 10


@dataclasses.dataclass
class Counts:
    """
    What the endpoint has seen so far.

    @ivar claims: Claims answered.
    @ivar settles: Requests to settle.
    @ivar handed: Tasks handed out.
    @ivar completed: Settlements that complete a task.
    @ivar others: Settlements of any other outcome.
    @ivar connections: Connections made to it.
    """

    claims: int = 0
    settles: int = 0
    handed: int = 0
    completed: int = 0
    others: int = 0
    connections: int = 0


class Tasks:
    """
    Makes the bodies of answers to claims: all but the numbers is text prepared
    beforehand, so that an answer of 100 tasks takes some microseconds.

    @param usual: The seconds of work that most tasks ask for.
    @param slow: The seconds that every tenth asks for.
    """

    def __init__(self, usual: float, slow: float) -> None:
        self._next = 1
        texts = (
            '{"id":"%d","payload":{"seconds":'
            + repr(slow if number % SLOW_EVERY == SLOW_EVERY - 1 else usual)
            + '},"receipt":"r-%d","attempt":1,"lease":'
            + f'{LEASE},"enqueued":{time.time():.3f}'
            + "}"
            for number in range(SLOW_EVERY)
        )
        self._texts = tuple(texts)
        self._bodies: dict[tuple[int, int], bytes] = {}

    def take(self, number: int) -> bytes:
        """
        The body that hands out the next C{number} tasks.
        """
        first = self._next
        self._next += number
        key = (first % SLOW_EVERY, number)
        body = self._bodies.get(key)
        if body is None:
            texts = islice(cycle(self._texts), key[0], key[0] + number)
            body = ('{"tasks":[' + ",".join(texts) + "]}").encode()
            self._bodies[key] = body
        numbers = range(first, first + number)
        return body % tuple(n for number in numbers for n in (number, number))


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    """
    A whole HTTP answer.
    """
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (status, len(body), body)
    )


SETTLED = answer(b'{"lost":[]}')
DELETED = b"HTTP/1.1 204 No Content\r\n\r\n"
UNKNOWN = answer(b'{"error":"no such thing"}', b"404 Not Found")


class Endpoint(asyncio.Protocol):
    """
    One connection.

    @param tasks: Where tasks come from.
    @param counts: What is counted.
    @param most: The most tasks to hand out in one answer.
    @param delay: The seconds that each answer is kept back.
    """

    _transport: asyncio.Transport

    def __init__(self, tasks: Tasks, counts: Counts, most: int, delay: float) -> None:
        self._tasks = tasks
        self._counts = counts
        self._most = most
        self._delay = delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        Keep the transport.
        """
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._counts.connections += 1

    def data_received(self, data: bytes) -> None:
        """
        Answer each request that has come whole.
        """
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = 0
            at = head.lower().find(b"\r\ncontent-length:")
            if at >= 0:
                length = int(head[at + 17 :].split(b"\r\n", 1)[0])
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._send(self._respond(head.split(b" ", 2), body))

    def _respond(self, head: list[bytes], body: bytes) -> bytes:
        method, target = head[:2]
        if method == b"POST" and target.endswith(b"/claim"):
            number = min(self._most, json.loads(body)["limit"])
            self._counts.claims += 1
            self._counts.handed += number
            return answer(self._tasks.take(number))
        if method == b"POST" and target.endswith(b"/settle"):
            body = body.translate(None, b" \r\n\t")
            completed = body.count(b'"outcome":"complete"')
            self._counts.settles += 1
            self._counts.completed += completed
            self._counts.others += body.count(b'"outcome":') - completed
            return SETTLED
        return DELETED if method == b"DELETE" else UNKNOWN

    def _send(self, data: bytes) -> None:
        if self._delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay, self._transport.write, data)
        else:
            self._transport.write(data)


async def serve(arguments: argparse.Namespace) -> None:
    """
    Serve until standard input ends.
    """
    loop = asyncio.get_running_loop()
    counts = Counts()
    tasks = Tasks(arguments.usual, arguments.slow)
    make = partial(Endpoint, tasks, counts, arguments.most, arguments.delay)
    server = await loop.create_server(make, "127.0.0.1", 0)
    ended = loop.create_future()

    def asked() -> None:
        if sys.stdin.readline():
            print(json.dumps(dataclasses.asdict(counts)), flush=True)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin, asked)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended


def main() -> None:
    """
    Read the arguments and serve.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100, help="tasks in an answer")
    parser.add_argument("--delay", type=float, default=0, help="seconds to an answer")
    parser.add_argument("--usual", type=float, default=0, help="seconds of work")
    parser.add_argument("--slow", type=float, default=0, help="of every tenth task")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
