"""
The C{taskqueue} command of C{twistd}: the embedded queue by itself.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.endpoints import serverFromString

from myconsumer.command.daemon import refuseToStart, steadyClock
from myconsumer.command.mainloop import leaveThreads
from myconsumer.command.option import TOKEN_FILE
from myconsumer.command.resolving import Command
from myconsumer.command.usage import CommandOptions
from myconsumer.taskqueue.options import KEEP, LISTEN, LOCAL, SYNC
from myconsumer.taskqueue.service import LocalQueueService
from myconsumer.tokenfile import TokenFile

OPTIONS = (
    LOCAL._replace(
        name="db", help="the SQLite file that holds the queues; needed", needed=True
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
        "Serves queues of tasks over HTTP: http://HOST:PORT/NAME, one a name. Each "
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
    return makeLocalQueueService(reactor, options["db"], options)


def makeLocalQueueService(
    reactor: Any, path: str, options: CommandOptions
) -> LocalQueueService:
    """
    Make the service of the embedded queue in a process of our own, which ends where
    it cannot be started.

    @param path: The file.
    @param options: L{LISTEN}, L{KEEP}, L{SYNC} and C{token-file}, resolved.
    """

    token = options["token-file"]
    return LocalQueueService(
        path,
        serverFromString(reactor, options["listen"]),
        token=None if token is None else TokenFile(token),
        keep=options["keep"],
        sync=options["sync"],
        reactor=reactor,
        refuse=partial(refuseToStart, options),
    )
