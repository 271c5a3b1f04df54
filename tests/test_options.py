"""
The table of options.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec import Meta, ValidationError, convert
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.option import CONFIG, Option
from myconsumer.options import COMMAND, HANDLERS, OPTIONS, QUEUES
from myconsumer.taskqueue.tap import OPTIONS as TASKQUEUE

ROOT = Path(__file__).resolve().parents[1]

#: A row of a table of options: the names, and the default.
ROW = re.compile(r"^\| (`--[^`]+`(?:, `--[^`]+`)*) \| *([^|]*?) *\|", re.MULTILINE)


def documented(page: str) -> dict[str, str]:
    """
    Give the defaults in a page's table of options.
    """
    rows = ROW.findall((ROOT / page).read_text("utf-8"))
    return {
        name: default.strip("`")
        for names, default in rows
        for name in re.findall(r"--([a-z-]+)", names)
    }


def limits(option: Option) -> dict[str, Any]:
    """
    Give the bounds of an option's type by the names that msgspec has for them.
    """
    return {
        name: getattr(meta, name)
        for meta in get_args(option.type)[1:]
        if isinstance(meta, Meta)
        for name in ("gt", "ge", "lt", "le")
        if getattr(meta, name) is not None
    }


def fieldType(option: Option) -> Any:
    if get_origin(option.type) is Annotated:
        return get_args(option.type)[0]
    return option.type


def isNumber(option: Option) -> bool:
    return not option.isFlag and fieldType(option) in (int, float)


class TableTests(SynchronousTestCase):
    """
    L{OPTIONS}.
    """

    def test_hasTheseOptions(self) -> None:
        """
        The table has the options of this list, and no others.
        """
        self.assertEqual(
            " ".join(option.name for option in (*OPTIONS, CONFIG)),
            "url protocol local listen keep sync limit python run-in exec exec-env "
            "exec-output kill-after forward forward-wait-for wait lease interval "
            "prefetch pollers rate timeout drain max-attempts until-empty token-file "
            "status status-token-file wedged "
            "log-level log-format log-keep config",
        )

    def test_variablesDiffer(self) -> None:
        """
        Each option has a variable of its own.
        """
        variables = {option.name: COMMAND.variable(option) for option in OPTIONS}
        self.assertEqual(variables["limit"], "CONSUMER_LIMIT")
        self.assertEqual(variables["until-empty"], "CONSUMER_UNTIL_EMPTY")
        self.assertEqual(len(set(variables.values())), len(OPTIONS))

    def test_hasTheseDefaults(self) -> None:
        """
        The defaults are those promised.
        """
        self.assertEqual(
            {option.name: option.default for option in OPTIONS},
            {
                "url": None,
                "local": None,
                "listen": "tcp:8321:interface=127.0.0.1",
                "keep": "7d",
                "sync": "normal",
                "limit": None,
                "python": None,
                "exec": None,
                "forward": None,
                "run-in": "reactor",
                "exec-env": None,
                "exec-output": "log",
                "kill-after": 5,
                "forward-wait-for": None,
                "protocol": "json",
                "wait": 20,
                "lease": 60,
                "interval": 1,
                "prefetch": 0,
                "pollers": 1,
                "rate": None,
                "timeout": 0,
                "drain": 20,
                "max-attempts": 20,
                "until-empty": False,
                "token-file": None,
                "status": None,
                "status-token-file": None,
                "wedged": 60,
                "log-level": "info",
                "log-format": "text",
                "log-keep": 10,
            },
        )

    def test_numbersOfThePipelineAreLive(self) -> None:
        """
        The options of this list take effect when they change, and no others.
        """
        self.assertEqual(
            " ".join(option.name for option in OPTIONS if option.isLive),
            "limit wait lease interval prefetch pollers rate timeout drain "
            "max-attempts log-level log-keep",
        )

    def test_defaultsAreTaken(self) -> None:
        """
        Each default would be taken if it was given.
        """
        for option in OPTIONS:
            if option.default is not None:
                convert(option.default, option.type)

    def test_numbersHaveBounds(self) -> None:
        """
        Each number has a lower and an upper bound, and the words say them.
        """
        for option in OPTIONS:
            bounds = limits(option)
            with self.subTest(option.name):
                self.assertEqual(len(bounds), 2 if isNumber(option) else 0)
                for bound in bounds.values():
                    self.assertIn(f" {bound:.0f}", option.takes)

    def test_namesEachChoice(self) -> None:
        """
        Where one of a few words is taken, each of them is named.
        """
        for option in OPTIONS:
            if get_origin(option.type) is Literal:
                for word in get_args(option.type):
                    self.assertIn(word, option.takes.replace(",", "").split())

    def test_handlersHaveNoDefault(self) -> None:
        """
        The options that choose a handler are options, and have no default.
        """
        defaults = {option.name: option.default for option in OPTIONS}
        for name in HANDLERS:
            self.assertIsNone(defaults[name])

    def test_requiresAHandlerOrAQueue(self) -> None:
        """
        What an option requires is a handler, where the tasks come from, or C{--status}.
        """
        self.assertEqual(
            {o.name: o.requires for o in OPTIONS if o.requires is not None},
            {
                "listen": "local",
                "keep": "local",
                "sync": "local",
                "protocol": "url",
                "run-in": "python",
                "exec-env": "exec",
                "exec-output": "exec",
                "kill-after": "exec",
                "forward-wait-for": "forward",
                "status-token-file": "status",
                "wedged": "status",
            },
        )
        self.assertTrue(
            {o.requires for o in OPTIONS} - {None}
            <= {*HANDLERS, "url", "local", "status"}
        )

    def test_refusesInfinity(self) -> None:
        """
        A value that is no finite number is not taken for a number, as text or as a
        number.
        """
        for option in OPTIONS:
            for value in (float("inf"), float("nan"), "inf", "-inf", "nan", "1e999"):
                if isNumber(option):
                    with self.assertRaises(ValidationError):
                        convert(value, option.type, strict=False)

    def test_pagesHaveEveryOption(self) -> None:
        """
        The README has every option of C{twistd consumer}, and the page on the embedded
        queue every one of C{twistd taskqueue}, with its default.
        """
        ours = [*HANDLERS, *QUEUES, "url"]
        for page, options, others in (
            ("README.md", OPTIONS, set()),
            ("docs/embedded-queue.md", TASKQUEUE, {"local"}),
        ):
            found = documented(page)
            names = {option.name for option in (*options, CONFIG)}
            self.assertEqual(set(found) - others, names)
            for option in options:
                if not (option.isFlag or option.needed or option.name in ours):
                    default = "" if option.default is None else str(option.default)
                    self.assertEqual(found[option.name], default, option.name)
