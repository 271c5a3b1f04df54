"""
Which options do not go well together.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.advice import adviceOn
from myconsumer.command.mainloop import THREADS_GRACE
from myconsumer.command.resolving import resolve
from myconsumer.options import COMMAND
from myconsumer.options.advice import REST
from myconsumer.pipeline.drain import CANCEL_GRACE, SETTLE_GRACE

URL = {"url": "http://localhost:1/q"}
PYTHON = {"python": "os.getcwd"}
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
SYSTEMD = {"INVOCATION_ID": "0123"}
PLAIN = {"protocol": "plain"}
LOCAL = {"local": "no-such.sqlite"}


def adviceFor(
    given: Mapping[str, str],
    environ: Mapping[str, str],
    source: Mapping[str, str] = URL,
) -> list[str]:
    """
    Give what is said of a command line.
    """
    arguments = {"limit": "10", **source, **given}
    if "exec" not in given:
        arguments |= PYTHON
    return adviceOn(COMMAND, resolve(COMMAND, arguments, environ), environ)


class AdviceTests(SynchronousTestCase):
    """
    Tests for L{myconsumer.options.advice}.
    """

    def test_restIsThatOfAStop(self) -> None:
        """
        What a stop takes beside C{--drain} is what its stages add up to.
        """
        self.assertEqual(REST, CANCEL_GRACE + SETTLE_GRACE + THREADS_GRACE)

    def test_saysNothingOfWhatGoesTogether(self) -> None:
        """
        Of usual settings nothing is said.
        """
        for given, environ in (
            ({}, {}),
            ({}, KUBERNETES),
            ({}, SYSTEMD),
            ({"drain": "24"}, KUBERNETES),
            ({"drain": "84"}, SYSTEMD),
            ({"drain": "600"}, {}),
            ({"timeout": "600"}, {}),
            ({"wait": "300", "lease": "10"}, {}),
            ({"prefetch": "100"}, {}),
            ({"pollers": "12", "prefetch": "2"}, {}),
            ({"rate": "1/h", "prefetch": "10"}, {}),
            ({"until-empty": "1"}, {}),
            ({"interval": "0"}, {}),
            ({"wait": "0"}, {}),
            ({"exec": "cat", "drain": "3"}, {}),
            ({"drain": "1"}, {}),
            (PLAIN, {}),
            (PLAIN | {"until-empty": "1", "wait": "3"}, {}),
        ):
            self.assertEqual(adviceFor(given, environ), [], given)
        self.assertEqual(adviceFor({}, {}, LOCAL), [])

    def test_saysWhatToChange(self) -> None:
        """
        Of each pair that does not go together one sentence says what to change.
        """
        for given, environ, begin, end in (
            (
                {"drain": "120"},
                KUBERNETES,
                "--drain is 120, and Kubernetes kills a pod 30 s after",
                "terminationGracePeriodSeconds is 126 or more",
            ),
            (
                {"drain": "24.5"},
                KUBERNETES,
                "--drain is 24.5",
                "terminationGracePeriodSeconds is 31 or more",
            ),
            (
                {"drain": "85"},
                SYSTEMD,
                "--drain is 85, and systemd kills a service 90 s after",
                "TimeoutStopSec= is 91 or more",
            ),
            ({"lease": "5"}, {}, "--lease is 5, and is lost", "make it 30 or more"),
            (
                {"prefetch": "101"},
                {},
                "--prefetch is 101, and so many tasks are kept from other consumers",
                "10 is enough, unless tasks are shorter than a round trip to the "
                "endpoint",
            ),
            (
                {"pollers": "11"},
                {},
                "--pollers is 11, more than the 10 tasks",
                "no more than 10 claims are ever open",
            ),
            (
                {"until-empty": "1", "wait": "3"},
                {},
                "--wait has no effect with --until-empty",
                "leave it out",
            ),
            (
                {"interval": "0", "wait": "0"},
                {},
                "--interval is 0, and an endpoint that answers at once",
                "make it 0.1 or more",
            ),
            (
                PLAIN | {"interval": "0"},
                {},
                "--interval is 0",
                "make it 0.1 or more",
            ),
            (
                PLAIN | {"prefetch": "1"},
                {},
                "--prefetch is 1, and a task of --protocol plain",
                "make it 0",
            ),
            (
                PLAIN | {"lease": "5"},
                {},
                "--lease has no effect with --protocol plain",
                "leave it out",
            ),
            (
                PLAIN | {"max-attempts": "1"},
                {},
                "--max-attempts has no effect with --protocol plain",
                "leave it out",
            ),
            (
                {"exec": "cat", "kill-after": "30"},
                {},
                "--kill-after is 30, and a stop leaves commands no more than the 20 s",
                "raise that",
            ),
            (
                {},
                {"CONSUMER_LIMT": "1"},
                "CONSUMER_LIMT",
                "did you mean CONSUMER_LIMIT?",
            ),
            (
                {},
                {"CONSUMER_TOKEN": "s3cret"},
                "CONSUMER_TOKEN is not read",
                "set CONSUMER_TOKEN_FILE to the file's path",
            ),
        ):
            with self.subTest(given=given, environ=environ):
                [line] = adviceFor(given, environ)
                self.assertTrue(line.startswith(begin), line)
                self.assertTrue(line.endswith(end), line)

    def test_namesWhereItWasGiven(self) -> None:
        """
        A setting is called by the place that gave it.
        """
        [line] = adviceFor({}, {"CONSUMER_PREFETCH": "500"})
        self.assertTrue(line.startswith("CONSUMER_PREFETCH is 500"), line)

    def test_saysThatIntervalHasNoEffect(self) -> None:
        """
        With the embedded queue, whose claims wait, C{--interval} has no effect.
        """
        self.assertEqual(
            adviceFor({"interval": "2"}, {}, LOCAL),
            ["--interval has no effect with --local, whose claims wait: leave it out"],
        )
