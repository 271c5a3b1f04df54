"""
The package as its users import it.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import myconsumer

#: Imports C{myconsumer} and prints which of the modules that it must leave alone
#: it has brought.
IMPORT = """
import sys, myconsumer
print(*(name for name in ("twisted.internet.reactor", "treq") if name in sys.modules))
"""


class PackageTests(SynchronousTestCase):
    """
    L{myconsumer} itself.
    """

    def test_exportsNames(self) -> None:
        """
        The package exports these names, and no others.
        """
        self.assertEqual(
            " ".join(sorted(myconsumer.__all__)),
            "AlreadyRunningError ConsumerService Ending IConsumerObserver IRunningTask "
            "ITaskConsumer ITaskHandler ITaskQueue ITaskSource NotRunningError "
            "Observer ParallelLimitedTaskConsumer PollingTaskSource Reject Release "
            "Request Task TaskFailedError",
        )
        for name in myconsumer.__all__:
            self.assertEqual(getattr(myconsumer, name).__name__, name)

    def test_importsLittle(self) -> None:
        """
        Importing the package installs no reactor, so that the program can choose one,
        and does not load treq, which not every use needs.
        """
        result = subprocess.run(
            [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
        )
        self.assertEqual((result.stdout, result.stderr), ("\n", ""))
