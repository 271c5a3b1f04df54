"""
Tests for the description of the pull contract: what the client sends is what it says,
what it allows is what the client takes, and the example endpoint keeps to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Raw
from openapi_spec_validator import validate
from treq.testing import StubTreq
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from myconsumer.errors import FaultError, RefusalError
from myconsumer.http import Client, parseURL
from myconsumer.queues.json import JSONQueue
from myconsumer.task import Settlement
from tests.test_examples import EndpointCase

CONTRACT = Path(__file__).resolve().parent.parent / "docs" / "pull-contract.yaml"
DESCRIPTION: dict[str, Any] = yaml.safe_load(CONTRACT.read_text("utf-8"))

Schema = dict[str, Any]

anyText = st.text(max_size=20)
numbers = st.integers(0, 10**6) | st.floats(0, 1e6, allow_nan=False)
positive = st.integers(1, 10**6) | st.floats(0.001, 1e6)
anyJSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | anyText,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(anyText, inner, max_size=3)
    ),
    max_leaves=5,
)


def found(reference: str) -> Schema:
    """
    @return: The part of the description that C{reference} points to.
    """
    at: Any = DESCRIPTION
    for name in reference.removeprefix("#/").split("/"):
        at = at[name]
    result: Schema = at
    return result


def problems(name: str, value: object) -> list[str]:
    """
    @return: What is wrong with C{value}, by the schema C{name}.
    """
    schema = {
        "$ref": f"#/components/schemas/{name}",
        "components": DESCRIPTION["components"],
    }
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


def valuesOf(schema: Schema) -> st.SearchStrategy[Any]:
    """
    @return: Makes values that C{schema} allows.
    """
    if "$ref" in schema:
        return valuesOf(found(schema["$ref"]))
    if "const" in schema:
        return st.just(schema["const"])
    if "oneOf" in schema:
        return st.one_of(*map(valuesOf, schema["oneOf"]))
    match schema.get("type"):
        case None:
            return anyJSON
        case [*types]:
            return st.one_of(*(valuesOf({**schema, "type": each}) for each in types))
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=20)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", -(2**53)), 2**53)
        case "number":
            return positive if "exclusiveMinimum" in schema else numbers
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(valuesOf(schema["items"]), min_size=least, max_size=5)
        case "object":
            return objectsOf(schema)
    raise AssertionError(f"no values are known for {schema}")


def objectsOf(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """
    @return: Makes objects that C{schema} allows, now and then with a field more.
    """
    values = {name: valuesOf(each) for name, each in schema["properties"].items()}
    needed = {name: values.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=values | {"more": anyJSON})


def values(name: str) -> st.SearchStrategy[Any]:
    """
    @return: Makes values that the schema C{name} allows.
    """
    return valuesOf({"$ref": f"#/components/schemas/{name}"})


class Endpoint(Resource):
    """
    Answers everything alike, and keeps what it was sent.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.code = 200
        self.answer = b"{}"
        self.received: Any = None

    def render(self, request: Request) -> bytes:
        """
        See L{Resource.render}.
        """
        content = request.content.read()
        self.received = json.loads(content) if content else None
        request.setResponseCode(self.code)
        return b"" if self.code == 204 else self.answer


