"""
The table of the options of C{twistd consumer}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from myconsumer.command.option import (
    TOKEN_FILE,
    Address,
    Flag,
    Option,
    asURL,
    countOption,
    later,
    secondsOption,
    text,
)
from myconsumer.command.resolving import (
    AllGiven,
    BadOption,
    Command,
    exclude,
    missing,
)
from myconsumer.fields import MILLION, YEAR, Lease
from myconsumer.plugins import queueMakers
from myconsumer.taskqueue.options import KEEP, LISTEN, LOCAL, SYNC

_HOUR = 3_600

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}

#: Exactly one of these is to be given.
HANDLERS = ("python", "exec", "forward")


def _protocol(name: str) -> str:
    known = sorted(queueMakers())
    if name not in known:
        raise ValueError(f"known are {', '.join(known)}")
    return name


def _perSecond(rate: str) -> float:
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
)

PROTOCOL = Option(
    "protocol",
    text("the name of a protocol"),
    "json",
    "the protocol of the endpoint",
    convert=_protocol,
    requires="url",
)

OPTIONS: Sequence[Option] = (
    URL,
    PROTOCOL,
    LOCAL,
    LISTEN._replace(requires="local"),
    KEEP._replace(requires="local"),
    SYNC._replace(requires="local"),
    countOption("limit", 1, None, "the most tasks that run at once; needed"),
    Option(
        "python",
        text("the dotted name of a callable"),
        None,
        "calls this with each task: package.module.callable",
        convert=later("myconsumer.handlers.callables.NamedCallable.load"),
    ),
    Option(
        "run-in",
        Literal["reactor", "thread", "process"],
        "reactor",
        "where the callable of --python runs: thread or process if it blocks",
    )._replace(requires="python"),
    Option(
        "exec",
        text("a command and its arguments"),
        None,
        "runs this command for each task, without a shell, the payload on its stdin",
        convert=later("myconsumer.handlers.command.words.asWords"),
    ),
    Option(
        "exec-env",
        text("names of environment variables, separated by commas"),
        None,
        "variables that a command gets beside PATH, HOME, LANG and TZ",
        convert=later("myconsumer.handlers.command.words.asNames"),
    )._replace(requires="exec"),
    secondsOption(
        "kill-after",
        5,
        "seconds from SIGTERM to SIGKILL for a command that has to end",
        3_600,
    )._replace(requires="exec"),
    Option(
        "forward",
        Address,
        None,
        "posts each task to this URL of a web application",
        convert=asURL,
    ),
    Option(
        "forward-wait-for",
        Address,
        None,
        "claims nothing while this URL does not answer with 2xx",
        convert=asURL,
    )._replace(requires="forward"),
    secondsOption(
        "wait", 20, "seconds to wait at the endpoint for a first task", _HOUR
    ),
    Option(
        "lease",
        Lease,
        60,
        "seconds for which a task is leased; renewed while it is held",
    ),
    secondsOption(
        "interval", 1, "seconds between claims where the endpoint does not wait"
    ),
    countOption("prefetch", 0, 0, "tasks claimed beyond the limit, to wait for a slot"),
    countOption("pollers", 1, 1, "claims open side by side, while they come back full"),
    Option(
        "rate",
        text("a number per second, minute or hour, such as 5/s, 90/m or 1000/h"),
        None,
        "starts tasks no faster than this: 5/s, 90/m, 1000/h",
        convert=_perSecond,
    ),
    secondsOption("timeout", 0, "seconds that a task may run; 0: no limit"),
    secondsOption("drain", 20, "seconds that running tasks get when stopped"),
    countOption(
        "max-attempts",
        0,
        20,
        "the attempt in which a failure is final; 0: the endpoint decides",
    ),
    Option("until-empty", Flag, False, "end once no task is left"),
    TOKEN_FILE,
)


def _checkTogether(given: AllGiven) -> None:
    exclude(given, "url", "local")
    exclude(given, *HANDLERS)
    if not (given["url"] or given["local"]):
        raise BadOption(f"{missing(COMMAND, URL)}. Or {_listed([LOCAL])}")
    if given["limit"] and not any(given[name] for name in HANDLERS):
        handlers = [option for option in OPTIONS if option.name in HANDLERS]
        *most, last = (option.label for option in handlers)
        raise BadOption(
            f"one of {', '.join(most)} and {last} is needed: {_listed(handlers)}"
        )


def _listed(options: Iterable[Option]) -> str:
    return ", ".join(f"{option.label} takes {option.takes}" for option in options)


COMMAND = Command("consumer", OPTIONS, _checkTogether)
