"""
What C{--status} serves: probes, metrics, the state, and what steers a consumer.

Promise 9: no token is in any of it.
"""

from __future__ import annotations

import re
import signal
from typing import Any

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.embedded import GONE, LOOPBACK, Answer, Client, freePort
from tests.acceptance.handlers import FAILING, returning, sleeping
from tests.acceptance.twistd import Twistd

BLOCKING = """
import time

def block(task):
    time.sleep(3600)
"""

SECRETS = {"token": "s3cret-of-the-endpoint", "steering": "s3cret-of-the-status"}

SERVED = re.compile(r"Serving the status at (http://\S+)")


class StatusCase(AcceptanceCase):
    """
    Starts consumers that serve their status.
    """

    async def serve(self, **options: Any) -> Twistd:
        """
        @return: A consumer whose status can be asked.
        """
        consumer = self.start(**{"status": LOOPBACK.format(0), **options})
        served = await self.until(
            lambda: SERVED.search(consumer.output), "it serves its status"
        )
        self.client = Client(self.reactor, served[1])
        return consumer

    async def get(self, path: str) -> Answer:
        return await self.client.ask("GET", path)

    async def status(self) -> Any:
        """
        @return: The state.
        """
        return (await self.get("/status.json")).json

    async def metric(self, sample: str) -> float:
        """
        @return: The value of a sample, which is named with its labels.
        """
        text = (await self.get("/metrics")).body.decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        assert found is not None, sample
        return float(found[1])

    async def untilAnswered(self, path: str, code: int) -> Answer:
        """
        Wait until a probe is answered with C{code}.
        """
        deadline = self.reactor.seconds() + 30
        while True:
            answer = await self.get(path)
            if answer.status == code:
                return answer
            self.assertLess(self.reactor.seconds(), deadline, (path, answer))

    async def untilMetric(self, sample: str, value: float) -> None:
        """
        Wait until a sample has a value.
        """
        deadline = self.reactor.seconds() + 30
        while (found := await self.metric(sample)) != value:
            self.assertLess(self.reactor.seconds(), deadline, (sample, found))


class ProbeTests(StatusCase):
    """
    C{/healthz} and C{/readyz}.
    """

    async def test_beforeDuringAndAfter(self) -> None:
        """
        A consumer is healthy from its start to its end; it is ready once the endpoint
        has answered, and until it begins to drain; it is answered while it drains.
        """
        self.endpoint.down = True
        consumer = await self.serve()
        answer = await self.get("/readyz")
        self.assertEqual(
            (answer.status, answer.json),
            (503, {"error": "The endpoint has not answered yet"}),
        )
        self.assertEqual((await self.get("/healthz")).status, 200)
        self.endpoint.down = False
        await self.untilAnswered("/readyz", 200)
        job = self.queue.put(sleeping(2))
        await self.untilEvents("start", 1)
        consumer.signal("TERM")
        answer = await self.untilAnswered("/readyz", 503)
        self.assertEqual(answer.json, {"error": "The consumer is draining"})
        self.assertEqual((await self.get("/healthz")).status, 200)
        self.assertEqual(await self.metric("myconsumer_draining"), 1)
        self.assertEqual((await self.status())["state"], "draining")
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.SIGTERM)
        self.assertCompletedOnce([job])

    async def test_anOutageIsNoIllness(self) -> None:
        """
        While the endpoint is down, and while nothing is to be done, a consumer is
        healthy and ready; the metrics tell of the outage.
        """
        await self.serve()
        await self.untilAnswered("/readyz", 200)
        self.assertEqual((await self.get("/healthz")).status, 200)
        self.endpoint.goDown()
        await self.until(lambda: len(self.endpoint.refused) > 3, "it retries")
        for path in ("/healthz", "/readyz"):
            self.assertEqual((await self.get(path)).status, 200)
        self.assertGreater(await self.metric("myconsumer_claims_failing_seconds"), 0)
        fault = 'myconsumer_requests_total{kind="claim",result="fault"}'
        self.assertGreater(await self.metric(fault), 1)

    async def test_aBlockedReactorIsSilent(self) -> None:
        """
        While a handler blocks the reactor for ever, no probe is answered.
        """
        await self.serve(python="handlers.block", files={"handlers.py": BLOCKING})
        self.queue.put(None)
        await self.until(lambda: self.queue.held(), "the task is claimed")
        silent = False
        deadline = self.reactor.seconds() + 20
        while not silent:
            self.assertLess(self.reactor.seconds(), deadline)
            try:
                await self.client.ask("GET", "/healthz", seconds=1)
            except Exception as error:
                # given up by us: neither refused nor closed
                self.assertNotIsInstance(error, (*GONE[:2],))
                silent = True

    async def test_tellsOfABlockedReactor(self) -> None:
        """
        When a handler has blocked the reactor for longer than C{--wedged}, the
        consumer is ill for that long.
        """
        handlers = BLOCKING.replace("3600", "2.5")
        files = {"handlers.py": handlers}
        await self.serve(python="handlers.block", files=files, wedged=0.5)
        self.assertEqual((await self.get("/healthz")).status, 200)
        self.queue.put(None)
        answer = await self.untilAnswered("/healthz", 503)
        self.assertIn("has blocked the reactor for", answer.json["error"])
        await self.untilAnswered("/healthz", 200)


