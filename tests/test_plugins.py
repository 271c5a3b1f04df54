"""
The protocols and handlers that can be named, and how they are found as plugins.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from hyperlink import URL
from twisted.application.service import IService
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer.command.option import Flag, text
from myconsumer.handlers.callables import NamedCallable
from myconsumer.interfaces import (
    ITaskHandler,
    ITaskHandlerMaker,
    ITaskQueue,
    ITaskQueueMaker,
)
from myconsumer.makers import HandlerMaker, Option, QueueMaker
from myconsumer.options import HANDLERS
from myconsumer.plugins import (
    choosers,
    chosen,
    handlerMakers,
    optionsOf,
    queueMakers,
)

CHECKOUT = Path(__file__).parents[1]

OPTIONS = {
    "url": URL.from_text("http://host/q"),
    "limit": 1,
    "pollers": 1,
    "token-file": None,
    "local": "no-such.sqlite",
    "listen": "tcp:0",
    "keep": 60.0,
    "sync": "normal",
}

#: The options of handlers when none of them is given.
NO_HANDLER: dict[str, Any] = {
    "python": None,
    "exec": None,
    "forward": None,
    "run-in": "reactor",
    "exec-env": None,
    "kill-after": 5.0,
    "forward-wait-for": None,
    "limit": 2,
    "timeout": 0.0,
}

#: What chooses each handler.
CHOICES: dict[str, Any] = {
    "python": NamedCallable.load("os.getcwd"),
    "exec": ["cat"],
    "forward": URL.from_text("http://localhost:1/"),
}

DROPIN = """
from myconsumer.makers import HandlerMaker, QueueMaker

other = QueueMaker("other", "another protocol", "nowhere")
json = QueueMaker("json", "not the real one", "nowhere")
another = HandlerMaker("another", "another handler", "nowhere")
command = HandlerMaker("exec", "not the real one", "nowhere")
nameless = HandlerMaker("nameless", "another one", "nowhere")
del nameless.name
"""

IMPORTS = """
import sys
import myconsumer.plugins.handlers
import myconsumer.plugins.protocols
print(*sorted(sys.modules))
"""

FIND = """
from myconsumer.plugins import handlerMakers, queueMakers
for makers in (queueMakers(), handlerMakers()):
    print(*(f"{name}:{maker.module}" for name, maker in sorted(makers.items())))
