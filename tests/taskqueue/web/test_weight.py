"""
Tests for L{myconsumer.taskqueue.web.weight}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.http.serving.answers import Refusal
from myconsumer.taskqueue.limits import MOST_VALUES
from myconsumer.taskqueue.web import weight
from myconsumer.taskqueue.web.weight import checkWeight


def values(value: Any) -> int:
    """
    @return: How many values a value is, itself among them.
    """
    inner = value.values() if isinstance(value, dict) else value
    return 1 + sum(map(values, inner)) if isinstance(value, list | dict) else 1


class WeightTests(SynchronousTestCase):
    """
    Tests for L{checkWeight}.
    """

    def assertHeavy(self, body: bytes) -> None:
        with self.assertRaises(Refusal) as caught:
            checkWeight(body)
        self.assertEqual(caught.exception.code, 413)
        self.assertIn("more than 250000 values", str(caught.exception))

    def test_refusesManyValues(self) -> None:
        """
        Too many numbers, fields, lists, objects or strings are refused, however deep
        they are, and fewer are not.
        """
        for unit, weighs in (
            ("0", 1),
            ('"a": "b"', 1),
            ("[]", 2),
            ('{"a": []}', 3),
            ('"a,"', 1),
        ):
            few, many = ((MOST_VALUES + more) // weighs for more in (-9, 9))
            checkWeight(f"[[{', '.join([unit] * few)}]]".encode())
            self.assertHeavy(f"[[{', '.join([unit] * many)}]]".encode())
        self.assertHeavy(b"[" * 2 * MOST_VALUES)

    def test_countsStringAsOne(self) -> None:
        """
        A string is one value, whatever it holds.
        """
        for text in ("a, b,", '[{"\\', "\\\\,", '\\",'):
            checkWeight(json.dumps([text * MOST_VALUES]).encode())
            self.assertHeavy(json.dumps([text, [0] * MOST_VALUES]).encode())

    def test_takesManyEscapes(self) -> None:
        """
        A string is one value, however many of its characters are escaped.
        """
        for text in ("\n", "\\", '"', '\\"'):
            body = json.dumps(text * 9 * MOST_VALUES + "," * MOST_VALUES).encode()
            self.assertGreater(body.count(b"\\"), 8 * MOST_VALUES)
            checkWeight(body)
            self.assertHeavy(b"[%b%b]" % (body, b", 1" * MOST_VALUES))

    def test_countsInManyStrings(self) -> None:
        """
        Where strings are very many, what they hold is counted too, so that to count
        takes less time than to decode.
        """
        self.assertHeavy(b'"", ' * (3 * MOST_VALUES))

    @given(
        st.recursive(
            st.text('a,[{"\\') | st.integers(0, 9),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(',"'), inner),
        )
    )
    @example(['\\",', {'"': "\\"}])
    def test_countsAnyJSON(self, value: Any) -> None:
        """
        Of any JSON the number of values is found, an empty list or object counting as
        two.
        """
        body = json.dumps(value).encode()
        self.patch(weight, "MOST_VALUES", 2 * values(value))
        checkWeight(body)
        self.patch(weight, "MOST_VALUES", values(value) - 1)
        self.assertRaises(Refusal, checkWeight, body)
