"""
Tests for L{myconsumer.taskqueue.tap} and L{myconsumer.taskqueue.options}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.taskqueue.options import queueFile
from myconsumer.taskqueue.store.lock import FileLock
from myconsumer.taskqueue.tap import OPTIONS, Options
from myconsumer.text import shown
from tests.taskqueue.core import File

DAY = 86_400


def parse(arguments: Sequence[str]) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


class OptionsCase(SynchronousTestCase):
    """
    Keeps what is in the environment out of the tests.
    """

    def setUp(self) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TASKQUEUE_")}
        self.patch(os, "environ", clean)
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = str(self.directory / "queue.sqlite")

    def refused(self, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            parse(arguments)
        line = caught.exception.code
        assert isinstance(line, str)
        self.assertEqual(len(line.splitlines()), 1, line)
        self.assertTrue(line.startswith("taskqueue: "), line)
        return line.removeprefix("taskqueue: ")


class InUseTests(OptionsCase):
    """
    A file that another process uses.
    """

    def test_namesTheProcess(self) -> None:
        """
        The refusal names the file and the process, and does not take the path for
        wrong.
        """
        lock = FileLock(self.path)
        lock.acquire()
        self.addCleanup(lock.release)
        self.assertEqual(
            self.refused("--db", self.path),
            f"--db: {shown(self.path)} is in use by another process "
            f"(pid {os.getpid()})",
        )


class OptionsTests(OptionsCase):
    """
    Tests for L{Options}.
    """

    def test_needsOnlyTheFile(self) -> None:
        """
        Only the file is needed: the defaults of the rest are for one machine, and for a
        week.
        """
        options = parse(["--db", self.path])
        self.assertEqual(
            dict(options),
            {
                "db": os.path.abspath(self.path),
                "listen": "tcp:8321:interface=127.0.0.1",
                "keep": 7 * DAY,
                "sync": "normal",
                "token-file": None,
                "log-level": "info",
                "log-format": "text",
                "log-keep": 10,
            },
        )
        self.assertEqual(set(options), {option.name for option in OPTIONS})
        self.assertIn("--db is needed", self.refused())

    def test_takesTimesWithUnits(self) -> None:
        """
        A time has a unit, and is a year at most.
        """
        for text, seconds in (
            ("30s", 30),
            ("5m", 300),
            ("1.5h", 5400),
            ("12h", 12 * 3600),
            ("365d", 365 * DAY),
            ("0d", 0),
        ):
            keep = parse(["--db", self.path, "--keep", text])["keep"]
            self.assertEqual(keep, seconds, text)
        for text in ("", "7", "d", "1w", "-1d", "1e3s", "1 d", "366d", ".5h", "1d\n"):
            line = self.refused("--db", self.path, f"--keep={text}")
            self.assertIn("--keep takes a time, such as 12h or 7d, not", line)

    def test_takesEndpoints(self) -> None:
        """
        What Twisted takes for a server endpoint is taken, without listening yet.
        """
        for text in (
            "tcp:0",
            "tcp:8321:interface=0.0.0.0:backlog=500",
            r"tcp6:8321:interface=\:\:1",
            "unix:/run/queue.sock:mode=660",
        ):
            self.assertEqual(
                parse(["--db", self.path, "--listen", text])["listen"], text
            )
        for text in ("", "tcp", "tcp:", "8321", "tcp:http:x=1", "carrier:pigeon", ":"):
            line = self.refused("--db", self.path, f"--listen={text}")
            self.assertIn("--listen takes a server endpoint, such as tcp:8321:", line)

    def test_takesTwoSyncs(self) -> None:
        """
        There are two ways to be durable, and no other is taken.
        """
        options = parse(["--db", self.path, "--sync", "full"])
        self.assertEqual(options["sync"], "full")
        line = self.refused("--db", self.path, "--sync", "off")
        self.assertIn("--sync takes normal or full, not 'off'", line)

    def test_takesOtherPlaces(self) -> None:
        """
        Options may come from the environment and from a file.
        """
        os.environ["TASKQUEUE_DB"] = self.path
        os.environ["TASKQUEUE_KEEP"] = "1h"
        config = self.directory / "queue.toml"
        config.write_text('keep = "2h"\nsync = "full"\n')
        options = parse(["--config", str(config)])
        self.assertEqual(
            (options["db"], options["keep"], options["sync"]),
            (os.path.abspath(self.path), 3600, "full"),
        )
        config.write_text("limit = 4\n")
        self.assertIn("'limit' in", self.refused("--config", str(config)))

    def test_checksTheTokenFile(self) -> None:
        """
        The token file has to be there, and to hold a token.
        """
        token = self.directory / "token"
        line = self.refused("--db", self.path, "--token-file", str(token))
        self.assertIn("No such file", line)
        token.write_text("two words")
        line = self.refused("--db", self.path, "--token-file", str(token))
        self.assertNotIn("two words", line)
        token.write_text("word")
        options = parse(["--db", self.path, "--token-file", str(token)])
        self.assertEqual(options["token-file"].path, os.path.abspath(token))


class QueueFileTests(OptionsCase):
    """
    Tests for L{queueFile}.
    """

    def test_makesNoFile(self) -> None:
        """
        Checking a file that is not there makes none, and nothing beside it.
        """
        self.assertEqual(queueFile(self.path), os.path.abspath(self.path))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_leavesAFileAlone(self) -> None:
        """
        A file that is there is left as it is, and is not kept locked.
        """
        file = File(self.path)
        file.fill("tasks", 10, 1.0)
        file.close()
        before = Path(self.path).read_bytes()
        for _ in range(2):
            queueFile(self.path)
        self.assertEqual(Path(self.path).read_bytes(), before)
        self.assertFalse(os.path.exists(f"{self.path}.lock"))
        lock = FileLock(self.path)
        lock.acquire()
        self.addCleanup(lock.release)
        self.assertRaisesRegex(ValueError, "another process", queueFile, self.path)

    def test_refusesAnotherFile(self) -> None:
        """
        A file that is no queue is refused, and nothing is made beside it.
        """
        Path(self.path).write_text("no database, whatever it is called\n" * 100)
        self.assertRaisesRegex(ValueError, "no SQLite database", queueFile, self.path)
        self.assertEqual(len(list(self.directory.iterdir())), 1)


#: What makes the service of a command line, in a process of its own.
MAKE = """
    import os, threading
    from twisted.internet import reactor
    from myconsumer.taskqueue.service import LocalQueueService
    from myconsumer.taskqueue.tap import Options, makeService

    options = Options()
    options.parseOptions({words!r})
    readers = reactor.getReaders()
    descriptors = os.listdir("/proc/self/fd")
    service = makeService(options)
    assert isinstance(service, LocalQueueService)
    assert not service.running
    assert reactor.getDelayedCalls() == []
    assert reactor.getReaders() == readers
    assert threading.active_count() == 1
    assert os.listdir("/proc/self/fd") == descriptors
