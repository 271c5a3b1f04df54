"""
What a process logs of its options when it starts.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

from myconsumer.command.setting import Setting
from myconsumer.command.usage import CommandOptions
from myconsumer.text import oneLine

#: The most characters of a line with options.
LONGEST_LINE = 2000

_log = Logger()


def announce(options: CommandOptions) -> None:
    """
    Log what was given, with where it was given; at level debug what was not; and what
    should be changed.

    @param options: The options, parsed.
    """
    settings = options.settings.values()
    _log.info(
        "Options: {options}", options=lineOf(s for s in settings if not s.isDefault)
    )
    _log.debug(
        "Options that were not given: {options}",
        options=lineOf(s for s in settings if s.isDefault and s.raw is not None),
    )
    for line in options.advice():
        _log.warn("Options to change: {advice}", advice=line)


def lineOf(settings: Iterable[Setting]) -> str:
    """
    @return: Settings as one line of a bounded length, without what may be a secret.
    """
    return oneLine(", ".join(map(described, settings)), LONGEST_LINE) or "none"


def described(setting: Setting) -> str:
    """
    @return: A setting as words: name, value, and where it was given.
    """
    if setting.isDefault:
        return f"{setting.name} {setting.shown}"
    return f"{setting.name} {setting.shown} ({setting.origin})"
