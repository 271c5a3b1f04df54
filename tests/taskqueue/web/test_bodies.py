"""
Tests for L{myconsumer.taskqueue.web.bodies} and what it says where something is wrong.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.http.serving.answers import Refusal
from myconsumer.task import Settlement
from myconsumer.taskqueue.limits import LARGEST_PAYLOAD, MOST_TASKS, MOST_VALUES
from myconsumer.taskqueue.store.records import NewTask, RetryCursor
from myconsumer.taskqueue.web.bodies import (
    ClaimBody,
    RetryBody,
    readClaim,
    readNumber,
    readRetry,
    readSettle,
    readTasks,
)

YEAR = 31_536_000

# what is JSON, and yet cannot be passed on to a consumer
UNREADABLE = (
    b'"\\ud800"',
    b'{"a": "\\udc00\\ud800"}',
    b"[1e999]",
    b"-1e999",
    b"1" * 5000,
)
NO_JSON = (b"", b" \n", b"{", b"[1,]", b"NaN", b'"\xff"', b"{} {}", b"\xef\xbb\xbf")

anyJSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))


class ReadingCase(SynchronousTestCase):
    """
    Knows what is said where something is wrong.
    """

    def assertRefused(
        self, read: Any, body: Any, text: str = "", code: int = 400
    ) -> None:
        """
        Fail unless a body is refused with a sentence that holds C{text}.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.assertRaises(Refusal) as caught:
            read(data)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(text, str(caught.exception))
        self.assertTrue(str(caught.exception).isprintable())
        self.assertLess(len(str(caught.exception)), 300)


