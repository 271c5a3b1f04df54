"""
The table of the options of C{twistd consumer}: its own, and those that the plugins for
queues and handlers bring.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from myconsumer.command.help import HANDLER, PACE, SOURCE, STATUS, STOPPING, inGroup
from myconsumer.command.option import (
    LOG_OPTIONS,
    TOKEN_FILE,
    Address,
    Flag,
    Option,
    asEndpoint,
    asURL,
    countOption,
    secondsOption,
    text,
)
from myconsumer.command.refusal import AllGiven, BadOption, exclude
from myconsumer.command.resolving import Command, missing
from myconsumer.fields import MILLION, YEAR, Lease
from myconsumer.options.advice import advise
from myconsumer.pipeline.terms import Claiming
from myconsumer.plugins import choosers, handlerMakers, optionsOf, queueMakers

_HOUR = 3_600

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_UNITS = {"s": 1, "m": 60, "h": 3600}

_QUEUES = queueMakers()
_HANDLERS = handlerMakers()

#: The options that choose another queue than that of C{--url}, by name.
QUEUES = choosers(_QUEUES)

#: The options that choose a handler, by name: exactly one of these is to be given.
HANDLERS = choosers(_HANDLERS)

#: What C{--protocol} may name.
PROTOCOLS = sorted(_QUEUES.keys() - QUEUES.keys())

#: Each of these, with its description.
DESCRIPTIONS = [
    (name, str(getattr(_QUEUES[name], "description", ""))) for name in PROTOCOLS
]


def _protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise ValueError(f"known are {', '.join(PROTOCOLS)}")
    return name


def _perSecond(rate: str) -> float:
    if _NUMBER.fullmatch(rate):
        raise ValueError(f"it lacks its unit, as in {rate}/s, {rate}/m or {rate}/h")
    matched = _RATE.fullmatch(rate)
    perSecond = float(matched[1]) / _UNITS[matched[2]] if matched else 0
    if not 1 / YEAR <= perSecond <= MILLION:
        raise ValueError(f"it is from once a year to {MILLION}/s")
    return perSecond


URL = Option(
    "url",
    Address,
    None,
    "where tasks are pulled from; needed, unless there is --local",
    convert=asURL,
    group=SOURCE,
    metavar="URL",
)

PROTOCOL = Option(
    "protocol",
    text("the name of a protocol"),
    "json",
    f"the protocol of the endpoint: {', '.join(PROTOCOLS)}",
    convert=_protocol,
    requires="url",
    group=SOURCE,
    metavar="NAME",
)

_PACE = inGroup(
    PACE,
    secondsOption(
        "wait",
        Claiming.wait,
        "seconds to wait at the endpoint for a first task",
        _HOUR,
        isLive=True,
    ),
    Option(
        "lease",
        Lease,
        Claiming.lease,
        "seconds for which a task is leased; renewed while it is held",
        isLive=True,
    ),
    secondsOption(
        "interval",
        Claiming.interval,
        "seconds between claims where the endpoint does not wait",
        isLive=True,
    ),
    countOption(
        "prefetch",
        0,
        Claiming.prefetch,
        "tasks claimed beyond the limit, to wait for a slot",
        isLive=True,
    ),
    countOption(
        "pollers",
        1,
        Claiming.pollers,
        "the most claims in flight at once; more than one while they come back full",
        isLive=True,
    ),
    Option(
        "rate",
        text("a number per second, minute or hour, such as 5/s, 90/m or 1000/h"),
        None,
        "starts tasks no faster than this: 5/s, 90/m, 1000/h",
        convert=_perSecond,
        isLive=True,
        metavar="N/s",
    ),
)

_STOPPING = inGroup(
    STOPPING,
    secondsOption(
        "timeout", 0, "seconds that a task may run; 0: no limit", isLive=True
    )._replace(group=HANDLER),
    secondsOption(
        "drain", 20, "seconds that running tasks get when stopped", isLive=True
    ),
    countOption(
        "max-attempts",
        0,
        20,
        "the attempt in which a failure is final; 0: the endpoint decides",
        isLive=True,
    )._replace(group=HANDLER),
    Option("until-empty", Flag, Claiming.untilEmpty, "end once no task is left"),
)

_STATUS = inGroup(
    STATUS,
    Option(
        "status",
        text("a server endpoint, such as tcp:8322:interface=127.0.0.1"),
        None,
        "where metrics and health are served",
        convert=asEndpoint,
        metavar="ENDPOINT",
    ),
    TOKEN_FILE._replace(
        name="status-token-file",
        help="file with the bearer token of those who may pause, resume, drain and "
        "change the limit there; without it this machine may",
        requires="status",
    ),
    secondsOption(
        "wedged",
        60,
        "seconds for which something may block the reactor before the process is "
        "called unhealthy; 0: any",
    )._replace(requires="status"),
)

OPTIONS: Sequence[Option] = (
    URL,
    PROTOCOL,
    *optionsOf(_QUEUES, SOURCE),
    countOption(
        "limit", 1, None, "the most tasks that run at once; needed", isLive=True
    )._replace(group=PACE),
    *optionsOf(_HANDLERS, HANDLER),
    *_PACE,
    *_STOPPING,
    TOKEN_FILE._replace(group=SOURCE),
    *_STATUS,
    *LOG_OPTIONS,
)


def _checkTogether(given: AllGiven) -> None:
    sources = ("url", *QUEUES)
    exclude(given, *sources)
    exclude(given, *HANDLERS)
    if not any(given[name] for name in sources):
        raise BadOption(
            f"{missing(COMMAND, URL)}. In its place, {_listed(QUEUES.values())}"
        )
    if given["limit"] and not any(given[name] for name in HANDLERS):
        *most, last = (option.label for option in HANDLERS.values())
        raise BadOption(
            f"one of {', '.join(most)} and {last} is needed: "
            f"{_listed(HANDLERS.values())}"
        )
    _checkProtocol(given)


def _checkProtocol(given: AllGiven) -> None:
    """
    Check that options which a protocol brings are given with that one only.
    """
    protocol = [*(each.value for each in given["protocol"]), PROTOCOL.default][0]
    for name in PROTOCOLS:
        for option in optionsOf({name: _QUEUES[name]}):
            if given[option.name] and name != protocol:
                raise BadOption(
                    f"{given[option.name][0].origin} goes with --protocol {name}, "
                    "which is not given"
                )


def _listed(options: Iterable[Option]) -> str:
    return ", ".join(f"{option.label} takes {option.takes}" for option in options)


COMMAND = Command("consumer", OPTIONS, _checkTogether, advise)
