"""
What all commands of C{myconsumer} take, and the words in which they refuse.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from getopt import GetoptError, gnu_getopt
from importlib.metadata import version
from typing import Any

from hyperlink import URL
from msgspec import convert
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from myconsumer.command import option
from myconsumer.command.resolving import Refused, refusal
from myconsumer.http import parseURL
from myconsumer.text import isSecret, oneLine, shown
from myconsumer.tokenfile import TokenFile

#: The variable that names the token file where C{--token-file} does not.
TOKEN_FILE = "CONSUMER_TOKEN_FILE"  # noqa: S105 - a name


def checked(name: str, type_: Any, takes: str) -> Callable[[str], Any]:
    """
    Make what checks the value of an option, for C{optParameters}.

    @param name: The option, with its dashes.
    @param type_: Its type and range, as C{msgspec.convert} takes them.
    @param takes: What it takes, in words that follow "takes".

    @return: Turns the text into the value; raises L{Refused}.
    """

    def check(text: str) -> Any:
        try:
            return convert(text, type_, strict=False)
        except ValueError:
            raise refusal(name, takes, text) from None

    return check


def unknown(arguments: Sequence[str]) -> Refused:
    """
    Refuse arguments that are too many.

    @param arguments: They, one or more.
    """
    first = arguments[0]
    what = "an argument that is not shown" if isSecret(first) else shown(first)
    return Refused(f"{what} is one argument too many")


class QueueOptions(UsageOptions):
    """
    What every command takes: the queue's URL, and where the token is.  Options may
    stand before, between and after the arguments.
    """

    optParameters: list[list[Any]] = [  # noqa: RUF012 - its type is Twisted's
        [
            "token-file",
            None,
            None,
            f"file with the bearer token; {TOKEN_FILE} may name it, too",
        ]
    ]
    longdesc = ""

    def opt_version(self) -> None:
        """
        Display the version and exit.
        """
        printVersion()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse a command's part of the command line.

        @raise UsageError: Something is wrong or missing; the text is one line.
        """
        given = sys.argv[1:] if options is None else options
        try:
            found, arguments = gnu_getopt(list(given), self.shortOpt, self.longOpt)
        except GetoptError as error:
            raise inOurWords(error) from None
        words = [
            f"{name}={value}" if f"{name[2:]}=" in self.longOpt else name
            for name, value in found
        ]
        super().parseOptions([*words, "--", *arguments])

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the URL, and leave the rest to L{takeArguments}.
        """
        if not arguments:
            raise Refused(f"the queue's URL is needed: {option.A_URL}")
        self["url"] = _checkedURL(arguments[0])
        self.takeArguments(arguments[1:])

    def takeArguments(self, arguments: Sequence[str]) -> None:
        """
        Take the arguments that follow the URL.  There are none, unless a command
        says so.

        @raise UsageError: There are too few or too many; the text is one line.
        """
        if arguments:
            raise unknown(arguments)

    def postOptions(self) -> None:
        """
        Look for the token file.
        """
        where, path = "--token-file", self["token-file"]
        if path is None:
            where, path = TOKEN_FILE, os.environ.get(TOKEN_FILE)
        self["token-file"] = path or None
        if path:
            try:
                TokenFile(path).read()
            except ValueError as error:
                raise refusal(
                    where, option.TOKEN_FILE.takes, path, str(error)
                ) from None


def inOurWords(error: Exception) -> UsageError:
    """
    Word what was found wrong with the command line before any value was looked at.
    """
    text = str(error)
    if isSecret(text):
        return Refused("an option that is not shown is not known; --help lists all")
    return Refused(f"{oneLine(text)}; --help lists all")


def printVersion() -> None:
    """
    Print the version and exit.
    """
    print("myconsumer", version("myconsumer"))
    sys.exit(0)


def _checkedURL(text: str) -> URL:
    try:
        return parseURL(text)
    except ValueError as error:
        raise refusal("URL", option.A_URL, text, str(error)) from None
