"""
Tests that links and names in the README and in the folder docs lead somewhere.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))

#: A relative link, its path and its anchor.
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")

#: A block of code.
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

#: A module of the package, or what is in it.
NAME = re.compile(r"\bmyconsumer(?:\.[A-Za-z]\w*)+")

#: An import of something of the package.
IMPORT = re.compile(r"^from (myconsumer[\w.]*) import (.*)$", re.MULTILINE)


def resolve(name: str) -> Any:
    """
    @return: The module, or what is in one, of a dotted name.

    @raise AttributeError: There is none.
    """
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


def anchors(page: Path) -> set[str]:
    """
    @return: The anchors that GitHub makes of the headings of a page.
    """
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


class PageTests(SynchronousTestCase):
    """
    The pages of the documentation.
    """

    def test_linksLeadToFiles(self) -> None:
        """
        Each relative link leads to a file or a folder, and its anchor to a heading.
        """
        for page in PAGES:
            for path, anchor in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
                target = (page.parent / path).resolve() if path else page
                self.assertTrue(target.exists(), (page.name, path))
                if anchor:
                    self.assertIn(anchor, anchors(target), (page.name, path))

    def test_namesExist(self) -> None:
        """
        Each dotted name that begins with C{myconsumer}, and each name that is imported
        from there, exists.
        """
        for page in PAGES:
            text = page.read_text("utf-8")
            names = set(NAME.findall(text))
            for module, imported in IMPORT.findall(text):
                words = imported.split(" as ")[0].split(",")
                names |= {f"{module}.{word.strip()}" for word in words}
            for name in names:
                self.assertIsNotNone(resolve(name), (page.name, name))
