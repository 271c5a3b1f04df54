"""
The log of a process of our own: its format, its level, and how much of it is kept.

C{twistd} begins the log once it has made the application, with the observer that the
application brings, if it brings one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LegacyLogObserverWrapper,
    LogEvent,
    Logger,
    LogLevel,
    PredicateResult,
    formatEventAsClassicLogText,
)
from twisted.python.components import Componentized
from zope.interface import implementer

from myconsumer.command.jsonlog import asJSON
from myconsumer.command.logfile import LogFile, LogStream
from myconsumer.command.option import LOG_OPTIONS
from myconsumer.command.usage import CommandOptions

#: The permissions of a log file, less what the umask takes.
MODE = 0o640

#: The umask of a daemon, if C{twistd} is not given another.
_DAEMONS_UMASK = 0o077


@implementer(ILogObserver)
class LineObserver:
    """
    Writes each event as a line.
    """

    def __init__(self, stream: LogStream, asJSONLines: bool) -> None:
        """
        @param stream: Where the lines go.
        @param asJSONLines: Whether they are JSON, and not text as C{twistd}'s own are.
        """
        self._stream = stream
        self._format = asJSON if asJSONLines else formatEventAsClassicLogText

    def __call__(self, event: LogEvent) -> None:
        """
        Write one event.
        """
        if text := self._format(event):
            self._stream.write(text)


@implementer(ILogFilterPredicate)
class LevelFilter:
    """
    Lets events of some level pass, and those above, and those without a level.
    (Twisted's own drops what has no namespace.)
    """

    def __init__(self, level: str) -> None:
        """
        @param level: The name of the level.
        """
        self.level = level

    @property
    def level(self) -> str:
        """
        The name of the level.
        """
        return str(self._least.name)

    @level.setter
    def level(self, level: str) -> None:
        self._least = LogLevel.levelWithName(level)

    def __call__(self, event: LogEvent) -> Any:
        """
        @return: C{PredicateResult.maybe} for what passes, else C{PredicateResult.no}.
        """
        level = event.get("log_level")
        if level is None or level >= self._least:
            return PredicateResult.maybe
        return PredicateResult.no


class ProcessLog:
    """
    The log of a command of C{twistd}.
    """

    _log = Logger()

    _stream: LogStream | None = None

    def __init__(self, options: CommandOptions) -> None:
        """
        @param options: The options of the command, parsed; their parent are those of
            C{twistd}.
        """
        self._options = options
        self._filter = LevelFilter(options["log-level"])
        self._twistd: Mapping[str, Any] = getattr(options, "parent", None) or {}

    @property
    def isDaemons(self) -> bool:
        """
        Whether C{twistd} is about to make the process a daemon.
        """
        return not self._twistd.get("nodaemon", True)

    def attach(self, service: Any) -> None:
        """
        Begin the log when C{twistd} adds a service to its application.

        @param service: The service that C{twistd} is given.
        """
        service.setServiceParent = partial(self._adopted, service.setServiceParent)

    def change(self, values: Mapping[str, Any]) -> None:
        """
        Change what can be changed while the log is in use.

        @param values: Values of options, by their long names; others than those of the
            log are ignored.
        """
        if "log-level" in values:
            self._filter.level = values["log-level"]
        if "log-keep" in values and self._stream is not None:
            self._stream.keep = values["log-keep"]

    def reopen(self) -> None:
        """
        Open the file of the log anew, so that whoever has moved the old one gets a new
        one.  Where the log is no file there is nothing to do.
        """
        try:
            isFile = self._stream is not None and self._stream.reopen()
        except OSError as error:
            self._log.error(
                "The log cannot be opened anew; the old file stays in use: {reason}",
                reason=error.strerror,
            )
            return
        if isFile:
            self._log.info("The log is opened anew")
        else:
            self._log.debug("The log is no file of ours: there is nothing to open anew")

    def _adopted(self, setServiceParent: Any, parent: Any) -> None:
        setServiceParent(parent)
        # twist, which has another way, and a log of its own, has no such option
        if isinstance(parent, Componentized) and "nodaemon" in self._twistd:
            self._begin(parent)

    def _begin(self, application: Componentized) -> None:
        if self._twistd.get("logger"):
            self._warn("--logger", LOG_OPTIONS)
            return
        if self._twistd.get("syslog"):
            # it has neither files nor a format of its own
            self._warn("--syslog", [o for o in LOG_OPTIONS if o.name != "log-level"])
            observer = self._syslog()
        else:
            self._stream = self._open()
            isJSON = self._options["log-format"] == "json"
            observer = LineObserver(self._stream, isJSON)
        filtered = FilteringLogObserver(observer, [self._filter])
        application.setComponent(ILogObserver, filtered)

    def _syslog(self) -> Any:
        # not everywhere
        from twisted.python.syslog import SyslogObserver

        observer: Any = SyslogObserver(self._twistd["prefix"]).emit
        return LegacyLogObserverWrapper(observer)

    def _open(self) -> LogStream:
        path = self._twistd["logfile"]
        if not self.isDaemons and path in (None, "", "-"):
            return LogStream(_standardOutput())
        if path == "-":
            self._options.exit("a daemon cannot log to standard output: give --logfile")
        # twistd may change the directory
        path = os.path.abspath(path or "twistd.log")
        try:
            file = LogFile(path, self._mode(), self._options["log-keep"])
            self._giveAway(path)
            return file
        except OSError as error:
            self._options.exit(
                f"the log file {path!r} cannot be opened: {error.strerror}"
            )

    def _giveAway(self, path: str) -> None:
        """
        Let the user who this process is going to be open the file anew.
        """
        uid, gid = self._twistd["uid"], self._twistd["gid"]
        if uid is not None and not os.geteuid() and os.path.isfile(path):
            os.chown(path, uid, -1 if gid is None else gid)

    def _mode(self) -> int:
        umask = self._twistd["umask"]
        if umask is None and self.isDaemons:
            umask = _DAEMONS_UMASK
        if umask is None:
            umask = os.umask(0)
            os.umask(umask)
        return MODE & ~int(umask)

    def _warn(self, what: str, options: Any) -> None:
        given = [
            option.label
            for option in options
            if self._options[option.name] != option.default
        ]
        if given:
            self._log.warn(
                "{options} have no effect beside {what} of twistd",
                options=", ".join(given),
                what=what,
            )


def _standardOutput() -> int:
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        # it was closed before the start
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