class MetricTests(StatusCase):
    """
    C{/metrics} and C{/status.json}.
    """

    async def test_countWhatTheEndpointSaw(self) -> None:
        """
        The metrics, and the state, say of tasks, claims and settlements what the
        endpoint has seen.
        """
        jobs = [self.queue.put(returning(number)) for number in range(12)]
        failing = self.queue.put(FAILING)
        await self.serve(max_attempts=1)
        await self.untilState("completed", jobs)
        await self.untilState("failed", [failing])
        await self.untilMetric("myconsumer_settlements_total", 13)
        for sample, value in (
            ('myconsumer_tasks_ended_total{outcome="complete"}', 12),
            ('myconsumer_tasks_ended_total{outcome="fail"}', 1),
            ("myconsumer_task_run_seconds_count", 13),
            ("myconsumer_tasks_claimed_total", len(self.queue.deliveries)),
            ("myconsumer_slots_limit", 4),
            ("myconsumer_slots_busy", 0),
            ("myconsumer_leases_held", 0),
            ("myconsumer_leases_lost_total", 0),
            ('myconsumer_batch_size_sum{kind="settle"}', 13),
            (
                'myconsumer_requests_total{kind="settle",result="answered"}',
                len(self.endpoint.requests("settle")),
            ),
        ):
            self.assertEqual(await self.metric(sample), value, sample)
        status = await self.status()
        self.assertEqual(status["totals"]["complete"], 12)
        self.assertEqual(status["totals"]["settled"], 13)

    async def test_hasNoSecret(self) -> None:
        """
        No token is in what is served or logged, whoever asks and whatever is refused.
        """
        files = {name: self.directory / name for name in SECRETS}
        for name, file in files.items():
            file.write_text(SECRETS[name])
        self.endpoint.token = SECRETS["token"]
        consumer = await self.serve(
            token_file=files["token"], status_token_file=files["steering"]
        )
        await self.untilAnswered("/readyz", 200)
        self.endpoint.token = "another"
        self.queue.put(returning(1))
        await self.until(lambda: "401" in consumer.output, "it tells of the 401")
        shown = [
            (await self.client.ask(method, path, b"{}" * (method == "POST"))).body
            for method, path in (
                *(("GET", f"/{name}") for name in ("metrics", "healthz", "readyz")),
                *(("GET", "/status.json"), ("GET", "/nothing"), ("POST", "/pause")),
            )
        ]
        for secret in SECRETS.values():
            self.assertNotIn(secret.encode(), b"".join(shown))
            self.assertNotIn(secret, consumer.output)


class SteeringTests(StatusCase):
    """
    What is posted.
    """

    async def test_pausesAndResumes(self) -> None:
        """
        After C{/pause} the endpoint sees no claim, and is not asked for what is queued;
        after C{/resume} it is.  A pause is no illness.
        """
        await self.serve()
        await self.untilIdle()
        answer = await self.client.ask("POST", "/pause")
        self.assertEqual((answer.status, answer.json["state"]), (200, "paused"))
        await self.until(lambda: not self.endpoint.openClaims, "no claim is open")
        claims = len(self.endpoint.requests("claim"))
        job = self.queue.put(returning(1))
        self.assertEqual(await self.metric("myconsumer_paused"), 1)
        for path in ("/healthz", "/readyz"):
            self.assertEqual((await self.get(path)).status, 200)
        await self.always(
            lambda: len(self.endpoint.requests("claim")) == claims, "no claim", 1
        )
        answer = await self.client.ask("POST", "/resume")
        self.assertEqual((answer.status, answer.json["state"]), (200, "running"))
        await self.untilState("completed", [job])

    async def test_changesTheLimit(self) -> None:
        """
        After C{/limit} as many tasks run at once as that says.
        """
        for _ in range(12):
            self.queue.put(sleeping(60))
        await self.serve(limit=2)
        await self.untilEvents("start", 2)
        answer = await self.client.ask("POST", "/limit", {"limit": 5})
        self.assertEqual((answer.status, answer.json["limit"]), (200, 5))
        await self.untilEvents("start", 5)
        await self.untilMetric("myconsumer_slots_busy", 5)
        answer = await self.client.ask("POST", "/limit", {"limit": 0})
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.mostAtOnce(), 5)

    async def test_drains(self) -> None:
        """
        C{/drain} is answered at once, what runs ends, and the process ends with 0.
        """
        job = self.queue.put(sleeping(1))
        consumer = await self.serve()
        await self.untilEvents("start", 1)
        for _ in range(2):
            answer = await self.client.ask("POST", "/drain")
            self.assertEqual(answer.status, 202)
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual((consumer.ending.status, consumer.ending.signal), (0, None))
        self.assertCompletedOnce([job])
        self.assertNothingLeased()


class RefusalTests(StatusCase):
    """
    What keeps a consumer from its start.
    """

    async def assertRefused(self, line: str, **options: Any) -> None:
        """
        Fail unless a consumer ends with one line and status 1.
        """
        consumer = self.start(**options)
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.status, 1)
        self.assertRegex(consumer.errors, rf"\Aconsumer: {line}.*\n\Z")
        self.assertNotIn("Traceback", consumer.output)

    async def test_refusesInOneLine(self) -> None:
        """
        A port that is taken, and options that are wrong, are one line on standard
        error.
        """
        await self.serve()
        taken = LOOPBACK.format(self.client.url.rpartition(":")[2])
        await self.assertRefused(
            "the status cannot be served: it cannot listen: .* in use", status=taken
        )
        self.assertEqual(self.endpoint.openClaims, 1)
        await self.assertRefused("--status .*did you mean tcp:8322:", status="8322")
        await self.assertRefused("--wedged .*--status", wedged=9)
        here = LOOPBACK.format(freePort())
        await self.assertRefused(
            "--status-token-file .*there is no such file",
            status=here,
            status_token_file="no",
        )
        await self.assertRefused(
            "", status=LOOPBACK.format(freePort()), wedged="x", limit=1
        )
