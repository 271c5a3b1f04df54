"""
Tests for L{myconsumer.cli.enqueueing.readers}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.cli.enqueueing.readers import Reader, payloadReader, taskReader


def plain(line: str, number: int = 1, **options: Any) -> dict[str, Any]:
    """
    Make a task of a payload.
    """
    given: dict[str, Any] = {"delay": 0, "priority": 0, "idField": None} | options
    task: dict[str, Any] = json.loads(payloadReader(**given)(line.encode(), number))
    return task


class ReaderCase(SynchronousTestCase):
    """
    Reads lines.
    """

    def refused(self, read: Reader, line: bytes) -> str:
        return str(self.assertRaises(ValueError, read, line, 1))


class PayloadTests(ReaderCase):
    """
    Tests for L{payloadReader}.
    """

    def test_readsAPayload(self) -> None:
        """
        A task has the payload as it came, an id, and nothing that goes without saying.
        """
        for text in ("1", "null", '{"a": [1.0, 12345678901234567890123]}', '"\\ud800"'):
            read = payloadReader(0, 0, None)
            task = read(text.encode(), 1)
            self.assertIn(f'"payload":{text},'.encode(), task)
            self.assertEqual(set(json.loads(task)), {"payload", "id"})

    def test_makesIds(self) -> None:
        """
        Ids are different from line to line and from run to run, and the same for the
        same line.
        """
        read = payloadReader(0, 0, None)
        self.assertEqual(read(b"1", 7), read(b"1", 7))
        ids = {json.loads(read(b"1", number))["id"] for number in range(1000)}
        self.assertEqual(len(ids | {plain("1")["id"], plain("1")["id"]}), 1002)

    def test_setsDelayAndPriority(self) -> None:
        """
        Delay and priority are the same for all tasks.
        """
        task = plain("1", delay=1.5, priority=-2)
        self.assertEqual((task["delay"], task["priority"]), (1.5, -2))

    def test_takesTheIdOfAField(self) -> None:
        """
        An id in the payload is the task's, an integer as its text.
        """
        for text, id in (('"x/y"', "x/y"), ("17", "17"), ("-1", "-1")):
            task = plain(f'{{"n": {text}}}', idField="n")
            self.assertEqual(task["id"], id)
        self.assertEqual(plain(f'{{"n": "{"x" * 255}"}}', idField="n")["id"], "x" * 255)

    def test_refusesAPayloadWithoutId(self) -> None:
        """
        Where payloads are to have an id, one without it is refused.
        """
        read = payloadReader(0, 0, "n")
        values = ("true", "null", "1.0", '""', "[]", f'"{"x" * 256}"')
        for line in ("1", "[]", "{}", *(f'{{"n": {value}}}' for value in values)):
            self.assertIn("a field 'n'", self.refused(read, line.encode()))

    def test_refusesWhatIsNoJSON(self) -> None:
        """
        A line that is no JSON is refused, and so is one of a million brackets.
        """
        read = payloadReader(0, 0, None)
        for line in (b"{x}", b"1 2", b"NaN", b"[1", b'"\xff"', b"'a'"):
            self.assertIn("it is no JSON: ", self.refused(read, line))
        deep = b"[" * 1_000_000
        self.assertIn("nested too deeply", self.refused(read, deep))


class TaskTests(ReaderCase):
    """
    Tests for L{taskReader}.
    """

    def test_readsATask(self) -> None:
        """
        A line that is a task sets its id, delay and priority.
        """
        line = b'{"priority": 3, "id": 5, "delay": 2, "payload": {"a": 1.0}}'
        self.assertEqual(
            json.loads(taskReader()(line, 1)),
            {"payload": {"a": 1.0}, "id": "5", "delay": 2, "priority": 3},
        )

    def test_readsATaskOfAPayload(self) -> None:
        """
        A task needs no more than a payload, and gets an id.
        """
        task = json.loads(taskReader()(b'{"payload": null}', 9))
        self.assertEqual(task, {"payload": None, "id": task["id"]})
        self.assertTrue(task["id"].endswith("-9"))

    def test_refusesWhatTheQueueWould(self) -> None:
        """
        A task that the queue would refuse is refused before it is sent.
        """
        for line, reason in (
            ("{x}", "it is no JSON"),
            ("1", "it is no task: Expected `object`"),
            ("{}", "required field `payload`"),
            ('{"payload": 1, "prio": 2}', "unknown field `prio`"),
            ('{"payload": 1, "id": ""}', "`$.id`"),
            ('{"payload": 1, "id": 1.5}', "`$.id`"),
            ('{"payload": 1, "delay": -1}', "`$.delay`"),
            ('{"payload": 1, "delay": 31536001}', "`$.delay`"),
            ('{"payload": 1, "priority": 1001}', "`$.priority`"),
            ('{"payload": 1, "priority": 1.5}', "`$.priority`"),
        ):
            self.assertIn(reason, self.refused(taskReader(), line.encode()))
        self.assertIn("no JSON", self.refused(taskReader(), b'{"payload": "\xff"}'))
