"""
Tests for L{myconsumer.plugins} and how protocols are found there.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.interfaces import ITaskQueue, ITaskQueueMaker
from myconsumer.queues import QueueMaker, queueMakers

OPTIONS = {"url": "http://host/q", "limit": 1, "pollers": 1, "token-file": None}

DROPIN = """
from myconsumer.queues import QueueMaker

other = QueueMaker("other", "another protocol", "nowhere")
json = QueueMaker("json", "not the real one", "nowhere")
"""

IMPORTS = """
import sys
import myconsumer.plugins.protocols
print(*sorted(sys.modules))
"""

FIND = """
from myconsumer.queues import queueMakers
print(*(f"{name}:{maker.module}" for name, maker in sorted(queueMakers().items())))
"""


class ProtocolTests(SynchronousTestCase):
    """
    Tests for the protocols that come with the package.
    """

    def test_found(self) -> None:
        """
        They are found by name, and described.
        """
        makers = queueMakers()
        self.assertTrue({"json", "plain"} <= set(makers))
        for name, maker in makers.items():
            verifyObject(ITaskQueueMaker, maker)
            self.assertTrue(IPlugin.providedBy(maker))
            self.assertEqual(maker.name, name)
            self.assertTrue(maker.description[0].islower())

    def test_make(self) -> None:
        """
        Each makes a queue.
        """
        for name in ("json", "plain"):
            queue = queueMakers()[name].makeQueue(Clock(), OPTIONS)
            verifyObject(ITaskQueue, queue)

    def test_lazy(self) -> None:
        """
        A maker's module is imported when a queue is made, not before.
        """
        maker = QueueMaker("some", "some protocol", "myconsumer.not_there")
        self.assertRaises(ImportError, maker.makeQueue, Clock(), OPTIONS)

    def test_cheap(self) -> None:
        """
        To name the protocols takes neither a reactor nor treq.
        """
        modules = run(IMPORTS).split()
        self.assertIn("myconsumer.plugins.protocols", modules)
        for module in ("twisted.internet.reactor", "treq", "myconsumer.http"):
            self.assertNotIn(module, modules)

    def test_others(self) -> None:
        """
        Another package can add protocols, and cannot take the place of ours.
        """
        directory = os.path.join(self.mktemp(), "myconsumer", "plugins")
        os.makedirs(directory)
        with open(os.path.join(directory, "other.py"), "w") as file:
            file.write(DROPIN)
        found = run(FIND, os.path.dirname(os.path.dirname(directory))).split()
        self.assertIn("other:nowhere", found)
        self.assertIn("json:myconsumer.queues.json", found)


def run(program: str, *path: str) -> str:
    """
    Run a program in a process of its own, with some more places to import from.
    """
    places = [*(os.path.abspath(each) for each in path), *filter(None, sys.path)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=True
    ).stdout
