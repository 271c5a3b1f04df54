"""
Tests for L{myconsumer.tokenfile}.
"""

from __future__ import annotations

import os

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.tokenfile import TokenFile


class TokenFileTests(SynchronousTestCase):
    """
    Tests for L{TokenFile}.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.file = TokenFile(self.path)

    def write(self, content: bytes) -> None:
        """
        Replace the file, as an operator or Kubernetes does.
        """
        with open(self.path + ".new", "wb") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)

    def test_readsToken(self) -> None:
        """
        The token is the content without the white space around it.
        """
        self.write(b"\n  s3cret \r\n")
        self.assertEqual(self.file.read(), b"s3cret")

    def test_refreshes(self) -> None:
        """
        To refresh says whether the token is another one, and keeps the last good one
        where the file holds none.
        """
        self.write(b"one")
        self.assertTrue(self.file.refresh())
        self.assertFalse(self.file.refresh())
        self.write(b"two")
        self.assertTrue(self.file.refresh())
        self.write(b"")
        self.assertRaises(ValueError, self.file.refresh)
        self.assertEqual(self.file.current(), b"two")

    def test_refusesOtherContent(self) -> None:
        """
        A file that holds no token is refused with a sentence that names it and does not
        quote its content.
        """
        contents = (b"", b" \n", b"s3c\x00ret", b"s3cret\ns3cret", b"s3cret \xc3\xbc")
        for content in (*contents, b"s3cret b", b"s3cret" * 20000):
            self.write(content)
            with self.assertRaises(ValueError) as caught:
                self.file.read()
            self.assertIn(self.path, str(caught.exception))
            self.assertNotIn("s3c", str(caught.exception))

    def test_refusesOtherFiles(self) -> None:
        """
        A file that is not there, a directory and a pipe are refused.
        """
        pipe = self.mktemp()
        os.mkfifo(pipe)
        for path in (self.path, os.path.dirname(self.path), pipe):
            self.assertRaises(ValueError, TokenFile(path).read)
            self.assertRaises(ValueError, TokenFile(path).current)

    def test_followsFile(self) -> None:
        """
        The token in use follows the file.
        """
        self.write(b"one")
        self.assertEqual(self.file.current(), b"one")
        self.write(b"two")
        self.assertEqual(self.file.current(), b"two")

    def test_followsQuickChange(self) -> None:
        """
        A change in place that keeps size and inode is seen by its time.
        """
        self.write(b"one")
        self.file.current()
        with open(self.path, "wb") as file:
            file.write(b"two")
        os.utime(self.path, ns=(1, 1))
        self.assertEqual(self.file.current(), b"two")

    def test_readsChangedFileOnly(self) -> None:
        """
        A file that has not changed is not read again; C{reread} reads it all the same.
        """
        self.write(b"one")
        self.file.current()
        found = os.stat(self.path)
        with open(self.path, "r+b") as file:
            file.write(b"two")
        os.utime(self.path, ns=(found.st_atime_ns, found.st_mtime_ns))
        self.assertEqual(self.file.current(), b"one")
        self.assertEqual(self.file.reread(), b"two")

    def test_keepsLastGoodToken(self) -> None:
        """
        A file that is gone or broken leaves the token in use, with one warning until it
        is good again, and the warning does not quote its content.
        """
        self.write(b"one")
        self.file.current()
        with capturedLogs() as events:
            os.remove(self.path)
            self.assertUsed(b"one")
            self.write(b"s3c ret")
            self.assertUsed(b"one")
            self.assertEqual(len(events), 1)
            self.write(b"two")
            self.assertUsed(b"two")
            self.write(b"")
            self.assertUsed(b"two")
        self.assertEqual([e["log_level"].name for e in events], ["warn", "warn"])
        self.assertNotIn("s3c", repr([e["reason"] for e in events]))

    def assertUsed(self, token: bytes) -> None:
        """
        Fail unless C{token} is in use, however it is asked for.
        """
        for _ in range(2):
            self.assertEqual(self.file.current(), token)
            self.assertEqual(self.file.reread(), token)
