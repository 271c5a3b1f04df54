"""
What makes a service the program of a process: a log, signals that steer it, and
notifications to systemd.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from myconsumer.command.daemon import keepStandardError
from myconsumer.command.notification import Notifier
from myconsumer.command.processlog import ProcessLog
from myconsumer.command.reload import Reload
from myconsumer.command.steering import Steering
from myconsumer.command.supervision import Supervision
from myconsumer.command.terminal import Terminal
from myconsumer.command.usage import CommandOptions


def _nothing(values: Mapping[str, Any]) -> None:
    """
    Change nothing.
    """


@dataclass(frozen=True)
class Program:
    """
    What is known of a service, as its process needs it.

    @ivar lines: Words its state, in lines, or in a Deferred that fires with some.
    @ivar short: Words its state, in one short line.
    @ivar stopSeconds: The seconds that its stop may take.
    @ivar isStuck: Says why it makes no progress; C{None}: it makes some.
    @ivar change: Puts new values of options to use, by their long names; raises
        C{ValueError} or C{TypeError}, and changes nothing, where one of them cannot be.
    """

    lines: Callable[[], Any]
    short: Callable[[], str]
    stopSeconds: Callable[[], float]
    isStuck: Callable[[], str | None] = lambda: None
    change: Callable[[Mapping[str, Any]], object] = _nothing

    def install(self, service: Any, reactor: Any, options: CommandOptions) -> None:
        """
        Begin the log when C{twistd} takes the service, take over the signals now, and
        notify systemd once the reactor runs.

        @param service: The service that C{twistd} is given.
        @param reactor: The reactor, which does not run yet.
        @param options: The options of the command, parsed.
        """
        log = ProcessLog(options)
        log.attach(service)
        if log.isDaemons:
            keepStandardError(reactor)
        supervision = Supervision(
            reactor,
            Notifier.fromEnvironment(os.environ),
            self.short,
            self.isStuck,
            self.stopSeconds,
        )
        supervision.begin()

        def use(values: Mapping[str, Any]) -> None:
            self.change(values)
            log.change(values)

        reload = Reload(options, use, supervision)
        terminal = Terminal(log.isDaemons)
        Steering(reactor, terminal, reload, log.reopen, self.lines).install()
