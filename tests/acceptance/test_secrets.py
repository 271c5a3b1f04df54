"""
The bearer token: used, read again, and never shown.

Promise 9: the token is in no log, no process list and no environment.
"""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.exchange import Exchange
from tests.acceptance.handlers import returning

OLD, NEW = "old-token-7f3a9c", "new-token-b81e44"


class TokenTests(AcceptanceCase):
    """
    C{--token-file}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.endpoint.token = OLD
        self.file = self.directory / "token"
        self.file.write_text(OLD + "\n")

    async def test_usesAChangedToken(self) -> None:
        """
        A token that changes, in the file and at the endpoint, is used from then on.
        """
        self.start(token_file=self.file, wait=0.2, interval=0.2)
        await self.untilState("completed", [self.queue.put(returning(1))])
        self.file.write_text(NEW)
        self.endpoint.token = NEW
        await self.untilState("completed", [self.queue.put(returning(2))])
        self.assertCompletedOnce()

    async def test_rereadsTheFileWhenRefused(self) -> None:
        """
        When a token is refused, the file is read again before anything else.
        """
        consumer = self.start(token_file=self.file)
        await self.untilIdle()

        async def rotate(exchange: Exchange) -> None:
            self.file.write_text(NEW)
            self.endpoint.token = NEW
            self.endpoint.plan = lambda seen: None
            exchange.send(401, b"")

        self.endpoint.plan = lambda seen: rotate if seen.kind == "settle" else None
        await self.untilState("completed", [self.queue.put(returning(1))], seconds=5)
        await self.untilState("completed", [self.queue.put(returning(2))], seconds=5)
        self.assertCompletedOnce()
        for kind in ("settle", "claim"):
            refused = [s for s in self.endpoint.requests(kind) if s.status == 401]
            self.assertLessEqual(len(refused), 1)
        self.assertNotIn("Traceback", consumer.output)

    async def test_showsTheTokenNowhere(self) -> None:
        """
        The token is in no log, no process list and no environment, whether it is
        accepted or refused.
        """
        consumer = self.start(token_file=self.file)
        await self.untilState("completed", [self.queue.put(returning(1))])
        self.endpoint.token = "another"
        self.queue.put(returning(1))
        await self.until(
            lambda: any(seen.status == 401 for seen in self.endpoint.seen), "a 401"
        )
        await self.until(lambda: "401" in consumer.output, "it tells of the 401")
        process = Path(f"/proc/{consumer.pid}")
        for shown in (process / "cmdline", process / "environ"):
            self.assertNotIn(OLD.encode(), shown.read_bytes())
        self.assertNotIn(OLD, consumer.output)
        authorizations = {s.headers.get("authorization") for s in self.endpoint.seen}
        self.assertEqual(authorizations, {f"Bearer {OLD}"})
