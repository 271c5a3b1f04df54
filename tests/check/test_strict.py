"""
Tests for L{myconsumer.check.strict}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from myconsumer.check.exceptions import Broken, Rejected
from myconsumer.check.strict import asJSON, idOf, lostIn, tasksIn
from myconsumer.http import Answer


def answer(body: Any, code: int = 200) -> Answer:
    """
    Make an answer of bytes, or of what is to be JSON.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(code, Headers(), data)


class TasksTests(SynchronousTestCase):
    """
    Tests for L{tasksIn}.
    """

    def test_readsTasks(self) -> None:
        """
        Tasks need an id and a payload, and may have more.
        """
        full = {"id": "a", "payload": {}, "receipt": "r", "attempt": 2, "lease": 0.5}
        tasks = [full | {"enqueued": 1.5, "other": None}, {"id": 7, "payload": None}]
        self.assertEqual(tasksIn(answer({"tasks": tasks, "x": 1}), "200"), tasks)
        self.assertEqual(tasksIn(answer({"tasks": []}), "200"), [])
        self.assertEqual(tasksIn(answer(b"whatever", 204), "204"), [])

    def test_refusesOtherCodes(self) -> None:
        """
        No code but 200 and 204 answers a claim.
        """
        for code in (201, 202, 302, 400, 404, 500):
            with self.assertRaises(Rejected) as caught:
                tasksIn(answer({"tasks": []}, code), "so")
            self.assertEqual(caught.exception.code, code)
            self.assertIn(
                "POST URL/claim answered so; wanted: 200", str(caught.exception)
            )

    def test_refusesOtherBodies(self) -> None:
        """
        What is not JSON in UTF-8, or no object with a list of tasks, is refused.
        """
        latin = '{"tasks": [{"id": 1, "payload": "\xfc"}]}'.encode("latin-1")
        for body in (
            b"",
            b"<html>",
            b"[]",
            b"null",
            b"[" * 9999,
            latin,
            b'{"tasks": 1}',
        ):
            self.assertRaises(Broken, tasksIn, answer(body), "200")
        utf16 = '{"tasks": []}'.encode("utf-16")
        self.assertRaises(Broken, tasksIn, answer(utf16), "200")
        self.assertRaises(Broken, tasksIn, answer(b'{"tasks": [], "a": NaN}'), "200")

    def test_namesAWrongField(self) -> None:
        """
        A field of a wrong type is named, with its value.
        """
        for name, value in (
            ("id", None),
            ("id", True),
            ("id", 1.0),
            ("receipt", 7),
            ("receipt", None),
            ("receipt", ""),
            ("attempt", 0),
            ("attempt", "1"),
            ("attempt", True),
            ("attempt", "\ud800"),
            ("lease", 0),
            ("lease", "60"),
            ("lease", True),
            ("lease", "\ud800"),
            ("lease", 10**400),
            ("enqueued", "2026-01-01T00:00:00Z"),
        ):
            task = {"id": "a", "payload": 1, name: value}
            with self.assertRaises(Broken) as caught:
                tasksIn(answer({"tasks": [task]}), "200")
            self.assertIn(f"{name} of a task is {asJSON(value)}", str(caught.exception))
        for task in (1, {}, {"id": 1}, {"payload": 1}):
            self.assertRaises(Broken, tasksIn, answer({"tasks": [task]}), "200")


class LostTests(SynchronousTestCase):
    """
    Tests for L{lostIn} and L{idOf}.
    """

    def test_readsWhatIsLost(self) -> None:
        """
        The receipts that are lost are a set; where the endpoint does not tell there is
        none.
        """
        self.assertEqual(lostIn(answer({"lost": ["a", "b"]}), ""), {"a", "b"})
        self.assertEqual(lostIn(answer({"lost": []}), ""), set())
        for silent in (answer(b"", 204), answer(b""), answer({}), answer({"a": 1})):
            self.assertIsNone(lostIn(silent, ""))

    def test_refusesOtherAnswers(self) -> None:
        """
        An answer to a settle request with another code, or with C{lost} of another
        type, is refused.
        """
        for body in (b"no", [], {"lost": None}, {"lost": "a"}, {"lost": [1]}):
            self.assertRaises(Broken, lostIn, answer(body), "200")
        for code in (201, 400, 409, 500):
            self.assertRaises(Broken, lostIn, answer({"lost": []}, code), "")

    def test_readsTheId(self) -> None:
        """
        The name of a task is what the answer to its producer tells, if it tells one.
        """
        self.assertEqual(idOf(answer({"ids": ["a"]})), "a")
        self.assertEqual(idOf(answer({"ids": [7]})), "7")
        for body in (b"", [], {}, {"ids": 1}, {"ids": []}, {"ids": ["a", "b"]}):
            self.assertIsNone(idOf(answer(body)))
