"""
An option of a command, and the kinds of options that more than one command has.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from os.path import abspath, isdir, lexists
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from msgspec import Meta
from twisted.python.reflect import namedAny

from myconsumer.fields import MILLION, YEAR, count, seconds, takes
from myconsumer.tokenfile import TokenFile

#: The most bytes of the file of C{--config}.
LONGEST_CONFIG = 1_048_576

_PLACEHOLDERS = {int: "N", float: "SECONDS"}


class Unavailable(ValueError):
    """
    Raised by a converter: the value is right, and what it names cannot be had now.  The
    text follows the value.
    """


class NotShown(ValueError):
    """
    Raised by a converter: the value may be a secret that was given by mistake.  The
    text says what is wrong, and does not quote it.
    """


class Option(NamedTuple):
    """
    One option, or one argument without a name on the command line.

    @ivar name: Its long name, without dashes.
    @ivar type: Its type and range, as C{msgspec.convert} takes them.  It says what
        the option takes: see L{myconsumer.fields.takes}.  A list is of all values
        that are given, one each.
    @ivar default: Its value where none is given.
    @ivar help: What it is for.
    @ivar needed: Whether a value has to be given.
    @ivar convert: Converts a value, or each value of a list, to what it names;
        raises C{ValueError} with the reason where nothing has that name,
        L{Unavailable}, or L{NotShown}.
    @ivar requires: The option without which it has no meaning.
    @ivar argument: What it is called where it is an argument without a name.
    @ivar variable: The environment variable that gives it, if that is not called as
        those of the command are.
    @ivar isLive: Whether a changed value takes effect while the process runs.
    @ivar mayHoldSecrets: Whether no more than the first word of a value is shown.
    @ivar group: The title under which the help has it: see L{myconsumer.command.help}.
    @ivar metavar: What the help calls its value; empty: made of its type.
    """

    name: str
    type: Any
    default: Any
    help: str
    needed: bool = False
    convert: Callable[[Any], Any] | None = None
    requires: str | None = None
    argument: str | None = None
    variable: str | None = None
    isLive: bool = False
    mayHoldSecrets: bool = False
    group: str = ""
    metavar: str = ""

    @property
    def placeholder(self) -> str:
        """
        What the help has in the place of a value.
        """
        plain = _plain(self.type)
        if get_origin(plain) is Literal:
            return "|".join(map(str, get_args(plain)))
        return self.metavar or _PLACEHOLDERS.get(plain, "VALUE")

    @property
    def takes(self) -> str:
        """
        What it takes, in words that follow "takes".
        """
        plain = _plain(self.type)
        # the type of a plugin's option may have no description
        for type_ in (self.type, get_args(plain)[0] if self.isList else plain):
            with suppress(LookupError):
                return takes(type_)
        return "another value"

    @property
    def label(self) -> str:
        """
        What a refusal calls it.
        """
        return self.argument or f"--{self.name}"

    @property
    def isFlag(self) -> bool:
        """
        Whether it takes no value on the command line.
        """
        return _plain(self.type) is bool

    @property
    def isList(self) -> bool:
        """
        Whether it may be given several times.
        """
        return get_origin(_plain(self.type)) is list


def _plain(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def text(description: str) -> Any:
    """
    @return: The type of a text.

    @param description: What the text is, in words that follow "takes".
    """
    return Annotated[str, Meta(description=description)]


def later(name: str) -> Callable[..., Any]:
    """
    Name a function, so that the table of options does not import it.

    @param name: Its dotted name.

    @return: Imports the function when called, and calls it.
    """
    return partial(_call, name)


def _call(name: str, *args: Any) -> Any:
    return namedAny(name)(*args)


#: The type of an option without a value.
Flag = Annotated[bool, Meta(description="true, false, 1 or 0")]

#: The type of a URL; L{asURL} makes one of the text.
Address = text("an http:// or https:// URL without user name and password")

#: Parses a URL.
asURL = later("myconsumer.http.urls.parseURL")

#: Checks the description of a server endpoint.
asEndpoint = later("myconsumer.http.serving.listening.asEndpoint")


def countOption(
    name: str, least: int, default: int | None, help: str, isLive: bool = False
) -> Option:
    """
    Make an option that takes a whole number, up to a million.

    @param name: Its name.
    @param least: The least that it takes.
    @param default: Its value where none is given; C{None}: it is needed.
    @param help: What it is for.
    @param isLive: See L{Option}.
    """
    type_, needed = count(least, MILLION), default is None
    return Option(name, type_, default, help, needed=needed, isLive=isLive)


def secondsOption(
    name: str, default: float, help: str, most: int = YEAR, isLive: bool = False
) -> Option:
    """
    Make an option that takes seconds.

    @param name: Its name.
    @param default: Its value where none is given.
    @param help: What it is for.
    @param most: The most that it takes.
    @param isLive: See L{Option}.
    """
    return Option(name, seconds(most), default, help, isLive=isLive)


def _looksLikePath(text: str) -> bool:
    """
    @return: Whether C{text} is the path of what is there, or begins with the name of a
        folder that is there.
    """
    folder = re.match("/*[^/]+(?=/)", text)
    return lexists(text) or (folder is not None and isdir(folder[0]))


def _tokenFile(path: str) -> TokenFile:
    if not _looksLikePath(path):
        raise NotShown(
            "there is no such file; what was given is not shown, since it may be the "
            "token itself"
        )
    file = TokenFile(path)
    # what is read is kept: later this process may be a user who may not read it
    file.read()
    # twistd may change the directory
    file.path = abspath(path)
    return file


def _readFile(path: str) -> dict[str, Any]:
    try:
        # a pipe would block the process at a reload
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise ValueError("it is no regular file, and cannot be read again")
        with open(path, "rb") as stream:
            content = stream.read(LONGEST_CONFIG + 1)
        if len(content) > LONGEST_CONFIG:
            raise ValueError(f"it has more than {LONGEST_CONFIG} bytes")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be read") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


TOKEN_FILE = Option(
    "token-file",
    text("the path of a file that holds a bearer token"),
    None,
    "file with the bearer token, read again when it changes",
    convert=_tokenFile,
    metavar="FILE",
)

CONFIG = Option(
    "config",
    text("the path of a TOML file"),
    None,
    "TOML file with any of these options by their long names",
    convert=_readFile,
    metavar="FILE",
)

#: The options of the log, which every command of C{twistd} has.
LOG_OPTIONS = (
    Option(
        "log-level",
        Literal["debug", "info", "warn", "error", "critical"],
        "info",
        "the least level of what is logged",
        isLive=True,
    ),
    Option(
        "log-format",
        Literal["text", "json"],
        "text",
        "the format of the log: lines of text, or one JSON object a line",
    ),
    countOption(
        "log-keep",
        0,
        10,
        "rotated log files to keep, of 10 MB each; 0: rotate none",
        isLive=True,
    ),
)
