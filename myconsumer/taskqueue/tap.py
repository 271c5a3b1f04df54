"""
The C{taskqueue} command of C{twistd}: the embedded queue by itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.defer import Deferred

from myconsumer.command.announcement import announce
from myconsumer.command.configcheck import ServiceOptions
from myconsumer.command.daemon import steadyClock
from myconsumer.command.help import EMBEDDED
from myconsumer.command.mainloop import leaveThreads
from myconsumer.command.option import LOG_OPTIONS, TOKEN_FILE
from myconsumer.command.program import Program
from myconsumer.command.resolving import Command
from myconsumer.command.signals import handleSignals
from myconsumer.taskqueue.embedded import makeLocalQueueService
from myconsumer.taskqueue.options import KEEP, LISTEN, LOCAL, SYNC
from myconsumer.taskqueue.service import LocalQueueService

#: The seconds that a stop may take: answers are sent, and the file is closed.
STOP_SECONDS = 10.0

OPTIONS = (
    LOCAL._replace(
        name="db",
        help="SQLite file that holds the queues; needed",
        needed=True,
        group=EMBEDDED,
    ),
    LISTEN,
    KEEP,
    SYNC,
    TOKEN_FILE._replace(
        help="file with the bearer token that each request has to bring, read again "
        "when it changes",
        group=EMBEDDED,
    ),
    *LOG_OPTIONS,
)


class Options(ServiceOptions):
    """
    What C{twistd taskqueue} takes.
    """

    command = Command("taskqueue", OPTIONS)
    synopsis = "--db FILE [options]"
    longdesc = (
        "Serves queues of tasks over HTTP, each at http://HOST:PORT/NAME. Each "
        "option may also be given by an environment variable (TASKQUEUE_DB for --db) "
        "or in the TOML file of --config."
    )
    sections: ClassVar = {
        "Exit status": [
            ("143 or 130", "it was stopped by SIGTERM or SIGINT, and ended by that"),
            ("1", "an option is wrong, or the file or the port cannot be had"),
        ]
    }
    examples = (
        "twistd -n --pidfile= taskqueue --db tasks.sqlite",
        "twistd -n --pidfile= taskqueue --db tasks.sqlite --check-config",
    )

    def makeParts(self, reactor: Any) -> list[LocalQueueService]:
        """
        See L{ServiceOptions.makeParts}.
        """
        return [makeLocalQueueService(reactor, self["db"], self)]


def makeService(options: Options) -> LocalQueueService:
    """
    Make the service of a process of its own.

    @param options: The options, parsed.
    """
    from twisted.internet import reactor

    steadyClock(reactor)
    leaveThreads(reactor)
    [service] = options.makeParts(reactor)
    program = Program(
        lines=lambda: Deferred.fromCoroutine(service.lines()),
        short=service.short,
        stopSeconds=lambda: STOP_SECONDS,
    )
    program.install(service, reactor, options)
    handleSignals(service, reactor)
    announce(options)
    return service
