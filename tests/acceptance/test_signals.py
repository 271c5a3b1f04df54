"""
The signals that do not end a consumer, and the terminal that goes away.

Promise 5: a terminal that hangs up has the process drain.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.embedded import QueueCase
from tests.acceptance.handlers import sleeping
from tests.acceptance.twistd import Twistd
from tests.processes import isAlive

#: What the log says at each of the signals.
SAID = {
    "HUP": "Reloaded nothing, without --config: nothing has changed",
    "USR1": "is no file of ours",
    "USR2": "State: running",
}


class SteeringTests(AcceptanceCase):
    """
    SIGHUP, SIGUSR1 and SIGUSR2.
    """

    async def test_noneEndsTheConsumer(self) -> None:
        """
        Each signal does what it is for while a task runs, and again while the consumer
        drains, and the task completes.
        """
        job = self.queue.put(sleeping(3))
        consumer = self.start(log_level="debug")
        await self.untilEvents("start", 1)
        for name, said in SAID.items():
            consumer.signal(name)
            await self.untilSaid(lambda: consumer.output, said)
        consumer.signal("TERM")
        await self.untilSaid(lambda: consumer.output, "SIGTERM: draining")
        for name in SAID:
            consumer.signal(name)
        await self.untilSaid(lambda: consumer.output, "SIGHUP is ignored")
        await self.untilSaid(lambda: consumer.output, "State: draining")
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.SIGTERM)
        self.assertCompletedOnce([job])

    async def test_atTheStart(self) -> None:
        """
        Signals that come from the first moment on, as those of an impatient operator,
        end nothing once the service is made.
        """
        consumer = self.start(
            python="handlers.work",
            files={"handlers.py": EARLY},
        )
        await self.untilIdle()
        await self.untilSaid(lambda: consumer.output, SAID["HUP"])
        await self.untilSaid(lambda: consumer.output, SAID["USR2"])
        self.assertIsNone(consumer.ending)

    async def test_commandsGetTheDefaults(self) -> None:
        """
        A command is ended by these signals, since it inherits neither a handler nor
        that they are ignored.
        """
        words = "sh kill.sh"
        self.queue.put(None)
        consumer = self.start(python=None, exec=words, files={"kill.sh": KILLING})
        await self.untilState("completed")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            self.assertIn(f"stderr: {128 + number}", consumer.output)

    async def test_asADaemon(self) -> None:
        """
        None ends a daemon.  SIGUSR1 has it log to a new file after the old one was
        moved.
        """
        started = self.start("--pidfile=here.pid", "--logfile=here.log")
        await self.untilEnded(started)
        pid = int((started.directory / "here.pid").read_text())
        self.addCleanup(self.endDaemon, pid)
        log = started.directory / "here.log"
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)
        await self.untilIdle()
        os.kill(pid, signal.SIGHUP)
        await self.untilSaid(log.read_text, SAID["HUP"])
        moved = log.rename(started.directory / "moved.log")
        os.kill(pid, signal.SIGUSR2)
        await self.untilSaid(moved.read_text, SAID["USR2"])
        os.kill(pid, signal.SIGUSR1)
        await self.until(log.exists, "there is a new file")
        await self.untilSaid(log.read_text, "The log is opened anew")
        self.assertTrue(isAlive(pid))
        os.kill(pid, signal.SIGTERM)
        await self.until(lambda: not isAlive(pid), "the daemon is gone")
        self.assertIn("Server Shut Down", log.read_text())
        self.assertNotIn("Server Shut Down", moved.read_text())

    async def test_inTheForegroundWithALogFile(self) -> None:
        """
        SIGUSR1 opens the log anew in the foreground, too, where there is a log file.
        """
        consumer = self.start("-n", "--pidfile=", "--logfile=here.log")
        await self.untilIdle()
        log = consumer.directory / "here.log"
        log.rename(consumer.directory / "moved.log")
        consumer.signal("USR1")
        await self.until(log.exists, "there is a new file")
        await self.untilSaid(log.read_text, "The log is opened anew")
        self.assertIsNone(consumer.ending)

    async def untilSaid(self, log: Callable[[], str], line: str) -> None:
        await self.until(lambda: line in log(), f"the log has: {line}")

    def endDaemon(self, pid: int) -> None:
        """
        Send a daemon C{KILL}, if it is there.
        """
        if isAlive(pid):
            os.kill(pid, signal.SIGKILL)


KILLING = """
for name in HUP USR1 USR2
do sh -c "kill -$name \\$\\$"
echo $? >&2
done
"""

#: A handler that sends the signals as soon as it is looked up, before the service is
#: made, and once it is.
EARLY = """
import os, signal
from twisted.internet import reactor
from tests.acceptance.handlers import work

