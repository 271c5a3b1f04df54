"""
Counts of what a service has done.
"""

from __future__ import annotations

from typing import get_args

from twisted.internet.interfaces import IReactorTime

from myconsumer.pipeline.observers import Observer
from myconsumer.task import Ending, Outcome, Task


class Totals(Observer):
    """
    Counts the tasks that have ended.

    @ivar outcomes: How many have ended with each outcome.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: What keeps the time.
        """
        self.outcomes: dict[Outcome, int] = dict.fromkeys(get_args(Outcome), 0)

    def taskEnded(self, task: Task, ending: Ending, seconds: float) -> None:
        """
        See L{IConsumerObserver.taskEnded
        <myconsumer.interfaces.IConsumerObserver.taskEnded>}.
        """
        self.outcomes[ending.outcome] += 1
