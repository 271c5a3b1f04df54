"""
A consumer whose endpoint goes wrong: faults on the wire, refusals, answers that are not
of the contract.

Promise 3: no slot is idle after a fault, whatever runs in the others.

Promise 4: no fault of the endpoint ends the service or makes it spin.

Promise 6: a settlement is retried until its lease has ended.
"""

from __future__ import annotations

from email.utils import formatdate
from random import Random

from tests.acceptance import faults
from tests.acceptance.case import AcceptanceCase
from tests.acceptance.exchange import Exchange, Fault, Seen
from tests.acceptance.handlers import returning, sleeping

BACKOFF_CAP = 30
MALFORMED = (
    {"payload": None},
    {"id": None},
    {"id": [1]},
    {"id": None, "payload": None},
)


async def flood(exchange: Exchange) -> None:
    """
    The endpoint acts, and sends more than is read.
    """
    await exchange.act()
    exchange.send(200, b'{"tasks": [' + b" " * (17 << 20) + b"]}")


class FaultTests(AcceptanceCase):
    """
    No fault ends the service, makes it spin, or loses a task.
    """

    async def test_survivesAllKindsOfFaults(self) -> None:
        """
        With all kinds of faults mixed, at 15%, each task is completed, each malformed
        one failed with a reason, no task that had arrived is released, and each claim
        whose answer did not arrive is ended.
        """
        kinds = [
            faults.status(500),
            faults.status(503, Retry_After="1"),
            faults.status(429),
            faults.reset,
            faults.truncated,
            faults.notJSON,
            faults.proxyPage,
            faults.lostAnswer,
            faults.surplus(20),
        ]
        mixed = faults.Mixed(Random(2), 0.15, kinds)
        self.endpoint.plan = faults.either(
            faults.first("claim", faults.stalled),
            faults.first("settle", faults.stalled),
            mixed,
        )
        malformed = [self.queue.put(None, **spoil) for spoil in MALFORMED]
        jobs = self.queue.putAll(sleeping(0.02), 200)
        self.start(limit=4, wait=1, lease=10)
        await self.untilState("completed", jobs, seconds=90)
        await self.untilState("failed", malformed)
        self.assertTrue(all(job.error for job in malformed))
        self.assertLessEqual(self.mostAtOnce(), 4)
        arrived = [d for d in self.queue.deliveries if d.arrived]
        self.assertEqual({d.ended for d in arrived}, {"complete", "fail"})
        lost = {d.claim for d in self.queue.deliveries if not d.arrived}
        cancels = self.endpoint.requests("cancel")
        self.assertLessEqual(lost, {seen.path.rpartition("/")[2] for seen in cancels})
        self.assertEqual(set(mixed.dealt), set(kinds))

    async def test_survivesAnOutage(self) -> None:
        """
        During an outage of some seconds few requests are sent and a long task goes on,
        and after it work goes on within the cap of the backoff.
        """
        long = self.queue.put(sleeping(6))
        self.start(limit=2, lease=12)
        await self.untilEvents("start", 1)
        await self.untilIdle()
        began = self.reactor.seconds()
        self.endpoint.goDown()
        await self.until(lambda: self.reactor.seconds() > began + 3, "3 seconds pass")
        self.endpoint.down = False
        self.assertGreater(len(self.endpoint.refused), 1)
        self.assertLess(len(self.endpoint.refused), 3 * 4)
        self.queue.putAll(returning(1), 5)
        await self.untilState("completed", seconds=BACKOFF_CAP + 5)
        self.assertCompletedOnce([long])

    async def test_obeysRetryAfterInSeconds(self) -> None:
        """
        C{Retry-After} in seconds is obeyed.
        """
        self.endpoint.plan = faults.first(
            "claim", faults.status(503, Retry_After="3"), faults.status(429)
        )
        await self.expectNoClaimBefore(3)

    async def test_obeysRetryAfterAsADate(self) -> None:
        """
        C{Retry-After} as a date is obeyed.
        """

        async def busy(exchange: Exchange) -> None:
            date = formatdate(self.reactor.seconds() + 4, usegmt=True)
            exchange.send(429, b"", Retry_After=date)

        self.endpoint.plan = faults.first("claim", busy)
        await self.expectNoClaimBefore(3)

    async def expectNoClaimBefore(self, seconds: float) -> None:
        """
        Work is done, but the second claim comes so long after the first.
        """
        job = self.queue.put(returning(1))
        self.start()
        await self.untilState("completed", [job])
        first, second, *_ = self.endpoint.requests("claim")
        self.assertGreaterEqual(second.at - first.at, seconds - 0.05)
        self.assertCompletedOnce()

    async def test_probesDeleteAgainAfterAnOutage(self) -> None:
        """
        A proxy answers C{404} to C{DELETE} while the endpoint is away: once it is back,
        claims are ended again, and wait for as long as before; both changes are in the
        log.
        """
        self.endpoint.plan = faults.either(
            faults.first("claim", faults.lostAnswer, faults.reset),
            lambda seen: (
                faults.status(404)
                if seen.kind == "cancel" and len(self.endpoint.requests("claim")) < 3
                else None
            ),
        )
        lost = self.queue.put(returning(1))
        consumer = self.start(wait=15)
        await self.until(
            lambda: "cannot end claims" in consumer.output, "it is found lacking"
        )
        await self.untilIdle()
        self.assertEqual(self.endpoint.requests("claim")[-1].body["wait"], 5)
        self.queue.put(returning(2))
        await self.untilState("completed")
        self.assertIn("can end claims now", consumer.output)
        self.assertEqual([d.ended for d in lost.deliveries], ["returned", "complete"])
        await self.untilIdle()
        self.assertEqual(self.endpoint.requests("claim")[-1].body["wait"], 15)
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertLess(consumer.stopSeconds, 2)

    async def test_claimsAtIntervals(self) -> None:
        """
        An endpoint that answers an empty list at once gets the next claim after
        C{--interval}, and the tasks that come then are run.
        """
        self.endpoint.waits = False
        self.start(interval=0.4)
        await self.until(
            lambda: len(self.endpoint.requests("claim")) >= 7, "it claims 7 times"
        )
        times = [seen.at for seen in self.endpoint.requests("claim")]
        self.assertGreater(times[6] - times[0], 6 * 0.4 - 0.2)
        job = self.queue.put(returning(1))
        await self.untilState("completed", [job])

    async def test_pullsByHTTP10(self) -> None:
        """
        An endpoint that speaks HTTP/1.0 will do.
        """
        self.endpoint.http10 = True
        self.queue.putAll(sleeping(0.01), 50)
        self.start()
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(self.mostAtOnce(), 4)

    async def test_survivesASlowRoundTrip(self) -> None:
        """
        A long round trip costs time, and no task.
        """
        self.endpoint.roundTrip = 0.15
        self.queue.putAll(returning(1), 60)
        self.start(limit=10)
        await self.untilState("completed")
        self.assertCompletedOnce()

    async def test_endsAClaimWhoseAnswerWasLost(self) -> None:
        """
        A claim whose answer was lost is ended, and its task runs in its first attempt.
        """
        job = self.queue.put(returning(1))
        self.endpoint.plan = faults.first("claim", faults.lostAnswer)
        self.start()
        await self.untilState("completed")
        self.assertEqual([d.ended for d in job.deliveries], ["returned", "complete"])
        self.assertEqual([entry.attempt for entry in self.entries("end")], [1])

    async def test_claimsWhileAClaimIsEnded(self) -> None:
        """
        Claiming goes on whatever becomes of the request that ends a failed claim.
        """
        self.queue.putAll(returning(1), 2)
        self.endpoint.plan = faults.either(
            faults.first("claim", faults.lostAnswer),
            faults.always("cancel", faults.silent),
        )
        self.start(limit=1)
        await self.untilState("completed", self.queue.jobs[1:])
        self.assertEqual(self.queue.jobs[0].state, "leased")

    async def test_neverSpins(self) -> None:
        """
        Faults that last cause few requests, whatever kind of fault it is.
        """
        lasting = [
            faults.status(500),
            faults.status(429, Retry_After="0"),
            faults.status(403),
            faults.reset,
            faults.proxyPage,
        ]
        endpoints = [self.makeEndpoint() for _ in lasting]
        for endpoint, fault in zip(endpoints, lasting, strict=True):
            endpoint.plan = faults.everything(fault)
            self.start(url=endpoint.url)
        await self.until(
            lambda: all(endpoint.requests("claim") for endpoint in endpoints), "claims"
        )
        await self.always(
            lambda: all(len(endpoint.seen) < 12 for endpoint in endpoints),
            "few requests",
            3,
        )

    async def test_retriesSettlements(self) -> None:
        """
        A settlement is retried until it is acknowledged, whatever faults it meets.
        """
        self.queue.put(returning(1))
        self.endpoint.plan = faults.first(
            "settle",
            faults.status(500),
            faults.reset,
            faults.lostAnswer,
            faults.notJSON,
        )
        self.start()
        await self.until(lambda: len(self.queue.repeats) == 2, "it is acknowledged")
        self.assertCompletedOnce()

    async def test_settlesUntilTheLeaseIsOver(self) -> None:
        """
        A settlement that is never acknowledged is given up once its lease has ended,
        and later ones are settled.
        """
        job = self.queue.put(returning(1))
        self.endpoint.plan = faults.always("settle", faults.status(500))
        self.start(lease=2)
        await self.until(lambda: self.endpoint.requests("settle"), "it tells of it")
        self.queue.withdraw(job)
        over = job.deliveries[0].at + 2

        def told() -> float:
            settles = self.endpoint.requests("settle")
            return max(seen.at for seen in settles if "complete" in seen.outcomes)

        await self.until(
            lambda: told() > over or self.reactor.seconds() > over + 4,
            "it is told for the last time, or has been",
        )
        self.endpoint.plan = lambda seen: None
        await self.untilState("completed", [self.queue.put(returning(2))])
        self.assertEqual(
            [s["receipt"] for s in self.endpoint.requests("settle")[-1].body["settle"]],
            [self.queue.jobs[-1].deliveries[0].receipt],
        )

    async def test_halvesARefusedBatch(self) -> None:
        """
        A settle request that is refused for its size is halved until it is accepted.
        """
        self.endpoint.roundTrip = 0.05
        self.endpoint.plan = lambda seen: (
            faults.status(413) if len(seen.outcomes) > 2 else None
        )
        self.queue.putAll(returning(1), 32)
        self.start(limit=16)
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertIn(413, {seen.status for seen in self.endpoint.requests("settle")})

    async def test_refusedSettlementHoldsUpNoOther(self) -> None:
        """
        A settlement that the endpoint refuses holds up no other.
        """
        self.endpoint.roundTrip = 0.05
        self.endpoint.plan = lambda seen: (
            faults.status(422)
            if '"receipt-3"' in str(seen.body).replace("'", '"')
            else None
        )
        self.queue.putAll(returning(1), 16)
        self.start(limit=16)
        others = [job for job in self.queue.jobs if job.id != "job-3"]
        await self.untilState("completed", others)
        self.assertCompletedOnce(others)

    async def test_logsARefusalOnce(self) -> None:
        """
        A refusal of claims is logged in one line, and not retried soon.
        """
        self.endpoint.plan = faults.always("claim", faults.status(404))
        consumer = self.start()
        await self.until(lambda: self.endpoint.requests("claim"), "it claims")
        await self.always(
            lambda: len(self.endpoint.requests("claim")) == 1, "it claims once", 3
        )
        self.assertEqual(consumer.output.count("#error]"), 1)
        self.assertIn("404", consumer.output)
        self.assertNotIn("Traceback", consumer.output)

    async def test_followsNoRedirect(self) -> None:
        """
        A redirect is not followed, and another origin sees nothing.
        """
        other = self.makeEndpoint()
        token = self.directory / "token"
        token.write_text("for-the-endpoint-only")
        elsewhere = faults.status(307, Location=f"{other.url}/claim")
        self.endpoint.plan = faults.first("claim", elsewhere, elsewhere)
        consumer = self.start(token_file=token)
        await self.until(lambda: "#error]" in consumer.output, "it tells of it")
        self.assertEqual(other.seen, [])
        self.assertEqual(consumer.output.count("#error]"), 1)

    async def test_endsAClaimWhoseAnswerIsTooLarge(self) -> None:
        """
        An answer of more than 16 MiB is a fault, and its claim is ended.
        """
        job = self.queue.put(returning(1))
        self.endpoint.plan = faults.first("claim", flood)
        self.start()
        await self.untilState("completed")
        self.assertEqual([d.ended for d in job.deliveries], ["returned", "complete"])

    async def test_claimsLessAfterAnAnswerThatIsTooLong(self) -> None:
        """
        After an answer that was too long the next claim asks for half as many, at once;
        the tasks that had been leased are released, and all are completed.
        """

        def plan(seen: Seen) -> Fault | None:
            return flood if seen.kind == "claim" and seen.body["limit"] > 60 else None

        self.queue.putAll(returning(1), 60)
        self.endpoint.plan = plan
        consumer = self.start(limit=100)
        await self.untilState("completed")
        limits = [seen.body["limit"] for seen in self.endpoint.requests("claim")]
        self.assertEqual(limits[:2], [100, 50])
        self.assertEqual({job.attempts for job in self.queue.jobs}, {1})
        self.assertIn("--limit", consumer.output)

    async def test_malformedTasksHoldUpNoOther(self) -> None:
        """
        A malformed task affects no other: with a receipt it is failed with the reason,
        without one it is logged; its neighbours run.
        """
        malformed = [self.queue.put(None, **spoil) for spoil in MALFORMED]
        jobs = self.queue.putAll(returning(1), 4)
        self.endpoint.plan = faults.first(
            "claim", faults.edited(lambda tasks: ["no object", *tasks, {"payload": 1}])
        )
        consumer = self.start(limit=20)
        await self.untilState("completed", jobs)
        await self.untilState("failed", malformed)
        self.assertTrue(all(job.error for job in malformed))
        self.assertCompletedOnce(jobs)
        self.assertEqual(len(self.entries("start")), len(jobs))
        self.assertGreaterEqual(consumer.output.count("#error]"), 1)
        self.assertNotIn("Traceback", consumer.output)

    async def test_takesWrongOptionalFieldsAsAbsent(self) -> None:
        """
        An optional field of a wrong type is taken as absent, with a warning.
        """
        for spoil in ({"attempt": "x"}, {"lease": "long"}, {"enqueued": "today"}):
            self.queue.put(returning(1), **spoil)
        consumer = self.start()
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual({entry.attempt for entry in self.entries()}, {1})
        self.assertIn("#warn]", consumer.output)

    async def test_answerThatIsNoListFailsTheClaim(self) -> None:
        """
        An answer that is JSON, but not a list of tasks, is a fault of the claim.
        """

        async def odd(exchange: Exchange) -> None:
            exchange.send(200, b'["tasks"]')

        self.queue.put(returning(1))
        self.endpoint.plan = faults.first("claim", odd, odd)
        consumer = self.start()
        await self.untilState("completed")
        self.assertCompletedOnce()
        self.assertEqual(len(self.endpoint.requests("cancel")), 3)
        self.assertNotIn("Traceback", consumer.output)
