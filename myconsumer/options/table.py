"""
The table of the options of C{twistd consumer}.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from os.path import abspath
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from myconsumer.handlers.python import loadCallable
from myconsumer.http.token import TokenFile
from myconsumer.http.urls import parseURL
from myconsumer.queues import queueMakers

# also what keeps out "inf", for which no timer can be set
_YEAR = 31_536_000
_HOUR = 3_600
_MILLION = 1_000_000


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
    """

    name: str
    type: Any
    takes: str
    default: Any
    help: str
    needed: bool = False
    find: Callable[[Any], Any] | None = None

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


def _seconds(name: str, default: float, help: str, most: int = _YEAR) -> Option:
    type_ = Annotated[float, Meta(ge=0, le=most)]
    return Option(name, type_, f"a number of seconds from 0 to {most}", default, help)


def _protocol(name: str) -> str:
    known = sorted(queueMakers())
    if name not in known:
        raise ValueError(f"known are {', '.join(known)}")
    return name


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
        "what is called with each task: package.module.callable; needed",
        needed=True,
        find=loadCallable,
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
