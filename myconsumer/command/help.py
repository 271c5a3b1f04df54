"""
The help of a command: its options in groups, with what each takes, in 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill

from myconsumer.command.option import Option

#: The groups of options, in their order.  Other groups come before the last.
SOURCE = "Where tasks come from"
HANDLER = "What is done with them"
PACE = "Pace"
STOPPING = "Stopping"
EMBEDDED = "The embedded queue"
STATUS = "Status"
LOG = "Log"
RUNNING = "Running"

#: The only group of a command whose options have none.
OPTIONS = "Options"

_ORDER = (SOURCE, HANDLER, PACE, STOPPING, EMBEDDED, STATUS, LOG)

_WIDTH = 79
_INDENT = 28

#: A row of the help: what is written, and what it means.
Row = tuple[str, str]


def inGroup(group: str, *options: Option) -> list[Option]:
    """
    @return: The options, those without a group in this one.
    """
    return [option._replace(group=option.group or group) for option in options]


def optionRows(options: Sequence[Option]) -> dict[str, list[Row]]:
    """
    @param options: Options that have a name on the command line.

    @return: A row for each, by the titles of groups, in the order of the help.
    """
    last = RUNNING if any(option.group for option in options) else OPTIONS
    found: dict[str, list[Row]] = {}
    for option in options:
        found.setdefault(option.group or last, []).append(_row(option))
    others = [group for group in found if group not in (*_ORDER, last)]
    order = [group for group in (*_ORDER, *others, last) if group in found]
    return {group: found[group] for group in order}


def _row(option: Option) -> Row:
    left = f"--{option.name}"
    if not option.isFlag:
        left += f" {option.placeholder}"
    text = option.help
    if option.default not in (None, "", ()) and option.default is not False:
        text += f" [default: {option.default}]"
    return left, text


def section(title: str, rows: Iterable[Row]) -> str:
    """
    @return: A title, and rows in two columns.
    """
    return "\n".join([f"{title}:", *(_columns(*row) for row in rows), ""])


def _columns(left: str, text: str) -> str:
    indent = " " * _INDENT
    begin = f"  {left}"
    if len(begin) > _INDENT - 2:
        return begin + "\n" + _wrapped(text, indent, indent)
    return _wrapped(text, begin.ljust(_INDENT), indent)


def _wrapped(text: str, begin: str, indent: str) -> str:
    return fill(
        text,
        _WIDTH,
        initial_indent=begin,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def paragraph(text: str) -> str:
    """
    @return: A text, wrapped.
    """
    return _wrapped(text, "", "") + "\n"


def synopsisOf(program: str, synopsis: str) -> str:
    """
    @return: The first lines of a help.
    """
    return _wrapped(synopsis, f"Usage: {program} ", " " * 7)


def examples(lines: Sequence[str]) -> str:
    """
    @return: Commands to copy.
    """
    return "\n".join(["Examples:", *(f"  {line}" for line in lines), ""])
