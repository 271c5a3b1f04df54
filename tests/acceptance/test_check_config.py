"""
A real C{twistd consumer --check-config}: it says what is wrong, claims nothing, and
leaves nothing behind.
"""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.twistd import Twistd

LOCAL = {"url": None, "local": "queue.sqlite", "listen": "tcp:0:interface=127.0.0.1"}


class CheckConfigTests(AcceptanceCase):
    """
    C{--check-config}.
    """

    async def checked(self, status: int, *words: str, **more: Any) -> Twistd:
        """
        Check; the folder of the process is to be as before, but for its files.
        """
        options = {"url": self.endpoint.url, "check_config": True} | more
        files = options.pop("files", {})
        environment = options.pop("environment", {})
        # as a daemon: there is no "-n"
        twistd = words or ("--pidfile=twistd.pid",)
        process = self.start(*twistd, files=files, environment=environment, **options)
        await self.untilEnded(process)
        assert process.ending is not None
        self.assertEqual(process.ending.status, status, process.output)
        self.assertEqual(
            {path.name for path in process.directory.iterdir()}, set(files)
        )
        self.assertNotIn("Traceback", process.output)
        self.assertEqual(self.endpoint.requests("claim"), [])
        return process

    async def test_passes(self) -> None:
        """
        Where all is well, options and advice are printed with their origins, and the
        endpoint's answer; nothing is claimed.
        """
        self.queue.put(1)
        process = await self.checked(
            0,
            files={"c.toml": "prefetch = 1"},
            environment={"CONSUMER_WAIT": "3", "CONSUMER_TOKEN": "s3cret"},
            config="c.toml",
        )
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
        process = await self.checked(0, "--reactor=asyncio")
        self.assertIn("answers, and cannot end claims", process.output)
        wrong = self.endpoint.url.replace("queue", "nothing")
        self.endpoint.plan = lambda seen: None
        process = await self.checked(1, url=f"{wrong}/x/y")
        self.assertIn("error: <JSONQueue ", process.output)

    async def test_saysWhatIsWrong(self) -> None:
        """
        An endpoint that refuses or is not there, an option, a file, a program: each is
        said in one line, with status 1.
        """
        self.endpoint.token = "word"
        gone = "http://127.0.0.1:1/q"
        for more, said in (
            ({}, "401 Unauthorized: it wants a token"),
            ({"url": gone}, "cannot connect: Connection was refused"),
            (
                {"url": gone, "protocol": "plain"},
                "cannot connect: Connection was refused",
            ),
            ({"python": "no_such.name"}, "consumer: --python takes the dotted name"),
            ({"python": None, "exec": "/no/such"}, "there is no program '/no/such'"),
            ({"limit": 1_000_000, "python": None, "exec": "cat"}, "descriptors"),
        ):
            process = await self.checked(1, **more)
            lines = [line for line in process.output.splitlines() if said in line]
            self.assertEqual(len(lines), 1, process.output)
            self.assertNotIn("ok: ", process.output)

    async def test_asksPlainEndpointsNothing(self) -> None:
        """
        At C{--protocol plain}, where a GET may take a task, no request is made.
        """
        process = await self.checked(0, protocol="plain")
        self.assertIn("takes connections; it was asked nothing", process.output)
        self.assertEqual(self.endpoint.seen, [])

    async def test_leavesTheEmbeddedQueueAlone(self) -> None:
        """
        With C{--local} the file is not made; a port that is taken is said.
        """
        process = await self.checked(0, **LOCAL)
        self.assertIn("found: <LocalQueue tasks> can be served", process.output)
        port = self.endpoint.url.split(":")[2].split("/")[0]
        taken = {"listen": f"tcp:{port}:interface=127.0.0.1"}
        process = await self.checked(1, **(LOCAL | taken))
        self.assertIn("Address already in use", process.output)

    async def test_checksTaskqueue(self) -> None:
        """
        C{twistd taskqueue} checks its own options and port.
        """
        for listen, status, said in (
            ("tcp:0:interface=127.0.0.1", 0, "can be served"),
            ("tcp:0", 1, "without a token"),
        ):
            words = ["taskqueue", "--db=q.sqlite", f"--listen={listen}"]
            process = self.spawn([*words, "--check-config"], {}, {})
            await self.untilEnded(process)
            assert process.ending is not None
            self.assertEqual(process.ending.status, status, process.output)
            self.assertIn(said, process.output)
            self.assertEqual(list(process.directory.iterdir()), [])

    async def test_isNoOptionOfOtherPlaces(self) -> None:
        """
        C{--check-config} is for the command line only: the file is refused with it.
        """
        process = await self.checked(
            1, files={"c.toml": "check-config = true"}, config="c.toml"
        )
        self.assertIn("'check-config' in 'c.toml' is no option", process.output)
        self.assertEqual(json.dumps(self.endpoint.seen), "[]")
