"""
Tests for L{myconsumer.text}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.text import isSecret, masked, oneLine, shown, shownID

BAD_URLS_WITH_SECRETS = [
    "http://user:secret@host/",
    "http://secret@host/",
    "https://user:secret%40host/",
    "ftp://user:secret@host/",
    "http:/user:secret@host",
    "user:secret@host",
    "http://user:secret@host:x/",
    "http://host:x/?key=secret",
    "http://host/#secret",
    "http://user:secret@[::1/",
    "http://user:secret\n@host/",
]


class OneLineTests(SynchronousTestCase):
    """
    Tests for L{oneLine}.
    """

    @settings(deadline=None)
    @given(st.text(), st.integers(10, 50))
    def test_makesAnyTextOneLine(self, text: str, limit: int) -> None:
        """
        Any text becomes one printable line within the limit.
        """
        line = oneLine(text, limit)
        self.assertTrue(line.isprintable())
        self.assertLessEqual(len(line), limit)

    def test_keepsFitText(self) -> None:
        """
        Printable text stays as it is; text that is too long is visibly truncated.
        """
        self.assertEqual(oneLine("ein Ä, a\n\n b"), "ein Ä, a b")
        self.assertEqual(oneLine("abcdefghijkl", 10), "abcdefg...")

    def test_escapesControlCharacters(self) -> None:
        """
        Control characters are escaped.
        """
        self.assertEqual(oneLine("a\n  b\x1b[2J\tc\0"), r"a b\x1b[2J c\x00")

    def test_showsAnID(self) -> None:
        """
        The id of a task is shown on one line of at most 60 characters, and a number as
        it is.
        """
        for id, text in (
            ("t-1", "t-1"),
            (17, 17),
            ("a\n\x1b[2Jb", r"a \x1b[2Jb"),
            ("a" * 61, "a" * 57 + "..."),
        ):
            self.assertEqual(shownID(id), text)


class WordsTests(SynchronousTestCase):
    """
    How values and reasons are put on one line.
    """

    def test_showsValues(self) -> None:
        """
        A value looks as one writes it, and is truncated.
        """
        self.assertEqual(shown("a\nb"), r"'a\nb'")
        self.assertEqual(shown(True), "true")
        self.assertEqual(len(shown("x" * 1000)), 120)

    def test_suspectsSecrets(self) -> None:
        """
        A value with a user's part or a query may be a secret; an ordinary one is not.
        """
        for text in BAD_URLS_WITH_SECRETS:
            self.assertTrue(isSecret(text))
        for value in ("http://host/path", "x", "/etc/file", 4, "a.b.c", "?", None):
            self.assertFalse(isSecret(value))

    def test_isSecretLooksInside(self) -> None:
        """
        A list or an object may be a secret if anything in it may be one.
        """
        for secret in ("TOKEN=x", "u:p@host"):
            for value in ([secret], {"a": [1, secret]}, {secret: 1}, [[], [[secret]]]):
                self.assertTrue(isSecret(value))
        for value in ([], {}, ["a", {"b": 1}]):
            self.assertFalse(isSecret(value))

    def test_masksWhatIsNestedTooDeeply(self) -> None:
        """
        A value that is nested too deeply to look into, as dotted keys of TOML make
        one, may be a secret.
        """
        value: object = 1
        for _ in range(100_000):
            value = {"a": value}
        self.assertTrue(isSecret(value))
        self.assertEqual(masked(value, "a thing"), "a thing")

    def test_maskedShowsNoSecret(self) -> None:
        """
        What may be a secret is replaced, and everything else is shown.
        """
        self.assertEqual(masked("u:p@host", "a thing"), "a thing")
        self.assertEqual(masked("x", "a thing"), "'x'")