class TasksTests(ReadingCase):
    """
    Tests for L{readTasks}.
    """

    def test_takesOneTask(self) -> None:
        """
        One task stands for a list of one, and has all the fields that were sent.
        """
        body = b'{"payload": [1,  2], "id": "a", "delay": 1.5, "priority": -3}'
        self.assertEqual(readTasks(body), [NewTask(b"[1,  2]", "a", 1.5, -3)])

    def test_takesList(self) -> None:
        """
        Tasks keep the order of the list; only the payload is required.
        """
        body = b' [{"payload": null}, {"payload": 2, "id": 17, "delay": 0}]\n'
        self.assertEqual(readTasks(body), [NewTask(b"null"), NewTask(b"2", "17")])

    def test_takesNullAsNoId(self) -> None:
        """
        An C{id} of null means that there is none.
        """
        self.assertEqual(readTasks(b'{"payload": 1, "id": null}'), [NewTask(b"1")])

    @given(st.lists(anyJSON, min_size=1, max_size=5), st.sampled_from([None, 2]))
    def test_keepsPayloads(self, payloads: list[Any], indent: int | None) -> None:
        """
        Payloads are kept as they came, to the last blank.
        """
        texts = [json.dumps(payload, indent=indent) for payload in payloads]
        body = ",".join(f'{{"payload": {text} }}' for text in texts)
        tasks = readTasks(f"[{body}]".encode())
        self.assertEqual([task.payload.decode() for task in tasks], texts)

    def test_refusesOutOfRange(self) -> None:
        """
        The ends of each range are taken; what is past them is refused with the field
        and the task.
        """
        for name, fine, wrong, takes in (
            ("delay", (0, 0.5, YEAR), (-1, -0.001, YEAR + 1, "1", True), "seconds"),
            ("priority", (-1000, 0, 1000), (-1001, 1001, 1.5, "1"), "-1000 to 1000"),
            (
                "id",
                ("a", "a" * 255, "\0/%", 0, -5, 10**254),
                ("", "a" * 256, 1.5, True, ["a"], 10**255),
                "string of 1 to 255 characters",
            ),
        ):
            for value in fine:
                readTasks(json.dumps({"payload": 1, name: value}).encode())
            for value in wrong:
                task = {"payload": 1, name: value}
                self.assertRefused(readTasks, task, f"{name} takes a")
                tasks = [{"payload": 1}] * 3 + [task]
                self.assertRefused(readTasks, tasks, f"[3].{name} takes a")
                self.assertRefused(readTasks, tasks, takes)

    def test_refusesInFull(self) -> None:
        """
        The refusal of a field names its place, what it takes, and what it has.
        """
        self.assertRefused(
            readTasks,
            [{"payload": 1}, {"payload": 1, "delay": -1}],
            "[1].delay takes a number of seconds from 0 to 31536000, not -1",
        )

    def test_refusesTaskWithoutPayload(self) -> None:
        """
        A task without a payload is refused.
        """
        self.assertRefused(readTasks, {"id": "a"}, "payload is missing")
        self.assertRefused(readTasks, [{"payload": 1}, {}], "[1].payload is missing")

    def test_refusesUnknownField(self) -> None:
        """
        A field that is not known, which may be misspelt, is refused with the fields
        that are.
        """
        self.assertRefused(
            readTasks,
            [{"payload": 1, "dealy": 5}],
            '[0] has a field "dealy"; known are payload, id, delay, priority',
        )

    def test_refusesWhatIsNoTask(self) -> None:
        """
        What is neither a task nor a list of tasks is refused.
        """
        for body in (1, "a", None, True):
            self.assertRefused(readTasks, body, "the body takes an object, not")
            self.assertRefused(readTasks, [body], "[0] takes an object, not")
        self.assertRefused(readTasks, [[{"payload": 1}]], "[0] takes an object, not a")

    def test_boundsNumberOfTasks(self) -> None:
        """
        From one to ten thousand tasks are taken.
        """
        tasks = [{"payload": 1}] * MOST_TASKS
        self.assertEqual(len(readTasks(json.dumps(tasks).encode())), 10_000)
        self.assertRefused(readTasks, [], "0 tasks; it takes from 1 to 10000")
        self.assertRefused(readTasks, [*tasks, *tasks[:1]], "10001 tasks")

    def test_refusesManyValues(self) -> None:
        """
        A body with too many values is refused undecoded; a large body that is wrong is
        not gone through again, and yet the refusal says where it is wrong.
        """
        self.assertRefused(readTasks, b"[" + b"0," * MOST_VALUES, "values", 413)
        tasks = [{"payload": "1" * 100}] * MOST_TASKS
        wrong = {"payload": 1, "delay": -1}
        self.assertRefused(readTasks, [*tasks, wrong], "`$[10000].delay`")

    def test_refusesWhatIsNoJSON(self) -> None:
        """
        What is no JSON is refused.
        """
        for body in NO_JSON:
            self.assertRefused(readTasks, body, "the body ")

    def test_refusesUnreadablePayload(self) -> None:
        """
        A payload that no consumer could read is refused, with its task.
        """
        for payload in UNREADABLE:
            body = b'[{"payload": 1}, {"payload": %b}]' % payload
            self.assertRefused(readTasks, body)
            if payload[:3] != b"111":
                self.assertRefused(readTasks, body, "[1].payload takes JSON without")

    def test_refusesPayloadThatIsNoUTF8(self) -> None:
        """
        A payload that is not UTF-8 is refused.
        """
        self.assertRefused(readTasks, b'{"payload": "\xff"}', "no JSON")

    def test_refusesDeepNesting(self) -> None:
        """
        A body that is nested too deeply is refused.
        """
        for text in (b"[", b'{"a":'):
            deep = text * 100_000 + b"1"
            self.assertRefused(readTasks, deep)
            self.assertRefused(readTasks, b'{"payload": ' + deep)
        deep = b"[" * 50_000 + b"]" * 50_000
        self.assertRefused(readTasks, b'{"payload": %b}' % deep, "too deeply")

    def test_boundsPayload(self) -> None:
        """
        A payload has up to 8 MiB.
        """
        text = b'"%b"' % (b"x" * (LARGEST_PAYLOAD - 2))
        self.assertEqual(readTasks(b'{"payload": %b}' % text)[0].payload, text)
        body = b'[{"payload": 1}, {"payload": %b }]' % text.replace(b"x", b"xx", 1)
        self.assertRefused(readTasks, body, "[1].payload has 8388609 bytes", code=413)

    @given(
        anyJSON | st.lists(st.dictionaries(st.sampled_from(["payload", "id"]), anyJSON))
    )
    @example([{"payload": 1, "id": [1]}])
    @example({"settle": 1})
    def test_takesOrRefusesAnything(self, body: Any) -> None:
        """
        Any JSON is taken, or refused with a sentence.
        """
        data = json.dumps(body).encode()
        for read in (readTasks, readClaim, readSettle, readRetry):
            try:
                read(data)
            except Refusal as refusal:
                self.assertEqual(refusal.code, 400)
                self.assertNotIn("cannot be read", str(refusal))


