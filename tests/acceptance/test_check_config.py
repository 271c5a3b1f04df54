"""
A real C{twistd consumer --check-config}: it says what is wrong, claims nothing, and
leaves nothing behind.
"""

from __future__ import annotations

from typing import Any

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.twistd import Twistd

LOCAL = {"url": None, "local": "queue.sqlite", "listen": "tcp:0:interface=127.0.0.1"}


class CheckConfigTests(AcceptanceCase):
    """
    C{--check-config}.
    """

    def check(self, *twistd: str, **more: Any) -> Twistd:
        """
        Begin to check.
        """
        options = {"url": self.endpoint.url, "check_config": True} | more
        # as a daemon: there is no "-n"
        return self.start(*(twistd or ("--pidfile=twistd.pid",)), **options)

    async def checked(self, process: Twistd, status: int, *said: str) -> Twistd:
        """
        Wait for the end of a check, and look at it: the folder of the process is as
        before, nothing was claimed, and each of C{said} is in one line.
        """
        files = {path.name for path in process.directory.iterdir()}
        await self.untilEnded(process)
        assert process.ending is not None
        self.assertEqual(process.ending.status, status, process.output)
        self.assertEqual({path.name for path in process.directory.iterdir()}, files)
        self.assertNotIn("Traceback", process.output)
        self.assertEqual(self.endpoint.requests("claim"), [])
        self.assertEqual("ok: " in process.output, status == 0)
        for each in said:
            lines = [line for line in process.output.splitlines() if each in line]
            self.assertEqual(len(lines), 1, process.output)
        return process

    async def test_passes(self) -> None:
        """
        Where all is well, options and advice are printed with their origins, and the
        endpoint's answer; nothing is claimed.
        """
        self.queue.put(1)
        begun = self.check(
            files={"c.toml": "prefetch = 1"},
            environment={"CONSUMER_WAIT": "3", "CONSUMER_TOKEN": "s3cret"},
            config="c.toml",
        )
        process = await self.checked(begun, 0)
        self.assertEqual(
            process.output.splitlines(),
            [
                f"option: url {self.endpoint.url} (--url)",
                "option: limit 4 (--limit)",
                "option: python tests.acceptance.handlers.work (--python)",
                "option: wait 3 (CONSUMER_WAIT)",
                "option: prefetch 1 (prefetch in 'c.toml')",
                "warning: CONSUMER_TOKEN is not read: write the token into a file, and "
                "set CONSUMER_TOKEN_FILE to the file's path",
                f"found: <JSONQueue {self.endpoint.url}> answers, and can end claims",
                "ok: nothing speaks against a start",
            ],
        )
        self.assertEqual(process.errors, "")
        self.assertEqual([seen.kind for seen in self.endpoint.seen], ["cancel"])

    async def test_passesWithoutDelete(self) -> None:
        """
        An endpoint that cannot end claims is told from a server without a queue by the
        extension of a lease.
        """
        self.endpoint.canCancel = False
        wrong = self.endpoint.url.replace("queue", "nothing/x/y")
        good, bad = self.check("--reactor=asyncio"), self.check(url=wrong)
        await self.checked(good, 0, "answers, and cannot end claims")
        await self.checked(bad, 1, "error: <JSONQueue ")

    async def test_saysWhatIsWrong(self) -> None:
        """
        An endpoint that refuses or is not there, an option, a file, a program: each is
        said in one line, with status 1.
        """
        self.endpoint.token = "word"
        gone = "http://127.0.0.1:1/q"
        refused = "cannot connect: Connection was refused"
        begun = [
            (self.check(**more), said)
            for more, said in (
                ({}, "401 Unauthorized: it wants a token"),
                ({"url": gone}, refused),
                ({"url": gone, "protocol": "plain"}, refused),
                ({"python": "no_such.name"}, "consumer: --python takes the dotted"),
                ({"python": None, "exec": "/no/such"}, "there is no program '/no/suc"),
                ({"limit": 1_000_000, "python": None, "exec": "cat"}, "descriptors"),
                (
                    # it is for the command line only
                    {"files": {"c.toml": "check-config = true"}, "config": "c.toml"},
                    "'check-config' in 'c.toml' is no option",
                ),
            )
        ]
        for process, said in begun:
            await self.checked(process, 1, said)

    async def test_asksPlainEndpointsNothing(self) -> None:
        """
        At C{--protocol plain}, where a GET may take a task, no request is made.
        """
        process = self.check(protocol="plain")
        await self.checked(process, 0, "takes connections; it was asked nothing")
        self.assertEqual(self.endpoint.seen, [])

    async def test_leavesTheEmbeddedQueueAlone(self) -> None:
        """
        With C{--local} the file is not made; a port that is taken is said.
        """
        port = self.endpoint.url.split(":")[2].split("/")[0]
        taken = {"listen": f"tcp:{port}:interface=127.0.0.1"}
        free, busy = self.check(**LOCAL), self.check(**(LOCAL | taken))
        await self.checked(free, 0, "found: <LocalQueue tasks> can be served")
        await self.checked(busy, 1, "Address already in use")

    async def test_checksTaskqueue(self) -> None:
        """
        C{twistd taskqueue} checks its own options and port.
        """
        begun = [
            (self.checkTaskqueue(f"--listen={listen}"), status, said)
            for listen, status, said in (
                ("tcp:0:interface=127.0.0.1", 0, "can be served"),
                ("tcp:0", 1, "without a token"),
            )
        ]
        for process, status, said in begun:
            await self.checked(process, status, said)

    def checkTaskqueue(self, *words: str) -> Twistd:
        return self.spawn(
            ["taskqueue", "--db=q.sqlite", *words, "--check-config"], {}, {}
        )
