"""
C{myconsumer check} passes the example endpoint, and finds what is wrong with copies of
it that have a fault each.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from myconsumer.check import Options, check
from tests.acceptance.embedded import QueueCase

EXAMPLE = Path(__file__).parents[2] / "examples" / "endpoint.py"


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
        """
        Look for the URL.
        """
        self.output += data.decode()
        if self.output.endswith("\n") and not self.url.called:
            self.url.callback(self.output.strip())

    def errReceived(self, data: bytes) -> None:
        """
        Show what goes wrong there.
        """
        print(data.decode())

    def processEnded(self, reason: Failure) -> None:
        """
        Tell.
        """
        if not self.url.called:
            self.url.errback(reason)
        self.gone.callback(None)


class CheckCase(TestCase):
    """
    Runs copies of the example endpoint, and checks them.
    """

    timeout = 100

    def setUp(self) -> None:
        """
        Make a directory for the copy.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.directory = Path(mkdtemp(prefix="check-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.lines: list[str] = []

    async def serve(self, *faults: tuple[str, str]) -> str:
        """
        Run the example until the test ends.

        @param faults: What is replaced in it by what.

        @return: Its URL.
        """
        source = EXAMPLE.read_text()
        for right, wrong in faults:
            self.assertEqual(source.count(right), 1, right)
            source = source.replace(right, wrong)
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

    async def test_holds(self) -> None:
        """
        All holds, as the command on a terminal tells; nothing is left in the queue, and
        only the check that needs a token is skipped.
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

    async def test_holds(self) -> None:
        """
        All holds, with a token, and nothing is left in the queue.
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


class FaultTests(CheckCase):
    """
    Copies of the example endpoint with a fault each.
    """

    async def assertFound(self, right: str, wrong: str, *sentences: str) -> None:
        """
        Check a copy.

        @param right: What is replaced in it.
        @param wrong: By what.
        @param sentences: What then does not hold; nothing else is looked at.
        """
        url = await self.serve((right, wrong))
        words = [f"--only={sentence}" for sentence in sentences]
        self.assertEqual(await self.check(url, *words), 1)
        failed = self.told("FAIL")
        self.assertEqual(len(failed), len(sentences), failed)
        for line, sentence in zip(failed, sentences, strict=True):
            self.assertIn(sentence, line)
            self.assertIn("; wanted: ", line)

    async def test_limit(self) -> None:
        """
        More tasks come than were asked for.
        """
        await self.assertFound(
            "<= now][:limit]", "<= now][: limit * 9]", "no more tasks than its limit"
        )

    async def test_notLeased(self) -> None:
        """
        What is delivered goes to others as well.
        """
        await self.assertFound(
            'f"{self.put(task, lease)}.{uuid4()}"',
            "f\"{task['id']}.{uuid4()}\"",
            "claims that come together never",
            "leased goes to nobody else",
        )

    async def test_waitsForMore(self) -> None:
        """
        A claim is not answered before there is all that it asks for.
        """
        await self.assertFound(
            "if tasks or limit == 0",
            "if len(tasks) == limit",
            "as soon as there is one task",
        )

    async def test_waitsTooLong(self) -> None:
        """
        A claim is not answered when its wait is over.
        """
        await self.assertFound(
            "self.clock.callLater(wait, self.serve)",
            "self.clock.callLater(wait * 7, self.serve)",
            "answered empty after its wait",
        )

    async def test_payload(self) -> None:
        """
        Large integers lose their last digits.
        """
        await self.assertFound(
            '"payload": t["payload"]}',
            '"payload": eval(repr(t["payload"]).replace("993}", "992}"))}',
            "payloads of all kinds",
        )

    async def test_notWokenByDelay(self) -> None:
        """
        The end of a delay wakes nobody.
        """
        await self.assertFound(
            "self.clock.callLater(convert(seconds, Time), self.serve)",
            "convert(seconds, Time) or self.clock.callLater(0, self.serve)",
            "end of a delay wakes",
        )

    async def test_notWokenByLease(self) -> None:
        """
        The end of a lease wakes nobody.
        """
        await self.assertFound(
            "self.clock.callLater(convert(seconds, Time), self.serve)",
            "convert(seconds, Time) or self.clock.callLater(0, self.serve)",
            "end of a lease wakes",
        )

    async def test_notWokenByTask(self) -> None:
        """
        A task that is queued wakes nobody.
        """
        await self.assertFound(
            "self.clock.callLater(convert(seconds, Time), self.serve)",
            "convert(seconds, Time) and self.clock.callLater(seconds, self.serve)",
            "a task that is queued wakes",
        )

    async def test_leaseForEver(self) -> None:
        """
        A lease does not end by itself.
        """
        await self.assertFound(
            'f"{self.put(task, lease)}.', 'f"{self.put(task, 9e6)}.', "ends by itself"
        )

    async def test_attempt(self) -> None:
        """
        Each delivery is called the first.
        """
        await self.assertFound(
            'attempt=task.get("attempt", 0) + 1',
            "attempt=1",
            "ends by itself",
            "as the next attempt",
        )

    async def test_sameReceipt(self) -> None:
        """
        A task has the same receipt in each delivery.
        """
        await self.assertFound(
            ".{uuid4()}", ".receipt", "does nothing to the task's next", "given twice"
        )

    async def test_lateReceipt(self) -> None:
        """
        A receipt holds after the end of its lease.
        """
        await self.assertFound(
            "held = due > self.clock.seconds() and task",
            "held = task",
            "lost once its lease has ended",
        )

    async def test_extendIgnored(self) -> None:
        """
        A lease cannot be extended.
        """
        await self.assertFound(
            "            self.put(task, lease)\n",
            "            pass\n",
            "that is extended lasts",
        )

    async def test_extendAdds(self) -> None:
        """
        An extension is added to what is left of the lease.
        """
        await self.assertFound(
            "            self.put(task, lease)\n",
            "            self.put(task, due - self.clock.seconds() + lease)\n",
            "does not add to it",
        )

    async def test_completeForgotten(self) -> None:
        """
        What is complete is delivered again once its lease has ended.
        """
        await self.assertFound(
            'del self.tasks[task["id"]]  #', "pass  #", "never delivered again"
        )

    async def test_failedAgain(self) -> None:
        """
        What has failed for good is released.
        """
        await self.assertFound(
            'elif held and outcome == "release"',
            'elif held and outcome in ("release", "fail")',
            "never delivered again",
        )

    async def test_delay(self) -> None:
        """
        What is released comes again at once.
        """
        await self.assertFound(
            "self.put(task, delay)", "self.put(task, 0)", "its delay"
        )

    async def test_uncounted(self) -> None:
        """
        Every release counts.
        """
        await self.assertFound(" - (not counted)", "", "not counted gives")

    async def test_lostIsAnError(self) -> None:
        """
        A receipt that is lost spoils its batch.
        """
        await self.assertFound(
            "return None if held else receipt",
            "return None if held else {}[receipt]",
            "never given is lost",
            "keep the others of its batch",
        )

    async def test_nothingLost(self) -> None:
        """
        No receipt is ever called lost.
        """
        await self.assertFound(
            "return None if held else receipt",
            "return None",
            "lost once its lease",
            "never given is lost",
            "cannot be settled another",
        )

    async def test_deleteDoesNotEnd(self) -> None:
        """
        DELETE does not end a claim that waits.
        """
        await self.assertFound(
            "204, self.serve()", "204, None", "DELETE ends a claim that waits"
        )

    async def test_deleteForgotten(self) -> None:
        """
        DELETE does not hold for a claim that arrives later.
        """
        await self.assertFound(
            "204, self.serve()",
            "204, self.serve() or self.deleted.clear()",
            "arrives after its own DELETE",
        )

    async def test_leasedToTheGone(self) -> None:
        """
        A client that has gone is given a task.
        """
        await self.assertFound(
            "lambda gone: self.polls.pop(request, None)",
            "lambda gone: None",
            "a client that has gone",
        )

    async def test_wrongRequests(self) -> None:
        """
        What is wrong with a request is called a fault of the endpoint.
        """
        await self.assertFound(
            'code, answer = 400, {"error"',
            'code, answer = 500, {"error"',
            "a claim that is wrong",
            "a settle request that is wrong",
        )

    async def test_limitOfNothing(self) -> None:
        """
        A limit of 0 is taken.
        """
        await self.assertFound(
            "Annotated[int, Meta(ge=1)]", "int", "a claim that is wrong"
        )