class ClaimTests(ReadingCase):
    """
    Tests for L{readClaim}.
    """

    def test_takesWholeClaim(self) -> None:
        """
        All fields of a claim are taken; unknown ones are ignored.
        """
        body = b'{"limit": 4, "wait": 20, "lease": 1.5, "consumer": 1, "claim": "c"}'
        self.assertEqual(readClaim(body), ClaimBody(4, 20.0, 1.5, "c"))

    def test_takesEmptyClaim(self) -> None:
        """
        A claim needs no field.
        """
        for body in (b"{}", b"", b'{"claim": null}'):
            self.assertEqual(readClaim(body), ClaimBody(1, 0.0, 60.0, None))

    def test_refusesOutOfRange(self) -> None:
        """
        A field out of its range is refused by its name.
        """
        for name, fine, wrong in (
            ("limit", (1, 10**9, 10**30), (0, -1, 1.0, "1", None, True)),
            ("wait", (0, 0.5, 1e300), (-1, "1", None)),
            ("lease", (0.001, YEAR), (0, -1, YEAR + 1, "1", None)),
            ("claim", ("c", "c" * 255), ("", "c" * 256, 1)),
        ):
            for value in fine:
                readClaim(json.dumps({name: value}).encode())
            for value in wrong:
                self.assertRefused(readClaim, {name: value}, f"{name} takes a")

    def test_refusesWhatIsNoClaim(self) -> None:
        """
        A body that is no object, or cannot be read, is no claim.
        """
        for body in (b"[]", b"1", b'"a"', *NO_JSON[2:]):
            self.assertRefused(readClaim, body, "the body ")
        self.assertRefused(readClaim, b'{"claim": "\\ud800"}', "claim takes")


class SettleTests(ReadingCase):
    """
    Tests for L{readSettle}.
    """

    def test_takesWholeSettlement(self) -> None:
        """
        Each outcome is taken with the fields that belong to it, and the result as it
        came.
        """
        body = b"""{"consumer": "c", "more": 1, "settle": [
            {"receipt": "1", "outcome": "complete", "result": {"a":  1}},
            {"receipt": "2", "outcome": "release", "delay": 5, "error": "e",
             "counted": false},
            {"receipt": "3", "outcome": "fail", "error": "e", "more": 1},
            {"receipt": "4", "outcome": "extend", "lease": 60},
            {"receipt": "5", "outcome": "complete"}]}"""
        complete, *others, plain = readSettle(body)
        self.assertEqual(bytes(complete.result), b'{"a":  1}')
        self.assertIs(plain.result, UNSET)
        self.assertEqual(
            [msgspec.structs.asdict(each) for each in others],
            [
                msgspec.structs.asdict(each)
                for each in (
                    Settlement("2", "release", delay=5.0, error="e", counted=False),
                    Settlement("3", "fail", error="e"),
                    Settlement("4", "extend", lease=60.0),
                )
            ],
        )
        self.assertIsInstance(plain, Settlement)

    def test_takesNoSettlements(self) -> None:
        """
        The list of settlements may be empty.
        """
        self.assertEqual(readSettle(b'{"settle": []}'), [])

    def test_boundsNumberOfSettlements(self) -> None:
        """
        No more than 10,000 settlements are taken.
        """
        settle = [{"receipt": "1.1", "outcome": "fail"}] * MOST_TASKS
        self.assertEqual(
            len(readSettle(json.dumps({"settle": settle}).encode())), 10_000
        )
        many = {"settle": [*settle, settle[0]]}
        self.assertRefused(readSettle, many, "10001 settlements; it takes from 0 to")

    def test_refusesWrongField(self) -> None:
        """
        The refusal of a settlement names its place and field.
        """
        fine = {"receipt": "r", "outcome": "complete"}
        for wrong, text in (
            ({"outcome": "done"}, "settle[2].outcome takes 'complete', 'release', "),
            ({"receipt": 1}, "settle[2].receipt takes a string, not 1"),
            ({"delay": -1}, "settle[2].delay takes a number of seconds from 0"),
            ({"delay": YEAR + 1}, "settle[2].delay takes"),
            ({"lease": 0}, "settle[2].lease takes a number of seconds above 0"),
            ({"lease": YEAR + 1}, "settle[2].lease takes"),
            ({"error": 1}, "settle[2].error takes a string, not 1"),
            ({"error": None}, "settle[2].error takes a string, not null"),
            ({"counted": 0}, "settle[2].counted takes true or false, not 0"),
        ):
            self.assertRefused(readSettle, {"settle": [fine, fine, fine | wrong]}, text)
        for missing in fine:
            some = {name: fine[name] for name in fine if name != missing}
            text = f"settle[1].{missing} is missing"
            self.assertRefused(readSettle, {"settle": [fine, some]}, text)
        self.assertRefused(readSettle, {"settle": [1]}, "settle[0] takes an object")

    def test_refusesUnreadableResult(self) -> None:
        """
        A result that could not be read again is refused.
        """
        for result in UNREADABLE[:4]:
            body = (
                b'{"settle": [{"receipt": "r", "outcome": "complete", "result": %b}]}'
            )
            self.assertRefused(
                readSettle, body % result, "settle[0].result takes JSON without"
            )

    def test_refusesWithoutList(self) -> None:
        """
        A body without a list of settlements is refused.
        """
        for body in ({}, [], 1, {"settle": {}}, {"settle": None}):
            self.assertRefused(readSettle, body, 'takes {"settle": [...]}')


