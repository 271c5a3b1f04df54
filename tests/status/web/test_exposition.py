"""
Metrics as Prometheus reads them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import version
from unittest import SkipTest

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openMetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.errors import FaultError
from myconsumer.status.metrics import Metrics
from myconsumer.status.state import Status
from myconsumer.status.totals import Counts
from myconsumer.status.web.exposition import Exposition
from myconsumer.task import COMPLETE, Request, Task
from tests.status.web.subjects import MadeUpConsumer, shown

#: What Prometheus asks for, and what of it Prometheus is given.
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"

#: Units, in the plural, and what is a number of things.
UNIT = re.compile(
    "_(seconds|total|info|busy|limit|waiting|pending|held|open|size|paused|draining)$"
    "|_paused$|_draining$"
)


class ExpositionCase(SynchronousTestCase):
    """
    Has metrics, and a consumer that is made up.
    """

    def setUp(self) -> None:
        self.metrics = Metrics()
        state = Status(limit=4, state="running", running=2, uptime=9.0)
        self.consumer = MadeUpConsumer(state)
        self.exposition = Exposition(shown(self.consumer, self.metrics))

    def text(self) -> str:
        """
        @return: What is given out.
        """
        content, contentType = self.exposition.render("")
        self.assertTrue(contentType.startswith("text/plain; version=0.0.4"))
        return content.decode()

    def families(self) -> dict[str, Metric]:
        """
        @return: Our metrics that are given out, by name.
        """
        return {
            family.name: family
            for family in text_string_to_metric_families(self.text())
            if family.name.startswith("myconsumer_")
        }

    def value(self, sample: str, **labels: str) -> float:
        """
        @return: The value of a sample.
        """
        [value] = [
            each.value
            for family in self.families().values()
            for each in family.samples
            if (each.name, each.labels) == (sample, labels)
        ]
        return float(value)


class ConventionTests(ExpositionCase):
    """
    The conventions of Prometheus.
    """

    def test_namesAndHelp(self) -> None:
        """
        Each name begins with that of the package and ends with a unit, or says what is
        counted; counters end with C{_total}; each metric has a sentence of help.
        """
        for name, family in self.families().items():
            full = f"{name}_total" if family.type == "counter" else name
            self.assertRegex(full, r"^myconsumer_[a-z_]+[a-z]$")
            self.assertRegex(full, UNIT)
            self.assertEqual(full.endswith("_total"), family.type == "counter", name)
            self.assertRegex(family.documentation, r"^[A-Z].*[a-z0-9]\.$")
            self.assertIn(f"\n# HELP {full} ", "\n" + self.text())

    def test_labelsAreBounded(self) -> None:
        """
        There are as many samples after a million tasks as before, since no label has an
        id or a reason.
        """
        before = len(self.text().splitlines())
        for number in range(1000):
            task = Task(f"task{number}", None, enqueued=float(number))
            self.metrics.taskEnded(task, COMPLETE, number)
            reason = Failure(FaultError(f"reason {number}"))
            self.metrics.requestFailed(Request("settle", number, 9.0, 0.0), 1.0, reason)
        self.assertEqual(len(self.text().splitlines()), before)
        self.assertLess(before, 300)

    def test_promtoolAgrees(self) -> None:
        """
        C{promtool check metrics} finds nothing, where it is there.
        """
        promtool = shutil.which("promtool")
        if promtool is None:
            raise SkipTest("there is no promtool")
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=self.text(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_speaksOpenMetrics(self) -> None:
        """
        Prometheus, which asks for OpenMetrics, is given that.
        """
        content, contentType = self.exposition.render(OPEN_METRICS)
        self.assertTrue(contentType.startswith("application/openmetrics-text"))
        names = {family.name for family in openMetrics(content.decode())}
        self.assertIn("myconsumer_tasks_ended", names)


class ValueTests(ExpositionCase):
    """
    What the metrics are.
    """

    def test_showsWhatWasCounted(self) -> None:
        """
        Tasks, requests and leases are there as they were counted.
        """
        task = Task("a", None)
        self.metrics.taskEnded(task, COMPLETE, 2.0)
        self.metrics.requestAnswered(Request("claim", 8, 9.0, 0.0), 0.5, 3)
        counts = Counts(complete=1, claimed=3, leasesLost=2)
        self.consumer.state = Status(limit=4, totals=counts)
        for name, labels, value in (
            ("tasks_ended_total", {"outcome": "complete"}, 1),
            ("tasks_ended_total", {"outcome": "fail"}, 0),
            ("task_run_seconds_sum", {}, 2),
            ("task_run_seconds_bucket", {"le": "1.0"}, 0),
            ("task_run_seconds_bucket", {"le": "2.5"}, 1),
            ("task_run_seconds_bucket", {"le": "+Inf"}, 1),
            ("requests_total", {"kind": "claim", "result": "answered"}, 1),
            ("request_duration_seconds_count", {"kind": "claim"}, 1),
            ("batch_size_sum", {"kind": "claim"}, 3),
            ("tasks_claimed_total", {}, 3),
            ("leases_lost_total", {}, 2),
            ("build_info", {"version": version("myconsumer")}, 1),
        ):
            self.assertEqual(self.value(f"myconsumer_{name}", **labels), value, name)

    def test_showsTheState(self) -> None:
        """
        Gauges show the state at the time of the question.  An endpoint that has not
        answered yet is silent since the start.
        """
        self.assertEqual(self.value("myconsumer_slots_busy"), 2)
        self.assertEqual(self.value("myconsumer_slots_limit"), 4)
        self.assertEqual(self.value("myconsumer_endpoint_silence_seconds"), 9)
        self.assertEqual(self.value("myconsumer_paused"), 0)
        self.consumer.state = Status(
            limit=4, state="paused", pauses=["why"], uptime=9.0, answered=3.0
        )
        self.assertEqual(self.value("myconsumer_endpoint_silence_seconds"), 3)
        self.assertEqual(self.value("myconsumer_paused"), 1)
        self.assertNotIn("why", self.text())

    def test_showsTheProcess(self) -> None:
        """
        Memory, processor time and file descriptors of the process are there.
        """
        for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds"):
            self.assertIn(f"\nprocess_{name} ", self.text())
