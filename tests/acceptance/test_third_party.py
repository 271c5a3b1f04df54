"""
A package of somebody else's, built as a wheel: C{twistd consumer} takes the handler and
the protocol that it brings, with their options.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

TWISTD = Path(sys.executable).with_name("twistd")
CHECKOUT = Path(__file__).parents[2]

PLUGINS = """
from myconsumer.command.option import countOption, later, text

from myconsumer.makers import HandlerMaker, Option, QueueMaker

shout = HandlerMaker(
    "shout",
    "writes payloads in capitals",
    "acme.handler",
    Option("shout", text("the path of a file"), None, "writes payloads to this file"),
    Option("shout-end", text("a text"), "!", "what each line ends with"),
)
series = QueueMaker(
    "series",
    "a series of tasks",
    "acme.queue",
    countOption("series-length", 1, 3, "how many tasks there are"),
)
"""

HANDLER = """
from twisted.application.service import Service
from zope.interface import implementer

from myconsumer.interfaces import ITaskHandler


@implementer(ITaskHandler)
class Shouting(Service):
    def __init__(self, path, end):
        self.path, self.end = path, end

    def startService(self):
        super().startService()
        self.file = open(self.path, "a")

    def stopService(self):
        super().stopService()
        self.file.write("stopped\\n")
        self.file.close()

    def handle(self, task):
        self.file.write(task.payload.upper() + self.end + "\\n")


def makeHandler(reactor, options):
    return Shouting(options["shout"], options["shout-end"])
"""

QUEUE = """
from twisted.application.service import Service
from twisted.internet.defer import succeed
from zope.interface import implementer

from myconsumer.interfaces import ITaskQueue
from myconsumer.task import Claimed, Task


@implementer(ITaskQueue)
class Series(Service):
    def __init__(self, length):
        self.left = length

    def claim(self, claim, limit, wait, lease):
        assert self.running
        count = min(limit, self.left)
        self.left -= count
        return succeed(Claimed([
            Task(f"{claim}-{number}", f"task {number}", receipt=f"{claim}-{number}")
            for number in range(count)
        ]))

    def settle(self, settlements, deadline):
        assert self.running
        return succeed([])

    def cancelClaim(self, claim):
        return succeed(True)

    def close(self):
        return succeed(None)


def makeQueue(reactor, options):
    return Series(options["series-length"])
"""

NAME = "acme_consumer-1.0"
METADATA = "Metadata-Version: 2.1\nName: acme-consumer\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Build the wheel, and install it into a folder.
    """
    folder = tmp_path_factory.mktemp("acme")
    wheel = folder / f"{NAME}-py3-none-any.whl"
    files = {
        "acme/__init__.py": "",
        "acme/handler.py": HANDLER,
        "acme/queue.py": QUEUE,
        "myconsumer/plugins/acme.py": PLUGINS,
        f"{NAME}.dist-info/METADATA": METADATA,
        f"{NAME}.dist-info/WHEEL": WHEEL,
    }
    record = f"{NAME}.dist-info/RECORD"
    with ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(record, "".join(f"{name},,\n" for name in (*files, record)))
    if find_spec("pip") is None:
        # that is what it takes to install a wheel without scripts
        with ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
    else:
        words = ["install", "--quiet", "--no-index", "--no-deps", "--target"]
        pip = [sys.executable, "-m", "pip", *words, folder / "site", wheel]
        subprocess.run(pip, check=True)
    return folder / "site"


def consumer(
    folder: Path, installed: Path, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """
    Run C{twistd consumer} until it ends.
    """
    path = os.pathsep.join([str(CHECKOUT), str(installed)])
    return subprocess.run(
        [TWISTD, "-n", "--pidfile=", "consumer", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **variables},
        timeout=60,
        check=False,
    )


BASE = ["--url=http://127.0.0.1:1/", "--limit=2"]
SERIES = [*BASE, "--protocol=series", "--until-empty"]


def test_helpListsThem(tmp_path: Path, installed: Path) -> None:
    """
    The help has the options that the package brings, with their defaults.
    """
    text = " ".join(consumer(tmp_path, installed, "--help").stdout.split())
    for said in (
        "--shout VALUE writes payloads to this file",
        "--shout-end VALUE what each line ends with [default: !]",
        "--series-length N how many tasks there are [default: 3]",
        "the protocol of the endpoint: json, plain, series",
    ):
        assert said in text


def test_runsBoth(tmp_path: Path, installed: Path) -> None:
    """
    The handler gets the tasks of the protocol, and both are started and stopped as the
    services that they are.
    """
    ended = consumer(tmp_path, installed, *SERIES, "--shout=out")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = (tmp_path / "out").read_text().splitlines()
    assert sorted(lines) == ["TASK 0!", "TASK 0!", "TASK 1!", "stopped"]
    assert lines[-1] == "stopped"


def test_takesVariablesAndFile(tmp_path: Path, installed: Path) -> None:
    """
    Options of the package may be given by the environment and the file, too.
    """
    (tmp_path / "ours.toml").write_text('shout = "out"\nseries-length = 1\n')
    words = [*SERIES, "--config=ours.toml"]
    ended = consumer(tmp_path, installed, *words, CONSUMER_SHOUT_END="?")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "out").read_text().splitlines() == ["TASK 0?", "stopped"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (BASE, "one of --python, --exec, --forward and --shout is needed"),
        ([*BASE, "--shout=x", "--exec=cat"], "--exec and --shout exclude each other"),
        (
            [*BASE, "--exec=cat", "--shout-end=."],
            "--shout-end goes with --shout",
        ),
        ([*SERIES, "--shout=x", "--series-length=0"], "a whole number from 1 to"),
        (
            [*BASE, "--shout=x", "--series-length=1"],
            "--series-length goes with --protocol series, which is not given",
        ),
    ],
)
def test_refusesWrongOptions(
    tmp_path: Path, installed: Path, words: list[str], said: str
) -> None:
    """
    What is wrong with the options of the package is one line, as with those of ours.
    """
    ended = consumer(tmp_path, installed, *words)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("consumer: ")
    assert said in line


def test_refusesTwoOptionsOfOneName(tmp_path: Path, installed: Path) -> None:
    """
    Where two packages bring an option of one name, the one line says so.
    """
    plugins = tmp_path / "myconsumer" / "plugins"
    plugins.mkdir(parents=True)
    plugin = PLUGINS.replace('"shout"', '"cry"').replace('"series"', '"row"')
    (plugins / "other.py").write_text(plugin)
    path = os.pathsep.join([str(installed), str(tmp_path)])
    ended = consumer(tmp_path, Path(path), *SERIES, "--shout=out")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "2 options are called --series-length" in line
