"""
Where an exception was raised, and its traceback.
"""

from __future__ import annotations

from twisted.internet.defer import fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.fields import Positive, check
from myconsumer.status.excerpt import excerpt, placeOf, typeOf
from tests.status.events import HOSTILE, deep, places, raised

#: The longest traceback that is logged, in bytes.
LONGEST = 6_000


def inner() -> None:
    """
    Raise an exception.
    """
    raise KeyError("x")


def outer() -> None:
    """
    Raise it again, as what has led to another.
    """
    try:
        inner()
    except KeyError as error:
        raise RuntimeError("outer") from error


class PlaceTests(SynchronousTestCase):
    """
    The place at which an exception was raised.
    """

    def test_isThatOfTheInnermostFrame(self) -> None:
        """
        The place is the line that has raised the exception.
        """
        line = inner.__code__.co_firstlineno + 4
        self.assertEqual(placeOf(raised(inner)), (__file__, line))

    def test_isNotInTheFramework(self) -> None:
        """
        The place is in the code that has called ours or Twisted's.
        """

        def ours() -> None:
            check("limit", Positive, 0)

        def twisted() -> None:
            succeed(1).callback(2)

        for function in (ours, twisted):
            place = placeOf(raised(function))
            self.assertEqual(
                place, (__file__, function.__code__.co_firstlineno + 1), function
            )

    def test_isInTheFrameworkIfNothingElseIsThere(self) -> None:
        """
        Where all frames are ours the place is the innermost.
        """
        failure = raised(lambda: check("limit", Positive, 0))
        assert failure.tb is not None
        assert failure.tb.tb_next is not None
        failure.tb = failure.tb.tb_next.tb_next
        path, _ = placeOf(failure) or ("", 0)
        self.assertTrue(path.endswith("myconsumer/fields.py"), path)

    def test_mayBeUnknown(self) -> None:
        """
        An exception that was never raised has no place.
        """
        self.assertIsNone(placeOf(Failure(ValueError("never raised"))))

    def test_differsWithEachPlace(self) -> None:
        """
        Exceptions from different files have different places.
        """
        self.assertEqual(len({placeOf(raised(each)) for each in places(5)}), 5)

    def test_isKnownAfterAFailureIsCleaned(self) -> None:
        """
        A failure that was stripped of its frames still tells its place.
        """
        failure = raised(inner)
        place = placeOf(failure)
        failed = fail(failure)
        failure.cleanFailure()
        self.failureResultOf(failed)
        self.assertEqual(placeOf(failure), place)


class ExcerptTests(SynchronousTestCase):
    """
    The traceback of an exception.
    """

    def test_looksLikePythons(self) -> None:
        """
        A short traceback looks as Python prints it.
        """
        lines = excerpt(raised(inner)).split("\n")
        self.assertEqual(lines[0], "Traceback (most recent call last):")
        self.assertEqual(
            lines[-3:],
            [
                f'  File "{__file__}", line {inner.__code__.co_firstlineno + 4}, '
                "in inner",
                '    raise KeyError("x")',
                "KeyError: 'x'",
            ],
        )

    def test_hasWhatHasLedToIt(self) -> None:
        """
        An exception that has led to another comes before that.
        """
        text = excerpt(raised(outer))
        first, _, second = text.partition("\nwhich has led to:\n")
        self.assertTrue(first.endswith("\nKeyError: 'x'"), text)
        self.assertTrue(second.endswith("\nRuntimeError: outer"), text)

    def test_leavesOutWhatIsOurs(self) -> None:
        """
        An exception that our own code was handling when it called the handler has not
        led to the handler's.
        """
        ours = raised(lambda: check("limit", Positive, 0))
        assert ours.tb is not None
        assert ours.tb.tb_next is not None
        try:
            raise ours.value.with_traceback(ours.tb.tb_next.tb_next)
        except ValueError as error:
            error.__traceback__ = ours.tb.tb_next.tb_next
            failure = raised(inner)
        self.assertIs(failure.value.__context__, ours.value)
        self.assertNotIn("which has led to", excerpt(failure))

    def test_leavesOutTheMiddle(self) -> None:
        """
        Of a thousand frames only the first and the last are there.
        """
        lines = excerpt(raised(deep)).split("\n")
        self.assertIn("  ... 991 frames ...", lines)
        self.assertLess(len(lines), 40)

    def test_canBeMadeOfAnything(self) -> None:
        """
        However an exception is made, its traceback has a bounded length, no control
        characters, and can be encoded.
        """
        for name, error in HOSTILE.items():
            with self.subTest(name):
                text = excerpt(raised(error))
                self.assertLess(len(text.encode()), LONGEST)
                self.assertTrue(all(each.isprintable() for each in text.split("\n")))

    def test_namesTypesAsPythonDoes(self) -> None:
        """
        The type of an exception has its module's name, unless it is built in.
        """
        self.assertEqual(typeOf(raised(inner)), "KeyError")
        failure = raised(HOSTILE["it cannot be printed"])
        self.assertEqual(typeOf(failure), "tests.status.events.Mute")