def send():
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
        os.kill(os.getpid(), getattr(signal, name))

reactor.callWhenRunning(send)
"""


class TerminalTests(AcceptanceCase):
    """
    A terminal that controls the consumer.
    """

    onTerminal = True

    async def test_drainsWhenItIsGone(self) -> None:
        """
        When the terminal is closed the running task may end, is settled, and the
        process ends by SIGTERM.
        """
        job = self.queue.put(sleeping(1.5))
        consumer = self.start()
        await self.untilEvents("start", 1)
        consumer.hangUp()
        await self.untilState("completed", [job])
        await self.untilEnded(consumer)
        assert consumer.ending is not None
        self.assertEqual(consumer.ending.signal, signal.SIGTERM)
        self.assertNothingLeased()
        self.assertCompletedOnce([job])

    async def test_reloadsWhileItIsThere(self) -> None:
        """
        While the terminal is there SIGHUP reloads, and the consumer works on.
        """
        consumer = self.start()
        await self.untilIdle()
        consumer.signal("HUP")
        await self.until(lambda: SAID["HUP"] in consumer.output, "it reloads")
        # it looks at the terminal once more after a second
        await self.always(lambda: consumer.ending is None, "it runs", 1.5)
        job = self.queue.put(sleeping(0))
        await self.untilState("completed", [job])

    async def test_survivesItUnderNohup(self) -> None:
        """
        Where SIGHUP was ignored, as under nohup, the consumer works on without its
        terminal, and without a place to log to.
        """
        consumer = self.start(python="ignoring.work", files={"ignoring.py": IGNORING})
        await self.untilIdle()
        consumer.hangUp()
        await self.always(lambda: isAlive(consumer.pid), "it runs", 1.5)
        jobs = [self.queue.put(sleeping(0)) for _ in range(3)]
        await self.untilState("completed", jobs)
        before = cpuSeconds(consumer)
        await self.always(lambda: isAlive(consumer.pid), "it runs", 1)
        self.assertLess(cpuSeconds(consumer) - before, 0.5)


IGNORING = """
import signal
from tests.acceptance.handlers import work

signal.signal(signal.SIGHUP, signal.SIG_IGN)
"""


def cpuSeconds(process: Twistd) -> float:
    """
    The processor's time that a process has taken.
    """
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class QueueTests(QueueCase):
    """
    The embedded queue by itself.
    """

    async def test_noneEndsTheQueue(self) -> None:
        """
        SIGUSR2 writes what is in the queues to the log, SIGHUP and SIGUSR1 do what they
        do for a consumer, and the queue is served on.
        """
        served = await self.serve(log_level="debug")
        client = self.client(served)
        await client.enqueue({"payload": 1}, {"payload": 2})
        for name, said in (
            ("HUP", SAID["HUP"]),
            ("USR1", SAID["USR1"]),
            ("USR2", "State: queue tasks: 2 ready"),
        ):
            served.signal(name)
            await self.until(lambda said=said: said in served.output, said)
        self.assertEqual((await client.counts())["ready"], 2)
