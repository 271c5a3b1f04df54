"""
Tests for L{myconsumer.http.quotation}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from myconsumer.http import Answer
from myconsumer.http.quotation import quoted, target
from myconsumer.http.urls import parseURL
from tests.http.test_verdict import answer


class QuotedTests(SynchronousTestCase):
    """
    Tests for L{quoted}.
    """

    def test_boundsQuotation(self) -> None:
        """
        A quotation of a body is truncated to C{limit} characters.
        """
        for limit in (10, 1000):
            text = quoted(answer(500, b"x" * 9999), limit=limit)
            self.assertEqual(len(text), len("; it says: ") + limit)

    def test_quotesReason(self) -> None:
        """
        The reason that a body gives in its field C{error} is quoted alone, with up to
        twice as many characters.
        """
        body = b'{"code": 7, "error": "no such\\nqueue", "more": "' + b"x" * 999 + b'"}'
        self.assertEqual(quoted(answer(500, body)), "; it says: no such queue")
        body = b'{"error": "' + b"x" * 999 + b'"}'
        self.assertEqual(len(quoted(answer(500, body), limit=50)), 111)
        for other in (b'{"error": 7}', b'["error"]', b'{"error": "\\ud800"}'):
            said = quoted(answer(500, other))
            self.assertEqual(said, f"; it says: {other.decode()}")

    def test_leavesOutToken(self) -> None:
        """
        The token is not quoted, however it is escaped.
        """
        for body in (
            b"bad t0/k+n",
            b'{"error": "bad t0\\/k+n"}',
            b'{"error": "bad t\\u0030/k+n"}',
            b'["bad t0\\/k+n"]',
            b"bad t0&#x2F;k+n",
            b"bad t0%2Fk%2Bn",
        ):
            said = quoted(answer(401, body), b"t0/k+n")
            self.assertIn("bad (token)", said)
            self.assertNotIn("k+n", said)

    def test_leavesOutQuery(self) -> None:
        """
        What may be a key in the query of the URL is not quoted, by itself, with its
        name, or escaped; nor is the half of one where the quotation ends.
        """
        url = parseURL("http://host/q?key=s3cret/key%2B&kind=a&alone-s3cret")
        for body in (
            b"nothing at /q?key=s3cret/key%2B&kind=a",
            b'{"error": "no key s3cret\\/key+ here"}',
            b"no key s3cret%2Fkey%2B",
            b"no key alone-s3cret",
            b"x" * 794 + b"s3cret/key%2B",
        ):
            said = quoted(answer(404, body), url=url, limit=100)
            self.assertNotIn("s3cret", said)
            self.assertNotIn("kind=a", said)
        self.assertIn("of a kind", quoted(answer(404, b"none of a kind"), url=url))

    def test_quotesNothingOfEmptyBody(self) -> None:
        """
        A body without text is not quoted.
        """
        for body in (b"", b" \r\n", b'{"error": " "}'):
            self.assertEqual(quoted(answer(500, body)), "")


class TargetTests(SynchronousTestCase):
    """
    Tests for L{target}.
    """

    def test_hidesSecrets(self) -> None:
        """
        Where a redirect leads is quoted without the token, a password or a query.
        """
        url = parseURL("http://host/q")
        for location, said in (
            (b"/other", "http://host/other"),
            (b"https://user:pass@host/a?key=word", "https://host/a"),
            (b"http://host/t0k3n/a", "http://host/(token)/a"),
            (b"mailto:somebody", "nowhere"),
            (b"http://[", "nowhere"),
        ):
            redirect = Answer(302, Headers({b"location": [location]}), b"")
            self.assertEqual(target(redirect, url, b"t0k3n"), said)
