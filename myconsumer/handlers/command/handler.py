"""
Runs a command for each task.

Promise 9: no secret of the consumer's is in a command's environment.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.errors import NotBegunError, Reject, Release, TaskFailedError
from myconsumer.handlers.command.child import Child
from myconsumer.handlers.command.output import Output
from myconsumer.handlers.command.programs import findProgram
from myconsumer.handlers.lines import Outlet
from myconsumer.interfaces import IRunningTask, ITaskHandler
from myconsumer.jsontext import encoded

#: The exit status that releases a task: the C{EX_TEMPFAIL} of C{sysexits.h}.
RELEASE = os.EX_TEMPFAIL

#: The exit status that rejects a task: the C{EX_DATAERR} of C{sysexits.h}.
REJECT = os.EX_DATAERR

#: The variables that every command gets, where they are set.
USUAL_VARIABLES = ("PATH", "HOME", "LANG", "TZ")

#: The exit statuses of C{setsid} where it could not start the command.
NOT_STARTED = (126, 127)

#: The most characters of an id that fits into an environment variable for sure.
SHORT_ID = 1000

#: When stopping, the seconds that killed commands get to be gone.
KILL_GRACE = 2.0


def makeHandler(reactor: Any, options: Mapping[str, Any]) -> CommandHandler:
    """
    See L{ITaskHandlerMaker.makeHandler
    <myconsumer.interfaces.ITaskHandlerMaker.makeHandler>}.
    """
    words = options["exec"]
    if not words:
        raise ValueError("--exec takes a command, and nothing was given")
    if any("\0" in word for word in words):
        raise ValueError("--exec takes a command, in which no NUL character can be")
    try:
        program = findProgram(words[0])
    except ValueError as error:
        raise ValueError(f"--exec cannot start its command: {error}") from None
    try:
        setsid = findProgram("setsid")
    except ValueError as error:
        raise ValueError(f"--exec needs setsid, of util-linux: {error}") from None
    names = options["exec-env"] or []
    for name in names:
        if name.startswith("CONSUMER_"):
            raise ValueError(
                f"--exec-env does not take {name}: a command gets none of our options"
            )
    return CommandHandler(
        reactor,
        [setsid, program, *words[1:]],
        os.environ,
        names,
        options["kill-after"],
        options.get("exec-output", "log") == "discard",
    )


@implementer(ITaskHandler)
class CommandHandler(Service):
    """
    Runs a command for each task, in a session of its own, without a shell.  The payload
    is on the command's standard input, C{TASK_ID} and C{TASK_ATTEMPT} are in its
    environment.  Stopping the handler kills all commands that still run.
    """

    descriptorsEach = 2

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        words: Sequence[str],
        environ: Mapping[str, str],
        names: Iterable[str] = (),
        killAfter: float = 5.0,
        isSilent: bool = False,
    ) -> None:
        """
        @param reactor: What runs processes and keeps the time.
        @param words: The paths of C{setsid} and of the command, and its arguments.
        @param environ: Where commands get their variables from.
        @param names: The variables that commands get, beside C{USUAL_VARIABLES}.
        @param killAfter: The seconds between SIGTERM and SIGKILL for the command of a
            cancelled task.
        @param isSilent: Whether nothing of what commands write is logged.
        """
        self._reactor = reactor
        self._words = list(words)
        self._environment = {
            name: environ[name]
            for name in (*USUAL_VARIABLES, *names)
            if name in environ
        }
        self._missing = [name for name in names if name not in environ]
        self._killAfter = killAfter
        self._outlet = Outlet(reactor, isSilent)
        self._running: set[Child] = set()

    def startService(self) -> None:
        """
        Warn of variables that are not set.
        """
        super().startService()
        if self._missing:
            self._log.warn(
                "Commands run without {names}, which --exec-env names: not set",
                names=", ".join(self._missing),
            )

    def stopService(self) -> Deferred[None]:
        """
        Kill what still runs.

        @return: Fires once nothing runs any more.
        """
        super().stopService()
        for child in list(self._running):
            child.kill()
        gone: Deferred[Any] = Deferred()
        DeferredList([child.whenOver() for child in self._running]).chainDeferred(gone)
        gone.addTimeout(KILL_GRACE, self._reactor)
        gone.addCallbacks(lambda _: None, self._someAreLeft)
        return gone.addCallback(lambda _: self._outlet.countOmitted())

    def handle(self, task: IRunningTask) -> Deferred[Any]:
        """
        See L{ITaskHandler.handle}.  Cancelling the C{Deferred} sends SIGTERM and, in
        time, SIGKILL; it fires once the command has ended, all the same.
        """
        output = Output(task.id, self._outlet, b"setsid: ")
        child = Child(self._reactor, output, self._killAfter)
        environment = {
            **self._environment,
            "TASK_ID": str(task.id),
            "TASK_ATTEMPT": str(task.attempt),
        }
        try:
            child.spawn(self._words, environment, encoded(task.payload))
        except OSError as error:
            raise notStarted(error, task.id) from None
        except ValueError:
            raise Reject("its id cannot be put in an environment variable") from None
        self._running.add(child)
        over = child.whenOver()
        over.addCallback(lambda _: outcome(child, output, self._words[1]))
        over.addBoth(self._ended, child)
        return over

    def _ended(self, result: Any, child: Child) -> Any:
        self._running.discard(child)
        return result

    def _someAreLeft(self, reason: Failure) -> None:
        self._log.warn(
            "{count} commands do not end although they were killed",
            count=len(self._running),
        )


def notStarted(error: OSError, id: str | int) -> Exception:
    """
    Find out whether a task is to blame for that its command could not be started.

    @param error: The system's error.
    @param id: The task's id.

    @return: What to raise.
    """
    if error.errno == errno.E2BIG and len(str(id)) > SHORT_ID:
        return Reject("its id is too long for an environment variable")
    return NotBegunError(f"the command cannot be started: {error.strerror}")


def outcome(child: Child, output: Output, program: str) -> Any:
    """
    Find the outcome of a task whose command is over.

    @param program: The path of the command.

    @return: The result.

    @raise CancelledError: The command was cancelled, however it then ended.
    @raise Release: Its exit status was C{RELEASE}.
    @raise Reject: Its exit status was C{REJECT}.
    @raise NotBegunError: It was not there, or the system did not start it.
    @raise TaskFailedError: It ended with another status, or by a signal.
    """
    if child.wasStopped:
        output.end(succeeded=False)
        raise CancelledError
    complaint = output.complaint
    # a command of its own that it did not find would have another name
    if child.status in NOT_STARTED and complaint and program in complaint:
        raise NotBegunError(f"the command cannot be started: {complaint}")
    result = output.end(succeeded=child.status == 0)
    if child.status == 0:
        return result
    message = output.explain(_describe(child.status))
    if child.status == RELEASE:
        raise Release(message)
    if child.status == REJECT:
        raise Reject(message)
    raise TaskFailedError(message)


def _describe(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
