"""
C{myconsumer check} passes the example endpoint, and finds what is wrong with copies of
it that have a fault each.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from myconsumer.check import Options, check
from tests.acceptance.embedded import QueueCase

EXAMPLE = Path(__file__).parents[2] / "examples" / "endpoint.py"


class Fault(NamedTuple):
    """
    What is wrong with a copy of the example endpoint.

    @ivar name: Its test's name.
    @ivar sentence: What the copy does.
    @ivar old: The text that is replaced in the example, which has it once.
    @ivar new: What it is replaced by.
    @ivar said: Parts of the lines of the report that then begin with C{FAIL}, in their
        order; no other line is looked at.
    """

    name: str
    sentence: str
    old: str
    new: str
    said: tuple[str, ...]

    def madeIn(self, source: str) -> str:
        """
        @return: The source of the example, with this fault.

        @raise AssertionError: It does not have the text once.
        """
        count = source.count(self.old)
        if count != 1:
            raise AssertionError(
                f"examples/endpoint.py has changed: the text that {self.name} replaces "
                f"is in it {count} times, not once: {self.old!r}"
            )
        return source.replace(self.old, self.new)


class Served(ProcessProtocol):
    """
    An endpoint that runs.

    @ivar url: Fires with its URL.
    @ivar gone: Fires once it has ended.
    """

    def __init__(self) -> None:
        self.url: Deferred[str] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.output = ""

    def outReceived(self, data: bytes) -> None:
        self.output += data.decode()
        if self.output.endswith("\n") and not self.url.called:
            self.url.callback(self.output.strip())

    def errReceived(self, data: bytes) -> None:
        print(data.decode())

    def processEnded(self, reason: Failure) -> None:
        if not self.url.called:
            self.url.errback(reason)
        self.gone.callback(None)


class CheckCase(TestCase):
    """
    Runs copies of the example endpoint, and checks them.
    """

    timeout = 100

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.directory = Path(mkdtemp(prefix="check-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.lines: list[str] = []

    async def serve(self, fault: Fault | None = None) -> str:
        """
        Run the example, with a fault if one is given, until the test ends.

        @return: Its URL.
        """
        source = EXAMPLE.read_text()
        if fault is not None:
            source = fault.madeIn(source)
        copy = self.directory / "endpoint.py"
        copy.write_text(source)
        served = Served()
        arguments = [sys.executable, str(copy)]
        process = self.reactor.spawnProcess(
            served, sys.executable, arguments, env=os.environ
        )

        async def stop() -> None:
            if not served.gone.called:
                process.signalProcess("KILL")
            await served.gone

        self.addCleanup(lambda: Deferred.fromCoroutine(stop()))
        return await served.url

    async def check(self, url: str, *words: str) -> int:
        """
        @return: The exit status; the lines are kept.
        """
        options = Options()
        options.parseOptions([url, *words])

        def write(line: str) -> None:
            print(line)
            self.lines.append(line)

        return await check(self.reactor, options, write)

    def told(self, kind: str) -> list[str]:
        """
        @return: The ends of the lines of one kind.
        """
        return [line[6:] for line in self.lines if line.split()[0] == kind]


class GoodTests(CheckCase):
    """
    The example endpoint as it is.
    """

    async def test_passesTheExample(self) -> None:
        """
        All holds for the example endpoint, as the command on a terminal tells; nothing
        is left in the queue, and only the check that needs a token is skipped.
        """
        url = await self.serve()
        arguments = ["-m", "myconsumer.cli.main", "check", url]
        out, errors, status = await getProcessOutputAndValue(
            sys.executable, arguments, env=os.environ
        )
        text = out.decode()
        print(text)
        self.assertEqual((status, errors), (0, b""))
        self.assertNotIn("\nFAIL", text)
        self.assertNotIn("\nnote", text)
        self.assertEqual(text.count("\nskip"), 1)
        self.assertIn(" hold, 0 do not, 1 was skipped\n", text)


class EmbeddedQueueTests(QueueCase):
    """
    The embedded queue.
    """

    async def test_passesTheEmbeddedQueue(self) -> None:
        """
        All holds for the embedded queue, with a token, and nothing is left in the
        queue.
        """
        token = self.directory / "token"
        token.write_text("t0ken")
        served = await self.serve(token_file=token)
        client = self.client(served, "check", "t0ken")
        words = ["check", client.url, "--token-file", str(token)]
        out, errors, status = await getProcessOutputAndValue(
            sys.executable, ["-m", "myconsumer.cli.main", *words], env=os.environ
        )
        print(out.decode())
        self.assertEqual((status, errors), (0, b""))
        self.assertIn(b" hold, 0 do not\n", out)
        self.assertNotIn(b"\nnote", out)
        await self.untilCounts(client, ready=0, leased=0, delayed=0)


FAULTS = (
    Fault(
        "bringsMoreThanTheLimit",
        "More tasks come than were asked for.",
        "<= now][:limit]",
        "<= now][: limit * 9]",
        ("no more tasks than its limit",),
    ),
    Fault(
        "leasesToSeveral",
        "What is delivered goes to others as well.",
        'f"{self.put(task, lease)}.{uuid4()}"',
        "f\"{task['id']}.{uuid4()}\"",
        (
            "claims that come together never",
            "leased goes to nobody else",
        ),
    ),
    Fault(
        "waitsForMoreTasks",
        "A claim is not answered before there is all that it asks for.",
        "if tasks or limit == 0",
        "if len(tasks) == limit",
        ("as soon as there is one task",),
    ),
    Fault(
        "waitsTooLong",
        "A claim is not answered when its wait is over.",
        "self.clock.callLater(wait, self.serve)",
        "self.clock.callLater(wait * 7, self.serve)",
        ("answered empty after its wait",),
    ),
    Fault(
        "roundsIntegers",
        "Large integers lose their last digits.",
        '"payload": t["payload"]}',
        '"payload": eval(repr(t["payload"]).replace("993}", "992}"))}',
        ("payloads of all kinds",),
    ),
    Fault(
        "isNotWokenByADelay",
        "The end of a delay wakes nobody.",
        "self.clock.callLater(convert(seconds, Time), self.serve)",
        "convert(seconds, Time) or self.clock.callLater(0, self.serve)",
        ("end of a delay wakes",),
    ),
    Fault(
        "isNotWokenByALease",
        "The end of a lease wakes nobody.",
        "self.clock.callLater(convert(seconds, Time), self.serve)",
        "convert(seconds, Time) or self.clock.callLater(0, self.serve)",
        ("end of a lease wakes",),
    ),
    Fault(
        "isNotWokenByATask",
        "A task that is queued wakes nobody.",
        "self.clock.callLater(convert(seconds, Time), self.serve)",
        "convert(seconds, Time) and self.clock.callLater(seconds, self.serve)",
        ("a task that is queued wakes",),
    ),
    Fault(
        "leasesForEver",
        "A lease does not end by itself.",
        'f"{self.put(task, lease)}.',
        'f"{self.put(task, 9e6)}.',
        ("ends by itself",),
    ),
    Fault(
        "countsNoAttempts",
        "Each delivery is called the first.",
        'attempt=task.get("attempt", 0) + 1',
        "attempt=1",
        (
            "ends by itself",
            "as the next attempt",
        ),
    ),
    Fault(
        "repeatsReceipts",
        "A task has the same receipt in each delivery.",
        ".{uuid4()}",
        ".receipt",
        (
            "does nothing to the task's next",
            "given twice",
        ),
    ),
    Fault(
        "takesLateReceipts",
        "A receipt holds after the end of its lease.",
        "held = due > self.clock.seconds() and task",
        "held = task",
        ("lost once its lease has ended",),
    ),
    Fault(
        "ignoresExtensions",
        "A lease cannot be extended.",
        "            self.put(task, lease)\n",
        "            pass\n",
        ("that is extended lasts",),
    ),
    Fault(
        "addsExtensions",
        "An extension is added to what is left of the lease.",
        "            self.put(task, lease)\n",
        "            self.put(task, due - self.clock.seconds() + lease)\n",
        ("does not add to it",),
    ),
    Fault(
        "forgetsCompletions",
        "What is complete is delivered again once its lease has ended.",
        'del self.tasks[task["id"]]  #',
        "pass  #",
        ("never delivered again",),
    ),
    Fault(
        "releasesWhatFailed",
        "What has failed for good is released.",
        'elif held and outcome == "release"',
        'elif held and outcome in ("release", "fail")',
        ("never delivered again",),
    ),
    Fault(
        "ignoresDelays",
        "What is released comes again at once.",
        "self.put(task, delay)",
        "self.put(task, 0)",
        ("its delay",),
    ),
    Fault(
        "countsEveryRelease",
        "A release that is not to be counted is counted.",
        " - (not counted)",
        "",
        ("not counted gives",),
    ),
    Fault(
        "refusesLostReceipts",
        "A receipt that is lost spoils its batch.",
        "return None if held else receipt",
        "return None if held else {}[receipt]",
        (
            "never given is lost",
            "keep the others of its batch",
        ),
    ),
    Fault(
        "callsNothingLost",
        "No receipt is ever called lost.",
        "return None if held else receipt",
        "return None",
        (
            "lost once its lease",
            "never given is lost",
            "cannot be settled another",
        ),
    ),
    Fault(
        "doesNotEndClaims",
        "DELETE does not end a claim that waits.",
        "204, self.serve()",
        "204, None",
        ("DELETE ends a claim that waits",),
    ),
    Fault(
        "forgetsDeletes",
        "DELETE does not hold for a claim that arrives later.",
        "204, self.serve()",
        "204, self.serve() or self.deleted.clear()",
        ("arrives after its own DELETE",),
    ),
    Fault(
        "leasesToTheGone",
        "A client that has gone is given a task.",
        "lambda gone: self.polls.pop(request, None)",
        "lambda gone: None",
        ("a client that has gone",),
    ),
    Fault(
        "failsOnWrongRequests",
        "What is wrong with a request is called a fault of the endpoint.",
        'code, answer = 400, {"error"',
        'code, answer = 500, {"error"',
        (
            "a claim that is wrong",
            "a settle request that is wrong",
        ),
    ),
    Fault(
        "takesALimitOfZero",
        "A limit of 0 is taken.",
        "Annotated[int, Meta(ge=1)]",
        "int",
        ("a claim that is wrong",),
    ),
)


class FaultTests(CheckCase):
    """
    Copies of the example endpoint with a fault each: a test for each of L{FAULTS}.
    """

    async def assertFound(self, fault: Fault) -> None:
        """
        Check a copy, and find just the lines that the fault names.
        """
        url = await self.serve(fault)
        words = [f"--only={part}" for part in fault.said]
        self.assertEqual(await self.check(url, *words), 1)
        failed = self.told("FAIL")
        self.assertEqual(len(failed), len(fault.said), failed)
        for line, part in zip(failed, fault.said, strict=True):
            self.assertIn(part, line)
            self.assertIn("; wanted: ", line)


def _testOf(fault: Fault) -> Callable[[FaultTests], Awaitable[None]]:
    async def test(self: FaultTests) -> None:
        await self.assertFound(fault)

    test.__doc__ = fault.sentence
    return test


for _fault in FAULTS:
    setattr(FaultTests, f"test_{_fault.name}", _testOf(_fault))


class TableTests(SynchronousTestCase):
    """
    The table of faults itself.
    """

    def test_fitsTheExample(self) -> None:
        """
        Each fault can be made in the example endpoint, and has a name of its own.
        """
        source = EXAMPLE.read_text()
        for fault in FAULTS:
            self.assertNotEqual(fault.madeIn(source), source)
        self.assertEqual(len({fault.name for fault in FAULTS}), len(FAULTS))

    def test_saysWhatDoesNotFit(self) -> None:
        """
        A fault that cannot be made, since the example has changed, says so.
        """
        for source, count in ("", 0), ("old, old", 2):
            fault = Fault("isWrong", "It is wrong.", "old", "new", ())
            error = self.assertRaises(AssertionError, fault.madeIn, source)
            self.assertEqual(
                str(error),
                "examples/endpoint.py has changed: the text that isWrong replaces is "
                f"in it {count} times, not once: 'old'",
            )