class RetryTests(ReadingCase):
    """
    Tests for L{readRetry}.
    """

    def test_takesIdsOnce(self) -> None:
        """
        Ids are taken once each; integers by their text.
        """
        self.assertEqual(
            readRetry(b'{"ids": ["b", 7, "a", "7", "b"]}').names, ["b", "7", "a"]
        )

    def test_takesAll(self) -> None:
        """
        A retry of all failed tasks is taken, with its limit.
        """
        self.assertEqual(
            readRetry(b'{"all": true, "limit": 5, "after": [7, 1.5]}'),
            RetryBody(all=True, limit=5, after=RetryCursor(7, 1.5)),
        )

    def test_refusesBothAndNeither(self) -> None:
        """
        A retry takes either ids or all, not both and not neither.
        """
        for body in ({}, {"all": False}, {"ids": []}, {"all": True, "ids": ["a"]}):
            self.assertRefused(
                readRetry, body, 'takes either {"ids": ["ID", ...]} or {"all"'
            )
        many = {"ids": ["a"] * (MOST_TASKS + 1)}
        self.assertRefused(readRetry, many, "10001 ids; it takes from 0 to 10000")
        self.assertRefused(readRetry, {"ids": "a"}, "ids takes a list of strings")
        self.assertRefused(readRetry, {"ids": [1.5]}, "ids takes a list of strings")
        self.assertRefused(readRetry, {"all": 1}, "all takes true or false, not 1")
        for wrong in ({"limit": 0}, {"after": [1]}, {"after": [2**63, 1.0]}):
            self.assertRefused(readRetry, {"all": True} | wrong, " takes ")
        for body in (*NO_JSON, b"[]"):
            self.assertRefused(readRetry, body, "the body ")


class NumberTests(SynchronousTestCase):
    """
    Tests for L{readNumber}.
    """

    def test_takesNumber(self) -> None:
        """
        A number in its range is taken; without one the default is; of several the last.
        """
        for given_, number in (([b"1"], 1), ([b"1000"], 1000), ([b"x", b"7"], 7)):
            self.assertEqual(readNumber({b"n": given_}, "n", 5, 1, 1000), number)
        self.assertEqual(readNumber({}, "n", 5, 1, 1000), 5)

    def test_refusesOtherNumbers(self) -> None:
        """
        A number out of its range, or no number, is refused.
        """
        for text in ("0", "1001", "", "-1", "+1", " 1", "1.0", "²", "1" * 5000):
            with self.assertRaises(Refusal) as caught:
                readNumber({b"n": [text.encode("latin-1")]}, "n", 5, 1, 1000)
            self.assertEqual(caught.exception.code, 400)
            self.assertIn(
                "n takes a whole number from 1 to 1000", str(caught.exception)
            )
