"""
A real C{twistd consumer} that is told something wrong: it says so in one line on
standard error, and its exit status is 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TWISTD = Path(sys.executable).with_name("twistd")
CHECKOUT = Path(__file__).parents[2]

USUAL = {"url": "http://127.0.0.1:1/", "limit": "4", "python": "os.getcwd"}

# the option, its value (none: it is left out), and what the line says
BAD = [
    ("limit", "0", ["--limit", "whole number from 1", "'0'"]),
    ("limit", "x", ["--limit", "whole number from 1", "'x'"]),
    ("limit", "1.5", ["--limit", "whole number from 1", "'1.5'"]),
    ("limit", None, ["--limit is needed", "whole number from 1"]),
    ("wait", "-1", ["--wait", "number of seconds from 0", "'-1'"]),
    ("wait", "nan", ["--wait", "number of seconds from 0", "'nan'"]),
    ("lease", "0", ["--lease", "number of seconds above 0", "'0'"]),
    ("retries", "3", ["--retries"]),
    ("protocol", "carrier-pigeon", ["--protocol", "'carrier-pigeon'", "json", "plain"]),
    ("url", "localhost", ["--url", "http://", "'localhost'"]),
    ("url", "http://me:secret@127.0.0.1:1/", ["--url", "password", "--token-file"]),
    ("url", None, ["--url is needed", "http://"]),
    ("python", "os.no_such", ["--python", "'os.no_such'", "callable"]),
    ("python", "no_such.work", ["--python", "'no_such.work'", "callable"]),
    ("python", "os.sep", ["--python", "'os.sep'", "not callable"]),
    ("python", None, ["one of --python, --exec and --forward is needed"]),
    ("exec", "cat", ["--python and --exec exclude each other"]),
    ("forward", "http://127.0.0.1:2/", ["--python and --forward exclude each other"]),
    ("run-in", "x", ["--run-in", "reactor, thread or process", "'x'"]),
    ("exec-env", "HOME", ["--exec-env goes with --exec"]),
    ("kill-after", "1", ["--kill-after goes with --exec"]),
    ("forward-wait-for", "http://127.0.0.1:2/", ["goes with --forward"]),
    ("rate", "0/s", ["--rate", "5/s, 90/m or 1000/h", "'0/s'"]),
    ("rate", "5", ["--rate", "5/s, 90/m or 1000/h", "'5'"]),
    ("rate", "5/d", ["--rate", "5/s, 90/m or 1000/h", "'5/d'"]),
    ("rate", "-1/s", ["--rate", "5/s, 90/m or 1000/h", "'-1/s'"]),
    ("token-file", "./no-such", ["--token-file", "'./no-such'", "No such file"]),
    ("config", "no-such", ["--config", "'no-such'", "No such file"]),
    ("local", "x", ["--url and --local exclude each other"]),
    ("listen", "tcp:0:interface=127.0.0.1", ["--listen goes with --local"]),
    ("keep", "7d", ["--keep goes with --local"]),
    ("sync", "full", ["--sync goes with --local"]),
]

# options in the place of --url, and what the line says
BAD_WITH_LOCAL: list[tuple[dict[str, str | None], list[str]]] = [
    ({"local": "."}, ["--local", "'.'", "no regular file"]),
    ({"local": "no/such"}, ["--local", "'no/such'", "no such directory"]),
    ({"protocol": "json"}, ["--protocol goes with --url"]),
    ({"limit": None}, ["--limit is needed"]),
    ({"python": None}, ["one of --python, --exec and --forward is needed"]),
    ({"listen": "tcp"}, ["--listen", "'tcp'", "tcp:8321:interface=127.0.0.1"]),
    ({"listen": "8321"}, ["--listen", "'8321'", "server endpoint"]),
    ({"listen": "udp:1"}, ["--listen", "'udp:1'", "server endpoint"]),
    ({"listen": "tcp:x"}, ["--listen", "'tcp:x'", "server endpoint"]),
    ({"listen": "tcp:1:port=2:a=b"}, ["--listen", "server endpoint"]),
    ({"listen": ""}, ["--listen", "server endpoint"]),
    ({"keep": "7"}, ["--keep", "12h or 7d", "'7'"]),
    ({"keep": "-1d"}, ["--keep", "12h or 7d", "'-1d'"]),
    ({"keep": "400d"}, ["--keep", "12h or 7d", "'400d'", "365d"]),
    ({"sync": "off"}, ["--sync", "normal or full", "'off'"]),
    ({"token-file": "no-such"}, ["--token-file takes", "there is no such file"]),
]

# options of taskqueue, and what the line says
BAD_QUEUES: list[tuple[dict[str, str | None], list[str]]] = [
    ({"db": None}, ["--db is needed", "path of a file", "TASKQUEUE_DB"]),
    ({"db": ""}, ["--db", "path of a file"]),
    ({"db": "no/such"}, ["--db", "'no/such'", "no such directory"]),
    ({"listen": "8321"}, ["--listen", "'8321'", "server endpoint"]),
    ({"keep": "soon"}, ["--keep", "12h or 7d", "'soon'"]),
    ({"sync": "FULL"}, ["--sync", "normal or full", "'FULL'"]),
    ({"limit": "4"}, ["--limit"]),
    ({"config": "no-such"}, ["--config", "'no-such'", "No such file"]),
]

BAD_QUEUE_VARIABLES = [
    ("TASKQUEUE_DB", "no/such", ["TASKQUEUE_DB", "'no/such'", "no such directory"]),
    ("TASKQUEUE_KEEP", "7", ["TASKQUEUE_KEEP", "12h or 7d", "'7'"]),
    ("TASKQUEUE_SYNC", "off", ["TASKQUEUE_SYNC", "normal or full", "'off'"]),
]

# options in the place of --python, and what the line says
BAD_WITH_OTHER_HANDLERS: list[tuple[dict[str, str | None], list[str]]] = [
    ({"exec": "sh -c 'exit 1"}, ["--exec", "command", "No closing quotation"]),
    ({"exec": ""}, ["--exec", "command", "it is empty"]),
    ({"exec": "/no/such/program"}, ["--exec", "/no/such/program"]),
    ({"exec": "no-such-program -x"}, ["--exec", "no-such-program"]),
    ({"exec": "cat", "exec-env": "A-B"}, ["--exec-env", "names", "'A-B'"]),
    ({"exec": "cat", "exec-env": "TOKEN=secret"}, ["--exec-env", "names"]),
    ({"exec": "cat", "exec-env": "CONSUMER_URL"}, ["--exec-env", "CONSUMER_URL"]),
    ({"exec": "cat", "kill-after": "-1"}, ["--kill-after", "seconds", "'-1'"]),
    ({"exec": "cat", "run-in": "thread"}, ["--run-in goes with --python"]),
    (
        {"exec": "cat", "forward": "http://127.0.0.1:2/"},
        ["--exec and --forward exclude each other"],
    ),
    ({"forward": "localhost"}, ["--forward", "http://", "'localhost'"]),
    ({"forward": "http://me:secret@127.0.0.1:2/"}, ["--forward", "password"]),
    (
        {
            "forward": "http://127.0.0.1:2/",
            "forward-wait-for": "http://me:secret@127.0.0.1:2/",
        },
        ["--forward-wait-for", "password"],
    ),
    (
        {"python": "asyncio.sleep", "run-in": "thread"},
        ["--run-in thread", "coroutine function"],
    ),
    (
        {"python": "asyncio.sleep", "run-in": "process"},
        ["--run-in process", "coroutine function"],
    ),
]

BAD_VARIABLES = [
    ("CONSUMER_WAIT", "soon", ["CONSUMER_WAIT", "number of seconds", "'soon'"]),
    ("CONSUMER_RATE", "5", ["CONSUMER_RATE", "5/s, 90/m or 1000/h", "'5'"]),
    ("CONSUMER_EXEC", "cat", ["--python and CONSUMER_EXEC exclude each other"]),
    ("CONSUMER_KILL_AFTER", "1", ["CONSUMER_KILL_AFTER goes with --exec"]),
    ("CONSUMER_RUN_IN", "x", ["CONSUMER_RUN_IN", "reactor, thread or process", "'x'"]),
    ("CONSUMER_LOCAL", "x", ["--url and CONSUMER_LOCAL exclude each other"]),
    ("CONSUMER_LISTEN", "tcp:1", ["CONSUMER_LISTEN goes with --local"]),
    ("CONSUMER_UNTIL_EMPTY", "yes", ["CONSUMER_UNTIL_EMPTY", "true, false", "'yes'"]),
]

BAD_FILES = [
    ("limits = 4", ["'limits' in 'consumer.toml'", "limit"]),
    ('limit = "4"', ["limit in 'consumer.toml'", "whole number from 1", "'4'"]),
    ("wait = nan", ["wait in 'consumer.toml'", "number of seconds", "nan"]),
    ("rate = 5", ["rate in 'consumer.toml'", "5/s, 90/m or 1000/h", "not 5"]),
    ('local = "x"', ["--url and local in 'consumer.toml' exclude each other"]),
    ('exec = "cat"', ["--python and exec in 'consumer.toml' exclude each other"]),
    ('exec-env = "A"', ["exec-env in 'consumer.toml' goes with --exec"]),
    ("limit\n", ["--config", "'consumer.toml'", "line 1"]),
]

REFUSING = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from myconsumer.interfaces import ITaskQueueMaker

@implementer(IPlugin, ITaskQueueMaker)
class Maker:
    name = "fussy"
    description = "takes no wait"

    def makeQueue(self, reactor, options):
        raise ValueError("--wait takes 0\\nwith this protocol")

fussy = Maker()
"""


