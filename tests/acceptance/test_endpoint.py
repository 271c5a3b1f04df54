"""
Tests for L{tests.acceptance.endpoint}, through a client that is not under test.
"""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseFailed,
    ResponseNeverReceived,
)

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase


class EndpointTests(AcceptanceCase):
    """
    Tests for L{tests.acceptance.endpoint.Endpoint}.
    """

    def setUp(self) -> None:
        super().setUp()
        pool = HTTPConnectionPool(self.reactor)
        pool.retryAutomatically = False
        self.addCleanup(pool.closeCachedConnections)
        self.client = HTTPClient(Agent(self.reactor, pool=pool))

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """
        Make a request, and read its answer to the end.
        """
        response = await self.client.request(
            method, self.endpoint.url + path, json=body, unbuffered=True
        )
        return response.code, await response.content()

    async def claim(self, name: str, limit: int = 1, wait: float = 0) -> Any:
        body = {"limit": limit, "wait": wait, "lease": 60, "consumer": "me"}
        return await self.ask("POST", "/claim", body | {"claim": name})

    async def test_claimsAndSettles(self) -> None:
        """
        A task is delivered, settled, and remembered; one connection is enough.
        """
        self.queue.put({"a": 1})
        code, body = await self.claim("c1")
        self.assertEqual(code, 200)
        self.assertIn(b'"payload": {"a": 1}', body)
        answer = await self.ask(
            "POST",
            "/settle",
            {"settle": [{"receipt": "receipt-0", "outcome": "complete"}]},
        )
        self.assertEqual(answer, (200, b'{"lost": []}'))
        self.assertCompleted(1)
        self.assertEqual(self.endpoint.connections, 1)

    def assertCompleted(self, count: int) -> None:
        self.assertEqual(self.queue.count("completed"), count)

    async def test_pollWaitsForAJobOrItsDelete(self) -> None:
        """
        A claim waits until a job comes, or until its DELETE.
        """
        first = ensureDeferred(self.claim("c1", wait=20))
        await self.untilIdle()
        second = ensureDeferred(self.claim("c2", wait=20))
        await self.untilIdle(claims=2)
        self.queue.put(None)
        self.assertIn(b"job-0", (await first)[1])
        self.assertEqual(await self.ask("DELETE", "/claim/c2"), (204, b""))
        self.assertEqual(await second, (200, b'{"tasks": []}'))
        self.assertEqual(self.endpoint.mostOpenClaims, 2)

    async def test_leasesWithoutAnswering(self) -> None:
        """
        A fault after the endpoint has acted leaves a lease.  The claim's DELETE ends
        the lease, unless the endpoint takes the claim for answered; then the lease ends
        by itself.
        """
        for number, fault in enumerate((faults.lostAnswer, faults.truncated)):
            self.endpoint.plan = faults.first("claim", fault)
            job = self.queue.put(None)
            with self.assertRaises((ResponseFailed, ResponseNeverReceived)):
                await self.claim(f"c{number}")
            self.assertEqual(job.state, "leased")
            await self.ask("DELETE", f"/claim/c{number}")
            self.assertEqual((job.state, job.attempts), ("ready", 0))
            self.queue.withdraw(job)
        self.endpoint.plan = faults.first("claim", faults.notJSON)
        job = self.queue.put(None)
        self.assertEqual(await self.claim("c"), (200, b'{"tasks": [{"id": "job-'))
        await self.ask("DELETE", "/claim/c")
        self.assertEqual(job.state, "leased")

    async def test_answersAPlannedStatus(self) -> None:
        """
        The endpoint answers with the status and the headers of a plan, without having
        acted.
        """
        self.queue.put(None)
        self.endpoint.plan = faults.first("claim", faults.status(503, Retry_After="2"))
        response = await self.client.post(self.endpoint.url + "/claim", json={})
        self.assertEqual(response.headers.getRawHeaders("retry-after"), ["2"])
        await response.content()
        self.assertEqual(self.queue.count("ready"), 1)
        self.endpoint.canCancel = False
        self.assertEqual((await self.ask("DELETE", "/claim/c"))[0], 405)
        self.assertEqual((await self.ask("PUT", ""))[0], 405)

    async def test_resetsConnections(self) -> None:
        """
        A reset connection brings no answer, and neither does any connection while the
        endpoint is down.
        """
        self.endpoint.plan = faults.first("claim", faults.reset)
        with self.assertRaises(ResponseNeverReceived):
            await self.claim("c")
        self.endpoint.goDown()
        with self.assertRaises(ResponseNeverReceived):
            await self.claim("c")
        self.assertEqual((len(self.endpoint.seen), len(self.endpoint.refused)), (1, 1))
        self.endpoint.down = False
        self.assertEqual((await self.claim("c"))[0], 200)

    async def test_stalls(self) -> None:
        """
        A stalled answer has a head and no end.
        """
        self.endpoint.plan = faults.first("claim", faults.stalled)
        response = await self.client.post(
            self.endpoint.url + "/claim",
            json={"limit": 1, "wait": 0, "lease": 9, "consumer": "me", "claim": "c"},
        )
        self.assertEqual(response.code, 200)
        content: Deferred[bytes] = response.content()
        await self.always(lambda: not content.called, "nothing more comes", 0.1)
        self.endpoint.goDown()
        with self.assertRaises(ResponseFailed):
            await content

    async def test_speaksHTTP10(self) -> None:
        """
        With HTTP/1.0 the endpoint sends no length and keeps no connection.
        """
        self.endpoint.http10 = True
        self.queue.put(None)
        self.assertIn(b"job-0", (await self.claim("c1"))[1])
        response = await self.client.delete(self.endpoint.url + "/claim/c1")
        self.assertEqual(response.version, (b"HTTP", 1, 0))
        self.assertEqual(self.endpoint.connections, 2)

    async def test_refusesWithoutTheToken(self) -> None:
        """
        An endpoint that wants a token refuses requests without it.
        """
        self.endpoint.token = "abc"
        self.assertEqual((await self.claim("c"))[0], 401)
