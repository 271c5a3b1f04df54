"""
The table of the options of C{twistd consumer}.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Sequence
from os.path import abspath
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from myconsumer.handlers.callables import NamedCallable
from myconsumer.http.token import TokenFile
from myconsumer.http.urls import parseURL
from myconsumer.makers import queueMakers

# also what keeps out "inf", for which no timer can be set
_YEAR = 31_536_000
_HOUR = 3_600
_MILLION = 1_000_000

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Exactly one of these is to be given.
HANDLERS = ("python", "exec", "forward")


class Option(NamedTuple):
    """
    One option.

    @ivar name: Its long name, without dashes.
    @ivar type: Its type and range, as L{msgspec.convert} takes them.
    @ivar takes: What it takes, in words that follow "takes".
    @ivar default: Its value where none is given.
    @ivar help: What it is for.
    @ivar needed: Whether a value has to be given.
    @ivar find: Turns a value into what it stands for; raises C{ValueError} with
        the reason where there is no such thing.
    @ivar goesWith: The option without which it has no meaning.
    """

    name: str
    type: Any
    takes: str
    default: Any
    help: str
    needed: bool = False
    find: Callable[[Any], Any] | None = None
    goesWith: str | None = None

    @property
    def variable(self) -> str:
        """
        The environment variable that gives it.
        """
        return f"CONSUMER_{self.name.upper().replace('-', '_')}"


def _count(name: str, least: int, default: int | None, help: str) -> Option:
    type_ = Annotated[int, Meta(ge=least, le=_MILLION)]
    takes = f"a whole number from {least} to {_MILLION}"
    return Option(name, type_, takes, default, help, needed=default is None)


def _seconds(
    name: str,
    default: float,
    help: str,
    most: int = _YEAR,
    goesWith: str | None = None,
) -> Option:
    type_ = Annotated[float, Meta(ge=0, le=most)]
    takes = f"a number of seconds from 0 to {most}"
    return Option(name, type_, takes, default, help, goesWith=goesWith)


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
    if not 1 / _YEAR <= perSecond <= _MILLION:
        raise ValueError(f"it is from once a year to {_MILLION}/s")
    return perSecond


def _tokenFile(path: str) -> str:
    TokenFile(path).read()
    # twistd may change the directory
    return abspath(path)


def _readFile(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be read") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


OPTIONS: Sequence[Option] = (
    Option(
        "url",
        str,
        "an http:// or https:// URL without user name and password",
        None,
        "where tasks are pulled from; needed",
        needed=True,
        find=parseURL,
    ),
    _count("limit", 1, None, "how many tasks run at once, at most; needed"),
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
        "an http:// or https:// URL without user name and password",
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
    _seconds(
        "kill-after",
        5,
        "seconds from SIGTERM to SIGKILL for a command that is to end",
        _HOUR,
        "exec",
    ),
    Option(
        "forward-wait-for",
        str,
        "an http:// or https:// URL without user name and password",
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
    ),
    _seconds("wait", 20, "seconds to wait at the endpoint for a first task", _HOUR),
    Option(
        "lease",
        Annotated[float, Meta(gt=0, le=_YEAR)],
        f"a number of seconds above 0, up to {_YEAR}",
        60,
        "seconds for which a task is ours, renewed while it is held",
    ),
    _seconds("interval", 1, "seconds between claims where the endpoint does not wait"),
    _count("prefetch", 0, 0, "tasks claimed beyond the limit, to wait for a slot"),
    _count("pollers", 1, 1, "claims open side by side, while they come back full"),
    Option(
        "rate",
        str,
        "a number per second, minute or hour, such as 5/s, 90/m or 1000/h",
        None,
        "starts tasks no faster than this: 5/s, 90/m, 1000/h",
        find=_perSecond,
    ),
    _seconds("timeout", 0, "seconds that a task may run; 0: as long as it takes"),
    _seconds("drain", 20, "seconds that running tasks get when stopped"),
    _count(
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
    Option(
        "token-file",
        str,
        "the path of a file that holds a bearer token",
        None,
        "file with the bearer token, read again when it changes",
        find=_tokenFile,
    ),
)

CONFIG = Option(
    "config",
    str,
    "the path of a TOML file",
    None,
    "TOML file with any of these options by their long names",
    find=_readFile,
)