def refused(
    folder: Path,
    options: dict[str, str | None],
    environment: dict[str, str] | None = None,
    command: str = "consumer",
) -> str:
    usual = USUAL if command == "consumer" else {"db": "queue.sqlite"}
    words = [
        f"--{name}={value}"
        for name, value in (usual | options).items()
        if value is not None
    ]
    ended = subprocess.run(
        [TWISTD, "-n", command, *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
        | (environment or {}),
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines(keepends=True)
    assert line.startswith(f"{command}: ")
    assert line.endswith("\n")
    assert "secret" not in line
    assert not (folder / "twistd.pid").exists()
    assert not list(folder.glob("*.sqlite*"))
    return line


def assertSays(line: str, said: list[str]) -> None:
    for text in said:
        assert text in line


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_refusesTheCommandLine(
    tmp_path: Path, name: str, value: str | None, said: list[str]
) -> None:
    """
    A wrong or missing option on the command line is refused.
    """
    assertSays(refused(tmp_path, {name: value}), said)


@pytest.mark.parametrize(("options", "said"), BAD_WITH_OTHER_HANDLERS)
def test_refusesOtherHandlers(
    tmp_path: Path, options: dict[str, str | None], said: list[str]
) -> None:
    """
    A wrong option of another handler is refused, as is one that does not go with it.
    """
    assertSays(refused(tmp_path, {"python": None, **options}), said)


@pytest.mark.parametrize(("options", "said"), BAD_WITH_LOCAL)
def test_refusesTheLocalQueue(
    tmp_path: Path, options: dict[str, str | None], said: list[str]
) -> None:
    """
    A wrong option of the embedded queue of a consumer is refused.
    """
    local = {"url": None, "local": "queue.sqlite"}
    assertSays(refused(tmp_path, {**local, **options}), said)


@pytest.mark.parametrize(("options", "said"), BAD_QUEUES)
def test_refusesTheTaskqueue(
    tmp_path: Path, options: dict[str, str | None], said: list[str]
) -> None:
    """
    A wrong option of an embedded queue by itself is refused.
    """
    assertSays(refused(tmp_path, options, command="taskqueue"), said)


@pytest.mark.parametrize(("variable", "value", "said"), BAD_QUEUE_VARIABLES)
def test_refusesVariablesOfTheTaskqueue(
    tmp_path: Path, variable: str, value: str, said: list[str]
) -> None:
    """
    A wrong variable of an embedded queue by itself is refused.
    """
    given = {"db": None} if variable == "TASKQUEUE_DB" else {}
    line = refused(tmp_path, {**given}, {variable: value}, "taskqueue")
    assertSays(line, said)


@pytest.mark.parametrize(("variable", "value", "said"), BAD_VARIABLES)
def test_refusesVariables(
    tmp_path: Path, variable: str, value: str, said: list[str]
) -> None:
    """
    A wrong variable is refused.
    """
    assertSays(refused(tmp_path, {}, {variable: value}), said)


@pytest.mark.parametrize(("text", "said"), BAD_FILES)
def test_refusesTheFile(tmp_path: Path, text: str, said: list[str]) -> None:
    """
    A wrong key or value in the TOML file is refused.
    """
    (tmp_path / "consumer.toml").write_text(text)
    assertSays(refused(tmp_path, {"config": "consumer.toml"}), said)


def test_importsAModuleOfHere(tmp_path: Path) -> None:
    """
    A module of the current directory is found, and what is wrong with it is said.
    """
    (tmp_path / "worker.py").write_text("import no_such_module\n")
    line = refused(tmp_path, {"python": "worker.work"})
    assertSays(line, ["'worker.work'", "ModuleNotFoundError", "'no_such_module'"])


def test_protocolRefusesAnOption(tmp_path: Path) -> None:
    """
    A protocol that somebody else has added refuses an option.
    """
    plugins = tmp_path / "myconsumer" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "fussy.py").write_text(REFUSING)
    path = os.pathsep.join([str(CHECKOUT), str(tmp_path)])
    line = refused(tmp_path, {"protocol": "fussy"}, {"PYTHONPATH": path})
    assert line == "consumer: --wait takes 0 with this protocol\n"
