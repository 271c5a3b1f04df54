"""
The plugin by which C{twistd} knows of the commands.
"""

from __future__ import annotations

import json
import subprocess
import sys

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from myconsumer import tap
from myconsumer.taskqueue import tap as taskqueue


class PluginTests(SynchronousTestCase):
    """
    C{twisted/plugins/myconsumer_plugin.py}.
    """

    def test_twistdFindsTheCommands(self) -> None:
        """
        C{twistd} finds one command of each name, and its parts.
        """
        for name, module in (("consumer", tap), ("taskqueue", taskqueue)):
            [maker] = [m for m in getPlugins(IServiceMaker) if m.tapname == name]
            verifyObject(IServiceMaker, maker)
            verifyObject(IPlugin, maker)
            self.assertIs(maker.options, module.Options)
            self.assertIs(maker.makeService, module.makeService)

    def test_importsNothing(self) -> None:
        """
        The plugin's module imports nothing of this package, and no reactor: every
        C{twistd} on a machine imports it, before a reactor is chosen.
        """
        script = (
            "import json, sys; from twisted.plugins import myconsumer_plugin;"
            "print(json.dumps(list(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=True, timeout=30
        )
        modules = json.loads(ended.stdout)
        self.assertIn("twisted.plugins.myconsumer_plugin", modules)
        for module in modules:
            self.assertFalse(module.startswith("myconsumer"), module)
            self.assertFalse(module == "twisted.internet.reactor")

    def test_importsNoReactor(self) -> None:
        """
        No module of the commands imports a reactor, which whoever runs it chooses.
        """
        script = (
            "import sys, myconsumer.tap, myconsumer.taskqueue.tap;"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=True,
            timeout=30,
            text=True,
        )
        self.assertEqual(ended.stdout, "False\n")
