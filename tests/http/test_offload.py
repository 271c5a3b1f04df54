"""
Tests for L{myconsumer.http.offload}, with a real thread.
"""

from __future__ import annotations

import gc
from threading import current_thread

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from myconsumer.http.offload import offloadTo


class OffloadTests(TestCase):
    """
    Tests for L{offloadTo}.
    """

    async def test_callsInThread(self) -> None:
        """
        A function is called in another thread, without garbage collection meanwhile;
        afterwards that is as before.
        """

        def look() -> tuple[object, bool]:
            return current_thread(), gc.isenabled()

        offload = offloadTo(reactor)
        for enabled in (True, False):
            (gc.enable if enabled else gc.disable)()
            self.addCleanup(gc.enable)
            thread, collecting = await offload(look)
            self.assertIsNot(thread, current_thread())
            self.assertFalse(collecting)
            self.assertEqual(gc.isenabled(), enabled)

    async def test_failsWithWhatFunctionRaises(self) -> None:
        """
        The L{Deferred} fails with what the function raises.
        """
        failing = offloadTo(reactor)(lambda: 1 // 0)
        await self.assertFailure(failing, ZeroDivisionError)
        self.assertTrue(gc.isenabled())
