"""
A reload: the file of C{--config} and that of the token are read again, and what can
take effect at once does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from myconsumer.command.programoptions import LONGEST_LINE
from myconsumer.command.refusal import BadOption
from myconsumer.command.setting import Change
from myconsumer.command.supervision import Supervision
from myconsumer.command.usage import CommandOptions
from myconsumer.text import isSecret, oneLine

#: Takes the new values of options that take effect at once, by their long names; raises
#: C{ValueError} or C{TypeError}, and changes nothing, where one of them cannot.
Use = Callable[[Mapping[str, Any]], object]


class Reload:
    """
    Reloads, and logs what has changed.
    """

    _log = Logger()

    def __init__(
        self, options: CommandOptions, use: Use, supervision: Supervision
    ) -> None:
        """
        @param options: The options of the command, parsed.
        @param use: Puts new values to use.
        @param supervision: Is told of the begin and the end.
        """
        self._options = options
        self._use = use
        self._supervision = supervision

    def __call__(self) -> None:
        """
        Reload.
        """
        self._supervision.reloading()
        try:
            self._readOptions()
            self._readToken()
        finally:
            self._supervision.reloaded()

    def _readOptions(self) -> None:
        """
        Change all that has changed, or, where anything is wrong, nothing.
        """
        try:
            changes = self._options.reread(self._useLive)
        except (BadOption, ValueError, TypeError) as error:
            reason = str(error)
            if not isinstance(error, BadOption) and isSecret(reason):
                reason = "an option is refused; why is not shown"
            self._log.error(
                "Nothing is reloaded, the old settings stay in use: {reason}",
                reason=oneLine(reason, LONGEST_LINE),
            )
            return
        live = [_worded(change) for change in changes if change.isLive]
        self._log.info(
            "Reloaded {path}: {changes}",
            path=self._options.configFile or "nothing, without --config",
            changes=", ".join(live) or "nothing has changed",
        )
        if later := [_worded(change) for change in changes if not change.isLive]:
            self._log.warn(
                "Changes that take effect after a restart only: {changes}",
                changes=", ".join(later),
            )

    def _useLive(self, changes: Sequence[Change]) -> None:
        self._use({each.name: each.new.value for each in changes if each.isLive})

    def _readToken(self) -> None:
        token = self._options["token-file"]
        if token is None:
            return
        try:
            isNew = token.refresh()
        except ValueError as error:
            self._log.error(
                "The token file {reason}; the last good token is in use",
                reason=str(error),
            )
            return
        if isNew:
            self._log.info("Another token is in use now")


def _worded(change: Change) -> str:
    return f"{change.name} {change.old.shown} -> {change.new.shown}"
