"""
A consumer whose endpoint sends answers that are meant to do harm.

Promise 4: no answer of the endpoint ends the service.

Promise 8: memory is bounded, whatever an answer holds.
"""

from __future__ import annotations

import gzip
import resource
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.exchange import Exchange, Fault
from tests.acceptance.handlers import returning, sleeping
from tests.acceptance.twistd import Twistd

MOST_KILOBYTES = 150_000
OK = b"HTTP/1.1 200 OK\r\n"


def flood(start: bytes, piece: bytes) -> Fault:
    """
    The endpoint answers with C{start}, and then with C{piece} for ever.
    """

    async def fault(exchange: Exchange) -> None:
        transport: Any = exchange.request.transport
        transport.write(start)
        while not exchange.over:
            transport.write(piece)
            await deferLater(exchange.endpoint.reactor, 0.002)

    return fault


def compressed(body: bytes) -> Fault:
    """
    The endpoint answers with C{body}, compressed.
    """
    packed = gzip.compress(body, 6)

    async def fault(exchange: Exchange) -> None:
        exchange.send(200, packed, Content_Encoding="gzip")

    return fault


def filled(
    element: bytes, before: bytes = b'{"tasks":[', after: bytes = b"]}"
) -> bytes:
    """
    @return: Nearly 16 MiB of the same.
    """
    times = (16_700_000 - len(before) - len(after)) // (len(element) + 1)
    return before + b",".join([element] * times) + after


class HostileTests(AcceptanceCase):
    """
    However long, deep or slow an answer is, memory stays bounded, and the leases of
    running tasks are extended.
    """

    async def survive(self, fault: Fault, text: str, claims: int = 2) -> Twistd:
        """
        Let a consumer get an answer while it runs a task, and go on.

        @param text: What its log has to say.

        @param claims: How many claims get the answer.
        """
        long = self.queue.put(sleeping(60))
        consumer = self.start(limit=2, wait=1, lease=1.5)
        await self.untilEvents("start", 1)
        await self.untilIdle()
        self.endpoint.plan = faults.first("claim", *[fault] * claims)
        before = len(self.endpoint.requests("claim"))
        await self.until(
            lambda: len(self.endpoint.requests("claim")) > before + claims,
            "claims get over it",
        )
        short = self.queue.put(returning(1))
        await self.untilState("completed", [short])
        self.assertIn(text, consumer.output)
        self.assertLess(consumer.kilobytes("VmHWM"), MOST_KILOBYTES)
        self.assertEqual([d.ended for d in long.deliveries], [None])
        lines = consumer.output.splitlines()
        self.assertLess(len(lines), 100)
        self.assertLess(max(map(len, lines)), 1000)
        return consumer

    async def test_survivesAnEndlessHead(self) -> None:
        """
        A head without an end is a failure of the claim.
        """
        fault = flood(OK, b"Some: header\r\n" * 5000)
        await self.survive(fault, "head is longer than 64 KiB")

    async def test_survivesEndlessInterimAnswers(self) -> None:
        """
        Answers of 1xx without an end are a failure of the claim.
        """
        fault = flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 5000)
        await self.survive(fault, "more than 16 answers of 1xx")

    async def test_survivesMillionsOfElements(self) -> None:
        """
        Some kilobytes of gzip that hold eight million elements are a failure of the
        claim.
        """
        await self.survive(compressed(filled(b"1")), "more than 1000000 JSON values")

    async def test_runsATaskOfAMillionValues(self) -> None:
        """
        A task with nearly a million values in its payload is run, and no lease ends
        meanwhile.
        """
        task = b'{"tasks":[{"id":1,"payload":['
        body = task + b",".join([b"{}"] * 499_000) + b"]}]}"
        long = self.queue.put(sleeping(60))
        consumer = self.start(limit=2, wait=1, lease=1.5)
        await self.untilEvents("start", 1)
        self.endpoint.plan = faults.first("claim", compressed(body))
        await self.until(lambda: "Task 1 " in consumer.output, "it was run")
        self.assertLess(consumer.kilobytes("VmHWM"), MOST_KILOBYTES)
        self.assertEqual([d.ended for d in long.deliveries], [None])

    async def test_logsMalformedTasksInOneLine(self) -> None:
        """
        Hundreds of thousands of malformed tasks are one line in the log.
        """
        body = b'{"tasks":[' + b",".join([b"{}"] * 400_000) + b"]}"
        await self.survive(compressed(body), "400000 malformed task(s)", 1)

    async def test_survivesEndlessTinyChunks(self) -> None:
        """
        Chunks of two bytes each, without an end, are a failure of the claim.
        """
        start = OK + b"Transfer-Encoding: chunked\r\n\r\n"
        fault = flood(start, b"2\r\nab\r\n" * 2000)
        await self.survive(fault, "chunks of a few bytes")

    async def test_takesNullAsEmpty(self) -> None:
        """
        C{null} in the place of a list is an empty list.
        """

        def nulls(body: bytes) -> Fault:
            async def fault(exchange: Exchange) -> None:
                await exchange.act()
                exchange.send(200, body)

            return fault

        self.endpoint.waits = False
        jobs = self.queue.putAll(returning(1), 3)
        self.endpoint.plan = faults.always("settle", nulls(b'{"lost":null}'))
        consumer = self.start(interval=0.1)
        await self.untilState("completed", jobs)
        self.endpoint.plan = faults.first("claim", nulls(b'{"tasks":null}'))
        seen = len(self.endpoint.requests("claim"))
        await self.until(
            lambda: len(self.endpoint.requests("claim")) > seen + 2, "it claims on"
        )
        self.assertNotIn("fail", consumer.output)


class DescriptorTests(AcceptanceCase):
    """
    A consumer that has run out of descriptors.
    """

    async def test_extendsLeases(self) -> None:
        """
        Leases are extended, though no connection is kept.
        """
        self.endpoint.http10 = True
        job = self.queue.put(sleeping(60))
        consumer = self.start(limit=1, lease=2)
        await self.untilEvents("start", 1)
        await self.until(lambda: job.deliveries[0].extended > 1, "it is extended")
        used = {int(each.name) for each in Path(f"/proc/{consumer.pid}/fd").iterdir()}
        free = next(number for number in count() if number not in used)
        limits = resource.prlimit(consumer.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(consumer.pid, resource.RLIMIT_NOFILE, (free, limits[1]))
        before = job.deliveries[0].extended
        await self.until(
            lambda: job.deliveries[0].extended > before + 4, "it is still extended"
        )
        self.assertEqual([d.ended for d in job.deliveries], [None])
        self.assertNotIn("Heartbeats fail", consumer.output)
