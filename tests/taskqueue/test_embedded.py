"""
Tests for L{myconsumer.taskqueue.embedded}.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import FaultError
from myconsumer.interfaces import ITaskQueue
from myconsumer.taskqueue.embedded import LOCAL, EmbeddedQueue, makeQueue
from myconsumer.taskqueue.service import LocalQueueService, RefusedToStart
from tests.taskqueue.core import File


class EmbeddedQueueTests(TestCase):
    """
    Tests for L{EmbeddedQueue} and L{makeQueue}.
    """

    timeout = 30

    def setUp(self) -> None:
        self.options: dict[str, Any] = {
            "local": f"{self.mktemp()}.sqlite",
            "listen": "tcp:0:interface=127.0.0.1",
            "keep": 60.0,
            "sync": "normal",
            "token-file": None,
        }

    def make(self, **options: Any) -> EmbeddedQueue:
        from twisted.internet import reactor

        return makeQueue(reactor, self.options | options)

    def test_isQueueAndService(self) -> None:
        """
        L{EmbeddedQueue} is a queue, called as the one it stands for, and a service that
        begins nothing by itself.
        """
        queue = makeQueue(Clock(), self.options)
        verifyObject(ITaskQueue, queue)
        self.assertTrue(IService.providedBy(queue))
        self.assertEqual(repr(queue), f"<LocalQueue {LOCAL}>")
        [service] = queue
        self.assertIsInstance(service, LocalQueueService)
        self.assertFalse(service.running)

    async def test_servesWhileItRuns(self) -> None:
        """
        While it runs tasks can be claimed and settled, and not before or afterwards.
        """
        path = self.options["local"]
        file = File(path)
        file.fill(LOCAL, 1, 0.0)
        file.close()
        queue = self.make()
        await self.assertFailure(queue.claim("c", 1, 0, 60), FaultError)
        queue.privilegedStartService()
        queue.startService()
        claimed = await queue.claim("c", 1, 0, 60)
        self.assertEqual(len(claimed.tasks), 1)
        self.assertTrue(await queue.cancelClaim("other"))
        self.assertEqual(await queue.settle([], 5.0), [])
        await queue.close()
        await queue.stopService()
        await self.assertFailure(queue.claim("d", 1, 0, 60), FaultError)

    def test_refusesToStart(self) -> None:
        """
        Where it is no command that runs, an exception says why it cannot be started.
        """
        queue = self.make(listen="tcp:0")
        self.assertRaises(RefusedToStart, queue.privilegedStartService)
