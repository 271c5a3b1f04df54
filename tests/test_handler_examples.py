"""
Tests for the examples of C{--python}: a real consumer runs each of them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.model import Job
from tests.acceptance.twistd import CHECKOUT

HANDLERS = CHECKOUT / "examples" / "handlers"


class _Pages(Resource):
    """
    Pages by their paths.
    """

    isLeaf = True

    def __init__(self, pages: dict[str, bytes]) -> None:
        super().__init__()
        self._pages = pages

    def render_GET(self, request: Request) -> bytes:
        """
        Answer with a page, or that there is none.
        """
        page = self._pages.get(request.path.decode()[1:])
        if page is None:
            request.setResponseCode(404)
            return b"there is no such page"
        return page


class HandlerExampleTests(AcceptanceCase):
    """
    Each example for C{--python} runs, and its result is right.
    """

    def startExample(self, name: str, *twistd: str, **options: Any) -> None:
        """
        Start a consumer beside the file of an example.
        """
        file = f"{name.partition('.')[0]}.py"
        files = {file: (HANDLERS / file).read_text()}
        self.start(*twistd, files=files, python=name, **options)

    def serve(self, **pages: bytes) -> str:
        site = Site(_Pages(pages))
        site.log = lambda request: None
        port = self.reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}/"

    def listening(self) -> int:
        """
        A port on which somebody listens.
        """
        return int(self.endpoint.url.split(":")[2].partition("/")[0])

    async def assertResults(self, *expected: tuple[Job, Any]) -> None:
        """
        Each job is completed in its first attempt, with its result.
        """
        await self.untilState("completed", [job for job, _ in expected])
        for job, result in expected:
            self.assertEqual((job.result, job.attempts), (result, 1))

    async def test_runsAPlainFunction(self) -> None:
        """
        The example of a plain function completes its tasks.
        """
        counted = self.queue.put({"text": "three small words"})
        wrong = self.queue.put({"words": "none"})
        self.startExample("plain.countWords")
        await self.assertResults((counted, {"words": 3}))
        await self.untilState("failed", [wrong])
        self.assertEqual(wrong.error, "the payload has no text")

    async def test_runsAFunctionThatReturnsADeferred(self) -> None:
        """
        The example of a function that returns a Deferred completes its tasks.
        """
        url = self.serve(page=b"0123456789")
        job = self.queue.put({"url": f"{url}page"})
        self.startExample("deferred.measure")
        await self.assertResults((job, {"bytes": 10}))

    async def test_runsACoroutine(self) -> None:
        """
        The example of a coroutine completes and rejects its tasks, and extends a lease.
        """
        url = self.serve(page=b"a small elephant")
        job = self.queue.put({"url": f"{url}page"})
        missing = self.queue.put({"url": f"{url}nothing"})
        self.startExample("coroutine.longestWord")
        await self.assertResults((job, {"word": "elephant"}))
        self.assertEqual(job.deliveries[0].extended, 1)
        await self.untilState("failed", [missing])
        self.assertEqual(missing.error, "there is no such page")

    async def test_runsACoroutineOnAsyncio(self) -> None:
        """
        The example of a coroutine on asyncio's loop completes its tasks.
        """
        addresses = [["127.0.0.1", self.listening()], ["127.0.0.1", 1]]
        job = self.queue.put({"addresses": addresses})
        self.startExample("asyncio_coroutine.probe", "-n", "--reactor=asyncio")
        await self.assertResults((job, [True, False]))

    async def test_runsInAThread(self) -> None:
        """
        The example of a function that blocks completes its tasks in a thread.
        """
        file = self.directory / "file"
        file.write_bytes(b"0123456789" * 1000)
        found = self.queue.put({"path": str(file)})
        missing = self.queue.put({"path": str(self.directory / "nothing")})
        self.startExample("thread.checksum", run_in="thread")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        await self.assertResults((found, {"sha256": digest}))
        await self.untilState("failed", [missing])
        self.assertEqual(missing.error, "there is no such file")

    async def test_runsInAProcess(self) -> None:
        """
        The example of a function that computes completes its tasks in a process.
        """
        expected = {0: 0, 1: 0, 2: 0, 3: 1, 10: 4, 1_000_000: 78_498}
        jobs = [
            (self.queue.put({"below": n}), {"primes": p}) for n, p in expected.items()
        ]
        self.startExample("process.countPrimes", run_in="process")
        await self.assertResults(*jobs)

    def test_coverEachExample(self) -> None:
        """
        There is a test for each example.
        """
        names = {file.stem for file in HANDLERS.glob("*.py")}
        text = Path(__file__).read_text("utf-8")
        started = re.findall(r'startExample\(\s*"(\w+)\.', text)
        self.assertEqual(names, set(started))
