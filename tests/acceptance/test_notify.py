"""
What a consumer and a queue tell systemd, at a socket that stands for it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from itertools import pairwise

from tests.acceptance.case import AcceptanceCase, ProcessCase
from tests.acceptance.embedded import QueueCase
from tests.acceptance.handlers import sleeping

HANDLERS = """
import os, time

def block(task):
    time.sleep(3)

def look(task):
    assert "NOTIFY_SOCKET" not in os.environ, "children inherit the socket"
    assert "WATCHDOG_USEC" not in os.environ
"""


class Listening(ProcessCase):
    """
    A socket of systemd's.

    @ivar heard: Each notification, with the time at which it came.
    """

    def listen(self, isAbstract: bool = False) -> dict[str, str]:
        """
        @return: The environment of a service, with a watchdog of half a second.
        """
        self.heard: list[tuple[float, str]] = []
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notified.close)
        self.notified.setblocking(False)
        path = str(self.directory / "notify")
        name = f"\0{path}" if isAbstract else path
        self.notified.bind(name)
        return {
            "NOTIFY_SOCKET": name.replace("\0", "@"),
            "WATCHDOG_USEC": "500000",
        }

    def words(self) -> str:
        """
        @return: The names of all assignments that were heard, in their order.
        """
        with contextlib.suppress(BlockingIOError):
            while True:
                said = self.notified.recv(4096).decode()
                self.heard.append((self.reactor.seconds(), said))
        lines = [line for _, said in self.heard for line in said.splitlines()]
        return " ".join(re.sub("=.*", "", line) for line in lines)

    async def untilHeard(self, pattern: str) -> None:
        await self.until(lambda: re.search(pattern, self.words()), pattern)


class ConsumerTests(AcceptanceCase, Listening):
    """
    A consumer.
    """

    async def test_notifiesInOrder(self) -> None:
        """
        READY once it consumes, WATCHDOG while it makes progress, RELOADING and READY at
        a reload, STATUS when that changes, STOPPING at the begin of a stop, WATCHDOG
        while it drains.
        """
        job = self.queue.put(sleeping(3))
        consumer = self.start(environment=self.listen(), drain=10)
        await self.untilEvents("start", 1)
        await self.untilHeard("^READY STATUS (WATCHDOG ?)+")
        consumer.signal("HUP")
        await self.untilHeard("WATCHDOG RELOADING MONOTONIC_USEC READY .*WATCHDOG")
        consumer.signal("TERM")
        await self.untilHeard("WATCHDOG STOPPING EXTEND_TIMEOUT_USEC .*WATCHDOG")
        await self.untilEnded(consumer)
        self.assertRegex(
            re.sub("(STATUS|WATCHDOG) ?", "", self.words()),
            "^READY RELOADING MONOTONIC_USEC READY STOPPING EXTEND_TIMEOUT_USEC $",
        )
        said = "\n".join(said for _, said in self.heard)
        self.assertIn("STATUS=running; 1 running", said)
        self.assertIn("EXTEND_TIMEOUT_USEC=25000000", said)
        self.assertCompletedOnce([job])

    async def test_noWatchdogWhileTheReactorIsBlocked(self) -> None:
        """
        While a handler blocks the reactor WATCHDOG is not sent, and afterwards it is.
        """
        consumer = self.start(
            environment=self.listen(isAbstract=True),
            python="handlers.block",
            files={"handlers.py": HANDLERS},
        )
        await self.untilHeard("READY .*WATCHDOG .*WATCHDOG")
        self.queue.put(None)
        await self.untilState("completed")
        await self.untilHeard("WATCHDOG.*WATCHDOG")
        times = [at for at, said in self.heard if "WATCHDOG=1" in said]
        self.assertIsNone(consumer.ending)
        gaps = [later - at for at, later in pairwise(times)]
        self.assertGreater(max(gaps), 2)

    async def test_childrenDoNotInherit(self) -> None:
        """
        Neither a handler nor a command finds the socket in its environment.
        """
        self.queue.put(None)
        self.start(
            environment=self.listen(),
            python="handlers.look",
            run_in="process",
            files={"handlers.py": HANDLERS},
        )
        await self.untilState("completed")

    async def test_survivesALostSocket(self) -> None:
        """
        A socket that is gone costs one line of the log, and nothing else.
        """
        environment = self.listen()
        consumer = self.start(environment=environment)
        await self.untilHeard("WATCHDOG")
        self.notified.close()
        os.unlink(environment["NOTIFY_SOCKET"])
        await self.until(lambda: "cannot be notified" in consumer.output, "it says so")
        self.queue.put(sleeping(1))
        await self.untilState("completed")
        self.assertEqual(consumer.output.count("cannot be notified"), 1)


class QueueTests(QueueCase, Listening):
    """
    The embedded queue by itself.
    """

    async def test_notifies(self) -> None:
        """
        READY once it serves, with what it serves, WATCHDOG, and STOPPING.
        """
        words = ["-n", "--pidfile=", "taskqueue", f"--db={self.file}"]
        words += ["--listen=tcp:0:interface=127.0.0.1"]
        served = self.spawn(words, self.listen(), {})
        await self.untilHeard("^READY STATUS (WATCHDOG ?)+")
        self.assertIn("STATUS=serving queues at http://127.0.0.1:", self.heard[0][1])
        served.signal("TERM")
        await self.untilEnded(served)
        await self.untilHeard("STOPPING EXTEND_TIMEOUT_USEC")
