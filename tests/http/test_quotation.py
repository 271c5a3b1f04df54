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

    def test_limit(self) -> None:
        """
        As much is quoted as one likes.
        """
        for limit in (10, 1000):
            text = quoted(answer(500, b"x" * 9999), limit=limit)
            self.assertEqual(len(text), len("; it says: ") + limit)

    def test_reason(self) -> None:
        """
        Of a body that gives a reason for itself only that is quoted, and more of it.
        """
        body = b'{"code": 7, "error": "no such\\nqueue", "more": "' + b"x" * 999 + b'"}'
        self.assertEqual(quoted(answer(500, body)), "; it says: no such queue")
        body = b'{"error": "' + b"x" * 999 + b'"}'
        self.assertEqual(len(quoted(answer(500, body), limit=50)), 111)
        for other in (b'{"error": 7}', b'["error"]', b'{"error": "\\ud800"}'):
            said = quoted(answer(500, other))
            self.assertEqual(said, f"; it says: {other.decode()}")

    def test_secret(self) -> None:
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

    def test_nothing(self) -> None:
        """
        Where there is nothing to quote, nothing is said.
        """
        for body in (b"", b" \r\n", b'{"error": " "}'):
            self.assertEqual(quoted(answer(500, body)), "")
