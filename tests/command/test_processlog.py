"""
The log of a process of our own, in C{twistd} processes and beside C{twistd}'s own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

TWISTD = Path(sys.executable).with_name("twistd")
CHECKOUT = Path(__file__).parents[2]

USUAL = ("--url=http://127.0.0.1:1/", "--limit=1", "--python=app.work")

#: Logs at three levels, and ends.
WORK = """
import os
from twisted.internet import reactor
from twisted.logger import Logger

def work(task):
    pass

log = Logger(namespace="app")
def begin():
    umask = os.umask(0)
    os.umask(umask)
    log.debug("a debug line")
    log.info("an info line, umask {umask:o}", umask=umask)
    log.error("an error line", object=log)
    reactor.callLater(0, reactor.stop)

reactor.callWhenRunning(begin)
"""


class ProcessLogTests(SynchronousTestCase):
    """
    L{ProcessLog<myconsumer.command.processlog.ProcessLog>}.
    """

    def setUp(self) -> None:
        self.directory = Path(mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        (self.directory / "app.py").write_text(WORK)

    def run_(self, twistd: str, *words: str) -> tuple[int, str]:
        """
        Run a consumer until it has logged.

        @return: Its exit status and all that it has written.
        """
        ended = subprocess.run(
            [TWISTD, *twistd.split(), "--pidfile=", "consumer", *USUAL, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.directory,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            text=True,
            timeout=30,
            check=False,
            umask=0o022,
        )
        return ended.returncode, ended.stdout

    def test_levelAndFormat(self) -> None:
        """
        The log has what is of the wanted level, and of none below, in the wanted
        format.
        """
        said = self.run_("-n", "--log-level=error")[1]
        [line] = said.splitlines()
        self.assertTrue(line.endswith(" [app#error] an error line"), line)
        said = self.run_("-n", "--log-format=json", "--log-level=debug")[1]
        lines = [json.loads(line) for line in said.splitlines()]
        [line] = [each for each in lines if each["level"] == "error"]
        self.assertEqual((line["logger"], line["message"]), ("app", "an error line"))
        self.assertIn("a debug line", [each["message"] for each in lines])

    def test_file(self) -> None:
        """
        The log of --logfile has permissions less those of the umask, and nothing goes
        to standard output.
        """
        for twistd, mode in (
            ("-n --logfile=a.log", 0o640),
            ("-n --logfile=b.log --umask=077", 0o600),
            ("-n --logfile=c.log --umask=0", 0o640),
        ):
            status, said = self.run_(twistd)
            self.assertEqual((status, said), (0, ""))
            path = self.directory / twistd.split("=")[1].split()[0]
            self.assertEqual(path.stat().st_mode & 0o777, mode, twistd)
            self.assertIn("[app#info] an info line", path.read_text())

    def test_standardOutputIsClosed(self) -> None:
        """
        Where standard output was closed before the start nothing is logged, and the
        consumer runs as ever.
        """
        command = f'exec "{TWISTD}" -n --pidfile= consumer {" ".join(USUAL)} >&-'
        ended = subprocess.run(
            ["sh", "-c", command],
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            timeout=30,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, b""))

    def test_refusesAFile(self) -> None:
        """
        A log file that cannot be opened is refused in one line, with status 1.
        """
        status, said = self.run_("-n --logfile=none/a.log")
        self.assertEqual(status, 1)
        [line] = said.splitlines()
        self.assertRegex(
            line, "^consumer: the log file '.*none/a.log' cannot be opened"
        )

    def test_leavesTheLoggerOfTwistd(self) -> None:
        """
        With --logger of twistd that one stays in use, and a line names the options
        without effect, if they are given.
        """
        (self.directory / "mine.py").write_text(
            "from twisted.logger import ILogObserver, formatEvent\n"
            "from zope.interface import provider\n"
            "import sys\n"
            "out = sys.stdout\n"
            "@provider(ILogObserver)\n"
            "def observe(event):\n"
            "    print('mine:', formatEvent(event), file=out)\n"
            "def make():\n"
            "    return observe\n"
        )
        said = self.run_("-n --logger=mine.make")[1]
        self.assertIn("mine: an error line", said)
        self.assertNotIn("no effect", said)
        said = self.run_("-n --logger=mine.make", "--log-format=json")[1]
        self.assertIn("mine: --log-format have no effect beside --logger", said)
