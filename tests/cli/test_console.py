"""
Tests for the C{myconsumer} command as a process of its own.
"""

from __future__ import annotations

import json

import pytest

from tests.cli.console import Console, ConsoleCase
from tests.cli.memory import answers, drops, stalls


def numbers(count: int) -> str:
    return "".join(f"{number}\n" for number in range(count))


#: The states of which there are counts, in their order.
STATES = ("ready", "leased", "delayed", "failed", "completed")

#: To give a process a terminal Twisted forks, which is deprecated beside threads.
onATerminal = pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")


class EnqueueTests(ConsoleCase):
    """
    Tests for C{myconsumer enqueue}.
    """

    async def untilQueued(self, count: int) -> None:
        await self.until(
            lambda: self.queue.count("ready") == count, f"{count} are queued"
        )

    async def test_queuesStandardInput(self) -> None:
        """
        Lines of standard input become tasks, in batches and in order.
        """
        console = await self.finished("enqueue", self.url, typed=numbers(2500))
        self.assertEqual(console.lines, (["2500 tasks queued"], []))
        self.assertEqual(console.status, 0)
        self.assertEqual(self.queue.payloads, list(range(2500)))
        self.assertLessEqual(max(self.queue.batches), 1000)

    async def test_queuesAFile(self) -> None:
        """
        Lines of a file become tasks, and options may follow its name.
        """
        path = self.written('{"n": 1}\n\n  \r\n{"n": "\u00fc"}')
        console = await self.finished("enqueue", self.url, path, "--priority", "-3")
        self.assertEqual(console.lines, (["2 tasks queued"], []))
        self.assertEqual(self.queue.payloads, [{"n": 1}, {"n": "\u00fc"}])
        self.assertEqual([task["priority"] for task in self.queue.sent], [-3, -3])
        self.assertEqual(self.queue.batches, [2])

    async def test_sendsNothingForNoLine(self) -> None:
        """
        No line is no request.
        """
        console = await self.finished("enqueue", self.url, "/dev/null")
        self.assertEqual(console.lines, (["0 tasks queued"], []))
        self.assertEqual((console.status, self.queue.seen), (0, []))

    async def test_countsKnownTasks(self) -> None:
        """
        Tasks that the queue knew already are counted.
        """
        arguments = ["enqueue", self.url, "--id-field", "n"]
        await self.finished(*arguments, typed='{"n": 1}\n{"n": "x"}\n')
        console = await self.finished(*arguments, typed='{"n": 1}\n{"n": 2}\n')
        self.assertEqual(console.lines, (["1 task queued, 1 was known already"], []))
        ids = [task["id"] for task in self.queue.sent]
        self.assertEqual(ids, ["1", "x", "1", "2"])
        self.assertEqual(self.queue.count("ready"), 3)

    async def test_namesTheWrongLine(self) -> None:
        """
        A line that is no JSON is named, with what was queued before its batch.
        """
        path = self.written(numbers(2500) + "{x}\n")
        console = await self.finished("enqueue", self.url, path)
        output, [line] = console.lines
        self.assertEqual((output, console.status), ([], 1))
        self.assertTrue(line.startswith(f"myconsumer enqueue: {path}, line 2501: it "))
        self.assertIn("is no JSON", line)
        ending = "; 2000 tasks were queued before that, up to line 2000"
        self.assertTrue(line.endswith(ending), line)
        self.assertEqual(self.queue.count("ready"), 2000)

    async def test_queuesWhatComesSlowly(self) -> None:
        """
        Lines that come slowly are queued as they come.
        """
        console = self.start("enqueue", self.url)
        for count in (1, 2, 3):
            console.write(f"{count}\n")
            await self.untilQueued(count)
        console.transport.closeStdin()
        await console.ended
        self.assertEqual(console.lines, (["3 tasks queued"], []))

    async def test_retriesWhenTheQueueFails(self) -> None:
        """
        A queue that fails for a while is asked again, and a lost answer queues
        nothing twice.
        """

        def takesAndDrops(request: object) -> object:
            self.queue.ask("POST", "/q", self.queue.seen[-1][2])
            return drops(request)

        busy = answers(429, {}, retry_after="0")
        self.queue.plan = [answers(503, {}), busy, takesAndDrops]
        console = await self.finished("enqueue", self.url, typed="1\n2\n")
        self.assertEqual(console.status, 0)
        self.assertEqual(self.queue.payloads, [1, 2] * 4)
        self.assertEqual(self.queue.count("ready"), 2)
        _, errors = console.lines
        self.assertIn("503 Service Unavailable", errors[0])
        self.assertEqual(len(errors), 3)
        for line in errors:
            self.assertTrue(line.startswith("myconsumer enqueue: Requests fail, next"))

    async def test_saysHowFarItCame(self) -> None:
        """
        Ctrl-C ends the command with one line that says how far it has come.
        """
        for name, status, before in (("INT", 130, 0), ("TERM", 143, 3)):
            console = self.start("enqueue", self.url)
            console.write(numbers(3))
            await self.untilQueued(before + 3)
            self.queue.plan = [stalls]
            console.write(numbers(2))
            await self.until(lambda: len(self.queue.seen) == 2, "2 are sent")
            console.signal(name)
            await console.ended
            line = (
                "myconsumer enqueue: stopped; 3 tasks were queued before that, "
                "up to line 3; the next 2 may be queued, too"
            )
            self.assertEqual((console.status, console.lines), (status, ([], [line])))
            self.queue.seen.clear()

    @onATerminal
    async def test_showsABarOnATerminal(self) -> None:
        """
        On a terminal a bar shows how much of the file is done, below what else there
        is to be said, and is gone in the end.
        """
        path = self.written(numbers(2000))
        self.queue.plan = [None, answers(503, {})]
        console = self.start("enqueue", self.url, path, terminal=True, TERM="xterm")
        await console.ended
        self.assertIn("44%|", console.output)
        self.assertIn("/8.89k", console.output)
        self.assertIn("\rmyconsumer enqueue: Requests fail", console.output)
        last = console.output.rstrip().rpartition("\r")[2]
        self.assertEqual(last, "2000 tasks queued")

    @onATerminal
    async def test_countsTypedLines(self) -> None:
        """
        On a terminal lines may be typed, and are counted.
        """
        console = self.start("enqueue", self.url, terminal=True, TERM="xterm")
        await self.until(lambda: "0 tasks" in console.output, "there is a bar")
        console.write("1\n2\n")
        await self.untilQueued(2)
        console.write("\x04")
        await console.ended
        self.assertIn("2 tasks queued", console.output)
        self.assertNotIn("Traceback", console.output)


