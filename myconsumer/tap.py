"""
The C{consumer} command of C{twistd}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from myconsumer.command.announcement import announce
from myconsumer.command.configcheck import ServiceOptions
from myconsumer.command.daemon import ExitStatus, refuseToStart, steadyClock
from myconsumer.command.descriptors import checkLimit, raiseLimit
from myconsumer.command.mainloop import drainOnExit, leaveThreads
from myconsumer.command.program import Program
from myconsumer.command.signals import handleSignals
from myconsumer.command.standardlog import joinLogs
from myconsumer.http.serving.listening import PortProbe
from myconsumer.options import COMMAND, DESCRIPTIONS
from myconsumer.pipeline.drain import CLAIM_GRACE
from myconsumer.pipeline.terms import SETTINGS
from myconsumer.plugins import chosen, handlerMakers, queueMakers
from myconsumer.service import ConsumerService
from myconsumer.status.health import Health
from myconsumer.status.metrics import Metrics
from myconsumer.status.progress import Progress
from myconsumer.status.web.server import StatusServer
from myconsumer.status.web.subject import ShownConsumer, Subject
from myconsumer.text import isSecret

#: The seconds that a stop may take beside that which C{--drain} takes.
STOP_REST = 10.0

_log = Logger()


class Options(ServiceOptions):
    """
    What C{twistd consumer} takes.
    """

    command = COMMAND
    synopsis = (
        "(--url URL | --local FILE) --limit N "
        "(--python NAME | --exec COMMAND | --forward URL) [options]"
    )
    longdesc = (
        "Each option may also be given by an environment variable (CONSUMER_LIMIT "
        "for --limit; flags take true, false, 1 or 0; an empty one counts as not set) "
        "or in the TOML file of --config (limit = 4). The command line counts most, "
        "then the environment, then the file."
    )
    sections: ClassVar = {
        "Protocols": DESCRIPTIONS,
        "Exit status": [
            ("143 or 130", "it was stopped by SIGTERM or SIGINT, and ended by that"),
            ("0", "--until-empty, and no task is left"),
            ("1", "--until-empty, and the endpoint refused or could not be reached"),
            ("1", "an option is wrong, or something that it names cannot be had"),
        ],
    }
    examples = (
        "twistd -n --pidfile= consumer --url https://tasks.example.org/mail \\",
        "    --limit 4 --python mail.send --token-file token",
        "twistd -n --pidfile= consumer --local tasks.sqlite --limit 4 --exec 'cat -u'",
    )

    def __init__(self) -> None:
        super().__init__()
        self.exitStatus = ExitStatus()

    def postOptions(self) -> None:
        """
        Resolve the options.
        """
        here = os.getcwd()
        if here not in sys.path:
            # as "python -m" does, and an installed twistd does not
            sys.path.insert(0, here)
        super().postOptions()

    def makeParts(self, reactor: Any) -> Sequence[Any]:
        """
        Make the queue and the handler that the options choose, and what probes the
        port of C{--status}.  See L{ServiceOptions.makeParts}.
        """
        queueMaker = chosen(queueMakers(), self, self["protocol"])
        handlerMaker = chosen(handlerMakers(), self)
        try:
            queue = queueMaker.makeQueue(reactor, self)
            handler = handlerMaker.makeHandler(reactor, self)
            checkLimit(self["limit"], getattr(handler, "descriptorsEach", 0))
        except ValueError as error:
            line = "an option is refused; why is not shown"
            self.exit(line if isSecret(str(error)) else str(error))
        if self["status"] is None:
            return queue, handler
        endpoint = serverFromString(reactor, self["status"])
        return queue, handler, PortProbe("the port of --status", endpoint)


def makeService(options: Options) -> ConsumerService:
    """
    Make the service of a process of its own.

    @param options: The options, parsed.

    @raise SystemExit: The protocol or the handler refuses an option; the text is one
        line.
    """
    from twisted.internet import reactor

    steadyClock(reactor)
    joinLogs()
    raiseLimit(reactor)
    leaveThreads(reactor)
    drainOnExit(reactor, partial(options.exitStatus.end, reactor))
    queue, handler, *_ = options.makeParts(reactor)
    progress = Progress(reactor)
    metrics = Metrics()
    service = ConsumerService(
        queue,
        handler,
        options["limit"],
        wait=options["wait"],
        lease=options["lease"],
        interval=options["interval"],
        prefetch=options["prefetch"],
        pollers=options["pollers"],
        timeout=options["timeout"],
        drain=options["drain"],
        maxAttempts=options["max-attempts"],
        untilEmpty=options["until-empty"],
        onEnd=partial(options.exitStatus.end, reactor),
        rate=options["rate"],
        observers=[progress] if options["status"] is None else [progress, metrics],
        verbose=options["log-level"] == "debug",
    )
    _serveStatus(service, options, progress, metrics, reactor)
    for part in filter(IService.providedBy, (queue, handler)):
        part.setServiceParent(service)
    _program(service, options, progress).install(service, reactor, options)
    handleSignals(service, reactor)
    announce(options)
    return service


def _serveStatus(
    service: ConsumerService,
    options: Options,
    progress: Progress,
    metrics: Metrics,
    reactor: Any,
) -> None:
    """
    Serve the state of the consumer, if that is wanted.
    """
    if options["status"] is None:
        return
    health = Health(reactor, service.status, progress.isStuck, options["wedged"])
    drain = partial(options.exitStatus.end, reactor, None)
    server = StatusServer(
        serverFromString(reactor, options["status"]),
        Subject(
            health,
            ShownConsumer(service, metrics, drain),
            settings=lambda: options.settings,
        ),
        token=options["status-token-file"],
        reactor=reactor,
        refuse=partial(refuseToStart, options),
    )
    server.setServiceParent(service)


def _program(service: ConsumerService, options: Options, progress: Progress) -> Program:
    """
    @return: What the process has to know of the service.
    """
    # the names of arguments, where they are other than those of options
    arguments = {"max-attempts": "maxAttempts"}
    isVerbose = options["log-level"] == "debug"

    def change(values: Mapping[str, Any]) -> None:
        given = {arguments.get(name, name): value for name, value in values.items()}
        own = {name: given[name] for name in SETTINGS if name in given}
        if own:
            service.reload(**own)
        if values.get("log-level") == "debug" and not isVerbose:
            _log.warn("Tasks and requests get a line each only after a restart")

    return Program(
        lines=lambda: service.status().lines(),
        short=lambda: service.status().short(),
        stopSeconds=lambda: max(options["drain"], CLAIM_GRACE) + STOP_REST,
        isStuck=progress.isStuck,
        change=change,
    )
