"""
What the worker processes of the tests do.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from myconsumer import Reject, Release
from myconsumer.errors import TaskFailedError
from myconsumer.handlers.blocking import BlockingTask

_nextTask = threading.Event()
_logged = threading.Event()


def work(task: BlockingTask) -> Any:
    """
    Do what the payload names first, with what follows.
    """
    name, *arguments = task.payload
    return _DEEDS[name](task, *arguments)


async def coroutine(task: BlockingTask) -> None:
    """
    Do nothing.
    """


def _describe(task: BlockingTask) -> list[Any]:
    names = ["id", "attempt", "receipt", "lease", "enqueued", "deadline", "cancelled"]
    return [getattr(task, name) for name in names]


def _raise(task: BlockingTask, kind: str) -> None:
    errors = {
        "release": Release("later", delay=7),
        "reject": Reject("never"),
        "failed": TaskFailedError("foreseen", delay=3),
        "bug": ZeroDivisionError("one too many"),
        "unspeakable": ValueError("no text: \udcff"),
    }
    raise errors[kind]


def _kill(task: BlockingTask, number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def _log(task: BlockingTask) -> None:
    logger = logging.getLogger("app.mail")
    logger.info("below the level")
    logger.warning("not sent:\n%s", "\x1b[1m")
    thread = threading.Thread(target=logger.error, args=("in a thread",))
    thread.start()
    thread.join()
    logger.warning("%d", "no number")


def _logALot(task: BlockingTask, length: int) -> str:
    for number in range(20_000):
        logging.warning("%d %s", number, "x" * length)
    return "x" * 200_000


def _logOddly(task: BlockingTask) -> None:
    """
    Log records that no message can hold as they are.
    """
    for changes in (
        {"name": "half \ud800"},
        {"levelno": 10**30},
        {"msg": "half \udfff"},
        {"name": None},
    ):
        odd = {"name": "odd", "levelno": logging.WARNING, "msg": "odd"} | changes
        logging.getLogger().handle(logging.makeLogRecord(odd))


def _logInFork(task: BlockingTask) -> int:
    logging.warning("before the fork")
    child = os.fork()
    if not child:
        logging.warning("in a fork")
        logging.shutdown()
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _logBehind(task: BlockingTask) -> None:
    """
    Leave a thread behind that logs once the next task has begun.
    """

    def log() -> None:
        _nextTask.wait()
        logging.warning("left behind")
        _logged.set()

    threading.Thread(target=log, daemon=True).start()


def _logAfter(task: BlockingTask) -> None:
    _nextTask.set()
    _logged.wait()
    logging.warning("of this task")


class _Endless:
    def __str__(self) -> str:
        print("formatting")
        time.sleep(600)
        return ""


def _logEndlessly(task: BlockingTask) -> None:
    """
    Log by a signal's handler and in C{finally}, while a thread formats for ever.
    """
    logging.warning("before")
    thread = threading.Thread(target=logging.error, args=("%s", _Endless()))
    thread.daemon = True
    thread.start()
    signal.signal(signal.SIGALRM, lambda *_: logging.warning("in a handler"))
    try:
        signal.raise_signal(signal.SIGALRM)
        time.sleep(600)
    finally:
        logging.warning("at the end")


def _print(task: BlockingTask) -> None:
    print("to standard output \x1b[1m")
    print("to standard error", file=sys.stderr)
    os.write(1, b"past Python\n")
    sys.stdout.write("no end of line")


def _ignoreTerm(task: BlockingTask) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ignoring")
    time.sleep(60)


def _leaveChild(task: BlockingTask, seconds: int) -> None:
    subprocess.Popen(["sleep", str(seconds)])
    os._exit(4)


def _descriptorsOfChild(task: BlockingTask) -> list[str]:
    command = ["ls", "/proc/self/fd"]
    listed = subprocess.run(command, close_fds=False, capture_output=True, check=True)
    return listed.stdout.decode().split()


def _writeRubbish(task: BlockingTask) -> None:
    os.write(4, b"rubbish\n")
    time.sleep(60)


def _startChild(task: BlockingTask) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        print(child.pid)


def _startStubbornChild(task: BlockingTask) -> None:
    script = "trap : TERM; echo $$; while :; do sleep 0.1; done"
    subprocess.run(["sh", "-c", script], check=True)


def _forkedChildReturns(task: BlockingTask, path: str) -> str:
    """
    Return twice: here at once, and in a copy of this process as soon as the next task
    has begun.
    """
    if os.fork():
        return "ours"
    while not os.path.exists(path):
        time.sleep(0.01)
    return "the copy's"


def _untilCopyEnds(task: BlockingTask, path: str) -> int:
    """
    Wait for the copy that the task before this one has made, and give its status.
    """
    open(path, "w").close()
    return os.waitstatus_to_exitcode(os.wait()[1])


def _cleanUp(task: BlockingTask, answer: bool) -> str:
    atexit.register(print, "at exit")
    try:
        print("working")
        time.sleep(60)
    except BaseException as error:
        print("finally", type(error).__name__)
        if not answer:
            raise
    return "cleaned up"


_DEEDS: dict[str, Callable[..., Any]] = {
    "return": lambda task, value: value,
    "describe": _describe,
    "pid": lambda task: os.getpid(),
    "sleep": lambda task, seconds: time.sleep(seconds),
    "raise": _raise,
    "exit": lambda task, status: sys.exit(status),
    "die": lambda task, status: os._exit(status),
    "kill": _kill,
    "object": lambda task: object(),
    "length": lambda task, text: len(text),
    "repeat": lambda task, text, times: text * times,
    "print": _print,
    "log": _log,
    "logALot": _logALot,
    "logInFork": _logInFork,
    "logOddly": _logOddly,
    "logBehind": _logBehind,
    "logAfter": _logAfter,
    "logEndlessly": _logEndlessly,
    "read": lambda task: sys.stdin.read(),
    "environment": lambda task: dict(os.environ),
    "arguments": lambda task: list(sys.orig_argv),
    "interrupt": lambda task: os.kill(os.getpid(), signal.SIGINT),
    "extend": lambda task, seconds: task.extend(seconds),
    "ignoreTerm": _ignoreTerm,
    "leaveChild": _leaveChild,
    "startChild": _startChild,
    "startStubbornChild": _startStubbornChild,
    "forkedChildReturns": _forkedChildReturns,
    "untilCopyEnds": _untilCopyEnds,
    "cleanUp": _cleanUp,
    "session": lambda task: os.getsid(0),
    "module": lambda task, name: ascii(import_module(name).__file__),
    "codePoint": lambda task, text: ord(text),
    "descriptorsOfChild": _descriptorsOfChild,
    "writeRubbish": _writeRubbish,
    "closeAll": lambda task: os.closerange(3, 16),
    "coroutine": lambda task: coroutine(task),
}
