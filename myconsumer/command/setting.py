"""
What an option is set to, where that was given, and how it changes while the process
runs.

Promise 9: no secret is shown with a setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from myconsumer.command.option import Option
from myconsumer.text import isSecret, oneLine, shown

#: The origin of a value that was given nowhere.
DEFAULT = "the default"

_HIDDEN = "not shown"
_LONGEST = 120


class Setting(NamedTuple):
    """
    An option with its value.

    @ivar option: The option.
    @ivar raw: The value as it was given, of the option's type; may hold a secret.
    @ivar origin: Where it was given: C{--limit}, C{CONSUMER_LIMIT}, C{limit in
        '/etc/consumer.toml'} or C{the default}.
    @ivar value: What it was converted to.
    """

    option: Option
    raw: Any
    origin: str
    value: Any

    @property
    def name(self) -> str:
        """
        The option's long name, without dashes.
        """
        return self.option.name

    @property
    def isDefault(self) -> bool:
        """
        Whether it was given nowhere.
        """
        return self.origin == DEFAULT

    @property
    def shown(self) -> str:
        """
        The value as it was given, on one line of a bounded length, without what may be
        a secret.
        """
        if isinstance(self.raw, list):
            return ", ".join(map(self._shown, self.raw[:3])) or "none"
        return "none" if self.raw is None else self._shown(self.raw)

    def _shown(self, raw: Any) -> str:
        if not isinstance(raw, str):
            whole = isinstance(raw, float) and raw.is_integer()
            return shown(int(raw) if whole else raw)
        first, *more = raw.split() or [""]
        if self.option.mayHoldSecrets and more:
            return f"{_masked(first)} ..."
        return _masked(raw)


def _masked(text: str) -> str:
    if not isSecret(text):
        return oneLine(text, _LONGEST)
    # a key may be in the query of a URL
    rest = text.split("?")[0]
    return (
        _HIDDEN if rest == text or isSecret(rest) else f"{oneLine(rest, _LONGEST)}?..."
    )


class Change(NamedTuple):
    """
    A setting that was changed while the process runs.

    @ivar old: What is in use.
    @ivar new: What is given now.
    """

    old: Setting
    new: Setting

    @property
    def name(self) -> str:
        """
        The option's long name, without dashes.
        """
        return self.new.name

    @property
    def isLive(self) -> bool:
        """
        Whether the change takes effect at once; else the process has to be restarted.
        """
        return self.new.option.isLive


class Settings:
    """
    The settings of a process that reads its options again: those in use, and those
    that were read last, which differ where a change needs a restart.
    """

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        """
        @param settings: Those that the process starts with, by long names.
        """
        self.inUse = dict(settings)
        self._last = dict(settings)

    def known(self) -> Sequence[Setting]:
        """
        @return: All that need not be converted again.
        """
        return (*self._last.values(), *self.inUse.values())

    def changes(self, settings: Mapping[str, Setting]) -> list[Change]:
        """
        @param settings: What is given now.

        @return: What differs both from what is in use and from what was given last.
        """
        return [
            Change(self.inUse[name], new)
            for name, new in settings.items()
            if new.raw not in (self.inUse[name].raw, self._last[name].raw)
        ]

    def take(self, settings: Mapping[str, Setting]) -> None:
        """
        Put to use what takes effect at once, and note what was given.

        @param settings: What is given now.
        """
        self._last = dict(settings)
        for name, new in settings.items():
            if new.option.isLive or new.raw == self.inUse[name].raw:
                self.inUse[name] = new
