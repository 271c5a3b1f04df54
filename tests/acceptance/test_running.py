"""
The ways to run a consumer: configured by anything, as a daemon, as a part.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.handlers import NEVER, returning, sleeping
from tests.acceptance.twistd import CHECKOUT, Twistd

CONFIG = """
url = "{url}"
python = "tests.acceptance.handlers.work"
limit = 2
wait = 3.5
prefetch = 1
lease = 50
until-empty = true
"""


class ConfigurationTests(AcceptanceCase):
    """
    Options from the command line, the environment and a file.
    """

    async def test_commandLineComesFirst(self) -> None:
        """
        The command line comes before the environment, and that before the file.
        """
        config = CONFIG.format(url=self.endpoint.url)
        self.start(
            url=None,
            limit=None,
            python=None,
            config="consumer.toml",
            lease=30,
            files={"consumer.toml": config},
            environment={
                "CONSUMER_LIMIT": "3",
                "CONSUMER_LEASE": "40",
                "CONSUMER_UNTIL_EMPTY": "false",
            },
        )
        await self.untilIdle()
        [claim] = [seen.body for seen in self.endpoint.requests("claim")]
        self.assertEqual(
            (claim["limit"], claim["lease"], claim["wait"]), (3 + 1, 30, 3.5)
        )

    async def test_runsByTheEnvironmentAlone(self) -> None:
        """
        All options may come from the environment, even the name of the file.
        """
        job = self.queue.put(returning(1))
        consumer = self.start(
            url=None,
            limit=None,
            python=None,
            files={"consumer.toml": CONFIG.format(url=self.endpoint.url)},
            environment={"CONSUMER_CONFIG": "consumer.toml"},
        )
        await self.untilEnded(consumer)
        self.assertCompletedOnce([job])


class DaemonTests(AcceptanceCase):
    """
    C{twistd consumer} without C{-n}.
    """

    async def test_startsAndStops(self) -> None:
        """
        The consumer detaches, runs tasks, and is stopped by its pid file, with nothing
        left leased, and its lines in its log.
        """
        starter = self.start("--pidfile=twistd.pid", "--logfile=twistd.log")
        await self.untilEnded(starter)
        assert starter.ending is not None
        self.assertEqual((starter.ending.status, starter.output), (0, ""))
        file = starter.directory / "twistd.pid"
        pid = int(await self.until(file.read_text, "there is a pid file"))
        self.addCleanup(_kill, pid, file)
        await self.untilState("completed", [self.queue.put(returning(1))])
        self.queue.put(sleeping(1))
        await self.untilEvents("start", 2)
        os.kill(pid, signal.SIGTERM)
        await self.until(lambda: not file.exists(), "the pid file is gone")
        await self.until(lambda: not _lives(pid), "the process is gone")
        self.assertCompletedOnce()
        self.assertNothingLeased()
        log = (starter.directory / "twistd.log").read_text()
        self.assertIn("Consuming", log)
        self.assertNotIn("Traceback", log)


COMPOSED = """
import os

from twisted.application.internet import TimerService
from twisted.application.service import Application
from twisted.internet import reactor

from myconsumer import ConsumerService
from myconsumer.handlers.python import PythonHandler
from myconsumer.http import makeClient, parseURL
from myconsumer.queues.json import JSONQueue
from tests.acceptance.handlers import work

queue = JSONQueue(makeClient(reactor, connections=4), parseURL("%(url)s"))
consumer = ConsumerService(queue, PythonHandler(work), 4, **%(options)s)


def obey():
    for command in ("stopService", "startService"):
        if os.path.exists(command):
            os.remove(command)
            getattr(consumer, command)()


application = Application("composed")
consumer.setServiceParent(application)
TimerService(0.05, obey).setServiceParent(application)
"""


class ComposedTests(AcceptanceCase):
    """
    The service as a child of another application.
    """

    def startComposed(self, options: str = "{}") -> Twistd:
        tac = COMPOSED % {"url": self.endpoint.url, "options": options}
        return self.spawn(["-noy", "composed.tac"], {}, {"composed.tac": tac})

    def tell(self, process: Twistd, command: str) -> None:
        """
        Have the application call a method of the service.
        """
        (process.directory / command).touch()

    async def test_stopsWithTheApplication(self) -> None:
        """
        The service runs in an application, and drains when the application stops; it
        handles no signals: a second one does not skip the waiting.
        """
        job = self.queue.put(sleeping(2))
        application = self.startComposed()
        await self.untilEvents("start", 1)
        for _ in range(2):
            told = application.output.count("SIGTERM")
            application.signal("TERM")
            await self.until(
                lambda told=told: application.output.count("SIGTERM") > told,
                "it tells of the signal",
            )
        await self.untilEnded(application)
        assert application.ending is not None
        self.assertEqual(application.ending.signal, signal.SIGTERM)
        self.assertCompletedOnce([job])
        self.assertNothingLeased()

    async def test_exampleRuns(self) -> None:
        """
        The composed example runs, and the service that its handler needs is there until
        the end.
        """
        job = self.queue.put({"number": 7})
        last = self.queue.put({"number": 12})
        self.queue.put({"number": "x"})
        application = self.spawn(
            ["-noy", str(CHECKOUT / "examples" / "composed.tac")],
            {"TASKS_URL": self.endpoint.url},
            {},
        )
        await self.until(lambda: self.queue.count("failed"), "all have begun")
        self.assertEqual(len(self.queue.deliveries), 3)
        application.signal("TERM")
        await self.untilEnded(application)
        self.assertEqual((job.result, last.result), ({"square": 49}, {"square": 144}))
        self.assertIn("2 squares are known", application.output)
        self.assertNothingLeased()

    async def test_stopsAlone(self) -> None:
        """
        When the service alone is stopped the application goes on, and can start it
        again.
        """
        application = self.startComposed()
        await self.untilState("completed", [self.queue.put(returning(1))])
        await self.untilIdle()
        self.tell(application, "stopService")
        await self.until(lambda: self.endpoint.openClaims == 0, "it has stopped")
        job = self.queue.put(returning(2))
        await self.always(lambda: not job.deliveries, "it claims nothing", 0.5)
        self.assertIsNone(application.ending)
        self.tell(application, "startService")
        await self.untilState("completed", [job])

    async def test_secondStopSkipsTheWaiting(self) -> None:
        """
        A second call of C{stopService} skips the waiting.
        """
        self.queue.put(NEVER)
        application = self.startComposed('{"drain": 60}')
        await self.untilEvents("start", 1)
        for _ in range(2):
            self.tell(application, "stopService")
            await self.until(
                lambda: not (application.directory / "stopService").exists(),
                "it is told",
            )
        await self.untilState("ready")
        self.assertEqual(self.queue.jobs[0].attempts, 0)
        self.assertIsNone(application.ending)

    async def test_callsOnEndWhenNothingIsLeft(self) -> None:
        """
        When no task is left the service calls C{onEnd}, and does not end the
        application.
        """
        self.queue.put(returning(1))
        application = self.startComposed(
            '{"untilEmpty": True, "onEnd": lambda reason: print("ended:", reason)}'
        )
        await self.until(lambda: "ended: None" in application.output, "it tells of it")
        self.assertCompletedOnce()
        await self.always(lambda: not application.ending, "it runs on", 0.5)
        self.assertEqual(application.output.count("ended:"), 1)


def _lives(pid: int) -> bool:
    """
    Whether a process runs, and is not merely waiting to be reaped.
    """
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _kill(pid: int, file: Path) -> None:
    """
    End a daemon that has not removed its pid file.
    """
    if file.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
