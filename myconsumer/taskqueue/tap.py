"""
The C{taskqueue} command of C{twistd}: the embedded queue by itself.
"""

from __future__ import annotations

from myconsumer.command.announcement import announce
from myconsumer.command.daemon import steadyClock
from myconsumer.command.mainloop import leaveThreads
from myconsumer.command.option import TOKEN_FILE
from myconsumer.command.resolving import Command
from myconsumer.command.usage import CommandOptions
from myconsumer.taskqueue.embedded import makeLocalQueueService
from myconsumer.taskqueue.options import KEEP, LISTEN, LOCAL, SYNC
from myconsumer.taskqueue.service import LocalQueueService

OPTIONS = (
    LOCAL._replace(
        name="db", help="SQLite file that holds the queues; needed", needed=True
    ),
    LISTEN,
    KEEP,
    SYNC,
    TOKEN_FILE,
)


class Options(CommandOptions):
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


def makeService(options: Options) -> LocalQueueService:
    """
    Make the service of a process of its own.

    @param options: The options, parsed.
    """
    from twisted.internet import reactor

    steadyClock(reactor)
    leaveThreads(reactor)
    service = makeLocalQueueService(reactor, options["db"], options)
    announce(options)
    return service
