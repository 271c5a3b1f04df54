"""
Tests for L{myconsumer.http.verdict}.
"""

from __future__ import annotations

from email.utils import formatdate
from time import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from myconsumer.errors import FaultError, QueueError, RefusalError
from myconsumer.http.answer import Answer
from myconsumer.http.urls import FixedURL, parseURL
from myconsumer.http.verdict import judge, named, retryAfter

URL = FixedURL.of(parseURL("http://host/q?key=s3cret"))


def answer(code: int, body: bytes = b"", **headers: str) -> Answer:
    """
    Make an answer; underscores in names of headers stand for dashes.
    """
    raw = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return Answer(code, Headers(raw), body)


def verdict(code: int, body: bytes = b"", **headers: str) -> QueueError:
    """
    Judge an answer to a request with a token.
    """
    return judge(answer(code, body, **headers), URL, b"t0ken")


class JudgeTests(SynchronousTestCase):
    """
    Tests for L{judge}.
    """

    def test_callsPassingFailuresFaults(self) -> None:
        """
        A status code that may pass by itself is a fault.
        """
        for code in (408, 425, 429, 500, 501, 502, 503, 504, 599, 600, 999, 0):
            self.assertIsInstance(verdict(code), FaultError, code)

    def test_callsClientErrorsRefusals(self) -> None:
        """
        Other codes of 4xx are refusals, of which some are about the batch.
        """
        for code in (400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422, 499):
            error = verdict(code)
            assert isinstance(error, RefusalError)
            self.assertEqual(error.divisible, code in (400, 413, 422), code)
            self.assertIn(str(code), str(error))

    def test_namesWhatToChange(self) -> None:
        """
        A refusal names the option to change.
        """
        for code, option in {401: "--token-file", 403: "--token-file"}.items():
            self.assertIn(option, str(verdict(code)))
            self.assertIn(option, str(judge(answer(code), URL, None)))
        for code in (404, 405, 410):
            self.assertIn("--url", str(verdict(code)))
        self.assertIn("--protocol", str(verdict(422)))

    def test_namesTargetOfRedirect(self) -> None:
        """
        A refused redirect names its target, without what may be secret in it.
        """
        for location, place in {
            "https://other:8443/r?k=s3cret#s3cret": "https://other:8443/r",
            "https://user:s3cret@other/r": "https://other/r",
            "/r/": "http://host/r/",
            "r": "http://host/r",
            "": "http://host/q",
            "http://[": "nowhere",
            "other:8443/r": "nowhere",
            "https:other": "nowhere",
            "mailto:a@b": "nowhere",
        }.items():
            for code in (301, 302, 303, 307, 308):
                text = str(verdict(code, location=location))
                self.assertIn(f" {place}: ", text)
                self.assertIn("--url", text)
                self.assertNotIn("s3cret", text)
        self.assertIsInstance(verdict(304), RefusalError)

    def test_quotesEndpoint(self) -> None:
        """
        The endpoint's words are quoted: one line, printable, not too long, and without
        the token.
        """
        for code in (400, 500):
            error = str(verdict(code, b"bad\r\n\x1b[31m t0ken\x00 \xff" + b"x" * 9999))
            self.assertIn(r"bad \x1b[31m (token)", error)
            self.assertTrue(error.isprintable())
            self.assertLess(len(error), 300)

    @settings(deadline=None)
    @given(st.integers(), st.binary(), st.text(st.characters(codec="latin-1")))
    def test_wordsAnyAnswerInOneLine(self, code: int, body: bytes, header: str) -> None:
        """
        Any answer is worded in one printable line.
        """
        header = header.replace("\n", "").replace("\r", "").replace("\x00", "")
        error = verdict(code, body, location=header, retry_after=header)
        self.assertTrue(str(error).isprintable())


class NamedTests(SynchronousTestCase):
    """
    Tests for L{named}.
    """

    def test_namesKnownCodes(self) -> None:
        """
        A status code is followed by its phrase; one that is not known stands alone.
        """
        self.assertEqual((named(404), named(599)), ("404 Not Found", "599"))


class RetryAfterTests(SynchronousTestCase):
    """
    Tests for L{retryAfter}.
    """

    def test_readsSeconds(self) -> None:
        """
        Seconds are taken within bounds.
        """
        for text, seconds in {
            "7": 7.0,
            " 7 ": 7.0,
            "1.5": 1.5,
            "0": 0.0,
            "-5": 0.0,
            "301": 300.0,
            "9" * 5000: 300.0,
        }.items():
            self.assertEqual(retryAfter(answer(503, retry_after=text)), seconds)

    def test_takesAnotherBound(self) -> None:
        """
        The upper bound can be another.
        """
        for text, seconds in {"301": 301.0, "9" * 400: 1000.0}.items():
            asked = answer(503, retry_after=text)
            self.assertEqual(retryAfter(asked, 1000.0), seconds)

    def test_readsDates(self) -> None:
        """
        Dates are taken relative to now, within bounds.
        """
        for ahead, least, most in ((60, 57, 60), (-60, 0, 0), (10**6, 300, 300)):
            text = formatdate(time() + ahead, usegmt=True)
            seconds = retryAfter(answer(503, retry_after=text))
            assert seconds is not None
            self.assertTrue(least <= seconds <= most, seconds)

    def test_ignoresGarbage(self) -> None:
        """
        A header that cannot be read, or that is absent, asks for nothing.
        """
        for text in ("", "soon", "nan", "inf", "1e5", "1_0", "Mon, 99 Foo", "0x10"):
            self.assertIsNone(retryAfter(answer(503, retry_after=text)), text)
        self.assertIsNone(retryAfter(answer(503)))

    def test_obeysSomeCodes(self) -> None:
        """
        Retry-After is obeyed for 429 and 503 alone.
        """
        for code, expected in ((429, 7.0), (503, 7.0), (500, None), (408, None)):
            error = verdict(code, retry_after="7")
            assert isinstance(error, FaultError)
            self.assertEqual(error.retryAfter, expected)