class OtherTests(ConsoleCase):
    """
    Tests for what is common to all commands.
    """

    async def refused(self, *arguments: str, **variables: str) -> str:
        """
        Run what fails.

        @return: The one line that it says.
        """
        console = await self.finished(*arguments, **variables)
        output, errors = console.lines
        self.assertEqual((output, len(errors), console.status), ([], 1, 1), errors)
        return errors[0]

    async def test_printsCounts(self) -> None:
        """
        Counts are printed.
        """
        console = await self.finished("counts", self.url)
        lines = [f"{state:9}  0" for state in STATES]
        self.assertEqual(console.lines, (lines, []))
        self.assertEqual(console.status, 0)

    async def test_endsWhenNobodyReads(self) -> None:
        """
        When nobody reads the rest, nothing is said and nothing more is asked for.
        """
        ids = [f"{number:x>250}" for number in range(1000)]
        self.queue.fail(ids, error="y" * 650)
        self.queue.page = 10
        console = self.start("failed", self.url)
        await self.until(lambda: console.output, "it has begun")
        console.transport.closeStdout()
        await console.ended
        self.assertEqual((console.errors, console.status), ("", 141))
        self.assertLess(len(self.queue.seen), 100)

    async def test_namesWhatIsWrong(self) -> None:
        """
        What is wrong with the command line, or in the queue, is one line.
        """
        self.assertEqual(
            await self.refused("count", self.url),
            "myconsumer: 'count' is no command; did you mean counts? known are "
            "enqueue, counts, failed, retry, check",
        )
        self.assertEqual(
            await self.refused("retry", self.url),
            "myconsumer retry: the ids of failed tasks are needed after the URL, or "
            "--all",
        )
        self.assertEqual(
            await self.refused("counts", f"{self.url}/x"),
            "myconsumer counts: the queue answered 404 Not Found: is the URL that of a "
            "queue?; it says: there is nothing at /q/x; a queue has /NAME, "
            "/NAME/claim, /NAME/claim/CLAIM, /NAME/settle, /NAME/failed, "
            "/NAME/failed/retry and /NAME/tasks/ID",
        )
        self.queue.plan = [drops]
        self.assertIn("connection was closed", await self.refused("failed", self.url))

    async def test_sendsTheToken(self) -> None:
        """
        The token of the file that an option or a variable names is sent.
        """
        self.queue.token = "s3cret"
        path = self.written("s3cret\n")
        for arguments, variables in (
            (["--token-file", path], {}),
            ([], {"CONSUMER_TOKEN_FILE": path}),
        ):
            console = await self.finished("counts", *arguments, self.url, **variables)
            self.assertEqual((console.status, console.errors), (0, ""))
        line = await self.refused("counts", self.url)
        self.assertIn("it wants a token: name a file that holds one", line)

    async def test_quotesNoToken(self) -> None:
        """
        Nothing that a queue says or points to shows the token that was sent.
        """
        path = self.written("s3cret\n")
        for answer in (
            answers(409, {"error": "you sent s3cret"}),
            answers(400, b"Bearer s3cret"),
            answers(200, b"you sent s3cret"),
            answers(302, b"", location="http://h/s3cret"),
            answers(302, b"", location="http://user:pass@h/?key=word"),
        ):
            self.queue.plan = [answer]
            line = await self.refused("counts", "--token-file", path, self.url)
            for secret in ("s3cret", "pass", "word"):
                self.assertNotIn(secret, line)

    async def test_printsTheHelp(self) -> None:
        """
        Help and version go to standard output.
        """
        for arguments, text in (
            (["--help"], "queue the tasks of a file"),
            (["enqueue", "--help"], "--id-field "),
            (["--version"], "myconsumer "),
        ):
            console = await self.finished(*arguments)
            self.assertIn(text, console.output)
            self.assertEqual((console.status, console.errors), (0, ""))

    async def test_printsNoLog(self) -> None:
        """
        Twisted's own messages are not printed.
        """
        console: Console = await self.finished("counts", self.url, "--json")
        self.assertEqual(json.loads(console.output), dict.fromkeys(STATES, 0))
        self.assertEqual(console.errors, "")
