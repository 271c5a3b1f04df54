"""
Tests that the log has the lines which the documentation explains.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product, takewhile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "myconsumer"

#: What is called with formats: the methods of a logger; C{log}, one of them; and what
#: keeps the formats of one outcome, or logs in its own way.
LEVELS = {"debug", "info", "warn", "error", "critical", "failure", "log"}
LEVELS |= {"Wording", "_change", "emit", "remark"}

#: What has a log or an output of its own, which no operator of a service reads.
APART = {"check", "cli", "testing"}

#: What the page of symptoms quotes of Python, Twisted and shells.
FOREIGN = {
    "Another twistd server is running",
    "Unable to write to plugin cache",
    "kill -9",
    "no running event loop",
    "option -n not recognized",
}

#: A field of a format.
FIELD = re.compile(r"\{(\w+)[^}]*\}")

#: What the documentation has in the place of a field.
ANY = "..."

#: Fields whose text the documentation has, and those of their texts that it has.
TEXTS = {
    "error": {"timed out after ... s"},
    "ended": {"... complete"},
    "load": {"... running"},
    "reason": {"... was moved, removed or replaced since it was opened"},
    "stream": {"stdout", "stderr"},
    "way": {"ahead of", "behind"},
    "who": {"A worker process", "Task ..."},
}


def textOf(node: ast.AST) -> str | None:
    """
    @return: The text of a string or f-string, with L{ANY} for each expression in it;
        C{None} for any other node.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(textOf(value) or ANY for value in values)
    return None


def calls(trees: list[ast.Module]) -> Iterator[tuple[str, str]]:
    """
    @return: The name and an argument of each call with texts for its first arguments.
        Methods of a logger's are those of an object with C{log} in its name.
    """
    for node in (node for tree in trees for node in ast.walk(tree)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr=name) | ast.Name(id=name), args=given
            ):
                if name in LEVELS - {"Wording", "_change", "remark"} and not re.search(
                    "[lL]og", ast.unparse(node.func)
                ):
                    continue
                if name == "emit":
                    # a level comes first
                    given = [each for each in given if textOf(each)]
                for text in takewhile(lambda text: text, map(textOf, given)):
                    yield name, str(text)


def filled(form: str, texts: dict[str, set[str]]) -> Iterator[str]:
    """
    @return: The lines of a format, with the texts that its fields may have, or L{ANY}.
    """
    pieces = FIELD.split(form)
    fields = [texts.get(name, set()) | {ANY} for name in pieces[1::2]]
    for values in product(*fields):
        between = [*values, ""]
        yield "".join(
            piece + value for piece, value in zip(pieces[::2], between, strict=True)
        )


class LogLineTests(SynchronousTestCase):
    """
    The tables of log lines.
    """

    def setUp(self) -> None:
        trees = [
            ast.parse(path.read_text("utf-8"))
            for path in PACKAGE.rglob("*.py")
            if path.relative_to(PACKAGE).parts[0] not in APART
        ]
        self.found = list(calls(trees))
        self.strings = {
            text
            for tree in trees
            for node in ast.walk(tree)
            if (text := textOf(node)) is not None
        }

    def texts(self) -> dict[str, set[str]]:
        """
        @return: The texts that fields may have.
        """
        tried = {text for name, text in self.found if name == "Retry"}
        return TEXTS | {"what": tried, "signal": {"SIGTERM", "SIGINT"}}

    def lines(self) -> set[str]:
        """
        @return: Each line that the package may log.
        """
        return {
            line
            for name, form in self.found
            if name in LEVELS
            for line in filled(form, self.texts())
        }

    def documented(self, page: str) -> Iterator[list[str]]:
        """
        @return: The lines of each row of the table of log lines of a page.
        """
        text = (ROOT / "docs" / page).read_text("utf-8")
        _, _, table = text.partition("\n## What the log says\n")
        for row in re.findall(
            r"^\| (?!line|-)(.*?) \|", table.partition("\n## ")[0], re.M
        ):
            yield re.findall(r"`([^`]*)`", row) or [row]

    def test_areLogged(self) -> None:
        """
        Each line in the documentation is the beginning of a line that is logged.
        """
        logged = self.lines()
        for page in ("operating.md", "embedded-queue.md"):
            rows = list(self.documented(page))
            self.assertGreater(len(rows), 5, page)
            for line in (line for row in rows for line in row):
                self.assertTrue(
                    any(each.startswith(line) for each in logged), f"{page}: {line}"
                )

    def test_areDocumented(self) -> None:
        """
        Each line of level C{info} and above has a row in one of the tables, unless all
        of it is somebody else's text.
        """
        rows = {
            line
            for page in ("operating.md", "embedded-queue.md")
            for row in self.documented(page)
            for line in row
        }
        for name, form in self.found:
            if name == "Retry":
                lines = {f"{form} fail, next try in ... s: ..."}
            elif name in LEVELS - {"debug"} and FIELD.sub("", form):
                lines = set(filled(form, self.texts()))
            else:
                continue
            begun = [line for line in lines if any(map(line.startswith, rows))]
            self.assertTrue(begun, form)

    def test_symptomsExist(self) -> None:
        """
        Each line that the page of symptoms quotes is a part of one that is logged or
        printed, unless it is somebody else's.
        """
        page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
        cells = re.findall(r"^\| (?!you see|-)(.*?) \|", page, re.M)
        quotes = [quote for cell in cells for quote in re.findall("`([^`]*)`", cell)]
        self.assertGreater(len(quotes), 15)
        ours = self.strings | self.lines()
        for quote in quotes:
            # a field may stand for any text
            parts = [re.escape(part.strip()) for part in quote.split(ANY)]
            self.assertTrue(
                quote in FOREIGN
                or any(re.search(".*".join(parts), each, re.DOTALL) for each in ours),
                quote,
            )

    def test_textsOfFieldsAreInTheCode(self) -> None:
        """
        The package has each text that a field is taken to have.
        """
        for text in set().union(*TEXTS.values()):
            self.assertTrue(any(each.startswith(text) for each in self.strings), text)
