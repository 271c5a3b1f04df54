"""
A reload of a running consumer: what it changes, and what leaves it as it was.
"""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import sleeping
from tests.acceptance.twistd import Twistd


class ReloadTests(AcceptanceCase):
    """
    SIGHUP, with a file of C{--config}.
    """

    async def begin(self, text: str) -> tuple[Twistd, Path]:
        """
        Start a consumer with a file, and wait until it claims.
        """
        consumer = self.start(limit=None, config="c.toml", files={"c.toml": text})
        await self.untilIdle()
        return consumer, consumer.directory / "c.toml"

    async def reload(self, consumer: Twistd, said: str) -> str:
        """
        Send SIGHUP, and wait for a line.

        @return: What the log has since.
        """
        before = len(consumer.output)
        consumer.signal("HUP")
        await self.until(lambda: said in consumer.output[before:], f"it says {said}")
        return consumer.output[before:]

    async def test_changesTheLimit(self) -> None:
        """
        A higher limit fills the new slots at once, a lease that is changed is that of
        the next claim, and one line has both.
        """
        consumer, file = await self.begin("limit = 1\nlease = 30\n")
        jobs = [self.queue.put(sleeping(2)) for _ in range(3)]
        await self.untilEvents("start", 1)
        file.write_text("limit = 3\nlease = 20\n")
        said = await self.reload(consumer, "limit 1 -> 3, lease 30 -> 20")
        self.assertRegex(said, r"Reloaded /\S+c.toml: limit")
        self.assertNotIn("from now on", said)
        await self.untilEvents("start", 3)
        self.assertEqual(self.mostAtOnce(), 3)
        self.assertEqual(self.endpoint.requests("claim")[-1].body["lease"], 20)
        await self.reload(consumer, "c.toml: nothing has changed")
        await self.untilState("completed", jobs)
        self.assertCompletedOnce(jobs)

    async def test_refusesAWrongFile(self) -> None:
        """
        A file with anything wrong in it changes nothing, and one error says what is
        wrong; once it is right all of it is taken.
        """
        consumer, file = await self.begin("limit = 2\n")
        for text, said in (
            ("limit = 3\nlease = 0\n", "c.toml' takes a number of seconds above 0"),
            ("limit = 3\nlimitt = 4\n", "c.toml' is no option; known are"),
            ("limit = 3\nwait = \n", "--config takes the path of a TOML file"),
            ("", "--limit is needed"),
        ):
            file.write_text(text)
            lines = await self.reload(consumer, "the old settings stay in use")
            self.assertIn(said, lines)
            self.assertIn("#error] Nothing is reloaded", lines)
        jobs = [self.queue.put(sleeping(0.5)) for _ in range(4)]
        await self.untilState("completed", jobs)
        self.assertEqual(self.mostAtOnce(), 2)
        file.write_text("limit = 3\nlease = 30\n")
        await self.reload(consumer, "limit 2 -> 3, lease 60 -> 30")
        self.assertNotIn("Traceback", consumer.output)

    async def test_refusesALimitWithoutDescriptors(self) -> None:
        """
        A limit that needs more descriptors than there may be is refused, with all else
        in the file, and refused again at the next reload.
        """
        consumer = self.start(
            limit=None, python=None, exec="cat", config="c.toml",
            files={"c.toml": "limit = 2\n"},
        )  # fmt: skip
        await self.untilIdle()
        file = consumer.directory / "c.toml"
        file.write_text("limit = 1000000\nlease = 30\n")
        for _ in range(2):
            lines = await self.reload(consumer, "the old settings stay in use")
            self.assertIn("file descriptors", lines)
        self.queue.put(None)
        await self.untilState("completed")
        self.assertEqual(self.endpoint.requests("claim")[-1].body["lease"], 60)

    async def test_namesWhatNeedsARestart(self) -> None:
        """
        What cannot take effect is named once, with what to do; the level of the log
        takes effect.
        """
        consumer, file = await self.begin("limit = 2\n")
        file.write_text("limit = 2\nrun-in = 'thread'\nlog-level = 'debug'\n")
        said = "after a restart only: run-in reactor -> thread"
        lines = await self.reload(consumer, said)
        self.assertIn("log-level info -> debug", lines)
        consumer.signal("USR1")
        await self.until(lambda: "no file of ours" in consumer.output, "it is verbose")
        lines = await self.reload(consumer, "nothing has changed")
        self.assertNotIn("restart", lines)

    async def test_readsTheToken(self) -> None:
        """
        Another token is sent after a reload, and one that cannot be read is reported
        each time, while the last good one stays in use.
        """
        consumer = self.start(token_file="token", files={"token": "0ne"})
        await self.untilIdle()
        token = consumer.directory / "token"
        token.write_text("tw0")
        await self.reload(consumer, "Another token is in use now")
        token.unlink()
        for _ in range(2):
            await self.reload(consumer, "the last good token is in use")
        self.queue.put(sleeping(0))
        await self.untilState("completed")
        self.assertNotIn("tw0", consumer.output)
