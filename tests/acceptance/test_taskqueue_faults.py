"""
C{twistd taskqueue} when its file is moved, changed or locked, and when requests are as
bad as can be.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.acceptance.embedded import Client, QueueCase, look
from tests.acceptance.test_taskqueue import AT_ONCE, MIB, connect, head, readAll


def cpu(pid: int) -> float:
    """
    The seconds of processor time that a process has used.
    """
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class FileTests(QueueCase):
    """
    Other programs change, move or lock the file while a queue works on it.
    """

    async def refused(self, tasks: Client) -> str:
        """
        Fail unless a new task is refused for now, and give the reason.
        """
        answer = await tasks.ask("POST", body={"payload": 1}, seconds=10)
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(answer.headers.getRawHeaders("Retry-After"), ["5"])
        return str(answer.json["error"])

    async def test_refusesReplacedFile(self) -> None:
        """
        Promise 1: once the file was moved and a copy put in its place nothing is
        acknowledged; after a restart the queue is that of the copy.
        """
        served = await self.serve()
        tasks = self.client(served)
        await tasks.enqueue({"payload": 1})
        copy = self.directory / "copy.sqlite"
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute(f"VACUUM INTO '{copy}'")
        await tasks.enqueue({"payload": 2})
        self.file.rename(self.directory / "old.sqlite")
        for _ in range(2):
            self.assertIn("was moved, removed or replaced", await self.refused(tasks))
        shutil.copy(copy, self.file)
        self.assertIn("was moved, removed or replaced", await self.refused(tasks))
        claim = await tasks.ask("POST", "/claim", {"limit": 5})
        self.assertEqual(claim.status, 503)
        await self.stop(served)
        self.assertEqual(served.output.count("cannot be read or written"), 1)
        for left in ("-wal", "-shm"):
            self.file.with_name(self.file.name + left).unlink(missing_ok=True)
        served = await self.serve()
        tasks = self.client(served)
        self.assertEqual((await tasks.counts())["ready"], 1)
        await tasks.enqueue({"payload": 3})
        self.assertEqual(look(self.file, "SELECT count(*) FROM tasks"), [(2,)])

    async def test_recountsWhatWasDeleted(self) -> None:
        """
        Promise 4: when tasks are deleted from the file, a claim that waits does not
        keep the processor busy, and the counts are corrected.
        """
        served = await self.serve()
        tasks = self.client(served)
        await tasks.enqueue(*[{"payload": 1}] * 100)
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("DELETE FROM tasks WHERE state = 'ready'")
        before = cpu(served.pid)
        self.assertEqual(await tasks.claim(wait=1), [])
        self.assertLess(cpu(served.pid) - before, 0.5)
        self.assertEqual((await tasks.counts())["ready"], 0)
        self.assertIn("100 tasks of queue tasks", served.output)
        await tasks.enqueue({"payload": 2})
        [task] = await tasks.claim()
        self.assertEqual(task["payload"], 2)

    async def test_outlivesLockedFile(self) -> None:
        """
        Promise 4: while another program holds the file at the start, requests are
        refused for now, soon or at once, and are done when it lets go.
        """
        with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            served = await self.serve()
            tasks = self.client(served)
            # SQLite itself waits for five seconds
            self.assertIn("locked", await self.refused(tasks))
            begun = self.reactor.seconds()
            self.assertIn("locked", await self.refused(tasks))
            self.assertLess(self.reactor.seconds() - begun, 1)
            other.rollback()
        await self.eventually(lambda: self.isTaken(tasks), "a task is taken")

    async def isTaken(self, tasks: Client) -> bool:
        return (await tasks.ask("POST", body={"payload": 1})).status == 201


class RetryTests(QueueCase):
    """
    Failed tasks are tried again, and fail again.
    """

    async def test_retriesAllOnce(self) -> None:
        """
        While tasks fail again the moment that they are retried, a retry of all takes
        each once, and ends.
        """
        served = await self.serve()
        tasks = self.client(served)
        await tasks.enqueue(*[{"payload": 1}] * 3000)
        ended = [0]

        async def failAll() -> None:
            while not ended[0]:
                claimed = await tasks.claim(1000, wait=0.2)
                settle = [
                    {"receipt": task["receipt"], "outcome": "fail"} for task in claimed
                ]
                if settle:
                    await tasks.ask("POST", "/settle", {"settle": settle})

        failing = gatherResults([Deferred.fromCoroutine(failAll()) for _ in range(2)])
        await self.untilCounts(tasks, failed=3000)
        answer = await tasks.ask("POST", "/failed/retry", {"all": True}, seconds=10)
        self.assertEqual(answer.json, {"retried": 3000})
        ended[0] = 1
        await failing


class LargeBodyTests(QueueCase):
    """
    Requests are as large as they may be, and wrong.
    """

    async def test_answersOthersMeanwhile(self) -> None:
        """
        While large wrong bodies are refused other requests are answered.
        """
        served = await self.serve()
        tasks = self.client(served)
        await tasks.enqueue({"payload": 1})
        [task] = await tasks.claim()
        many = b"[" + b'{"payload":0},' * 1_000_000 + b'{"payload":0,"delay":-1}]'
        large = b'[{"payload":"' + b"a" * 15 * MIB + b'"},{"payload":0,"delay":-1}]'
        for body, code in ((many, 413), (large, 400)):
            refusals = [tasks.ask("POST", body=body) for _ in range(3)]
            while not all(each.called for each in refusals):
                begun = self.reactor.seconds()
                self.assertTrue(await tasks.settle(task["receipt"], "extend"))
                self.assertLess(self.reactor.seconds() - begun, AT_ONCE)
            for refusal in refusals:
                self.assertEqual((await refusal).status, code)
        self.assertEqual((await tasks.counts())["leased"], 1)

    async def test_answersAbsurdLength(self) -> None:
        """
        A length of five thousand digits is answered, and leaves nothing in the log.
        """
        served = await self.serve()
        tasks = self.client(served)
        with connect(tasks) as connection:
            connection.sendall(head(tasks, f"Content-Length: {'1' * 5000}"))
            answer = await deferToThread(readAll, connection)
        self.assertEqual(answer, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await tasks.counts()
        self.assertNoTraceback(served)
