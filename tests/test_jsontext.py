"""
Tests for L{myconsumer.jsontext}.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.jsontext import MOST_VALUES, decoded, isCrowded

LONG = "x" * 70_000

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(LONG),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class DecodedTests(SynchronousTestCase):
    """
    Tests for L{decoded}.
    """

    @settings(deadline=None, max_examples=50)
    @given(VALUES)
    def test_decodesInParts(self, value: Any) -> None:
        """
        A value that is decoded in parts equals one that is decoded at once.
        """
        self.assertEqual(decoded(Raw(json.dumps(value).encode())), value)

    def test_decodesDeepValues(self) -> None:
        """
        Large values within large values are decoded, however deep they are.
        """
        value: Any = LONG
        for _ in range(20):
            value = [{"a": value}, 1]
        self.assertEqual(decoded(Raw(json.dumps(value).encode())), value)

    def test_refusesBrokenJSON(self) -> None:
        """
        Bytes that are no JSON are not decoded, whatever their number.
        """
        long = json.dumps([LONG]).encode()
        for body in (b"[1", long[:-1], long + b"x", b'{"a":\xff,"b":' + long + b"}"):
            self.assertRaises(msgspec.MsgspecError, decoded, Raw(body))


class IsCrowdedTests(SynchronousTestCase):
    """
    Tests for L{isCrowded}.
    """

    def test_countsValues(self) -> None:
        """
        More than a million values are too many, wherever they are.
        """
        for value in (b"1", b"[]", b"{}", b'""', b'{"a":1}'):
            crowd = b",".join([value] * (MOST_VALUES + 1))
            self.assertTrue(isCrowded(b'{"tasks":[' + crowd + b"]}"))
        self.assertTrue(isCrowded(b"[" * (MOST_VALUES + 1)))
        self.assertTrue(
            isCrowded(b'["a' + b"," * MOST_VALUES + b'"' + b",0" * 1_100_000)
        )
        self.assertFalse(isCrowded(b"[" + b",".join([b"1"] * 900_000) + b"]"))

    def test_ignoresStrings(self) -> None:
        """
        Marks within strings do not count, whatever stands escaped before them.
        """
        for text in ('"', "\\", '\\"', "\n", "ü"):
            body = json.dumps([text, "[,{" * 500_000, text]).encode()
            self.assertFalse(isCrowded(body))

    def test_looksAtOpenStringOnce(self) -> None:
        """
        A string that does not end is looked at once, whatever it escapes.
        """
        body = b'["' + rb"\"" * 500_000 + b"," * (MOST_VALUES + 1)
        self.assertFalse(isCrowded(body))

    def test_endsEarlyOnQuotes(self) -> None:
        """
        Bytes that are no JSON, but millions of quotes, are not looked at for long.
        """
        self.assertTrue(isCrowded(b"," * MOST_VALUES + b'"",' + b'""' * 3_000_000))
