"""
The user who a process is going to be.
"""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.privileges import laterUser

NOBODY = 65534


class LaterUserTests(SynchronousTestCase):
    """
    L{laterUser}.
    """

    def test_isThatUserMeanwhile(self) -> None:
        """
        Meanwhile, and not after that, what that user may not do is refused.
        """
        if os.geteuid():
            self.skipTest("only root may be somebody else")
        before = (os.getresuid(), os.getresgid(), os.getgroups())
        with TemporaryDirectory() as directory:
            with laterUser({"uid": NOBODY, "gid": None}):
                self.assertEqual(os.getuid(), NOBODY)
                self.assertFalse(os.access(directory, os.W_OK))
            self.assertTrue(os.access(directory, os.W_OK))
            with (
                self.assertRaises(ZeroDivisionError),
                laterUser({"uid": NOBODY, "gid": 7}),
            ):
                self.assertEqual(os.getgid(), 7)
                1 / 0  # noqa: B018
        self.assertEqual((os.getresuid(), os.getresgid(), os.getgroups()), before)

    def test_changesNothing(self) -> None:
        """
        Without --uid nothing is changed.
        """
        before = (os.getresuid(), os.getresgid(), os.getgroups())
        for twistd in ({}, {"uid": None, "gid": None}):
            with laterUser(twistd):
                self.assertEqual(
                    (os.getresuid(), os.getresgid(), os.getgroups()), before
                )
