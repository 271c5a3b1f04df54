"""
C{--forward} and C{--forward-wait-for}: a web application does the tasks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.model import Job
from tests.acceptance.twistd import CHECKOUT, Twistd
from tests.acceptance.webapp import WebApp, answering

TOKEN = "consumers-token-5d1f0e"


class ForwardCase(AcceptanceCase):
    """
    A web application beside the endpoint, down at first.
    """

    def setUp(self) -> None:
        super().setUp()
        self.webapp = WebApp(self.reactor)
        self.addCleanup(self.webapp.goDown)

    def forward(self, **options: Any) -> Twistd:
        return self.start(
            python=None, forward=f"{self.webapp.url}/tasks?kind=a", **options
        )

    def waitFor(self, **options: Any) -> Twistd:
        return self.forward(forward_wait_for=f"{self.webapp.url}/health", **options)

    async def untilSettled(self, jobs: list[Job]) -> None:
        """
        Wait until the first delivery of each of these has ended.
        """
        await self.until(
            lambda: all(job.deliveries and job.deliveries[0].ended for job in jobs),
            "each is settled",
        )

    async def pass_(self, seconds: float) -> None:
        await deferLater(self.reactor, seconds)


def timers(port: int) -> set[str]:
    """
    @return: The kinds of the timers that run for the connections from a port of this
        machine; C{02} probes a silent one.
    """
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, _, _, timer, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port:
            found.add(timer.partition(":")[0])
    return found


class ForwardTests(ForwardCase):
    """
    What is posted to the application, and what becomes of the task by its answer.
    """

    async def test_postsPayloadIdAndAttempt(self) -> None:
        """
        The application gets payload, id and attempt, and its answer is the result.
        """
        self.webapp.goUp()
        payload = answering(200, '{"a": ["ü", 1.5, 1000000000000000000000000]}')
        job = self.queue.put(payload, attempts=2, id="100% ü\n/x")
        consumer = self.forward()
        await self.untilState("completed")
        self.assertEqual(job.result, {"a": ["ü", 1.5, 10**24]})
        [post] = self.webapp.posts
        self.assertEqual((post.path, post.body), ("/tasks", payload))
        self.assertEqual(post.headers["task-id"], "100%25%20%C3%BC%0A/x")
        self.assertEqual(post.headers["task-attempt"], "3")
        self.assertEqual(post.headers["content-type"], "application/json")
        self.assertNotIn("rror]", consumer.output)

    async def test_sendsNoToken(self) -> None:
        """
        The endpoint's token is not sent to the application, even if the application
        asks for one.
        """
        self.webapp.goUp()
        self.endpoint.token = TOKEN
        file = self.directory / "token"
        file.write_text(TOKEN)
        asked = self.queue.put(answering(401, WWW_Authenticate="Bearer"))
        done = self.queue.put(answering(200))
        self.waitFor(token_file=file)
        await self.untilSettled([asked, done])
        self.assertEqual((asked.state, done.state), ("delayed", "completed"))
        for seen in (*self.webapp.posts, *self.webapp.asked):
            self.assertNotIn(TOKEN, json.dumps([seen.headers, seen.body, seen.path]))
            self.assertNotIn("authorization", seen.headers)

    async def test_succeeds(self) -> None:
        """
        Any 2xx completes a task; a body that is not JSON is no result, and no error.
        """
        self.webapp.goUp()
        jobs = [
            self.queue.put(payload)
            for payload in (
                answering(200, "OK", Content_Type="text/plain"),
                answering(200, ""),
                answering(204),
                answering(201, "null"),
                answering(202, "[1]"),
            )
        ]
        consumer = self.forward()
        await self.untilState("completed")
        settlements = [job.deliveries[0].settlement for job in jobs]
        for settlement in settlements[:4]:
            self.assertEqual(sorted(settlement), ["outcome", "receipt"])
        self.assertEqual(settlements[4]["result"], [1])
        self.assertNotIn("rror]", consumer.output)

    async def test_failsForGood(self) -> None:
        """
        410 and 422 fail a task for good, with the application's error.
        """
        self.webapp.goUp()
        jobs = [self.queue.put(answering(code, "no such thing")) for code in (410, 422)]
        consumer = self.forward()
        await self.untilState("failed")
        for job, code in zip(jobs, ("410", "422"), strict=True):
            self.assertIn(f"answered {code}", job.error or "")
            self.assertIn("no such thing", job.error or "")
        self.assertEqual(len(self.webapp.posts), 2)
        self.assertNotIn("Traceback", consumer.output)

    async def test_failsForNow(self) -> None:
        """
        Every other code releases a task, counted, to be delivered again after the
        backoff; a redirect is not followed.
        """
        self.webapp.goUp()
        codes = (302, 307, 400, 401, 404, 409, 500, 502, 503, 429)
        there = f"{self.webapp.url}/other"
        jobs = [self.queue.put(answering(code, Location=there)) for code in codes]
        consumer = self.forward()
        await self.untilSettled(jobs)
        for job, code in zip(jobs, codes, strict=True):
            settlement = job.deliveries[0].settlement
            self.assertEqual(settlement["outcome"], "release")
            self.assertIs(settlement.get("counted", True), True)
            self.assertGreater(settlement["delay"], 0)
            self.assertIn(f"the application answered {code}", settlement["error"])
        self.assertEqual({post.path for post in self.webapp.posts}, {"/tasks"})
        self.assertNotIn("Traceback", consumer.output)

    async def test_obeysRetryAfter(self) -> None:
        """
        C{Retry-After} of 429 and 503 is the delay, even if it is hours.
        """
        self.webapp.goUp()
        jobs = [
            self.queue.put(answering(429, Retry_After="7")),
            self.queue.put(answering(503, Retry_After="7200")),
        ]
        soon = self.queue.put(answering(503, Retry_After="0"))
        self.forward()
        await self.untilSettled(jobs)
        delays = [job.deliveries[0].settlement["delay"] for job in jobs]
        self.assertEqual(delays, [7, 7200])
        await self.until(lambda: len(soon.deliveries) >= 3, "it comes again at once")
        self.assertEqual(soon.deliveries[2].attempt, 3)

    async def test_failsForGoodInTheLastAttempt(self) -> None:
        """
        A task that fails in its last attempt has failed for good.
        """
        self.webapp.goUp()
        job = self.queue.put(answering(500, "oops"), attempts=2)
        self.forward(max_attempts=3)
        await self.untilState("failed")
        self.assertIn("oops", job.error or "")

    async def test_postsLargePayloads(self) -> None:
        """
        Payloads and results may be large.
        """
        self.webapp.goUp()
        body = json.dumps("x" * 4_000_000)
        job = self.queue.put(answering(200, body))
        self.forward()
        await self.untilState("completed")
        self.assertEqual(len(job.result), 4_000_000)

    async def test_completesWithoutAResultThatIsTooLarge(self) -> None:
        """
        A task whose answer is too long is complete without a result, and posted once.
        """
        self.webapp.goUp()
        job = self.queue.put(answering(200, "x") | {"times": 17 << 20})
        consumer = self.forward()
        await self.untilState("completed")
        self.assertEqual(sorted(job.deliveries[0].settlement), ["outcome", "receipt"])
        self.assertEqual(len(self.webapp.posts), 1)
        self.assertIn("Task job-0 has no result", consumer.output)

    async def test_failsAtOnceByA101(self) -> None:
        """
        A 101, which was not asked for, is a failure at once.
        """
        self.webapp.goUp()
        job = self.queue.put(answering(101))
        self.forward()
        await self.untilSettled([job])
        self.assertEqual(job.deliveries[0].ended, "release")
        self.assertIn("no proper HTTP: 101", job.error or "")

    async def test_probesSilentConnections(self) -> None:
        """
        The connections to the application and to the endpoint are probed while they are
        silent, so that it is noticed when the other side has vanished.
        """
        self.webapp.goUp()
        self.queue.put(answering(200, seconds=60))
        self.forward()
        await self.until(lambda: self.webapp.running, "it is posted")
        await self.untilIdle()
        [post] = self.webapp.posts
        for seen in (post, self.endpoint.requests("claim")[-1]):
            await self.until(
                lambda port=seen.port: "02" in timers(port), "the kernel's timer runs"
            )

    async def test_postsUpToTheLimitAtOnce(self) -> None:
        """
        As many tasks are posted at once as there are slots, over as many connections.
        """
        self.webapp.goUp()
        self.queue.putAll(answering(200, "1", seconds=0.3), 100)
        self.forward(limit=20)
        await self.untilState("completed")
        self.assertEqual(self.webapp.most, 20)
        self.assertLessEqual(self.webapp.connections, 20)
        self.assertEqual(len(self.webapp.posts), 100)

    async def test_postsByHTTP10(self) -> None:
        """
        An application that speaks HTTP/1.0 will do.
        """
        self.webapp.http10 = True
        self.webapp.goUp()
        jobs = self.queue.putAll(answering(200, "1", seconds=0.02), 60)
        self.forward()
        await self.untilState("completed")
        self.assertEqual({(job.result, job.attempts) for job in jobs}, {(1, 1)})
        self.assertEqual(self.webapp.connections, 60)

    async def test_timeoutDropsTheRequest(self) -> None:
        """
        A request that takes longer than C{--timeout} is dropped, and its task released.
        """
        self.webapp.goUp()
        job = self.queue.put(answering(200, seconds=60))
        self.forward(limit=1, timeout=0.5)
        await self.until(lambda: self.webapp.broken, "the connection is dropped")
        await self.untilState("delayed")
        self.assertIn("0.5", job.deliveries[0].settlement["error"])
        self.assertEqual(job.attempts, 1)

    async def test_stopDropsTheRequest(self) -> None:
        """
        At a stop a request that has not ended in time is dropped, and its task
        released, uncounted.
        """
        self.webapp.goUp()
        long = self.queue.put(answering(200, seconds=60))
        short = self.queue.put(answering(200, "5", seconds=1))
        consumer = self.forward(drain=2)
        await self.until(lambda: self.webapp.running == 2, "both run")
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertLess(consumer.stopSeconds, 3.5)
        self.assertEqual((short.state, short.result), ("completed", 5))
        self.assertEqual((long.state, long.attempts), ("ready", 0))
        self.assertEqual(self.webapp.broken, [long.id])
        self.assertNothingLeased()
        self.assertNotIn("Traceback", consumer.output)

    async def test_releasesWhileTheApplicationIsDown(self) -> None:
        """
        While the application is down tasks are released, counted; once it is up they
        are completed.
        """
        job = self.queue.put(answering(200, "1"))
        consumer = self.forward()
        await self.untilSettled([job])
        settlement = job.deliveries[0].settlement
        self.assertEqual(settlement["outcome"], "release")
        self.assertGreater(settlement["delay"], 0)
        self.assertIn("refused", settlement["error"])
        self.webapp.goUp()
        await self.untilState("completed")
        self.assertGreater(job.attempts, 1)
        self.assertNotIn("Traceback", consumer.output)


class WaitForTests(ForwardCase):
    """
    Nothing is claimed while the application does not answer.
    """

    async def test_claimsNothingBeforeItAnswers(self) -> None:
        """
        Nothing is claimed before the application answers 2xx.
        """
        jobs = self.queue.putAll(answering(200, "1"), 10)
        consumer = self.waitFor()
        await self.until(lambda: "refused" in consumer.output, "it is waited for")
        await self.always(lambda: not self.endpoint.requests("claim"), "none", 2.5)
        self.webapp.health = 503
        self.webapp.goUp()
        await self.until(lambda: len(self.webapp.asked) >= 2, "it is asked")
        self.assertEqual(self.endpoint.requests("claim"), [])
        self.webapp.health = 204
        await self.untilState("completed", seconds=3)
        self.assertEqual({job.attempts for job in jobs}, {1})
        for words in ("cannot connect", "503", "answers, claiming"):
            self.assertEqual(consumer.output.count(words), 1, words)

    async def test_claimsAtOnceIfItAnswers(self) -> None:
        """
        If the application answers from the start, tasks are run at once.
        """
        self.webapp.goUp()
        self.queue.putAll(answering(200), 4)
        consumer = self.waitFor()
        await self.until(lambda: "Consuming" in consumer.output, "it has begun")
        await self.untilState("completed", seconds=0.8)

    async def test_pausesWhileItIsDown(self) -> None:
        """
        When the application goes down during a run, claiming pauses and the tasks in
        flight are released; once it is back all tasks are completed.
        """
        self.webapp.goUp()
        jobs = self.queue.putAll(answering(200, "1", seconds=0.05), 200)
        consumer = self.waitFor(max_attempts=5)
        await self.until(lambda: self.queue.count("completed") >= 20, "some are done")
        await self.webapp.goDown()
        await self.pass_(2.5)
        self.assertNothingLeased()
        claims = len(self.endpoint.requests("claim"))
        deliveries = len(self.queue.deliveries)
        self.assertGreater(self.queue.count("ready"), 50)
        await self.always(
            lambda: len(self.endpoint.requests("claim")) == claims, "no claim", 3
        )
        self.assertEqual(len(self.queue.deliveries), deliveries)
        counted = [job for job in jobs if job.state != "completed" and job.attempts]
        self.assertLess(len(counted), 15)
        self.webapp.goUp()
        await self.untilState("completed")
        self.assertLessEqual(max(job.attempts for job in jobs), 3)
        self.assertNotIn("Traceback", consumer.output)
        self.assertEqual(consumer.output.count("answers, claiming"), 2)

    async def test_pausesWhileItIsUnwell(self) -> None:
        """
        While the application answers that it is unwell nothing is claimed; the tasks
        that it works on go on.
        """
        self.webapp.goUp()
        long = self.queue.put(answering(200, "1", seconds=4))
        consumer = self.waitFor()
        await self.until(lambda: self.webapp.running, "it runs")
        self.webapp.health = 500
        await self.until(lambda: "500" in consumer.output, "claiming has paused")
        await self.untilIdle(0)
        waits = self.queue.putAll(answering(200), 3)
        await self.untilState("completed", [long])
        self.assertEqual([job.deliveries for job in waits], [[], [], []])
        self.webapp.health = 200
        await self.untilState("completed", seconds=3)

    async def test_stopsWhileItWaits(self) -> None:
        """
        A consumer can be stopped while it waits for the application.
        """
        self.queue.put(answering(200))
        consumer = self.waitFor()
        await self.until(lambda: "refused" in consumer.output, "it is waited for")
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertLess(consumer.stopSeconds, 1)
        self.assertEqual(self.endpoint.requests("claim"), [])
        self.assertNotIn("Traceback", consumer.output)

    async def test_completesAllAlthoughItIsKilled(self) -> None:
        """
        Although the process of the application is killed again and again, all tasks are
        completed in the end.
        """
        webapp = ExampleWebApp()
        self.addCleanup(webapp.kill)
        jobs = self.queue.putAll({"seconds": 0.05}, 150)
        consumer = self.start(
            python=None,
            forward=f"{webapp.url}/tasks",
            forward_wait_for=f"{webapp.url}/health",
            limit=8,
        )
        for done in (20, 50, 80):
            await self.until(lambda d=done: self.queue.count("completed") >= d, "done")
            webapp.kill()
            await self.pass_(0.5)
            webapp.start(webapp.port)
        await self.untilState("completed", jobs, seconds=60)
        self.assertLessEqual(max(job.attempts for job in jobs), 5)
        self.assertNotIn("Traceback", consumer.output)


class ExampleTests(ForwardCase):
    """
    The web application among the examples.
    """

    async def test_completesAndRefuses(self) -> None:
        """
        The application among the examples does tasks, and refuses what it cannot do.
        """
        webapp = ExampleWebApp()
        self.addCleanup(webapp.kill)
        done = self.queue.put({"seconds": 0.1}, id="ü 1")
        undoable = [self.queue.put(each) for each in ({}, {"seconds": -1}, None, [1])]
        elsewhere = self.queue.put({"seconds": 0})
        self.start(
            python=None,
            forward=f"{webapp.url}/tasks",
            forward_wait_for=f"{webapp.url}/health",
        )
        await self.untilState("completed", [done, elsewhere])
        await self.untilState("failed", undoable)
        self.assertEqual(done.result, {"task": "ü 1", "attempt": 1, "slept": 0.1})
        for job in undoable:
            self.assertIn("not to be done", job.error or "")


class ExampleWebApp:
    """
    C{examples/webapp.py}, in a process of its own.
    """

    def __init__(self) -> None:
        self.start(0)

    def start(self, port: int) -> None:
        """
        Start it, and wait until it listens.

        @param port: Its port; 0 for any.
        """
        self._process = subprocess.Popen(
            [sys.executable, str(CHECKOUT / "examples" / "webapp.py"), str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        self.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()
