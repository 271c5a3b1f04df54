"""
The C{consumer} command of C{twistd}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from getopt import GetoptError
from importlib.metadata import version
from typing import Any, NoReturn

from hyperlink import URL
from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from myconsumer.handlers.forward import ForwardHandler
from myconsumer.handlers.waiting import WaitFor
from myconsumer.http import makeClient
from myconsumer.makers import handlerMakers, queueMakers
from myconsumer.options.resolving import Refused, isSecret, oneLine, resolve, shown
from myconsumer.options.table import CONFIG, HANDLERS, OPTIONS
from myconsumer.process import ExitStatus, handleSignals, steadyClock
from myconsumer.service import ConsumerService

_TAKES = {option.name: option.takes for option in (*OPTIONS, CONFIG)}


class Options(UsageOptions):
    """
    What C{twistd consumer} takes.  Once parsed, it maps the long name of every
    option of L{OPTIONS} to a value that has been checked.
    """

    synopsis = (
        "--url URL --limit N (--python NAME | --exec COMMAND | --forward URL) [options]"
    )
    longdesc = (
        "Each option may also be given by an environment variable (CONSUMER_LIMIT "
        "for --limit; flags take true, false, 1 or 0; an empty one counts as not set) "
        "or in the TOML file of --config (limit = 4). The command line counts most, "
        "then the environment, then the file."
    )
    optParameters = [  # noqa: RUF012 - its type is Twisted's
        [option.name, None, option.default, option.help]
        for option in (*OPTIONS, CONFIG)
        if option.type is not bool
    ]
    optFlags = [  # noqa: RUF012
        [option.name, None, option.help] for option in OPTIONS if option.type is bool
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.exitStatus = ExitStatus()
        # so that it holds what was given, until it holds what that comes to
        self.clear()

    def opt_version(self) -> None:
        """
        Display the version and exit.
        """
        print("myconsumer", version("myconsumer"))
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the command line and resolve all options.

        @raise SystemExit: An option is wrong or missing; the text is one line.
            C{twistd} prints its whole help when it meets a L{UsageError}.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except Refused as error:
            _exit(str(error))
        except UsageError as error:
            _exit(_inOurWords(error))

    def parseArgs(self, *args: str) -> None:
        """
        There are none.
        """
        if args:
            what = (
                "an argument that is not shown" if isSecret(args[0]) else shown(args[0])
            )
            raise Refused(f"{what} is no option, and only options are taken")

    def postOptions(self) -> None:
        """
        Resolve the options.
        """
        here = os.getcwd()
        if here not in sys.path:
            # as "python -m" does, and an installed twistd does not
            sys.path.insert(0, here)
        self.update(resolve(dict(self), os.environ))


def _inOurWords(error: UsageError) -> str:
    """
    Word what was found wrong with the command line before any value was looked at.
    """
    cause = error.__context__
    if isinstance(cause, GetoptError) and cause.opt in _TAKES:
        if cause.opt == "until-empty":
            return f"--{cause.opt} takes no value on the command line"
        return f"--{cause.opt} takes {_TAKES[cause.opt]}, and nothing was given"
    text = str(error)
    what = (
        "an option that is not shown is not known" if isSecret(text) else oneLine(text)
    )
    return f"{what}; twistd consumer --help lists all"


def _exit(line: str) -> NoReturn:
    sys.exit(f"consumer: {oneLine(line)}")


def makeService(options: Options) -> ConsumerService:
    """
    Make the service of a process of its own.

    @param options: The options, parsed.

    @raise SystemExit: The protocol refuses an option; the text is one line.
    """
    from twisted.internet import reactor

    steadyClock(reactor)
    makers = handlerMakers()
    [kind] = [name for name in HANDLERS if options[name] is not None]
    try:
        queue = queueMakers()[options["protocol"]].makeQueue(reactor, options)
        handler = makers[kind].makeHandler(reactor, options)
    except ValueError as error:
        text = str(error)
        _exit(f"--{kind} is refused; why is not shown" if isSecret(text) else text)
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
    )
    if IService.providedBy(handler):
        handler.setServiceParent(service)  # type: ignore[no-untyped-call]
    if isinstance(handler, ForwardHandler) and options["forward-wait-for"] is not None:
        _waitFor(options["forward-wait-for"], handler, service, reactor)
    handleSignals(service, reactor)
    return service


def _waitFor(
    url: URL, handler: ForwardHandler, service: ConsumerService, reactor: Any
) -> None:
    """
    Have nothing claimed while a URL does not answer.
    """
    # A connection that is kept may outlive the readiness to take new ones.
    client = makeClient(reactor, 1, persistent=False)
    waitFor = WaitFor(client, url, service.pause, service.resume, reactor)
    handler.onNoAnswer = waitFor.check
    waitFor.setServiceParent(service)  # type: ignore[no-untyped-call]
