"""
The terms on which tasks are claimed.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from inspect import signature
from math import inf, nan
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.fields import YEAR
from myconsumer.pipeline.terms import Claiming
from myconsumer.service import ConsumerService


class ClaimingTests(SynchronousTestCase):
    """
    L{Claiming}.
    """

    def test_refusesUnfitNumbers(self) -> None:
        """
        A number that is out of range is a C{ValueError}, what is no number a
        C{TypeError}; each names the field.
        """
        for name, unfit, others in (
            ("wait", [-0.1, nan, inf], ["1", None, True]),
            ("lease", [0, -1.0, nan, YEAR + 1], ["60", None, True]),
            ("interval", [-0.1, nan, inf], ["1", None, True]),
            ("prefetch", [-1], [1.5, None, True]),
            ("pollers", [0], [1.5, None, True]),
            ("rate", [0, -1.0, nan, inf, 1e-9], ["5/s", True]),
        ):
            for error, values in ((ValueError, unfit), (TypeError, others)):
                for value in values:
                    with self.subTest(name=name, value=value):
                        fields: dict[str, Any] = {name: value}
                        with self.assertRaisesRegex(error, f"^{name} takes "):
                            Claiming(**fields)

    def test_isFrozen(self) -> None:
        """
        What has been checked cannot be changed.
        """
        claiming = Claiming(wait=5)
        with self.assertRaises(FrozenInstanceError):
            claiming.wait = -1  # type: ignore[misc]

    def test_isWhatTheServiceTakes(self) -> None:
        """
        Each field is a keyword of L{ConsumerService}, with the same default.
        """
        taken = signature(ConsumerService).parameters
        for name, default in vars(Claiming()).items():
            self.assertEqual(taken[name].default, default, name)
