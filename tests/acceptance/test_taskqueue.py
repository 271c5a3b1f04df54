"""
C{twistd taskqueue}: an embedded queue by itself, as consumers, producers and operators
see it.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.acceptance.embedded import (
    LOOPBACK,
    Client,
    QueueCase,
    freePort,
    look,
    states,
)
from tests.acceptance.handlers import sleeping
from tests.processes import descriptors, isAlive

MIB = 1024 * 1024

#: The seconds within which a busy machine does what it is to do at once.
AT_ONCE = 2


def connect(client: Client) -> socket.socket:
    host, port = client.url.split("/")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(client: Client, *lines: str) -> bytes:
    host, path = client.url.removeprefix("http://").split("/")
    text = "\r\n".join([f"POST /{path} HTTP/1.1", f"Host: {host}", *lines, "", ""])
    return text.encode()


def readAll(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


class WakingTests(QueueCase):
    """
    A claim that waits is answered as soon as there is something to answer.
    """

    async def setQueue(self) -> None:
        self.served = await self.serve()
        self.tasks = self.client(self.served)

    async def assertWoken(
        self, claimed: Deferred[list[Any]], least: float, since: float
    ) -> Any:
        """
        A claim is answered with one task, so many seconds after C{since}.
        """
        [task] = await claimed
        passed = self.reactor.seconds() - since
        self.assertGreaterEqual(passed, least - 0.01)
        self.assertLess(passed, least + AT_ONCE)
        return task

    async def test_wakesClaims(self) -> None:
        """
        A claim that waits is answered by a task that is queued, one that is released,
        the end of a delay, the end of a lease, a failed task that is retried, and the
        end of another's claim.
        """
        await self.setQueue()
        now = self.reactor.seconds

        claimed = await self.openClaim(self.tasks)
        begun = now()
        [id] = await self.tasks.enqueue({"payload": "first"})
        task = await self.assertWoken(claimed, 0, begun)
        self.assertEqual((task["id"], task["attempt"]), (id, 1))

        claimed, begun = await self.openClaim(self.tasks), now()
        self.assertTrue(await self.tasks.settle(task["receipt"], "release"))
        task = await self.assertWoken(claimed, 0, begun)
        self.assertEqual(task["attempt"], 2)

        claimed, begun = await self.openClaim(self.tasks), now()
        await self.tasks.settle(task["receipt"], "release", delay=1, counted=False)
        task = await self.assertWoken(claimed, 1, begun)
        self.assertEqual(task["attempt"], 2)

        claimed, begun = await self.openClaim(self.tasks, lease=1), now()
        await self.tasks.settle(task["receipt"], "extend", lease=1)
        task = await self.assertWoken(claimed, 1, begun)
        self.assertEqual(task["attempt"], 3)
        about = await self.tasks.task(id)
        self.assertEqual(about["error"], "its lease ended in attempt 2")

        claimed, begun = await self.openClaim(self.tasks), now()
        task = await self.assertWoken(claimed, 0.5, begun)
        self.assertEqual(task["attempt"], 4)

        claimed = await self.openClaim(self.tasks)
        await self.tasks.settle(task["receipt"], "fail", error="no use")
        begun = now()
        await self.tasks.ask("POST", "/failed/retry", {"all": True})
        task = await self.assertWoken(claimed, 0, begun)
        self.assertEqual(task["attempt"], 1)
        self.assertNoTraceback(self.served)

    async def test_answersClaimsInOrder(self) -> None:
        """
        Of the claims that wait, the one that came first gets the task; one that was
        ended gets none, and one whose wait is over is answered empty.
        """
        await self.setQueue()
        ended = await self.openClaim(self.tasks, claim="a b/c")
        short = await self.openClaim(self.tasks, wait=0.2)
        first = await self.openClaim(self.tasks)
        second = await self.openClaim(self.tasks)
        gone = await self.tasks.ask("DELETE", "/claim/a%20b%2Fc")
        self.assertEqual((gone.status, gone.body), (204, b""))
        self.assertEqual([await ended, await short], [[], []])
        ids = [
            (await self.tasks.enqueue({"payload": number}))[0] for number in range(2)
        ]
        self.assertEqual([(await first)[0]["id"], (await second)[0]["id"]], ids)
        again = await self.tasks.claim(claim="a b/c", wait=30)
        self.assertEqual(again, [])

    async def test_passesByLostClient(self) -> None:
        """
        A task that is queued after a client that waited is lost goes to the next claim.
        """
        await self.setQueue()
        body = b'{"wait": 60}'
        request = head(self.tasks, f"Content-Length: {len(body)}") + body
        with connect(self.tasks) as connection:
            connection.sendall(request.replace(b"/tasks ", b"/tasks/claim "))
            await self.tasks.counts()
        await self.tasks.counts()
        [id] = await self.tasks.enqueue({"payload": 1})
        [task] = await self.tasks.claim(wait=AT_ONCE)
        self.assertEqual((task["id"], task["attempt"]), (id, 1))

    async def test_keepsDelaysAndLeases(self) -> None:
        """
        A restart forgets no delay and no lease: both end, and wake the claims that came
        in after it.
        """
        queue = await self.serve()
        client = self.client(queue)
        await client.enqueue(
            {"id": "leased", "payload": 1}, {"id": "delayed", "payload": 1, "delay": 3}
        )
        await client.claim(lease=2)
        await queue.kill()
        client = self.client(await self.serve())
        got = {}
        for _ in range(2):
            [task] = await client.claim(wait=10)
            got[task["id"]] = task["attempt"]
        self.assertEqual(got, {"leased": 2, "delayed": 1})


class StoppingTests(QueueCase):
    """
    C{SIGTERM} for a queue that is in use.
    """

    async def test_answersOpenClaims(self) -> None:
        """
        At C{SIGTERM} claims that wait are answered, empty, and the process is gone at
        once, whoever else is still in the midst of a request.
        """
        queue = await self.serve()
        client = self.client(queue)
        claims = [await self.openClaim(client) for _ in range(5)]
        with ExitStack() as stack:
            for sent in (b"", b"GET", head(client, "Content-Length: 9") + b"{"):
                stack.enter_context(connect(client)).sendall(sent)
            await client.counts()
            await self.stop(queue)
        assert queue.ending is not None
        self.assertEqual(queue.ending.signal, signal.SIGTERM)
        self.assertLess(queue.stopSeconds, AT_ONCE)
        for claim in claims:
            self.assertEqual(await claim, [])
        self.assertFalse(Path(f"{self.file}-wal").exists())
        self.assertNoTraceback(queue)

    async def test_takesASecondSignal(self) -> None:
        """
        A second C{SIGTERM}, as of an impatient operator, does no harm and is no error.
        """
        queue = await self.serve()
        claim = await self.openClaim(self.client(queue))
        for _ in range(2):
            queue.signal("TERM")
        await self.untilEnded(queue)
        assert queue.ending is not None
        self.assertEqual(queue.ending.signal, signal.SIGTERM)
        self.assertEqual(await claim, [])
        self.assertIn("SIGTERM: draining", queue.output)
        self.assertNotIn("ReactorNotRunning", queue.output)
        self.assertNoTraceback(queue)

    async def test_consumersOutliveRestart(self) -> None:
        """
        Consumers outlive a restart of the queue: what they run meanwhile is completed
        with the leases from before, and they go on claiming.
        """
        port = freePort()
        queue = await self.serve(port)
        client = self.client(queue)
        consumer = self.start(url=client.url)
        await client.enqueue({"id": "long", "payload": sleeping(2)})
        await self.untilEvents("start", 1)
        await self.stop(queue)
        queue = await self.serve(port)
        await client.enqueue({"id": "next", "payload": sleeping(0)})
        await self.untilCounts(client, completed=2)
        self.assertEqual(
            sorted((e.id, e.attempt) for e in self.entries("start")),
            [("long", 1), ("next", 1)],
        )
        self.assertIsNone(consumer.ending)
        self.assertNoTraceback(queue, consumer)

    async def test_daemonizes(self) -> None:
        """
        As a daemon the queue has its file where the operator was and its URL in the log
        file, and C{SIGTERM} ends it.
        """
        words = ["--pidfile=here.pid", "--logfile=here.log", "taskqueue"]
        words += ["--db=data/here.sqlite", "--listen=tcp:0:interface=127.0.0.1"]
        started = self.spawn(words, {}, {"data/other.txt": ""})
        place = started.directory
        await self.untilEnded(started)
        assert started.ending is not None
        self.assertEqual((started.ending.status, started.output), (0, ""))
        pid = int((place / "here.pid").read_text())
        self.addCleanup(self.endDaemon, pid)
        started.output = (place / "here.log").read_text()
        await self.client(started).enqueue({"payload": 1})
        self.assertEqual(states(place / "data" / "here.sqlite"), {"ready": 1})
        self.endDaemon(pid)
        await self.until(lambda: not isAlive(pid), "the daemon is gone")
        self.assertFalse((place / "here.pid").exists())

    async def test_refusesAsADaemon(self) -> None:
        """
        A daemon that cannot listen says why on the standard error that it was started
        with, ends with status 1, and leaves no pid file.
        """
        port = (await self.serve()).output.split("http://127.0.0.1:")[1].split("/")[0]
        words = ["--pidfile=here.pid", "--logfile=here.log", "taskqueue"]
        words += ["--db=here.sqlite", f"--listen={LOOPBACK.format(port)}"]
        started = self.spawn(words, {}, {})
        await self.untilEnded(started)
        assert started.ending is not None
        self.assertEqual(started.ending.status, 1)
        line, *others = started.errors.splitlines()
        self.assertRegex(line, "^taskqueue: it cannot listen: .*Address already in use")
        self.assertIn("the line above says why", others[0])
        self.assertFalse((started.directory / "here.pid").exists())
        self.assertIn("it cannot listen", (started.directory / "here.log").read_text())

    async def test_shedsPrivileges(self) -> None:
        """
        With --uid a folder that is not that user's is refused at once; in one that is,
        a token that only root may read is the one that counts.
        """
        if os.geteuid():
            self.skipTest("only root may be somebody else")
        self.directory.chmod(0o755)
        words = ["-n", "--pidfile=", "--uid=nobody", "taskqueue", "--db=q.sqlite"]
        words += [f"--listen={LOOPBACK.format(0)}", "--token-file=token"]
        refused = self.spawn(words, {}, {"token": "s3cret"})
        await self.untilEnded(refused)
        self.assertRegex(
            refused.output,
            r"^taskqueue: the user of --uid cannot use '\S+q.sqlite': its directory "
            r"may not be written to\n$",
        )
        place = self.directory / str(len(self.processes))
        place.mkdir()
        os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)
        (place / "token").touch(0o600)
        served = self.spawn(words, {}, {"token": "s3cret"})
        await self.untilServing(served)
        client = self.client(served)
        self.assertEqual((await client.ask("GET")).status, 401)
        client.token = "s3cret"
        # (that user may not be able to import what else a request needs)
        self.assertNotIn((await client.ask("GET")).status, (401, 503))

    def endDaemon(self, pid: int) -> None:
        """
        Send a daemon C{TERM}, if it is there.
        """
        if isAlive(pid):
            os.kill(pid, signal.SIGTERM)


class RequestTests(QueueCase):
    """
    Requests that are wrong, large, or never end.
    """

    async def test_refusesWrongRequests(self) -> None:
        """
        A wrong request is answered with a status and a sentence that say what is wrong.
        """
        client = self.client(await self.serve())
        for method, path, body, status, said in WRONG:
            answer = await client.ask(method, path, body)
            told = answer.json.get("error", "")
            self.assertEqual(answer.status, status, (method, path, told))
            self.assertIn(said, told)
            self.assertEqual(len(told.splitlines()), 1, told)
        other = Client(self.reactor, client.url.replace("/tasks", "/no%20name"))
        answer = await other.ask("POST", body={"payload": 1})
        self.assertEqual(answer.status, 404)
        self.assertIn("1 to 64 letters", answer.json["error"])
        root = Client(self.reactor, client.url.removesuffix("tasks"))
        self.assertEqual((await root.ask("GET")).json, {"queues": {}})

    async def test_queuesAllOrNone(self) -> None:
        """
        Of a list with a wrong task in it nothing is queued; a task whose id is known is
        not queued again.
        """
        client = self.client(await self.serve())
        answer = await client.ask(
            "POST", body=[{"payload": 1}, {"payload": 2, "priority": 2000}]
        )
        self.assertEqual(answer.status, 400)
        self.assertIn("[1].priority", answer.json["error"])
        self.assertEqual(await client.enqueue({"payload": 1, "id": 7}), ["7"])
        answer = await client.ask(
            "POST", body=[{"payload": 9, "id": "7"}, {"payload": 2, "id": "8"}]
        )
        self.assertEqual((answer.status), 201)
        self.assertEqual(answer.json, {"ids": ["7", "8"], "known": ["7"]})
        self.assertEqual([t["payload"] for t in await client.claim(10)], [1, 2])

    async def test_takesAnyNamesAndPayloads(self) -> None:
        """
        Ids and payloads may hold anything: tasks are found by their ids, and are
        delivered as they came.
        """
        client = self.client(await self.serve())
        names = ["a/b", "50%", "#1", "a b", "/", "..", "?x=1", "ünï ☃ 𝄞", "a%2Fb", "\n"]
        payloads = [{name: [name, None, 1.5, 2**63]} for name in names]
        tasks = [{"id": n, "payload": p} for n, p in zip(names, payloads, strict=True)]
        self.assertEqual(await client.enqueue(*tasks), names)
        for name in names:
            task = await client.task(quote(name, safe=""))
            self.assertEqual((task["id"], task["state"]), (name, "ready"))
        claimed = await client.claim(20)
        self.assertEqual([task["id"] for task in claimed], names)
        self.assertEqual([task["payload"] for task in claimed], payloads)
        for task in claimed:
            await client.settle(task["receipt"], "fail", error=f"no {task['id']}")
        failed = (await client.ask("GET", "/failed")).json["failed"]
        self.assertEqual([t["error"] for t in failed], [f"no {n}" for n in names])
        retried = await client.ask("POST", "/failed/retry", {"ids": names})
        self.assertEqual(retried.json, {"retried": len(names)})

    async def test_listsFailedInPages(self) -> None:
        """
        The failed tasks are listed page by page, the oldest first.
        """
        client = self.client(await self.serve())
        ids = await client.enqueue(*({"payload": n} for n in range(25)))
        for task in await client.claim(25):
            await client.settle(task["receipt"], "fail", error="x")
        seen, after = [], "0"
        while after:
            page = await client.ask("GET", f"/failed?limit=10&after={after}")
            seen += [task["id"] for task in page.json["failed"]]
            after = str(page.json.get("next", ""))
        self.assertEqual(seen, ids)

    async def test_refusesTooLargeBodies(self) -> None:
        """
        A body over 16 MiB and a payload over 8 MiB are refused, whether or not the
        length was said before; what is just not too large is taken.
        """
        client = self.client(await self.serve())
        answer = await client.ask("POST", body={"payload": "x" * 17 * MIB})
        self.assertEqual(answer.status, 413)
        self.assertIn("body", answer.json["error"])
        answer = await client.ask("POST", body={"payload": "x" * 9 * MIB})
        self.assertEqual(answer.status, 413)
        self.assertIn("payload", answer.json["error"])
        fitting = {"payload": "x" * (8 * MIB - 2)}
        await client.enqueue(fitting, {"payload": "y" * 7 * MIB})
        received = [len((await client.claim(9))[0]["payload"]) for _ in range(2)]
        self.assertEqual(received, [8 * MIB - 2, 7 * MIB])

    async def test_cutsEndlessBody(self) -> None:
        """
        A body in pieces without an end is cut off, and not kept meanwhile.
        """
        queue = await self.serve()
        client = self.client(queue)

        def send() -> int:
            piece = b"100000\r\n" + b" " * MIB + b"\r\n"
            with connect(client) as connection:
                connection.sendall(head(client, "Transfer-Encoding: chunked"))
                count = 0
                try:
                    while count < 1000:
                        connection.sendall(piece)
                        count += 1
                except OSError:
                    pass
                return count

        self.assertLess(await deferToThread(send), 100)
        self.assertLess(queue.kilobytes("VmHWM"), 150 * 1024)
        self.assertEqual((await client.counts())["ready"], 0)

    async def test_outlivesStalledClients(self) -> None:
        """
        Clients that stop in the midst of a head or a body, or send nothing at all, keep
        nobody else from anything, however many they are.
        """
        queue = await self.serve()
        client = self.client(queue)
        with ExitStack() as stack:
            for number in range(300):
                connection = stack.enter_context(connect(client))
                match number % 3:
                    case 0:
                        connection.sendall(head(client, "Content-Length: 100") + b"{")
                    case 1:
                        connection.sendall(b"POST /tasks HT")
            claims = [Deferred.fromCoroutine(client.claim(wait=60)) for _ in range(200)]
            await self.untilConnections(queue, 500)
            await client.enqueue(*({"payload": n} for n in range(200)))
            claimed = await gatherResults(claims)
            payloads = sorted(task["payload"] for [task] in claimed)
            self.assertEqual(payloads, list(range(200)))
            self.assertEqual((await client.counts())["leased"], 200)
        self.assertNoTraceback(queue)

    async def untilConnections(self, queue: Any, count: int) -> None:
        """
        Wait until a process has so many connections at least.
        """
        await self.until(
            lambda: sum("socket" in d for d in descriptors(queue.pid)) > count,
            f"{count} connections",
        )

    async def test_answersPipelinedRequests(self) -> None:
        """
        Requests that are sent without waiting for answers are answered in order.
        """
        client = self.client(await self.serve())
        body = b'{"payload": 1, "id": "%d"}'
        bodies = [body % number for number in range(20)]

        def send() -> bytes:
            with connect(client) as connection:
                for number, each in enumerate(bodies, 1):
                    closes = ["Connection: close"] if number == len(bodies) else []
                    length = f"Content-Length: {len(each)}"
                    connection.sendall(head(client, length, *closes) + each)
                return readAll(connection)

        answers = (await deferToThread(send)).split(b"HTTP/1.1 201 ")[1:]
        self.assertEqual(
            [json.loads(answer.partition(b"\r\n\r\n")[2])["ids"] for answer in answers],
            [[str(number)] for number in range(20)],
        )


class FileTests(QueueCase):
    """
    The file of a queue that runs.
    """

    async def test_keepsFilesForOwner(self) -> None:
        """
        All files that the queue makes are for its owner only.
        """
        client = self.client(await self.serve())
        await client.enqueue({"payload": 1})
        found = {
            path.name: path.stat().st_mode & 0o777
            for path in self.directory.glob("queue.sqlite*")
        }
        names = [f"queue.sqlite{end}" for end in ("", "-shm", "-wal", ".lock")]
        self.assertEqual(found, dict.fromkeys(names, 0o600))

    async def test_copiesFileInUse(self) -> None:
        """
        The file can be copied while tasks come, run and end, and a queue that is
        started on the copy has each task once, and goes on with it.
        """
        queue = await self.serve()
        client = self.client(queue)
        consumer = self.start(url=client.url, limit=20, prefetch=20)
        await client.enqueue({"id": "first", "payload": sleeping(0)})
        await self.load(client, 600, self.copies)
        await self.stop(consumer)
        for number in range(3):
            copy = self.directory / f"copy-{number}"
            self.assertEqual(look(copy, "PRAGMA integrity_check"), [("ok",)])
            served = await self.serve(db=copy)
            copied = self.client(served)
            counts = await copied.counts()
            self.assertEqual(counts, dict.fromkeys(counts, 0) | states(copy))
            [[total, distinct, seen]] = look(
                copy, "SELECT count(*), count(DISTINCT id), max(number) FROM tasks"
            )
            self.assertEqual((total, distinct), (seen, seen))
            claimed = await copied.claim(1000)
            self.assertEqual(len(claimed), counts["ready"])
            self.assertEqual((await copied.counts())["ready"], 0)
            await self.stop(served)

    async def test_refusesWhileFileCannotGrow(self) -> None:
        """
        While the disk takes no more, requests that would write are answered C{503},
        with when to try again, and nothing of them is done; what only reads goes on,
        and when there is room everything does, without a restart.
        """
        queue = await self.serve()
        client = self.client(queue)
        await client.enqueue({"id": "before", "payload": 1})
        waits = await self.openClaim(client, limit=5)
        [task] = await waits
        unlimited = resource.prlimit(queue.pid, resource.RLIMIT_FSIZE)
        size = Path(f"{self.file}-wal").stat().st_size
        resource.prlimit(queue.pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        for path, body in (
            ("", [{"id": str(n), "payload": "x" * 9000} for n in range(50)]),
            ("/settle", {"settle": [{"receipt": task["receipt"], "outcome": "fail"}]}),
        ):
            for _ in range(2):
                answer = await client.ask("POST", path, body)
                self.assertEqual(answer.status, 503, answer)
                self.assertTrue(answer.headers.hasHeader("Retry-After"))
                self.assertIn("cannot be written now", answer.json["error"])
        self.assertEqual((await client.counts())["leased"], 1)
        self.assertEqual((await client.task("before"))["state"], "leased")
        self.assertEqual((await client.ask("GET", "/tasks/0")).status, 404)
        waits = await self.openClaim(client, limit=5)
        resource.prlimit(queue.pid, resource.RLIMIT_FSIZE, unlimited)
        self.assertTrue(await client.settle(task["receipt"], "complete"))
        await client.enqueue({"id": "after", "payload": 2})
        self.assertEqual([t["id"] for t in await waits], ["after"])
        self.assertEqual(queue.output.count("cannot be read or written"), 1)
        self.assertIn("can be written again", queue.output)
        self.assertNoTraceback(queue)

    async def load(
        self, client: Client, count: int, meanwhile: Callable[[], Any]
    ) -> None:
        """
        Queue tasks in small portions, and do something else meanwhile, in a thread.
        """
        done = deferToThread(meanwhile)
        for number in range(0, count, 20):
            await client.enqueue(
                *({"id": str(number + n), "payload": sleeping(0.01)} for n in range(20))
            )
        await done

    def copies(self) -> None:
        """
        Make three copies, in very small portions.
        """
        for number in range(3):
            with (
                closing(sqlite3.connect(self.file)) as source,
                closing(sqlite3.connect(self.directory / f"copy-{number}")) as target,
            ):
                source.backup(target, pages=7, sleep=0.002)
            sleep(0.05)


# method, path, body, status, what the sentence says
WRONG: list[tuple[str, str, Any, int, str]] = [
    ("POST", "", b"", 400, "the body is empty"),
    ("POST", "", b"{", 400, "no JSON"),
    ("POST", "", b"\xff", 400, "the body"),
    ("POST", "", [], 400, "from 1 to 10000"),
    ("POST", "", 5, 400, "an object"),
    ("POST", "", {"id": "a"}, 400, "payload is missing"),
    ("POST", "", {"payload": 1, "id": ""}, 400, "id takes"),
    ("POST", "", {"payload": 1, "id": "x" * 256}, 400, "1 to 255 characters"),
    ("POST", "", {"payload": 1, "id": True}, 400, "id takes"),
    ("POST", "", {"payload": 1, "id": 1.5}, 400, "id takes"),
    ("POST", "", {"payload": 1, "delay": -1}, 400, "delay takes"),
    ("POST", "", {"payload": 1, "delay": 1e9}, 400, "31536000"),
    ("POST", "", {"payload": 1, "priority": 1.5}, 400, "priority takes"),
    ("POST", "", {"payload": 1, "prio": 1}, 400, '"prio"'),
    ("POST", "", [{"payload": 1}, {}], 400, "[1].payload is missing"),
    ("POST", "", [{"payload": 1}] * 10_001, 400, "10001"),
    ("POST", "", b"[" * 100_000, 400, "nested"),
    ("POST", "", b'{"payload": "\\ud800"}', 400, "surrogate"),
    ("POST", "/claim", {"limit": 0}, 400, "limit takes"),
    ("POST", "/claim", {"lease": 0}, 400, "lease takes"),
    ("POST", "/claim", {"wait": "long"}, 400, "wait takes"),
    ("POST", "/claim", {"claim": 5}, 400, "claim takes"),
    ("POST", "/settle", {}, 400, "settle"),
    ("POST", "/settle", {"settle": [{}]}, 400, "settle[0]"),
    ("POST", "/settle", {"settle": [{"receipt": "1", "outcome": "x"}]}, 400, "outcome"),
    ("POST", "/failed/retry", {}, 400, "all"),
    ("POST", "/failed/retry", {"all": False}, 400, "all"),
    ("POST", "/failed/retry", {"all": True, "ids": ["a"]}, 400, "either"),
    ("GET", "/failed?limit=0", None, 400, "limit takes"),
    ("GET", "/failed?limit=1001", None, 400, "1000"),
    ("GET", "/failed?after=x", None, 400, "after takes"),
    ("GET", "/tasks/nothing", None, 404, "'nothing'"),
    ("GET", "/elsewhere", None, 404, "/elsewhere"),
    ("GET", "/claim", None, 405, "POST"),
    ("PUT", "", {"payload": 1}, 405, "GET"),
    ("DELETE", "", None, 405, "POST"),
]
