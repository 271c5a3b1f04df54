"""
Runs an application in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

TWISTD = Path(sys.executable).with_name("twistd")
CHECKOUT = Path(__file__).parents[2]

SERVICE = """
    import atexit, os, signal
    from functools import partial
    from twisted.application.service import Application, Service
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from myconsumer.command.daemon import ExitStatus
    from myconsumer.command.signals import handleSignals

    def kill(name):
        os.kill(os.getpid(), getattr(signal, name))

    class Slow(Service):
        # ends its stop only when it is told to stop so many times
        enough = 1
        stops = 0

        def stopService(self):
            self.stops += 1
            print("stop", self.stops)
            if self.stops == 1:
                self.stopped = Deferred()
            if self.stops == self.enough:
                self.stopped.callback(None)
            elif self.stops < len(self.signals):
                reactor.callLater(0, kill, self.signals[self.stops])
            return self.stopped

        def run(self, *signals):
            self.signals = signals
            handleSignals(self, reactor)
            reactor.callWhenRunning(reactor.callLater, 0, kill, signals[0])

    slow = Slow()
    application = Application("slow")
    slow.setServiceParent(application)
    end = partial(ExitStatus().end, reactor)
    atexit.register(os.write, 1, b"atexit\\n")
"""


class ProcessCase(SynchronousTestCase):
    """
    Runs applications that signal or end themselves.
    """

    def run_(self, script: str, *options: str) -> tuple[int, str]:
        """
        Run an application with C{twistd -n}.

        @return: Its exit status and all that it wrote.
        """
        with TemporaryDirectory() as folder:
            tac = Path(folder) / "slow.tac"
            tac.write_text(dedent(SERVICE) + dedent(script))
            ended = subprocess.run(
                [TWISTD, "-n", *options, "-y", tac],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
                text=True,
                timeout=30,
                check=False,
            )
            self.assertNotIn("Traceback", ended.stdout)
            self.assertNotIn("ReactorNotRunning", ended.stdout)
            left = sorted(path.name for path in Path(folder).iterdir())
            if ended.returncode >= 0:
                self.assertEqual(left, ["slow.tac"])
        return ended.returncode, ended.stdout
