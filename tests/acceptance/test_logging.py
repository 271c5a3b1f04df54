"""
The log of a process: its format, its levels, and its bounds.
"""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.case import AcceptanceCase
from tests.acceptance.embedded import QueueCase
from tests.acceptance.handlers import FAILING, returning

HANDLERS = """
from twisted.logger import Logger

log = Logger()

def fill(task):
    for _ in range(2_600):
        log.info("{text}", text="x" * 1_000)
"""

RECORDING = """
import logging

log = logging.getLogger("app.mail")

def send(task):
    log.warning("%s is not reachable", task.payload["host"])
"""


def lines(output: str) -> list[dict[str, Any]]:
    """
    @return: The lines of a log, each decoded.
    """
    return [json.loads(line) for line in output.splitlines()]


class FormatTests(AcceptanceCase):
    """
    C{--log-format json}.
    """

    async def test_eachLineIsAnObject(self) -> None:
        """
        From the first line to the last each is a JSON object with time, level, logger
        and message; a task that fails has a line with its id and its traceback.
        """
        [job] = [self.queue.put(FAILING)]
        consumer = self.start(log_format="json", log_level="debug", max_attempts=1)
        await self.untilState("failed", [job])
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        found = lines(consumer.output)
        for line in found:
            self.assertLessEqual({"time", "level", "logger", "message"}, set(line))
            for value in line.values():
                self.assertIsInstance(value, str | int | float | bool | None)
        self.assertEqual(found[-1]["message"], "Server Shut Down.")
        failed = [line for line in found if "traceback" in line]
        self.assertEqual(len(failed), 1)
        self.assertIn("Traceback", failed[0]["traceback"])
        self.assertIn(job.id, failed[0].values())

    async def test_hasRecordsOfProcesses(self) -> None:
        """
        What a callable logs in a process of C{--run-in process} is in the log of the
        consumer, with its level, its logger and the id of its task.
        """
        job = self.queue.put({"host": "example.com"})
        consumer = self.start(
            python="handlers.send", run_in="process", log_format="json",
            files={"handlers.py": RECORDING},
        )  # fmt: skip
        await self.untilState("completed", [job])
        found = [e for e in lines(consumer.output) if e["logger"] == "app.mail"]
        self.assertEqual(
            [(each["level"], each["id"], each["message"]) for each in found],
            [("warn", job.id, f"Task {job.id}: example.com is not reachable")],
        )

    async def test_eachTaskIsALine(self) -> None:
        """
        At level debug the end of each task is one line with its id, attempt, outcome
        and seconds as plain fields.
        """
        jobs = [self.queue.put(payload) for payload in (returning(1), FAILING)]
        consumer = self.start(log_format="json", log_level="debug", max_attempts=1)
        await self.untilState("completed", jobs[:1])
        await self.untilState("failed", jobs[1:])
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        ended = [
            line for line in lines(consumer.output) if "has ended" in line["message"]
        ]
        self.assertEqual(
            sorted((line["id"], line["attempt"], line["outcome"]) for line in ended),
            sorted(
                zip([job.id for job in jobs], [1, 1], ["complete", "fail"], strict=True)
            ),
        )
        for line in ended:
            self.assertEqual(line["level"], "debug")
            self.assertIsInstance(line["seconds"], float)


class BoundTests(AcceptanceCase):
    """
    C{--log-keep}.
    """

    async def test_boundsFiles(self) -> None:
        """
        However much is logged, no more files are kept than are wanted, each of 10 MB at
        most.
        """
        consumer = self.start(
            "-n", "--logfile=here.log",
            python="handlers.fill", log_keep=2, run_in="reactor",
            files={"handlers.py": HANDLERS},
        )  # fmt: skip
        for _ in range(14):
            self.queue.put(None)
        await self.untilState("completed", seconds=60)
        sizes = {
            path.name: path.stat().st_size
            for path in consumer.directory.glob("here.log*")
        }
        self.assertEqual(set(sizes), {"here.log", "here.log.1", "here.log.2"})
        self.assertLessEqual(max(sizes.values()), 10_000_000)

    async def test_survivesAFullDisk(self) -> None:
        """
        A log that takes no line, as on a full disk, ends nothing.
        """
        consumer = self.start("-n", "--logfile=/dev/full")
        job = self.queue.put(returning(1))
        await self.untilState("completed", [job])
        consumer.signal("TERM")
        await self.untilEnded(consumer)
        self.assertEqual(consumer.output, "")


class QueueTests(QueueCase):
    """
    The embedded queue by itself.
    """

    async def test_logsJSON(self) -> None:
        """
        The queue has the options of the log, too.
        """
        served = self.taskqueue(
            db=self.file, listen="tcp:0:interface=127.0.0.1", log_format="json"
        )
        await self.untilServing(served)
        self.assertIn("Serving queues", "".join(map(str, lines(served.output))))