class QueueCase(SynchronousTestCase):
    """
    A queue at an endpoint whose answer a test sets.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.queue = queueThrough(StubTreq(self.endpoint), self.clock)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def act(self, path: str) -> Any:
        """
        Have the queue send a request to C{path}.
        """
        if path == "/claim":
            return self.queue.claim("c", 4, 20.0, 60.0)
        if path == "/settle":
            return self.queue.settle([Settlement("r", "complete")], 10.0)
        return self.queue.cancelClaim("c")


def queueThrough(treq: StubTreq, clock: Clock) -> JSONQueue:
    return JSONQueue(Client(treq, clock), parseURL("http://endpoint.test"))


class DescriptionTests(SynchronousTestCase):
    """
    The description for itself.
    """

    def test_isOpenAPI(self) -> None:
        """
        The description of the pull contract is OpenAPI.
        """
        validate(DESCRIPTION)

    def test_examplesFitSchemas(self) -> None:
        """
        The examples of the description are what its schemas allow.
        """
        count = 0
        for path in DESCRIPTION["paths"].values():
            for operation in path.values():
                for part in (
                    operation.get("requestBody"),
                    *operation["responses"].values(),
                ):
                    content = (
                        (part or {}).get("content", {}).get("application/json", {})
                    )
                    if "example" in content:
                        name = content["schema"]["$ref"].rpartition("/")[2]
                        self.assertEqual(problems(name, content["example"]), [])
                        count += 1
        self.assertEqual(count, 4)

    def test_schemasRefuseOthers(self) -> None:
        """
        The schemas of the description are not so wide that they allow anything.
        """
        for name, value in (
            ("Claim", {}),
            (
                "Claim",
                {"limit": 0, "wait": 0, "lease": 1, "consumer": "c", "claim": "c"},
            ),
            ("Tasks", {"tasks": [{"id": 1}]}),
            ("Tasks", {"tasks": [{"id": None, "payload": 1}]}),
            ("Settle", {"consumer": "c", "settle": []}),
            ("Settlement", {"receipt": "r", "outcome": "done"}),
            ("Settlement", {"receipt": "r", "outcome": "extend"}),
            ("Settled", {"lost": [1]}),
        ):
            self.assertNotEqual(problems(name, value), [], (name, value))


class SentTests(QueueCase):
    """
    What the client sends is what the description says.
    """

    @given(st.text(min_size=1), st.integers(1, 10**6), numbers, positive)
    def test_sendsClaims(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> None:
        """
        A claim bears every field.
        """
        self.endpoint.answer = b'{"tasks": []}'
        self.successResultOf(self.queue.claim(claim, limit, wait, lease))
        self.assertEqual(problems("Claim", self.endpoint.received), [])

    @given(
        st.lists(
            st.builds(Settlement, anyText, st.just("complete"))
            | st.builds(
                Settlement,
                anyText,
                st.just("complete"),
                result=anyJSON.map(lambda value: Raw(json.dumps(value).encode())),
            )
            | st.builds(
                Settlement,
                anyText,
                st.just("release"),
                delay=numbers,
                error=st.text(),
                counted=st.booleans(),
            )
            | st.builds(Settlement, anyText, st.just("fail"), error=st.text())
            | st.builds(Settlement, anyText, st.just("extend"), lease=positive),
            min_size=1,
        )
    )
    def test_sendsSettlements(self, settlements: list[Settlement]) -> None:
        """
        Settlements of each outcome fit the description.
        """
        self.endpoint.answer = b"{}"
        self.successResultOf(self.queue.settle(settlements, 10.0))
        self.assertEqual(problems("Settle", self.endpoint.received), [])
        sent = [each["outcome"] for each in self.endpoint.received["settle"]]
        self.assertEqual(sent, [each.outcome for each in settlements])


class TakenTests(QueueCase):
    """
    What the description allows is what the client takes.
    """

    @given(values("Tasks"))
    def test_takesTasks(self, answer: Any) -> None:
        """
        Each task of each answer is taken as it is.
        """
        self.assertEqual(problems("Tasks", answer), [])
        self.endpoint.answer = json.dumps(answer).encode()
        claimed = self.successResultOf(self.act("/claim"))
        self.assertEqual(list(claimed.malformed), [])
        for task, given_ in zip(claimed.tasks, answer["tasks"], strict=True):
            self.assertEqual((task.id, task.payload), (given_["id"], given_["payload"]))
            self.assertEqual(task.attempt, given_.get("attempt", 1))
            for name in ("receipt", "lease", "enqueued"):
                self.assertEqual(getattr(task, name), given_.get(name))

    @given(values("Settled"))
    def test_takesLostReceipts(self, answer: Any) -> None:
        """
        Lost receipts are taken as they are.
        """
        self.assertEqual(problems("Settled", answer), [])
        self.endpoint.answer = json.dumps(answer).encode()
        lost = self.successResultOf(self.act("/settle"))
        self.assertEqual(list(lost), answer.get("lost", []))

    def test_obeysCodes(self) -> None:
        """
        Each status code does what the description says.
        """
        for path, methods in DESCRIPTION["paths"].items():
            (operation,) = methods.values()
            for code, response in operation["responses"].items():
                self.endpoint.code = int(code)
                self.endpoint.answer = b'{"tasks": []}' if path == "/claim" else b"{}"
                acted = self.act(path)
                kind = response.get("$ref", "").rpartition("/")[2]
                if kind in ("Later", "Fault"):
                    self.failureResultOf(acted, FaultError)
                elif kind:
                    refusal = self.failureResultOf(acted, RefusalError).value
                    self.assertEqual(refusal.divisible, kind == "Refused", (path, code))
                elif path == "/claim/{claim}":
                    self.assertEqual(self.successResultOf(acted), code == "204")
                else:
                    self.successResultOf(acted)


class ExampleTests(EndpointCase):
    """
    The example endpoint keeps to the description.
    """

    def conforming(self, path: str, body: Any, name: str) -> Any:
        """
        Post, and check the answer.
        """
        answer = self.send("POST", path, body)
        self.pass_(0)
        code, content = self.successResultOf(answer)
        self.assertEqual((code, problems(name, content)), (200, []), body)
        return content

    @given(st.lists(anyJSON, max_size=3), values("Claim"), values("Settle"))
    def test_answersAnyRequest(
        self, payloads: list[Any], claim: Any, settle: Any
    ) -> None:
        """
        The example endpoint takes every request that the description allows, and
        answers as it says.
        """
        self.setUp()
        self.queue(*payloads)
        claim["wait"] = 0
        content = self.conforming("/claim", claim, "Tasks")
        expected = payloads[: claim["limit"]]
        self.assertEqual([task["payload"] for task in content["tasks"]], expected)
        for settlement, task in zip(settle["settle"], content["tasks"], strict=False):
            settlement["receipt"] = task["receipt"]
        receipts = {task["receipt"] for task in content["tasks"]}
        content = self.conforming("/settle", settle, "Settled")
        self.assertEqual(receipts & set(content["lost"]), set())

    def test_worksWithClient(self) -> None:
        """
        The client works with the example endpoint: tasks come, are settled, and claims
        ended.
        """
        queue = queueThrough(self.treq, self.clock)
        self.queue("a", "b")
        claiming = queue.claim("c", 2, 20.0, 60.0)
        self.pass_(0)
        claimed = self.successResultOf(claiming)
        receipts = [task.receipt or "" for task in claimed.tasks]
        self.assertEqual([task.payload for task in claimed.tasks], ["a", "b"])
        settlements = [Settlement(receipt, "complete") for receipt in receipts]
        settling = queue.settle([*settlements, Settlement("x", "fail")], 10.0)
        self.assertEqual(self.successResultOf(settling), ["x"])
        self.assertEqual(self.queued(), 0)
        self.assertTrue(self.successResultOf(queue.cancelClaim("d")))
        late = queue.claim("d", 2, 20.0, 60.0)
        self.pass_(0)
        self.assertEqual(self.successResultOf(late).tasks, [])
