"""
The handlers that come with this package: their names and options.
"""

from typing import Literal

from myconsumer.command.option import Address, asURL, later, secondsOption, text
from myconsumer.makers import HandlerMaker, Option

python = HandlerMaker(
    "python",
    "calls a Python callable",
    "myconsumer.handlers.python",
    Option(
        "python",
        text("the dotted name of a callable"),
        None,
        "calls this with each task: package.module.callable",
        convert=later("myconsumer.handlers.callables.NamedCallable.load"),
        metavar="NAME",
    ),
    Option(
        "run-in",
        Literal["reactor", "thread", "process"],
        "reactor",
        "where the callable of --python runs: thread or process if it blocks",
    ),
)

command = HandlerMaker(
    "exec",
    "runs a command",
    "myconsumer.handlers.command.handler",
    Option(
        "exec",
        text("a command and its arguments"),
        None,
        "runs this command for each task, without a shell, the payload on its stdin",
        convert=later("myconsumer.handlers.command.words.asWords"),
        mayHoldSecrets=True,
        metavar="COMMAND",
    ),
    Option(
        "exec-env",
        text("names of environment variables, separated by commas"),
        None,
        "environment variables that a command gets beside PATH, HOME, LANG and TZ",
        convert=later("myconsumer.handlers.command.words.asNames"),
        metavar="NAMES",
    ),
    Option(
        "exec-output",
        Literal["log", "discard"],
        "log",
        "what becomes of what commands write: it is logged, or not",
    ),
    secondsOption(
        "kill-after",
        5,
        "seconds from SIGTERM to SIGKILL when a command is stopped",
        3_600,
    ),
)

forward = HandlerMaker(
    "forward",
    "posts to a web application",
    "myconsumer.handlers.forward",
    Option(
        "forward",
        Address,
        None,
        "posts each task to this URL of a web application",
        convert=asURL,
        metavar="URL",
    ),
    Option(
        "forward-wait-for",
        Address,
        None,
        "claims nothing while this URL does not answer with 2xx",
        convert=asURL,
        metavar="URL",
    ),
)