"""


class MakeServiceTests(OptionsCase):
    """
    Tests for L{makeService<myconsumer.taskqueue.tap.makeService>}, on a reactor of its
    own.
    """

    def make(self, *words: str, more: str = "") -> tuple[str, str, int]:
        """
        Make the service of a command line, and then do some more.

        @return: What is printed, as output and as errors, and the status.
        """
        script = dedent(MAKE).format(words=["--db", self.path, *words]) + dedent(more)
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            capture_output=True,
            env=os.environ,
            text=True,
            timeout=30,
            check=False,
        )
        return ended.stdout, ended.stderr, ended.returncode

    def test_beginsNothing(self) -> None:
        """
        Nothing is opened or begun yet: the process may fork.
        """
        self.assertEqual(self.make(), ("", "", 0))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_keepsASteadyClock(self) -> None:
        """
        Timers and leases do not follow the wall clock where that is set anew.
        """
        more = """
            import time
            time.time = lambda: 0.0
            print(reactor.seconds() > 1e9)
        """
        self.assertEqual(self.make(more=more), ("True\n", "", 0))

    def test_refusesToStart(self) -> None:
        """
        Where the service cannot be started the process ends with status 1 and one line
        on standard error.
        """
        more = "service.privilegedStartService()"
        output, errors, status = self.make("--listen=tcp:0", more=more)
        self.assertEqual((output, status), ("", 1))
        [line] = errors.splitlines()
        self.assertTrue(line.startswith("taskqueue: it would listen on 0.0.0.0"), line)
