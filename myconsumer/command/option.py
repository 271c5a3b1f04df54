"""
An option of a command, and the kinds of options that more than one command has.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from os.path import abspath
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from myconsumer.fields import MILLION, YEAR
from myconsumer.tokenfile import TokenFile

#: What an option of a URL takes.
A_URL = "an http:// or https:// URL without user name and password"


class Option(NamedTuple):
    """
    One option.

    @ivar name: Its long name, without dashes.
    @ivar type: Its type and range, as C{msgspec.convert} takes them.
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


def countOption(name: str, least: int, default: int | None, help: str) -> Option:
    """
    Make an option that takes a whole number.

    @param least: The least that is taken.
    @param default: Its value where none is given; C{None}: it is needed.
    """
    type_ = Annotated[int, Meta(ge=least, le=MILLION)]
    takes = f"a whole number from {least} to {MILLION}"
    return Option(name, type_, takes, default, help, needed=default is None)


def secondsOption(
    name: str,
    default: float,
    help: str,
    most: int = YEAR,
    goesWith: str | None = None,
) -> Option:
    """
    Make an option that takes seconds.

    @param most: The most that is taken.
    """
    type_ = Annotated[float, Meta(ge=0, le=most)]
    takes = f"a number of seconds from 0 to {most}"
    return Option(name, type_, takes, default, help, goesWith=goesWith)


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


TOKEN_FILE = Option(
    "token-file",
    str,
    "the path of a file that holds a bearer token",
    None,
    "file with the bearer token, read again when it changes",
    find=_tokenFile,
)

CONFIG = Option(
    "config",
    str,
    "the path of a TOML file",
    None,
    "TOML file with any of these options by their long names",
    find=_readFile,
)
