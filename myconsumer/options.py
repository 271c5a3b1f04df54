"""
The table of the options of C{twistd consumer}.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from myconsumer.command.option import (
    A_URL,
    TOKEN_FILE,
    Option,
    countOption,
    secondsOption,
)
from myconsumer.command.resolving import Command, Given, Refused
from myconsumer.fields import YEAR
from myconsumer.handlers.callables import NamedCallable
from myconsumer.http.urls import parseURL
from myconsumer.plugins import queueMakers
from myconsumer.taskqueue.options import KEEP, LISTEN, LOCAL, SYNC

_HOUR = 3_600
_MILLION = 1_000_000

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Exactly one of these is to be given.
HANDLERS = ("python", "exec", "forward")


def _protocol(name: str) -> str:
    known = sorted(queueMakers())
    if name not in known:
        raise ValueError(f"known are {', '.join(known)}")
    return name


def _words(command: str) -> list[str]:
    words = shlex.split(command)
    if not words:
        raise ValueError("it is empty")
    return words


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if "=" in name:
            raise ValueError("a value is given, and only names are taken")
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable")
    return names


def _perSecond(text: str) -> float:
    matched = _RATE.fullmatch(text)
    perSecond = float(matched[1]) / _UNITS[matched[2]] if matched else 0
    if not 1 / YEAR <= perSecond <= _MILLION:
        raise ValueError(f"it is from once a year to {_MILLION}/s")
    return perSecond


OPTIONS: Sequence[Option] = (
    Option(
        "url",
        str,
        A_URL,
        None,
        "where tasks are pulled from; needed, unless there is --local",
        find=parseURL,
    ),
    LOCAL,
    LISTEN._replace(goesWith="local"),
    KEEP._replace(goesWith="local"),
    SYNC._replace(goesWith="local"),
    countOption("limit", 1, None, "how many tasks run at once, at most; needed"),
    Option(
        "python",
        str,
        "the dotted name of a callable",
        None,
        "calls this with each task: package.module.callable",
        find=NamedCallable.load,
    ),
    Option(
        "exec",
        str,
        "a command and its arguments",
        None,
        "runs this command for each task, without a shell, the payload on its stdin",
        find=_words,
    ),
    Option(
        "forward",
        str,
        A_URL,
        None,
        "posts each task to this URL of a web application",
        find=parseURL,
    ),
    Option(
        "run-in",
        Literal["reactor", "thread", "process"],
        "reactor, thread or process",
        "reactor",
        "where the callable of --python runs: what blocks, in a thread or process",
        goesWith="python",
    ),
    Option(
        "exec-env",
        str,
        "names of environment variables, separated by commas",
        None,
        "variables that a command gets beside PATH, HOME, LANG and TZ",
        find=_names,
        goesWith="exec",
    ),
    secondsOption(
        "kill-after",
        5,
        "seconds from SIGTERM to SIGKILL for a command that is to end",
        _HOUR,
        "exec",
    ),
    Option(
        "forward-wait-for",
        str,
        A_URL,
        None,
        "claims nothing while this URL does not answer with 2xx",
        find=parseURL,
        goesWith="forward",
    ),
    Option(
        "protocol",
        str,
        "the name of a protocol",
        "json",
        "how the endpoint is spoken to",
        find=_protocol,
        goesWith="url",
    ),
    secondsOption(
        "wait", 20, "seconds to wait at the endpoint for a first task", _HOUR
    ),
    Option(
        "lease",
        Annotated[float, Meta(gt=0, le=YEAR)],
        f"a number of seconds above 0, up to {YEAR}",
        60,
        "seconds for which a task is ours, renewed while it is held",
    ),
    secondsOption(
        "interval", 1, "seconds between claims where the endpoint does not wait"
    ),
    countOption("prefetch", 0, 0, "tasks claimed beyond the limit, to wait for a slot"),
    countOption("pollers", 1, 1, "claims open side by side, while they come back full"),
    Option(
        "rate",
        str,
        "a number per second, minute or hour, such as 5/s, 90/m or 1000/h",
        None,
        "starts tasks no faster than this: 5/s, 90/m, 1000/h",
        find=_perSecond,
    ),
    secondsOption("timeout", 0, "seconds that a task may run; 0: as long as it takes"),
    secondsOption("drain", 20, "seconds that running tasks get when stopped"),
    countOption(
        "max-attempts",
        0,
        20,
        "the attempt in which a failure is final; 0: the endpoint decides",
    ),
    Option(
        "until-empty",
        bool,
        "true, false, 1 or 0",
        False,
        "end once nothing is left",
    ),
    TOKEN_FILE,
)


def _together(given: Mapping[str, Sequence[Given]]) -> None:
    """
    Check what the options say of each other.
    """
    sources = [given[name][0] for name in ("url", "local") if given[name]]
    handlers = [given[name][0] for name in HANDLERS if given[name]]
    for found in (sources, handlers):
        if len(found) > 1:
            first, second = found[:2]
            raise Refused(f"{first.origin} and {second.origin} exclude each other")
    if not sources:
        raise Refused(
            "--url is needed: it takes an http:// or https:// URL; CONSUMER_URL or the "
            "file of --config may give it, too. Or --local FILE, for a queue of its own"
        )
    if given["limit"] and not handlers:
        raise Refused(
            "one of --python, --exec and --forward is needed: --python takes the "
            "dotted name of a callable, --exec a command, --forward a URL"
        )


COMMAND = Command("consumer", OPTIONS, _together)
