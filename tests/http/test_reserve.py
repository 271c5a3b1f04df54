"""
Tests for L{myconsumer.http.reserve}.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.http.reserve import Reserve


class DescriptorCase(SynchronousTestCase):
    """
    A process that can run out of descriptors, with three in reserve.
    """

    def setUp(self) -> None:
        self.reserve = Reserve(3)
        self.addCleanup(self.reserve.free)

    @contextlib.contextmanager
    def exhausted(self) -> Iterator[None]:
        """
        Leave no descriptor within the context.
        """
        held: list[int] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.dup(0))
            yield
        finally:
            for each in held:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class ReserveTests(DescriptorCase):
    """
    Tests for L{Reserve}.
    """

    def test_holdsAsManyAsItIsTold(self) -> None:
        """
        A reserve that gets larger opens what is missing when it is filled, and one that
        gets smaller closes what is too much at once.
        """

        def held() -> int:
            return len(os.listdir("/proc/self/fd")) - before

        before = len(os.listdir("/proc/self/fd"))
        self.reserve.fill()
        self.reserve.resize(5)
        self.assertEqual(held(), 3)
        self.reserve.fill()
        self.assertEqual(held(), 5)
        self.reserve.resize(2)
        self.assertEqual(held(), 2)

    def test_freesDescriptors(self) -> None:
        """
        Freed descriptors can be opened by others; where none is left the reserve takes
        none.
        """
        self.reserve.fill()
        self.assertFalse(self.reserve.isNeeded())
        with self.exhausted():
            needed = self.reserve.isNeeded()
            self.reserve.free()
            taken = [os.dup(0) for _ in range(3)]
            self.reserve.fill()
            nothingHeld = not self.reserve.isNeeded()
        for each in taken:
            os.close(each)
        self.assertTrue(needed)
        self.assertTrue(nothingHeld)
