"""
Tests that the page on monitoring, and the alerts, name what there is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest import SkipTest

import yaml
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.status.state import Status
from myconsumer.status.web.exposition import Exposition
from tests.status.web.subjects import MadeUpConsumer, shown

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "monitoring.md"
ALERTS = ROOT / "examples" / "alerts.yaml"

#: A row of the table of metrics: the name, and the labels.
ROW = re.compile(r"^\| `(myconsumer_\w+)` \| ([^|]*)\|", re.MULTILINE)

#: A name of a metric, and what selects samples of it.
SELECTOR = re.compile(r"\b((?:myconsumer|process)_\w+|up)\b(?:\{([^}]*)\})?")


class MonitoringCase(SynchronousTestCase):
    """
    Has all that is given out.
    """

    def setUp(self) -> None:
        consumer = MadeUpConsumer(Status(limit=1))
        text, _ = Exposition(shown(consumer)).render("")
        self.families = list(text_string_to_metric_families(text.decode()))

    def labels(self) -> dict[str, dict[str, set[str]]]:
        """
        @return: The values of each label, by the names of samples.
        """
        found: dict[str, dict[str, set[str]]] = {}
        for family in self.families:
            for sample in family.samples:
                labels = found.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    labels.setdefault(label, set()).add(value)
        return found


class PageTests(MonitoringCase):
    """
    The page.
    """

    def test_hasEachMetric(self) -> None:
        """
        The table has each metric of ours with its labels, and no others.
        """
        shown = {
            name: set(re.findall(r"`(\w+)`", labels))
            for name, labels in ROW.findall(PAGE.read_text("utf-8"))
        }
        there = {
            f"{family.name}_total" if family.type == "counter" else family.name: {
                label for sample in family.samples for label in sample.labels
            }
            - {"le"}
            for family in self.families
            if family.name.startswith("myconsumer_")
        }
        self.assertEqual(shown, there)

    def test_explainsEachValue(self) -> None:
        """
        The page names each value of a label.
        """
        page = PAGE.read_text("utf-8")
        for name, labels in self.labels().items():
            for label in labels.keys() & {"outcome", "kind", "result"}:
                for value in labels[label]:
                    self.assertIn(f"`{value}`", page, name)

    def test_namesTheProcess(self) -> None:
        """
        Each metric of the process that the page names is there.
        """
        names = self.labels()
        for name in re.findall(r"`(process_\w+|python_\w+)`", PAGE.read_text("utf-8")):
            self.assertIn(name, names)


class AlertTests(MonitoringCase):
    """
    The alerts.
    """

    def rules(self) -> list[dict[str, Any]]:
        """
        @return: All rules.
        """
        [group] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
        rules: list[dict[str, Any]] = group["rules"]
        return rules

    def test_nameWhatThereIs(self) -> None:
        """
        Each metric in an expression exists, and each label with each of its values.
        """
        there = self.labels() | {"up": {}}
        for rule in self.rules():
            selectors = SELECTOR.findall(rule["expr"])
            self.assertTrue(selectors, rule["alert"])
            for name, selected in selectors:
                self.assertIn(name, there, rule["alert"])
                for label, values in re.findall(r'(\w+)=~?"([^"]*)"', selected):
                    if label != "job":
                        self.assertLessEqual(
                            set(values.split("|")), there[name][label], rule["alert"]
                        )

    def test_sayWhatIsWrong(self) -> None:
        """
        Each alert has a severity, and a summary with a name in it.
        """
        for rule in self.rules():
            self.assertIn(rule["labels"]["severity"], ("info", "warning", "critical"))
            self.assertIn("{{ $labels.", rule["annotations"]["summary"])

    def test_promtoolAgrees(self) -> None:
        """
        C{promtool check rules} takes the file, where it is there.
        """
        promtool = shutil.which("promtool")
        if promtool is None:
            raise SkipTest("there is no promtool")
        checked = subprocess.run(
            [promtool, "check", "rules", ALERTS],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