"""


class ProtocolTests(SynchronousTestCase):
    """
    Tests for the protocols that come with the package.
    """

    def test_findsProtocols(self) -> None:
        """
        Protocols are found by name, and described.
        """
        makers = queueMakers()
        self.assertTrue({"json", "plain", "local"} <= set(makers))
        for name, maker in makers.items():
            verifyObject(ITaskQueueMaker, maker)
            self.assertTrue(IPlugin.providedBy(maker))
            self.assertEqual(maker.name, name)
            self.assertTrue(maker.description[0].islower())

    def test_makesEachQueue(self) -> None:
        """
        Each protocol makes a queue.
        """
        for name in ("json", "plain", "local"):
            queue = queueMakers()[name].makeQueue(Clock(), OPTIONS)
            verifyObject(ITaskQueue, queue)

    def test_importsTheQueueLate(self) -> None:
        """
        A maker's module is imported when a queue is made, not before.
        """
        maker = QueueMaker("some", "some protocol", "myconsumer.not_there")
        self.assertRaises(ImportError, maker.makeQueue, Clock(), OPTIONS)

    def test_importsLittle(self) -> None:
        """
        To name protocols and handlers takes neither a reactor nor treq.
        """
        modules = run(IMPORTS).split()
        self.assertIn("myconsumer.plugins.protocols", modules)
        self.assertIn("myconsumer.plugins.handlers", modules)
        for module in (
            "twisted.internet.reactor",
            "twisted.internet.endpoints",
            "treq",
            "hyperlink",
            "myconsumer.http",
            "myconsumer.handlers.callables",
            "myconsumer.handlers.command",
            "myconsumer.handlers.forward",
            "myconsumer.handlers.python",
            "myconsumer.queues",
            "myconsumer.taskqueue.service",
        ):
            self.assertNotIn(module, modules)

    def test_documentedPluginsAreFound(self) -> None:
        """
        The plugins of docs/composing.md are makers, with the options that it tells of.
        """
        text = (CHECKOUT / "docs" / "composing.md").read_text(encoding="utf-8")
        block = text.partition("# myconsumer/plugins/")[2].partition("```")[0]
        found: dict[str, Any] = {}
        exec(block.partition("\n")[2], found)
        for name, interface in (
            ("mail", ITaskHandlerMaker),
            ("broker", ITaskQueueMaker),
        ):
            verifyObject(interface, found[name])
            for option in found[name].options:
                self.assertTrue(option.takes)
        self.assertEqual(found["mail"].options[0].name, "mail")

    def test_findsOthersOfOtherPackages(self) -> None:
        """
        Another package can add protocols and handlers, and cannot take the place of
        ours.
        """
        directory = os.path.join(self.mktemp(), "myconsumer", "plugins")
        os.makedirs(directory)
        with open(os.path.join(directory, "other.py"), "w") as file:
            file.write(DROPIN)
        found = run(FIND, os.path.dirname(os.path.dirname(directory))).split()
        self.assertIn("other:nowhere", found)
        self.assertIn("json:myconsumer.queues.json", found)
        self.assertIn("another:nowhere", found)
        self.assertIn("exec:myconsumer.handlers.command.handler", found)


class HandlerTests(SynchronousTestCase):
    """
    Tests for the handlers that come with the package.
    """

    def test_findsHandlers(self) -> None:
        """
        Handlers are found by the options that choose them, and described.
        """
        makers = handlerMakers()
        self.assertTrue(set(HANDLERS) <= set(makers))
        for name, maker in makers.items():
            verifyObject(ITaskHandlerMaker, maker)
            self.assertTrue(IPlugin.providedBy(maker))
            self.assertEqual(maker.name, name)
            self.assertTrue(maker.description[0].islower())

    def test_makesEachHandler(self) -> None:
        """
        Each kind makes its handler, and begins nothing.
        """
        for name, value in CHOICES.items():
            reactor = Clock()
            maker: Any = handlerMakers()[name]
            handler = maker.makeHandler(reactor, {**NO_HANDLER, name: value})
            verifyObject(ITaskHandler, handler)
            own = import_module(maker.module).__name__.removeprefix("myconsumer.")
            self.assertIn(own, type(handler).__module__)
            self.assertEqual(reactor.getDelayedCalls(), [])
            if IService.providedBy(handler):
                self.assertFalse(handler.running)

    def test_namesTheOptionItRefuses(self) -> None:
        """
        What a handler refuses is a sentence that names the option.
        """
        for name, options in (
            ("exec", {"exec": ["/no/such/program"]}),
            ("exec", {"exec": [""]}),
            ("exec", {"exec": ["cat"], "exec-env": ["CONSUMER_URL"]}),
            ("exec", {"exec": []}),
            ("forward", {}),
        ):
            maker = handlerMakers()[name]
            with self.assertRaises(ValueError) as caught:
                maker.makeHandler(Clock(), {**NO_HANDLER, **options})
            text = str(caught.exception)
            self.assertTrue(text.startswith(f"--{name}"), text)
            self.assertEqual(len(text.splitlines()), 1)

    def test_importsTheHandlerLate(self) -> None:
        """
        A maker's module is imported when a handler is made, not before.
        """
        maker = HandlerMaker("some", "some handler", "myconsumer.not_there")
        self.assertRaises(ImportError, maker.makeHandler, Clock(), NO_HANDLER)


class ChoosingTests(SynchronousTestCase):
    """
    Tests for L{choosers}, L{optionsOf} and L{chosen}.
    """

    def setUp(self) -> None:
        path = text("a path")
        makers = [
            QueueMaker("json", "as always", "nowhere"),
            QueueMaker("file", "", "nowhere", Option("file", path, None, "")),
            QueueMaker(
                "flag",
                "",
                "nowhere",
                Option("flag", Flag, False, ""),
                Option("flag-depth", int, 1, ""),
            ),
            QueueMaker("named", "", "nowhere", Option("other", path, "here", "")),
        ]
        self.makers: dict[str, Any] = {maker.name: maker for maker in makers}
        self.makers["old"] = object()
        self.options: dict[str, Any] = {
            option.name: option.default for option in optionsOf(self.makers)
        }

    def test_choosersAreCalledAsTheirMakers(self) -> None:
        """
        What chooses a maker is the option with its name, if it brings one.
        """
        self.assertEqual(list(choosers(self.makers)), ["file", "flag"])

    def test_othersRequireTheChooser(self) -> None:
        """
        The options of a maker require the one that chooses it, if one does.
        """
        self.assertEqual(
            {option.name: option.requires for option in optionsOf(self.makers)},
            {"file": None, "flag": None, "flag-depth": "flag", "other": None},
        )

    def test_belongToAGroup(self) -> None:
        """
        Options that name no group of the help are in the given one.
        """
        own = Option("own", text("a path"), None, "", group="Mine")
        makers = {"x": QueueMaker("x", "", "nowhere", own), **self.makers}
        groups = {option.name: option.group for option in optionsOf(makers, "Theirs")}
        self.assertEqual(groups.pop("own"), "Mine")
        self.assertEqual(set(groups.values()), {"Theirs"})

    def test_chosenByOptionOrName(self) -> None:
        """
        The maker whose own option is given is chosen, else the one that is named.
        """
        for options, name in (
            ({}, "json"),
            ({"other": "there"}, "json"),
            ({"file": "x"}, "file"),
            ({"file": ""}, "file"),
            ({"flag": True}, "flag"),
        ):
            maker = chosen(self.makers, self.options | options, "json")
            self.assertIs(maker, self.makers[name])
        self.assertIs(chosen(self.makers, self.options, "old"), self.makers["old"])


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
