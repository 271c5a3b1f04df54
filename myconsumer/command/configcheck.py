"""
C{--check-config}: everything that a start checks, and one question to the endpoint,
without a start.

Promise 9: no secret is shown of what is checked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, DeferredList, TimeoutError, maybeDeferred
from twisted.python.failure import Failure

from myconsumer.command.announcement import described
from myconsumer.command.descriptors import raiseLimit
from myconsumer.command.help import Row
from myconsumer.command.mainloop import leaveThreads
from myconsumer.command.resolving import Command
from myconsumer.command.usage import CommandOptions
from myconsumer.errors import QueueError
from myconsumer.interfaces import IProbed
from myconsumer.text import describe, isSecret, oneLine

#: The seconds that each part gets to say whether it can be used.
DEADLINE = 5.0


class ServiceOptions(CommandOptions):
    """
    The options of a service: also C{--check-config}, on the command line only.
    """

    command = Command("service", ())
    _isCheck = False

    @property
    def program(self) -> str:
        """
        See L{ProgramOptions.program}.
        """
        return f"twistd [options of twistd] {self.command.name}"

    def _builtIn(self) -> list[Row]:
        return [
            (
                "--check-config",
                "check everything, ask the endpoint once without claiming a task, "
                "print what was found, and exit with status 0 or 1",
            ),
            *super()._builtIn(),
        ]

    def opt_check_config(self) -> None:
        """
        check everything, ask the endpoint once without claiming a task, print what was
        found, and exit with status 0 or 1
        """
        self._isCheck = True

    def postOptions(self) -> None:
        """
        Resolve the options, and check what they lead to, if that is wanted.

        @raise SystemExit: All was checked.
        """
        super().postOptions()
        if self._isCheck:
            self._check()

    def makeParts(self, reactor: Any) -> Iterable[object]:
        """
        Make what the service is made of.

        @param reactor: The reactor, which does not run yet.

        @return: The parts; those that provide L{IProbed} are asked.

        @raise SystemExit: An option is refused.
        """
        return ()

    def _check(self) -> NoReturn:
        from twisted.internet import reactor

        _print(
            f"option: {described(setting)}"
            for setting in self.settings.values()
            if not setting.isDefault
        )
        _print(f"warning: {line}" for line in self.advice())
        raiseLimit(reactor)
        leaveThreads(reactor)
        isGood = Probes(reactor, self.makeParts(reactor)).run()
        _print(["ok: nothing speaks against a start"] if isGood else [])
        sys.exit(0 if isGood else 1)


class Probes:
    """
    Asks each part of a service whether it can be used.
    """

    def __init__(self, reactor: Any, parts: Iterable[object]) -> None:
        """
        @param reactor: The reactor, which does not run yet.
        @param parts: The parts; of those that cannot be asked nothing is said.
        """
        self._reactor = reactor
        self._parts = [part for part in parts if IProbed.providedBy(part)]
        # how many parts have said that they can be used
        self._good = 0

    def run(self) -> bool:
        """
        Run the reactor until each part has been asked; print what was found.

        @return: Whether all can be used.
        """
        if not self._parts:
            _print(["note: the endpoint was not asked: its protocol has no way to"])
            return True
        self._reactor.callWhenRunning(self._begin)
        self._reactor.run()
        return self._good == len(self._parts)

    def _begin(self) -> None:
        asking = DeferredList([self._ask(part) for part in self._parts])
        asking.addBoth(lambda _: self._reactor.stop())

    def _ask(self, part: Any) -> Deferred[None]:
        name = oneLine(repr(part))
        asking: Deferred[str] = maybeDeferred(part.probe)
        asking.addTimeout(DEADLINE, self._reactor)
        asked = asking.addCallbacks(
            self._answered, _failed, callbackArgs=(name,), errbackArgs=(name,)
        )
        return asked.addBoth(lambda _: part.close())

    def _answered(self, text: str, name: str) -> None:
        self._good += 1
        _print([f"found: {name} {text}"])


def _failed(failure: Failure, name: str) -> None:
    if failure.check(QueueError):
        reason = failure.getErrorMessage()
    elif failure.check(TimeoutError):
        reason = f"no answer within {DEADLINE:g} s"
    else:
        reason = describe(failure)
        reason = "why is not shown" if isSecret(reason) else reason
    _print([f"error: {name} cannot be used: {reason}"])


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(oneLine(line, 1000))
