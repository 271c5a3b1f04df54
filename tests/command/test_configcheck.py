"""
Tests for L{myconsumer.command.configcheck}: the questions to the parts of a service.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from myconsumer.command.configcheck import DEADLINE, Probes
from myconsumer.errors import FaultError, RefusalError
from myconsumer.interfaces import IProbed


class RunningClock(Clock):
    """
    A reactor that runs until it is stopped, but no longer than a minute.
    """

    isRunning = False

    def callWhenRunning(self, function: Callable[[], Any]) -> None:
        self.callLater(0, function)

    def run(self) -> None:
        self.isRunning = True
        for _ in range(120):
            if self.isRunning:
                self.advance(0.5)

    def stop(self) -> None:
        self.isRunning = False


@implementer(IProbed)
class Part:
    """
    Answers with what it was made with.
    """

    isClosed = False

    def __init__(self, answer: Deferred[str]) -> None:
        self.answer = answer

    def __repr__(self) -> str:
        return "<Part\x1b[2J>"

    def probe(self) -> Deferred[str]:
        """
        See L{IProbed.probe}.
        """
        return self.answer

    def close(self) -> Deferred[None]:
        """
        See L{IProbed.close}.
        """
        self.isClosed = True
        return succeed(None)


class ProbesTests(SynchronousTestCase):
    """
    Tests for L{Probes}.
    """

    def asked(self, *parts: object) -> tuple[bool, list[str]]:
        clock = RunningClock()
        with redirect_stdout(StringIO()) as out:
            isGood = Probes(clock, parts).run()
        self.assertFalse(clock.isRunning)
        self.assertEqual(clock.getDelayedCalls(), [])
        for part in parts:
            self.assertTrue(getattr(part, "isClosed", True))
        return isGood, out.getvalue().splitlines()

    def test_printsWhatIsFound(self) -> None:
        """
        What a part has said is printed, and the part is closed; one that cannot be
        asked is passed over.
        """
        self.assertEqual(
            self.asked(Part(succeed("answers")), object()),
            (True, ["found: <Part\\x1b[2J> answers"]),
        )

    def test_printsWhyAPartCannotBeUsed(self) -> None:
        """
        Where a part cannot be used, fails, or does not answer in time, one line says
        why, and the check is not passed.
        """
        for answer, said in (
            (fail(FaultError("it is down")), "it is down"),
            (fail(RefusalError("it has to be changed")), "it has to be changed"),
            (fail(ValueError("boom")), "ValueError: boom"),
            (fail(ValueError("http://u:s3cret@h/")), "why is not shown"),
            (Deferred(), f"no answer within {DEADLINE:g} s"),
        ):
            self.assertEqual(
                self.asked(Part(answer)),
                (False, [f"error: <Part\\x1b[2J> cannot be used: {said}"]),
            )

    def test_needsEveryPart(self) -> None:
        """
        The check is passed only where each part can be used.
        """
        isGood, lines = self.asked(
            Part(succeed("a")), Part(fail(FaultError("b"))), Part(succeed("c"))
        )
        self.assertEqual((isGood, len(lines)), (False, 3))

    def test_saysThatNothingWasAsked(self) -> None:
        """
        Where no part can be asked, the output says so, and the check is passed.
        """
        isGood, [line] = self.asked(object())
        self.assertTrue(isGood)
        self.assertTrue(line.startswith("note: the endpoint was not asked"), line)
