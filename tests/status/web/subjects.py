"""
What is shown over HTTP, made up.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from myconsumer.pipeline.parts import Pipeline
from myconsumer.status.health import Health
from myconsumer.status.metrics import Metrics
from myconsumer.status.state import Status
from myconsumer.status.web.subject import ShownConsumer, Subject


class MadeUpConsumer:
    """
    A consumer that is at what it is told to be at, and notes how it is steered.

    @ivar state: What it is at.
    @ivar steps: How it was steered.
    """

    pipeline: Pipeline | None = None

    def __init__(self, state: Status) -> None:
        self.state = state
        self.steps: list[Any] = []

    def status(self) -> Status:
        return self.state

    def pause(self, reason: str) -> None:
        self.steps.append(("pause", reason))

    def resume(self, reason: str) -> None:
        self.steps.append(("resume", reason))

    def setLimit(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("limit takes a whole number of 1 or more")
        self.steps.append(("limit", limit))

    def drain(self) -> None:
        self.steps.append("drain")


def shown(consumer: MadeUpConsumer, metrics: Metrics | None = None) -> Subject:
    """
    @return: The consumer, as what is shown.
    """
    health = Health(Clock(), consumer.status, lambda: None, 60.0)
    return Subject(
        health, ShownConsumer(consumer, metrics or Metrics(), consumer.drain)
    )
