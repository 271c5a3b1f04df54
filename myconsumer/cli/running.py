"""
How a command runs: its output, its lines on standard error, the signals, and the exit
status.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from myconsumer.command.daemon import steadyClock
from myconsumer.errors import QueueError
from myconsumer.text import oneLine

#: A process that is ended by a signal has this and its number as its status.
_SIGNALLED = 128


class CommandError(Exception):
    """
    A command has failed.  The text is one line that says why.
    """


class Command(Protocol):
    """
    The coroutine function that a command runs.
    """

    def __call__(
        self, reactor: Any, *, write: Callable[[str], object]
    ) -> Coroutine[Deferred[Any], Any, int]:
        """
        Run the command.

        @param reactor: The reactor.
        @param write: Writes a line to standard output; the line's end is added.

        @return: The exit status.
        """


def run(name: str, command: Command) -> NoReturn:
    """
    Run the reactor for as long as a command takes.

    @param name: The command's name, with which each line on standard error begins.
    @param command: The command.  Its L{CommandError} and L{QueueError} become one
        line on standard error; when a signal comes it is cancelled.

    @raise SystemExit: Always, with the exit status.
    """
    running = Running(name)
    threshold = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    observer = FilteringLogObserver(LineObserver(running.complain), [threshold])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    with suppress(KeyboardInterrupt):
        # before the reactor runs it is Python's own handler that takes the signal
        react(running.start, [command])
    sys.exit(_SIGNALLED + signal.SIGINT)


def nobodyReads() -> int:
    """
    Called when standard output is a pipe and its reader has closed it.

    @return: The exit status: that of a process which SIGPIPE has ended.
    """
    # else the interpreter complains at its end that it cannot flush
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _SIGNALLED + signal.SIGPIPE


@implementer(ILogObserver)
class LineObserver:
    """
    Makes a line of each event of the log, with the traceback of its failure if it has
    one.
    """

    def __init__(self, complain: Callable[[str], object]) -> None:
        """
        @param complain: Called with the text.
        """
        self._complain = complain

    def __call__(self, event: LogEvent) -> None:
        """
        See C{ILogObserver.__call__}.
        """
        text = oneLine(formatEvent(event))
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}\n{failure.getTraceback()}"
        self._complain(text)


class Running:
    """
    A running command.
    """

    _log = Logger()

    def __init__(self, name: str) -> None:
        """
        @param name: What each line on standard error begins with.
        """
        self._name = name
        self._signal = 0

    def start(self, reactor: Any, command: Command) -> Deferred[None]:
        """
        Start the command; called by C{react}.

        @return: Fails with C{SystemExit}, which holds the exit status.
        """
        steadyClock(reactor)
        ended = Deferred.fromCoroutine(command(reactor, write=self._write))
        reactor.callWhenRunning(self._handleSignals, reactor, ended)
        return ended.addBoth(self._ended)

    def complain(self, text: str) -> None:
        """
        Write a line to standard error, above the progress bar if there is one.

        @param text: The line.
        """
        from tqdm import tqdm

        # standard error may be closed
        with suppress(OSError):
            tqdm.write(f"{self._name}: {text}", file=sys.stderr)

    def _write(self, line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = f"standard output cannot be written: {error.strerror}"
            raise CommandError(reason) from None

    def _handleSignals(self, reactor: Any, ended: Deferred[Any]) -> None:
        def received(number: int, frame: FrameType | None) -> None:
            self._signal = number
            # should it take too long, the next one ends the process
            signal.signal(number, signal.SIG_DFL)
            reactor.callFromThread(ended.cancel)

        for number in (signal.SIGINT, signal.SIGTERM):
            # the reactor's is not there where the signal is to be ignored
            if callable(signal.getsignal(number)):
                signal.signal(number, received)

    def _ended(self, result: int | Failure) -> Failure:
        status = self._failed(result) if isinstance(result, Failure) else result
        return Failure(SystemExit(status))

    def _failed(self, failure: Failure) -> int:
        error = failure.value
        if isinstance(error, BrokenPipeError):
            return nobodyReads()
        if isinstance(error, CommandError | QueueError):
            self.complain(oneLine(str(error)))
        elif isinstance(error, KeyboardInterrupt):
            self._signal = signal.SIGINT
        elif not (self._signal and isinstance(error, CancelledError)):
            self._log.failure("this is a mistake in myconsumer", failure)
        return _SIGNALLED + self._signal if self._signal else 1
