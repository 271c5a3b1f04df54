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
    def test_any(self, value: Any) -> None:
        """
        What is decoded in parts is what is decoded at once.
        """
        self.assertEqual(decoded(Raw(json.dumps(value).encode())), value)

    def test_deep(self) -> None:
        """
        Large values within large values are decoded, however deep they are.
        """
        value: Any = LONG
        for _ in range(20):
            value = [{"a": value}, 1]
        self.assertEqual(decoded(Raw(json.dumps(value).encode())), value)

    def test_broken(self) -> None:
        """
        What is no JSON is not decoded, whatever its size.
        """
        long = json.dumps([LONG]).encode()
        for body in (b"[1", long[:-1], long + b"x", b'{"a":\xff,"b":' + long + b"}"):
            self.assertRaises(msgspec.MsgspecError, decoded, Raw(body))


class IsCrowdedTests(SynchronousTestCase):
    """
    Tests for L{isCrowded}.
    """

    def test_values(self) -> None:
        """
        A million values are many enough, wherever they are.
        """
        for value in (b"1", b"[]", b"{}", b'""', b'{"a":1}'):
            crowd = b",".join([value] * (MOST_VALUES + 1))
            self.assertTrue(isCrowded(b'{"tasks":[' + crowd + b"]}"))
        self.assertTrue(isCrowded(b"[" * (MOST_VALUES + 1)))
        self.assertTrue(
            isCrowded(b'["a' + b"," * MOST_VALUES + b'"' + b",0" * 1_100_000)
        )
        self.assertFalse(isCrowded(b"[" + b",".join([b"1"] * 900_000) + b"]"))

    def test_strings(self) -> None:
        """
        What is in strings does not count, behind whatever they escape.
        """
        for text in ('"', "\\", '\\"', "\n", "ü"):
            body = json.dumps([text, "[,{" * 500_000, text]).encode()
            self.assertFalse(isCrowded(body))

    def test_openString(self) -> None:
        """
        A string that does not end is looked at once, whatever it escapes.
        """
        body = b'["' + rb"\"" * 500_000 + b"," * (MOST_VALUES + 1)
        self.assertFalse(isCrowded(body))

    def test_nothingButQuotes(self) -> None:
        """
        What is no JSON is not looked at for long.
        """
        self.assertTrue(isCrowded(b"," * MOST_VALUES + b'"",' + b'""' * 3_000_000))
