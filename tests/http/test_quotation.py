"""
Tests for L{myconsumer.http.quotation}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.http.quotation import quoted
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

    def test_quotesNothingOfEmptyBody(self) -> None:
        """
        A body without text is not quoted.
        """
        for body in (b"", b" \r\n", b'{"error": " "}'):
            self.assertEqual(quoted(answer(500, body)), "")
