"""
Tests for L{myconsumer.cli.enqueueing.batches}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.cli.enqueueing.batches import ENOUGH, LINGER, Batch, Batches
from myconsumer.cli.running import CommandError
from myconsumer.taskqueue.limits import LARGEST_PAYLOAD


def read(line: bytes, number: int) -> bytes:
    """
    Take a line as it is, but for a question mark.
    """
    if line == b"?":
        raise ValueError("it is a question")
    return line


def tasks(batch: Batch) -> Any:
    """
    Give what is sent for a batch.
    """
    return json.loads(batch.body)


class BatchesCase(SynchronousTestCase):
    """
    Has batches of three tasks.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.input = StringTransport()
        self.batches = Batches(self.clock, read, "input", 3)
        self.batches.makeConnection(self.input)
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        Nothing is left to be done after a stop.
        """
        self.batches.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.input.producerState, "paused")

    def got(self) -> Any:
        """
        Take the tasks of a batch that is there at once.
        """
        batch = self.successResultOf(self.batches.next())
        return None if batch is None else tasks(batch)

    def refused(self) -> str:
        """
        Ask for a batch, and give the reason why there is none.
        """
        return str(self.failureResultOf(self.batches.next(), CommandError).value)

    def end(self) -> None:
        self.batches.connectionLost()


class BatchesTests(BatchesCase):
    """
    Tests for L{Batches}.
    """

    def test_givesAFullBatch(self) -> None:
        """
        A batch comes as soon as it is full, and the next begins with what is left.
        """
        asked = self.batches.next()
        self.batches.dataReceived(b"1\n2\n")
        self.assertNoResult(asked)
        self.batches.dataReceived(b"3\n4\n5")
        self.assertEqual(tasks(self.successResultOf(asked)), [1, 2, 3])
        self.end()
        self.assertEqual(self.got(), [4, 5])
        self.assertIsNone(self.got())
        self.assertIsNone(self.got())

    def test_dividesAPiece(self) -> None:
        """
        One piece of input may be several batches.
        """
        self.batches.dataReceived(b"1\n2\n3\n4\n5\n6\n7\n")
        self.end()
        self.assertEqual([self.got() for _ in range(3)], [[1, 2, 3], [4, 5, 6], [7]])
        self.assertIsNone(self.got())

    def test_lingers(self) -> None:
        """
        A batch that is not full comes when its first task has waited for others,
        whether or not somebody waited for it meanwhile.
        """
        asked = self.batches.next()
        self.batches.dataReceived(b"1\n")
        self.clock.advance(LINGER / 2)
        self.batches.dataReceived(b"2\n")
        self.assertNoResult(asked)
        self.clock.advance(LINGER / 2)
        self.assertEqual(tasks(self.successResultOf(asked)), [1, 2])
        self.batches.dataReceived(b"3\n")
        self.clock.advance(LINGER)
        self.assertEqual(self.got(), [3])
        self.assertNoResult(self.batches.next())

    def test_readsAhead(self) -> None:
        """
        The input is read until one batch is full, and then not before that is taken.
        """
        self.batches.dataReceived(b"1\n2\n")
        self.assertEqual(self.input.producerState, "producing")
        self.batches.dataReceived(b"3\n")
        self.assertEqual(self.input.producerState, "paused")
        self.clock.advance(LINGER)
        self.assertEqual(self.input.producerState, "paused")
        self.got()
        self.assertEqual(self.input.producerState, "producing")

    def test_isFullByBytes(self) -> None:
        """
        A batch is full, too, when it has enough bytes.
        """
        long = b'"' + b"x" * (ENOUGH // 2) + b'"'
        self.batches.dataReceived(b"\n".join([long] * 4) + b"\n")
        self.assertEqual([len(self.got()), len(self.got())], [2, 2])

    def test_skipsBlankLines(self) -> None:
        """
        Lines without text are skipped, but counted, and a mark of the byte order is
        no text.
        """
        self.batches.dataReceived(b"\xef\xbb\xbf1\r\n\n \t\n2\r\n?\n")
        self.end()
        self.assertEqual(self.refused(), "input, line 5: it is a question")

    def test_refusesAWrongLine(self) -> None:
        """
        A line that is wrong is told of in the place of its batch.
        """
        self.batches.dataReceived(b"1\n2\n3\n4\n?\n5\n6\n7\n8\n")
        self.assertEqual(self.input.producerState, "paused")
        self.assertEqual(self.got(), [1, 2, 3])
        for _ in range(2):
            self.assertEqual(self.refused(), "input, line 5: it is a question")

    def test_refusesAWrongLineAtOnce(self) -> None:
        """
        Somebody who waits for a batch is told at once of a line that is wrong.
        """
        asked = self.batches.next()
        self.batches.dataReceived(b"?\n")
        self.failureResultOf(asked, CommandError)

    def test_limitsLines(self) -> None:
        """
        A line may have 8 MiB and not a byte more; the end of a longer one is not waited
        for.
        """
        self.batches.dataReceived(b'"' + b"x" * (LARGEST_PAYLOAD - 2))
        self.batches.dataReceived(b'"\n')
        self.assertEqual(len(self.got()[0]), LARGEST_PAYLOAD - 2)
        self.batches.dataReceived(b"1" * LARGEST_PAYLOAD)
        self.assertEqual(self.input.producerState, "producing")
        self.batches.dataReceived(b"1")
        self.assertEqual(self.refused(), "input, line 2: it is longer than 8 MiB")

    def test_endsWithAPipe(self) -> None:
        """
        A pipe that is closed is an input that has ended.
        """
        self.batches.dataReceived(b"1")
        self.batches.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.got(), [1])
        self.assertIsNone(self.got())

    def test_failsIfUnreadable(self) -> None:
        """
        An input that cannot be read any more is told of.
        """
        self.batches.connectionLost(Failure(OSError(5, "Input/output error")))
        self.assertEqual(self.refused(), "input cannot be read: Input/output error")

    def test_losesNothingWhenCancelled(self) -> None:
        """
        Nothing is lost where somebody no longer waits for a batch, and asks again.
        """
        self.batches.dataReceived(b"1\n")
        asked = self.batches.next()
        asked.cancel()
        self.failureResultOf(asked)
        self.clock.advance(LINGER)
        self.assertEqual(self.got(), [1])

    def test_tellsWhatWasRead(self) -> None:
        """
        A batch tells how many bytes it was made of, and the number of its last line.
        """
        self.batches.dataReceived(b"1\n\n2\n3\n\n4\n")
        self.end()
        asked = [self.successResultOf(self.batches.next()) for _ in range(2)]
        self.assertEqual([each.read for each in asked if each], [7, 3])
        self.assertEqual([each.lastLine for each in asked if each], [4, 6])


class BatchTests(BatchesCase):
    """
    Tests for L{Batch}.
    """

    def test_isDivided(self) -> None:
        """
        A batch can be divided: each half has its own tasks, and knows the last line
        that was read for it.
        """
        self.batches.dataReceived(b"\n1\n\n2\n3\n")
        batch = self.successResultOf(self.batches.next())
        halves = list(batch.halves())
        self.assertEqual([tasks(half) for half in halves], [[1], [2, 3]])
        self.assertEqual([half.lastLine for half in halves], [2, 5])


class AnyPiecesTests(SynchronousTestCase):
    """
    Whatever pieces the input comes in.
    """

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.sampled_from(["1", "22", "333", "", " "]), max_size=20),
        st.lists(st.integers(0, 60), max_size=10),
    )
    def test_takesAnyPieces(self, lines: Sequence[str], cuts: Sequence[int]) -> None:
        """
        Lines make the batches that they would make in one piece, whatever pieces they
        come in.
        """
        batches = Batches(Clock(), read, "input", 3)
        batches.makeConnection(StringTransport())
        text = "\n".join(lines).encode()
        ends = sorted(cut for cut in cuts if cut < len(text))
        for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
            batches.dataReceived(text[start:end])
        batches.connectionLost()
        found = []
        while (batch := self.successResultOf(batches.next())) is not None:
            found.append(tasks(batch))
        wanted = [int(line) for line in lines if line.strip()]
        self.assertEqual(found, [wanted[i : i + 3] for i in range(0, len(wanted), 3)])
