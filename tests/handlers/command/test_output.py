"""
What a command writes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.handlers.command.output import LAST_LINES, Output
from myconsumer.handlers.lines import LONGEST_LINE, MOST_LINES, Outlet
from myconsumer.task import LONGEST_RESULT


class OutputCase(SynchronousTestCase):
    """
    The output of one task, and what is logged of it.
    """

    def setUp(self) -> None:
        self.output = Output("t-1", Outlet(Clock()))
        watching = capturedLogs()
        self.events = watching.__enter__()
        self.addCleanup(watching.__exit__, None, None, None)

    def lines(self, stream: str) -> list[str]:
        return [e["line"] for e in self.events if e.get("stream") == stream]

    def omitted(self) -> list[Any]:
        """
        What was logged of lines left out.
        """
        return [event["count"] for event in self.events if "count" in event]


class ResultTests(OutputCase):
    """
    Standard output.
    """

    def ended(self, *chunks: bytes, succeeded: bool = True) -> Any:
        """
        Receive all of it, and say what the result is.
        """
        for chunk in chunks:
            self.output.outReceived(chunk)
        return self.output.end(succeeded)

    def test_takesJSONForTheResult(self) -> None:
        """
        JSON is the result, in however many pieces it comes, and is not logged.
        """
        result = self.ended(b' \n{"a":\n', b"[1, null,\n", '"ü"]}\n'.encode())
        self.assertEqual(result, {"a": [1, None, "ü"]})
        self.assertEqual(self.events, [])

    def test_takesAScalarForTheResult(self) -> None:
        """
        A number, a text or C{true} is a result, too.
        """
        self.assertEqual(self.ended(b"42\n"), 42)
        self.assertEqual(self.events, [])

    def test_takesNothingForNoResult(self) -> None:
        """
        Nothing, or nothing but blanks, is no result, and no line.
        """
        self.assertIsNone(self.ended())
        self.output = Output("t-1", Outlet(Clock()))
        self.assertIsNone(self.ended(b"\n \n"))
        self.assertEqual(self.events, [])

    def test_logsWhatIsNoJSON(self) -> None:
        """
        What is no JSON is logged, line by line.
        """
        for text in (b"{a\nb", b"1\n2", b'{"a": 1} {"b": 2}', b"[" * 100_000, b"\xff"):
            self.output = Output("t-1", Outlet(Clock()))
            self.events.clear()
            self.assertIsNone(self.ended(text))
            self.assertEqual(len(self.lines("stdout")), text.count(b"\n") + 1)

    def test_logsJSONThatIsNotWanted(self) -> None:
        """
        JSON of a command that has failed is no result, and is logged.
        """
        self.assertIsNone(self.ended(b"[1]\n", succeeded=False))
        self.assertEqual(self.lines("stdout"), ["[1]"])

    def test_logsOutputAsItArrives(self) -> None:
        """
        Standard output is logged as it arrives as soon as it cannot be a result.
        """
        self.output.outReceived(b"\nbegin")
        self.assertEqual(self.events, [])
        self.output.outReceived(b"ning\nfirst\nsec")
        self.assertEqual(self.lines("stdout"), ["beginning", "first"])
        self.output.outReceived(b"ond\n[1]")
        self.assertEqual(self.lines("stdout"), ["beginning", "first", "second"])
        self.assertIsNone(self.output.end(True))
        self.assertEqual(self.lines("stdout")[3:], ["[1]"])

    def test_dropsATooLongResult(self) -> None:
        """
        What is too long is no result, which is a warning, and is not kept.
        """
        chunk = b'"' + b"x" * 8191
        for _ in range(LONGEST_RESULT // len(chunk)):
            self.output.outReceived(chunk)
        self.assertEqual(self.events, [])
        self.output.outReceived(b"x")
        [warning, *_] = self.events
        self.assertEqual(warning["log_level"], LogLevel.warn)
        self.assertEqual((warning["id"], warning["most"]), ("t-1", LONGEST_RESULT))
        self.assertIsNone(self.output.end(True))
        [line] = self.lines("stdout")
        self.assertEqual(len(line), LONGEST_LINE + 3)


class LineTests(OutputCase):
    """
    What is logged.
    """

    def test_logsEachLine(self) -> None:
        """
        Each line is one event with the task's id, as soon as it is whole; the last one
        need not be ended.
        """
        self.output.errReceived(b"one\nt")
        self.output.errReceived(b"w")
        self.assertEqual(self.lines("stderr"), ["one"])
        self.output.errReceived(b"o\n\nthree")
        self.output.end(False)
        self.assertEqual(self.lines("stderr"), ["one", "two", "three"])
        self.assertEqual({event["id"] for event in self.events}, {"t-1"})
        self.assertEqual({e["log_level"] for e in self.events}, {LogLevel.info})

    def test_truncatesALongLine(self) -> None:
        """
        A long line is cut, and what follows it is whole.
        """
        for _ in range(100):
            self.output.errReceived("ü".encode() * 1000)
        self.output.errReceived(b"\nshort\n")
        self.assertEqual(self.lines("stderr"), ["ü" * LONGEST_LINE + "...", "short"])

    def test_escapesControlCharacters(self) -> None:
        """
        What could do something to a terminal or a log is made visible.
        """
        self.output.errReceived(b"\x1b[31mred\rblack {id}\x00\xff\n")
        self.assertEqual(self.lines("stderr"), ["\\x1b[31mred\\rblack {id}\\x00\ufffd"])

    def test_countsFurtherLines(self) -> None:
        """
        Of many lines, on both streams together, the first are logged, and the number
        of the others at the end.
        """
        self.output.outReceived(b"out\n" * 50)
        for _ in range(10):
            self.output.errReceived(b"err\n" * 100 + b"e")
        self.assertEqual(self.omitted(), [])
        self.output.end(True)
        self.assertEqual(len(self.lines("stdout")), 50)
        self.assertEqual(len(self.lines("stderr")), MOST_LINES - 50)
        self.assertEqual(self.omitted(), [50 + 1000 + 1 - MOST_LINES])

    def test_countsFurtherLinesThatWereHeld(self) -> None:
        """
        Of standard output that was held back, too, the first lines are logged, and the
        number of the others.
        """
        self.output.outReceived(b"[\n" * 1000)
        self.output.end(True)
        self.assertEqual(len(self.lines("stdout")), MOST_LINES)
        self.assertEqual(self.omitted(), [1000 - MOST_LINES])


class ExplainTests(OutputCase):
    """
    L{Output.explain}.
    """

    def test_givesOnlyTheReason(self) -> None:
        """
        Without standard error there is only the reason.
        """
        self.output.outReceived(b"out\n")
        self.assertEqual(self.output.explain("exit status 3"), "exit status 3")

    def test_keepsSilent(self) -> None:
        """
        Where nothing is to be logged, output is a result all the same, and what a
        failure quotes begins with a line of its own, of which none is logged.
        """
        self.output = Output("t-1", Outlet(Clock(), isSilent=True))
        self.output.errReceived(b"a complaint\n")
        self.output.outReceived(b'{"n": 1}')
        self.assertEqual(
            self.output.explain("exit status 1").split("\n")[0:2],
            ["exit status 1:", "a complaint"],
        )
        self.assertEqual(self.output.end(succeeded=True), {"n": 1})
        self.output = Output("t-1", Outlet(Clock(), isSilent=True))
        self.output.outReceived(b"not JSON\n" * 1000)
        self.output.end(succeeded=True)
        self.assertEqual(self.events, [])

    def test_quotesTheLastLines(self) -> None:
        """
        The last lines of standard error follow the reason.
        """
        self.output.errReceived(b"".join(b"%d\n" % n for n in range(1000)) + b"\n\n")
        self.assertEqual(
            self.output.explain("why"),
            "why: " + "\n".join(str(n) for n in range(1000 - LAST_LINES, 1000)),
        )

    def test_boundsTheText(self) -> None:
        """
        The text is truncated to the longest that it may be, and keeps the end of
        standard error.
        """
        for _ in range(LAST_LINES):
            self.output.errReceived(b"x" * 500 + b"end\n")
        text = self.output.explain("why", 600)
        self.assertEqual(len(text), 600)
        self.assertTrue(text.startswith("why: ") and text.endswith("xend"))
        self.assertEqual(self.output.explain("reason", 5), "reaso")


class ComplaintTests(OutputCase):
    """
    What is written where the command cannot be started.
    """

    LINE = b"setsid: failed to execute /x: No such file\n"

    def setUp(self) -> None:
        super().setUp()
        self.output = Output("t-1", Outlet(Clock()), b"setsid: ")

    def test_keepsAComplaint(self) -> None:
        """
        A line that begins so, in whatever pieces, is a complaint, and not logged.
        """
        for size in (1, 5, 100):
            self.output = Output("t-1", Outlet(Clock()), b"setsid: ")
            for start in range(0, len(self.LINE), size):
                self.output.errReceived(self.LINE[start : start + size])
            self.assertEqual(self.output.complaint, self.LINE.decode().strip())
        self.assertEqual(self.events, [])

    def test_logsTheComplaintAtTheEnd(self) -> None:
        """
        A complaint is logged when the output ends.
        """
        self.output.errReceived(self.LINE)
        self.output.end(False)
        self.assertEqual(self.lines("stderr"), [self.LINE.decode().strip()])

    def test_takesOtherLinesForNoComplaint(self) -> None:
        """
        Other lines, a line more, or something on standard output are no complaint; each
        line is logged as it comes.
        """
        table = {
            b"set\n": 1,
            b"x: setsid: y\n": 1,
            self.LINE + b"x\n": 2,
            self.LINE + self.LINE: 2,
            b"setsid: " + b"x" * 5000 + b"\n": 1,
        }
        for text, count in table.items():
            self.output = Output("t-1", Outlet(Clock()), b"setsid: ")
            del self.events[:]
            self.output.errReceived(text)
            self.assertEqual(len(self.lines("stderr")), count, text[:50])
            self.assertIsNone(self.output.complaint)
        for text in (b"1", b"x\n"):
            self.output = Output("t-1", Outlet(Clock()), b"setsid: ")
            self.output.outReceived(text)
            self.output.errReceived(self.LINE)
            self.assertIsNone(self.output.complaint)

    def test_quotesTheComplaint(self) -> None:
        """
        The reason of a failure quotes a complaint as it does any line.
        """
        self.output.errReceived(self.LINE)
        self.assertIn("failed to execute", self.output.explain("exit status 1"))
