"""
The examples of docs/testing.md.
"""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"


def cases() -> dict[str, unittest.TestSuite]:
    """
    The cases of all examples, which build upon each other, by their names.
    """
    namespace: dict[str, Any] = {"__name__": "examples"}
    code = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.S | re.M)
    exec("\n".join(code), namespace)
    return {
        name: unittest.TestLoader().loadTestsFromTestCase(case)
        for name, case in namespace.items()
        if isinstance(case, type)
        and issubclass(case, unittest.TestCase)
        and case.__module__ == "examples"
    }


class DocumentationTests(SynchronousTestCase):
    """
    docs/testing.md is right.
    """

    def test_examplesPass(self) -> None:
        """
        Each test in the examples of docs/testing.md passes.
        """
        found = cases()
        self.assertEqual(
            {name: suite.countTestCases() for name, suite in found.items()},
            {
                "ShortenTests": 2,
                "TotalTests": 2,
                "SleeperTests": 4,
                "ListQueueTests": 3,
            },
        )
        for suite in found.values():
            result = unittest.TestResult()
            suite.run(result)
            self.assertEqual(result.failures + result.errors, [])
