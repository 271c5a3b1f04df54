"""
What is logged of the answers of worker processes, however many there are.
"""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from myconsumer.command.standardlog import fit
from myconsumer.handlers.lines import Outlet
from myconsumer.retrying import QUIET_LASTING
from myconsumer.text import shownID

#: The most places of which it is known that their traceback was logged.
MOST_PLACES = 100

#: The most characters of a traceback that are logged.
LONGEST_TRACEBACK = 4000


class Reports:
    """
    Logs the tracebacks of tasks that have raised, those of the same place once an hour,
    and that results are left out; all within the bounds of an L{Outlet}.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, outlet: Outlet) -> None:
        """
        @param clock: Measures the time.
        @param outlet: Has the room for it.
        """
        self._clock = clock
        self._outlet = outlet
        # until when the traceback of a place is not logged again
        self._quietUntil: OrderedDict[str, float] = OrderedDict()

    def raised(self, id: str | int, traceback: str) -> None:
        """
        A task has raised something that nobody foresaw.  That it has failed is logged
        elsewhere.

        @param id: The task's id.
        """
        if self._isNew(_placeOf(traceback)):
            self._outlet.remark(
                "Task {id} raised, in its worker process:\n{traceback}",
                self._log,
                LogLevel.error,
                id=shownID(id),
                traceback=fit(traceback, LONGEST_TRACEBACK),
            )

    def withoutResult(self, id: str | int, error: str) -> None:
        """
        A task is complete, and its result is left out.

        @param id: The task's id.
        @param error: Why.
        """
        self._outlet.remark(
            "Task {id} is completed without its result: {error}",
            self._log,
            LogLevel.error,
            id=shownID(id),
            error=error,
        )

    def _isNew(self, place: str) -> bool:
        now = self._clock.seconds()
        if now < self._quietUntil.get(place, now):
            return False
        self._quietUntil[place] = now + QUIET_LASTING
        self._quietUntil.move_to_end(place)
        if len(self._quietUntil) > MOST_PLACES:
            self._quietUntil.popitem(last=False)
        return True


def _placeOf(traceback: str) -> str:
    """
    @return: The frames of a traceback, without the text of the exception.
    """
    lines = traceback.splitlines()
    return "\n".join(line for line in lines if line.startswith('  File "'))
