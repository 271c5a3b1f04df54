"""
Tests for the endpoint, the application, the demo, the units and the deployment among
the examples.
"""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any
from unittest import SkipTest

import yaml
from treq.testing import StubTreq
from twisted.application.internet import TimerService
from twisted.application.service import IServiceCollection, loadApplication
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from myconsumer import ConsumerService
from myconsumer.status.web.api import StatusAPI
from myconsumer.tap import Options as ConsumerOptions
from myconsumer.taskqueue.tap import Options as TaskQueueOptions

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class EndpointCase(SynchronousTestCase):
    """
    Has the example endpoint, and sends requests to it.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        module = runpy.run_path(str(EXAMPLES / "endpoint.py"))
        self.resource = module["Endpoint"](self.clock)
        self.treq = StubTreq(self.resource)
        self.addCleanup(self.settleDown)

    def settleDown(self) -> None:
        """
        Let the longest lease, delay or wait pass: nothing is left in the clock.
        """
        self.pass_(10**7)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def pass_(self, seconds: float) -> None:
        """
        Let time pass, and then what is written arrive.
        """
        self.clock.advance(seconds)
        self.treq.flush()

    def send(self, method: str, path: str, body: Any = None) -> Deferred[Any]:
        """
        @return: Fires with the answer's code and what it holds.
        """
        data = body if isinstance(body, bytes) or body is None else encode(body)
        sent = self.treq.request(method, f"http://endpoint.test{path}", data=data)

        async def read() -> tuple[int, Any]:
            response = await sent
            content = await self.treq.content(response)
            return response.code, json.loads(content) if content else None

        answer = Deferred.fromCoroutine(read())
        self.treq.flush()
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """
        @return: The answer's code and what it holds; it has to come at once.
        """
        code, content = self.successResultOf(self.send(method, path, body))
        return code, content

    def queue(self, *payloads: Any) -> None:
        tasks = [{"payload": payload} for payload in payloads]
        code, _ = self.ask("POST", "/", tasks)
        self.assertEqual(code, 201)

    def poll(self, claim: str = "c", **fields: Any) -> Deferred[Any]:
        body = {"limit": 9, "wait": 20, "lease": 60, "consumer": "x", "claim": claim}
        return self.send("POST", "/claim", body | fields)

    def tasks(self, answer: Deferred[Any]) -> list[dict[str, Any]]:
        """
        @return: The tasks of an answer to a claim that has come.
        """
        code, content = self.successResultOf(answer)
        self.assertEqual(code, 200)
        found: list[dict[str, Any]] = content["tasks"]
        return found

    def claim(self, **fields: Any) -> list[dict[str, Any]]:
        """
        Claim tasks without waiting for any.
        """
        answer = self.poll(wait=0, **fields)
        self.pass_(0)
        return self.tasks(answer)

    def settle(self, *settlements: dict[str, Any]) -> list[str]:
        """
        @return: The receipts that are lost.
        """
        body = {"consumer": "x", "settle": list(settlements)}
        code, content = self.ask("POST", "/settle", body)
        self.assertEqual(code, 200)
        lost: list[str] = content["lost"]
        return lost

    def queued(self) -> int:
        """
        @return: How many tasks have not ended.
        """
        _, content = self.ask("GET", "/")
        count: int = content["queued"]
        return count


class ClaimTests(EndpointCase):
    """
    Claims of the example endpoint.
    """

    def test_deliversInOrder(self) -> None:
        """
        Tasks are delivered in their order, as many as are asked for.
        """
        self.queue("a", "b", "c")
        first, second = self.claim(limit=2)
        self.assertEqual([first["payload"], second["payload"]], ["a", "b"])
        self.assertEqual([first["id"], second["id"]], ["1", "2"])
        self.assertEqual([task["payload"] for task in self.claim()], ["c"])

    def test_deliversAttemptReceiptAndLease(self) -> None:
        """
        A task has its attempt, a receipt of its own and its lease.
        """
        self.queue({"any": ["JSON", None]}, None)
        first, second = self.claim(lease=7)
        self.assertEqual(first["payload"], {"any": ["JSON", None]})
        self.assertIsNone(second["payload"])
        self.assertEqual((first["attempt"], first["lease"]), (1, 7))
        self.assertNotEqual(first["receipt"], second["receipt"])

    def test_answersEmptyWithoutWaiting(self) -> None:
        """
        A claim that need not wait is answered empty.
        """
        self.assertEqual(self.claim(), [])

    def test_answersAtOnceIfThereIsATask(self) -> None:
        """
        A claim that may wait is answered at once if there is a task.
        """
        self.queue("a")
        self.pass_(0)
        answer = self.poll(wait=20)
        self.pass_(0)
        self.assertEqual([task["payload"] for task in self.tasks(answer)], ["a"])

    def test_waits(self) -> None:
        """
        A claim waits for C{wait} seconds, and is then answered empty.
        """
        answer = self.poll(wait=20)
        self.pass_(19.9)
        self.assertNoResult(answer)
        self.pass_(0.2)
        self.assertEqual(self.tasks(answer), [])

    def test_wakesAWaitingClaim(self) -> None:
        """
        A claim that waits is answered at once, with all tasks that are queued together.
        """
        answer = self.poll()
        self.queue("a", "b")
        self.pass_(0)
        self.assertEqual([task["payload"] for task in self.tasks(answer)], ["a", "b"])

    def test_servesTheOldestClaimFirst(self) -> None:
        """
        Of several claims that wait the oldest is served first.
        """
        answers = [self.poll(claim=name, limit=1) for name in "xyz"]
        self.queue("a", "b")
        self.pass_(0)
        self.assertEqual(
            [task["payload"] for answer in answers[:2] for task in self.tasks(answer)],
            ["a", "b"],
        )
        self.assertNoResult(answers[2])
        self.pass_(20)
        self.assertEqual(self.tasks(answers[2]), [])

    def test_leasesNothingToAClientThatIsGone(self) -> None:
        """
        A claim whose client has gone gets nothing: the next claim gets the task.
        """
        answer = self.poll(claim="gone")
        answer.cancel()
        self.failureResultOf(answer)
        self.treq.flush()
        self.queue("a")
        self.pass_(0)
        (task,) = self.claim()
        self.assertEqual((task["payload"], task["attempt"]), ("a", 1))

    def test_deleteEndsAWaitingClaim(self) -> None:
        """
        DELETE ends a claim that waits, at once and empty; the next claim gets the task.
        """
        answer = self.poll(claim="c 1")
        self.assertEqual(self.ask("DELETE", "/claim/c%201"), (204, None))
        self.treq.flush()
        self.assertEqual(self.tasks(answer), [])
        self.queue("a")
        self.pass_(0)
        self.assertEqual(len(self.claim(claim="other")), 1)

    def test_deleteEndsAClaimThatArrivesLater(self) -> None:
        """
        A claim that arrives after its DELETE is answered empty, at once, though there
        are tasks; the next claim gets them.
        """
        self.assertEqual(self.ask("DELETE", "/claim/late"), (204, None))
        self.queue("a")
        answer = self.poll(claim="late")
        self.pass_(0)
        self.assertEqual(self.tasks(answer), [])
        (task,) = self.claim(claim="other")
        self.assertEqual(task["attempt"], 1)

    def test_deleteLeavesAnAnsweredClaim(self) -> None:
        """
        DELETE of a claim that was answered releases nothing.
        """
        self.queue("a")
        (task,) = self.claim(claim="c")
        self.assertEqual(self.ask("DELETE", "/claim/c"), (204, None))
        self.assertEqual(self.claim(claim="other"), [])
        settled = {"receipt": task["receipt"], "outcome": "complete"}
        self.assertEqual(self.settle(settled), [])


class LeaseTests(EndpointCase):
    """
    Leases of the example endpoint.
    """

    def test_endOfALeaseWakesAClaim(self) -> None:
        """
        A lease that ends gives the task to a claim that waits, as the next attempt.
        """
        self.queue("a")
        (first,) = self.claim(lease=5)
        answer = self.poll()
        self.pass_(4.9)
        self.assertNoResult(answer)
        self.pass_(0.1)
        (second,) = self.tasks(answer)
        self.assertEqual((second["id"], second["attempt"]), (first["id"], 2))

    def test_settlementAfterTheLeaseIsLost(self) -> None:
        """
        Once the lease has ended each settlement is lost, and has no effect, whether or
        not another consumer has the task by then.
        """
        for outcome in ("complete", "release", "fail", "extend"):
            self.queue(outcome)
            (first,) = self.claim(lease=5)
            self.pass_(5)
            settlement = {"receipt": first["receipt"], "outcome": outcome, "lease": 9}
            self.assertEqual(self.settle(settlement), [first["receipt"]])
            (second,) = self.claim(lease=5)
            self.assertEqual(self.settle(settlement), [first["receipt"]])
            complete = {"receipt": second["receipt"], "outcome": "complete"}
            self.assertEqual(self.settle(complete), [])
        self.assertEqual(self.queued(), 0)

    def test_extends(self) -> None:
        """
        A lease that is extended lasts for the given seconds from then on.
        """
        self.queue("a")
        (first,) = self.claim(lease=5)
        extend = {"receipt": first["receipt"], "outcome": "extend", "lease": 5}
        for _ in range(3):
            self.pass_(4)
            self.assertEqual(self.settle(extend), [])
        self.assertEqual(self.claim(), [])
        self.pass_(5)
        self.assertEqual(self.claim()[0]["attempt"], 2)

    def test_unknownReceiptIsLost(self) -> None:
        """
        A receipt that is not known is lost; its neighbours are settled.
        """
        self.queue("a")
        (task,) = self.claim()
        forged = task["receipt"].partition(".")[0] + ".0"
        settlements = [
            {"receipt": receipt, "outcome": "complete"}
            for receipt in ("nothing", forged, task["receipt"])
        ]
        self.assertEqual(self.settle(*settlements), ["nothing", forged])
        self.assertEqual(self.queued(), 0)


class SettleTests(EndpointCase):
    """
    Settlements of the example endpoint.
    """

    def test_completedAndFailedTasksDoNotReturn(self) -> None:
        """
        A task that is complete or has failed is never delivered again.
        """
        self.queue("a", "b")
        first, second = self.claim()
        lost = self.settle(
            {"receipt": first["receipt"], "outcome": "complete", "result": 42},
            {"receipt": second["receipt"], "outcome": "fail", "error": "why"},
        )
        self.assertEqual(lost, [])
        self.pass_(100)
        self.assertEqual((self.claim(), self.queued()), ([], 0))

    def test_releases(self) -> None:
        """
        A task that is released is delivered again after its delay, with the attempt
        that is due.
        """
        for fields, attempt in ({}, 2), ({"counted": True}, 3), ({"counted": False}, 3):
            if attempt == 2:
                self.queue("a")
            (task,) = self.claim()
            release = {"receipt": task["receipt"], "outcome": "release", "delay": 3}
            self.assertEqual(self.settle(release | fields), [])
            answer = self.poll()
            self.pass_(2.9)
            self.assertNoResult(answer)
            self.pass_(0.1)
            (again,) = self.tasks(answer)
            self.assertEqual(again["attempt"], attempt)
            back = {"receipt": again["receipt"], "outcome": "release"}
            self.settle(back | {"counted": False})
            self.pass_(0)

    def test_repeatedSettlementChangesNothing(self) -> None:
        """
        Repeating a settlement changes nothing.
        """
        self.queue("a", "b", "c")
        outcomes = ("complete", "release", "fail")
        settlements = [
            {"receipt": task["receipt"], "outcome": outcome}
            for task, outcome in zip(self.claim(), outcomes, strict=True)
        ]
        self.assertEqual(self.settle(*settlements), [])
        self.pass_(0)
        self.settle(*settlements)
        (again,) = self.claim()
        self.assertEqual((again["payload"], again["attempt"]), ("b", 2))
        self.settle(*settlements)
        extend = {"receipt": again["receipt"], "outcome": "extend", "lease": 60}
        self.assertEqual(self.settle(extend), [])

    def test_contradictingSettlementIsLost(self) -> None:
        """
        A receipt that was settled in one way cannot be settled in another: it is lost.
        """
        self.queue("a")
        (task,) = self.claim()
        self.settle({"receipt": task["receipt"], "outcome": "complete"})
        for other in ("release", "fail", "extend"):
            settlement = {"receipt": task["receipt"], "outcome": other, "lease": 60}
            self.assertEqual(self.settle(settlement), [task["receipt"]])
        self.assertEqual(self.queued(), 0)

    def test_receiptIsLostAfterARelease(self) -> None:
        """
        The receipt of a released task is lost, although no other consumer has the task
        yet.
        """
        self.queue("a")
        (task,) = self.claim()
        release = {"receipt": task["receipt"], "outcome": "release", "delay": 9}
        self.assertEqual(self.settle(release), [])
        complete = {"receipt": task["receipt"], "outcome": "complete"}
        self.assertEqual(self.settle(complete), [task["receipt"]])
        self.pass_(9)
        self.assertEqual(self.claim()[0]["attempt"], 2)


class BadRequestTests(EndpointCase):
    """
    How the example endpoint answers requests that it cannot serve.
    """

    def refuses(self, path: str, body: Any, what: str) -> None:
        """
        Check that a request is answered with 400 and that the error names C{what}.
        """
        code, content = self.ask("POST", path, body)
        self.assertEqual(code, 400, body)
        self.assertIn(what, content["error"], body)

    def test_refusesWhatIsNoJSON(self) -> None:
        """
        A body that is not JSON is refused, on each path.
        """
        for path in ("/", "/claim", "/settle"):
            for body in (b"", b"{", b"\xff", b"[" * 100_000):
                code, content = self.ask("POST", path, body)
                self.assertEqual((code, set(content)), (400, {"error"}), body[:9])

    def test_refusesAnUnfitClaim(self) -> None:
        """
        A claim that lacks a field, or has one out of range, is refused: nothing is
        leased, and the claims that wait go on.
        """
        self.queue("a")
        good = {"limit": 1, "wait": 0, "lease": 1, "claim": "c"}
        for field, what, values in (
            ("limit", "`int`", (0, -1, 1.5, "x", None, True)),
            ("wait", "`float`", (-1, "x", None, True)),
            ("wait", "JSON", (float("nan"), float("inf"))),
            ("wait", "out of range", (10**400,)),
            ("lease", "`float`", (-1, "x", None, [])),
            ("lease", "JSON", (float("nan"),)),
        ):
            for value in values:
                self.refuses("/claim", good | {field: value}, what)
        for field in good:
            rest = {key: good[key] for key in good if key != field}
            self.refuses("/claim", rest, f"'{field}'")
        self.refuses("/claim", [good], "mapping")
        (task,) = self.claim()
        self.assertEqual(task["attempt"], 1)

    def test_refusesAnUnfitSettlement(self) -> None:
        """
        A settlement that lacks a field, or has a wrong one, is refused, and the lease
        goes on.
        """
        self.queue("a")
        (task,) = self.claim()
        good = {"receipt": task["receipt"], "outcome": "release"}
        for fields, what in (
            ({"receipt": None}, "None"),
            ({"receipt": 1}, "int"),
            ({"outcome": None}, "null"),
            ({"outcome": "done"}, "done"),
            ({"delay": -1}, ">= 0"),
            ({"delay": "x"}, "`float`"),
            ({"outcome": "extend", "lease": None}, "`float`"),
        ):
            self.refuses("/settle", {"settle": [good | fields]}, what)
        for field in good:
            rest = {key: good[key] for key in good if key != field}
            self.refuses("/settle", {"settle": [rest]}, f"'{field}'")
        self.refuses("/settle", {"settle": [1]}, "mapping")
        self.refuses("/settle", {"settle": good}, "mapping")
        self.refuses("/settle", {}, "settle")
        self.assertEqual(self.claim(), [])
        self.assertEqual(self.settle(good), [])
        self.pass_(0)
        self.assertEqual(self.claim()[0]["attempt"], 2)

    def test_refusesUnfitTasks(self) -> None:
        """
        A task without a payload that every JSON reader accepts is refused; nothing of a
        list with such a task is queued.
        """
        good = {"payload": 1}
        for wrong, what in (({}, "payload"), (1, "int"), ({"id": "x"}, "payload")):
            self.refuses("/", wrong, what)
            self.refuses("/", [good, wrong], what)
        for body, what in (
            (b'{"payload": NaN}', "JSON"),
            (b'{"payload": 1e999}', "out of range"),
            (b'{"payload": "\\ud800"}', ""),
        ):
            self.refuses("/", body, what)
        self.assertEqual(self.queued(), 0)

    def test_refusesOtherPaths(self) -> None:
        """
        Other paths are answered with 404.
        """
        for method, path in (("GET", "/claim"), ("PUT", "/"), ("POST", "/claim/x")):
            code, _ = self.ask(method, path, {} if method == "POST" else None)
            self.assertEqual(code, 404, (method, path))


class ComposedTests(SynchronousTestCase):
    """
    The application among the examples that has a consumer in it.
    """

    def test_holdsAConsumerAndATimer(self) -> None:
        """
        The application holds a consumer, which holds what the handler needs, and a
        timer.
        """
        application = loadApplication(str(EXAMPLES / "composed.tac"), "python")
        consumer, timer = IServiceCollection(application)
        self.assertIsInstance(consumer, ConsumerService)
        self.assertIsInstance(timer, TimerService)
        (squares,) = consumer
        self.assertEqual(squares.known, {})
        self.assertEqual((consumer.running, timer.running), (0, 0))


class DemoTests(SynchronousTestCase):
    """
    What C{make demo} runs.
    """

    def run_(self) -> tuple[int, str]:
        """
        @return: The status with which the demo ended, and what it has printed.
        """
        demo = subprocess.Popen(
            [sys.executable, EXAMPLES / "demo.py"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # it takes what it has started with it
        self.addCleanup(demo.communicate)
        self.addCleanup(demo.terminate)
        printed, _ = demo.communicate(timeout=90)
        return demo.returncode, printed

    def test_runsToItsEnd(self) -> None:
        """
        The demo ends well without a terminal, and shows a task that failed and was
        retried.
        """
        status, printed = self.run_()
        self.assertEqual(status, 0, printed)
        failed = re.findall(r"^failed +(\d+)$", printed, re.MULTILINE)
        completed = re.findall(r"^completed +(\d+)$", printed, re.MULTILINE)
        self.assertEqual((failed, completed), (["1", "0"], ["19", "20"]))
        for told in (
            "20 tasks queued",
            "1 attempt    there is no paper",
            "1 task to be tried again",
            "The consumer ended by SIGTERM.",
        ):
            self.assertIn(told, printed)


#: The units for systemd, and the command that each starts.
UNITS = {"consumer": "consumer", "consumer@": "consumer", "taskqueue": "taskqueue"}


class UnitTests(SynchronousTestCase):
    """
    The units for systemd.
    """

    def read(self, name: str) -> dict[str, str]:
        """
        @return: The settings of a unit's service; of those that are there several
            times the last.
        """
        unit = RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read(EXAMPLES / f"{name}.service")
        return dict(unit["Service"])

    def test_startACommand(self) -> None:
        """
        Each unit starts a command in the foreground, with options that the command has.
        """
        options = {"consumer": ConsumerOptions(), "taskqueue": TaskQueueOptions()}
        for name, command in UNITS.items():
            words = shlex.split(self.read(name)["ExecStart"])
            self.assertEqual(words[1:4], ["-n", "--pidfile=", command])
            self.assertTrue(words[4:])
            for option in words[4::2]:
                longOpt = options[command].longOpt
                self.assertIn(f"{option.removeprefix('--')}=", longOpt)

    def test_leaveTimeToStop(self) -> None:
        """
        systemd waits for longer than a stop with the default of C{--drain} takes, and
        sends the first signal to the consumer alone.
        """
        for name in ("consumer", "consumer@"):
            service = self.read(name)
            drain = ConsumerOptions().command.options
            default = next(o.default for o in drain if o.name == "drain")
            self.assertGreater(float(service["TimeoutStopSec"]), default + 9)
            self.assertEqual(service["KillMode"], "mixed")

    def test_runAsAnotherUser(self) -> None:
        """
        No unit runs as root, or can become it.
        """
        for name in UNITS:
            service = self.read(name)
            self.assertNotIn(service["User"], ("", "root"))
            self.assertEqual(service["NoNewPrivileges"], "yes")

    def test_areConfined(self) -> None:
        """
        C{systemd-analyze security} finds each unit well confined, where it is there.
        """
        if not shutil.which("systemd-analyze"):
            raise SkipTest("there is no systemd-analyze")
        for name in UNITS:
            judged = subprocess.run(
                [
                    "systemd-analyze",
                    "security",
                    "--offline=true",
                    "--threshold=20",
                    str(EXAMPLES / f"{name}.service"),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)


class ImageTests(SynchronousTestCase):
    """
    The C{Dockerfile}.
    """

    def setUp(self) -> None:
        text = (EXAMPLES / "Dockerfile").read_text()
        joined = re.sub(r"\\\n(\s*#.*\n)?", " ", text)
        self.steps = [
            (word, rest)
            for word, _, rest in (line.partition(" ") for line in joined.splitlines())
            if word and not word.startswith("#")
        ]

    def test_startsTheConsumer(self) -> None:
        """
        The image starts C{twistd} itself, without a shell that would keep its signals.
        """
        words = json.loads(dict(self.steps)["ENTRYPOINT"])
        self.assertEqual(words, ["twistd", "-n", "--pidfile=", "consumer"])
        self.assertEqual(dict(self.steps)["STOPSIGNAL"], "SIGTERM")

    def test_dropsPrivileges(self) -> None:
        """
        The image's user is not root, and is set after all that only root can do.
        """
        names = [word for word, _ in self.steps]
        self.assertRegex(dict(self.steps)["USER"], r"^[1-9][0-9]+:[1-9][0-9]+$")
        self.assertGreater(names.index("USER"), names.index("RUN"))
        self.assertLess(names.index("USER"), names.index("ENTRYPOINT"))

    def test_setsOptions(self) -> None:
        """
        The variables of the image are those of options, and hold values that they take.
        """
        environ = dict(
            word.split("=", 1) for word in shlex.split(dict(self.steps)["ENV"])
        )
        command = ConsumerOptions.command
        known = [command.variable(option) for option in command.options]
        for name in environ:
            if name.startswith("CONSUMER_"):
                self.assertIn(name, known)


class DeploymentTests(SynchronousTestCase):
    """
    The deployment for Kubernetes.
    """

    def setUp(self) -> None:
        deployment = yaml.safe_load((EXAMPLES / "deployment.yaml").read_text())
        self.pod = deployment["spec"]["template"]["spec"]
        [self.container] = self.pod["containers"]
        self.environ = {each["name"]: each["value"] for each in self.container["env"]}

    def test_setsOptions(self) -> None:
        """
        The variables are those of options.
        """
        command = ConsumerOptions.command
        known = {command.variable(option) for option in command.options}
        self.assertLessEqual(set(self.environ), known)

    def test_probesTheStatus(self) -> None:
        """
        The probes ask at the port of C{--status}, for paths that are answered with GET;
        that for liveness gives up later than a handler may block the reactor.
        """
        [port] = self.container["ports"]
        self.assertEqual(
            self.environ["CONSUMER_STATUS"], f"tcp:{port['containerPort']}"
        )
        liveness = self.container["livenessProbe"]
        readiness = self.container["readinessProbe"]
        paths = [str(rule) for rule in StatusAPI.app.url_map.iter_rules()]
        for probe, path in ((liveness, "/healthz"), (readiness, "/readyz")):
            self.assertEqual(probe["httpGet"], {"path": path, "port": port["name"]})
            self.assertIn(path, paths)
        [wedged] = [o for o in ConsumerOptions.command.options if o.name == "wedged"]
        self.assertGreaterEqual(
            liveness["periodSeconds"] * liveness["failureThreshold"], wedged.default
        )

    def test_leavesTimeToStop(self) -> None:
        """
        A pod gets longer to stop than a stop with the default of C{--drain} takes.
        """
        [drain] = [o for o in ConsumerOptions.command.options if o.name == "drain"]
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], drain.default + 9)


def encode(body: Any) -> bytes:
    return json.dumps(body).encode()
