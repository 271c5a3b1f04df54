"""
Tests that what docs/design.md says of the code is true.
"""

from __future__ import annotations

import ast
import re
from importlib import import_module
from inspect import signature
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.service import ConsumerService
from tests.acceptance.test_stopping import LONGEST

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "myconsumer"
DESIGN = ROOT / "docs" / "design.md"

#: A link, and the path that it leads to.
LINK = re.compile(r"\]\(([^)]*)\)")


def section(name: str) -> str:
    """
    @return: The text below a heading of the design.
    """
    _, _, after = DESIGN.read_text("utf-8").partition(f"\n## {name}\n")
    return after.partition("\n## ")[0]


def tables(name: str) -> list[list[list[str]]]:
    """
    @return: The tables below a heading of the design: the cells of each row, without
        the head.
    """
    blocks = re.split(r"\n{2,}", section(name).strip())
    return [
        [
            [cell.strip() for cell in row.split("|")[1:-1]]
            for row in block.split("\n")[2:]
        ]
        for block in blocks
        if block.startswith("|")
    ]


def rows(name: str) -> list[list[str]]:
    """
    @return: The cells of each row of the only table below a heading of the design.
    """
    [table] = tables(name)
    return table


def linked(cell: str) -> list[Path]:
    """
    @return: What the links of a cell lead to.
    """
    return [(DESIGN.parent / path).resolve() for path in LINK.findall(cell)]


def docstring(module: Path) -> str:
    """
    @return: The docstring of a module, in one line.
    """
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    return " ".join((text or "").split())


class RoomTests(SynchronousTestCase):
    """
    The table of rooms.
    """

    def setUp(self) -> None:
        self.floors = {
            path.relative_to(PACKAGE).parts[0].removesuffix(".py"): int(floor)
            for floor, room, _ in rows("Rooms")
            for path in linked(room)
        }

    def floor(self, parts: tuple[str, ...]) -> int:
        """
        @return: The floor of a module of the package.
        """
        return self.floors["tap" if parts[-1] == "tap" else parts[0]]

    def test_namesEveryRoom(self) -> None:
        """
        The table has each package and each module at the top of C{myconsumer}, and
        nothing else.
        """
        there = {path.stem for path in PACKAGE.glob("*.py")}
        there |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
        self.assertEqual(set(self.floors), there - {"__init__"})

    def test_importsPointDown(self) -> None:
        """
        No module imports from a higher floor, not even inside a function.
        """
        for path in PACKAGE.rglob("*.py"):
            here = path.relative_to(PACKAGE).with_suffix("").parts
            if here == ("__init__",):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    package, *there = node.module.split(".")
                    if package == PACKAGE.name and there:
                        self.assertLessEqual(
                            self.floor(tuple(there)),
                            self.floor(here),
                            f"{path}:{node.lineno}",
                        )


class PromiseTests(SynchronousTestCase):
    """
    The table of promises.
    """

    def test_numbersAreThoseOfTheReadme(self) -> None:
        """
        The design numbers the promises as the README does: from 1 to 9.
        """
        readme = (ROOT / "README.md").read_text("utf-8")
        _, _, listed = readme.partition("\n## What it promises\n")
        listed, _, _ = listed.partition("\n## ")
        numbers = re.findall(r"^(\d+)\. ", listed, re.M)
        self.assertEqual([cells[0] for cells in rows("Promises")], numbers)
        self.assertEqual(numbers, [*"123456789"])

    def test_docstringsNameTheirPromise(self) -> None:
        """
        Each module that keeps a promise and each acceptance test that holds it exists,
        and its docstring names the promise.
        """
        for number, promise, keepers, holders in rows("Promises"):
            modules, tests = linked(keepers), linked(holders)
            self.assertTrue(modules and tests, promise)
            for path in [*modules, *tests]:
                self.assertIn(f"Promise {number}: ", docstring(path), path)

    def test_docstringsNameNoOtherPromise(self) -> None:
        """
        Each promise that the docstring of a module or an acceptance test names is in
        the table.
        """
        numbers = {number for number, *_ in rows("Promises")}
        for path in (*PACKAGE.rglob("*.py"), *ROOT.glob("tests/acceptance/*.py")):
            named = set(re.findall(r"Promise (\d+)", docstring(path)))
            self.assertLessEqual(named, numbers, path)


class StopTests(SynchronousTestCase):
    """
    The seconds of a stop: what comes one after the other, and adds up; what is done
    side by side with the first of that; and what may come on top.
    """

    def setUp(self) -> None:
        (*self.inTurn, (total, *_)), self.beside, self.extra = tables(
            "The seconds of a stop"
        )
        self.total = float(total.strip("*"))

    def test_areThoseOfTheConstants(self) -> None:
        """
        The seconds of each row are those of the constant that the row names.
        """
        for seconds, name, _ in (*self.inTurn, *self.beside, *self.extra):
            self.assertEqual(float(seconds), self.value(name.strip("`")), name)

    def test_addUp(self) -> None:
        """
        What comes one after the other adds up to the total; claims are over before the
        running tasks are; and with what may come on top a stop is within the 30 seconds
        of Kubernetes.
        """
        inTurn, beside, extra = (
            [float(seconds) for seconds, *_ in table]
            for table in (self.inTurn, self.beside, self.extra)
        )
        self.assertEqual(sum(inTurn), self.total)
        self.assertLessEqual(sum(beside), inTurn[0])
        self.assertLess(self.total + sum(extra), 30)
        said = f"{sum(extra):g} at most, and so {self.total + sum(extra):g} in all"
        self.assertIn(said, " ".join(section("The seconds of a stop").split()))

    def test_areThoseThatArePromised(self) -> None:
        """
        The README and the page for operators promise as many seconds as the table adds
        up to, and the acceptance test allows as many.
        """
        for page, promise in (
            ("README.md", r"(\d+) seconds at most"),
            ("README.md", r"drains within (\d+) s"),
            ("docs/operating.md", r"(\d+) with the default"),
        ):
            text = (ROOT / page).read_text("utf-8")
            promised = set(re.findall(promise, text))
            self.assertEqual(promised, {f"{self.total:g}"}, promise)
        self.assertEqual(LONGEST, self.total)

    def value(self, name: str) -> float:
        """
        @return: The default of C{--drain}, or the value of a constant.
        """
        if name == "--drain":
            drain: float = signature(ConsumerService).parameters["drain"].default
            return drain
        module, _, constant = name.rpartition(".")
        value: float = getattr(import_module(module), constant)
        return value
