"""
What is shown over HTTP: a consumer, queues, or both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from myconsumer.command.setting import Setting
from myconsumer.pipeline.parts import Pipeline
from myconsumer.status.health import Health
from myconsumer.status.metrics import Metrics
from myconsumer.status.queues import Queues
from myconsumer.status.state import Status


class Steered(Protocol):
    """
    A consumer, as L{ConsumerService<myconsumer.service.ConsumerService>} is one.
    """

    @property
    def pipeline(self) -> Pipeline | None:
        """
        What its run is made of, until it has drained; C{None} while it is stopped.
        """

    def status(self) -> Status:
        """
        @return: What it is at.
        """

    def pause(self, reason: str) -> None:
        """
        See L{IPausable.pause<myconsumer.interfaces.IPausable.pause>}.
        """

    def resume(self, reason: str) -> None:
        """
        See L{IPausable.resume<myconsumer.interfaces.IPausable.resume>}.
        """

    def setLimit(self, limit: int) -> None:
        """
        Change how many tasks may run at once.

        @raise ValueError: It cannot be that many.
        """


@dataclass(frozen=True)
class ShownConsumer:
    """
    A consumer, and what is known of it.

    @ivar service: The consumer.
    @ivar metrics: Counts what happens to it.
    @ivar drain: Ends the process, once the consumer has drained.
    """

    service: Steered
    metrics: Metrics
    drain: Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """
    What is shown over HTTP.

    @ivar health: Judges the process.
    @ivar consumer: The consumer; C{None}: there is none in this process.
    @ivar queues: The queues; C{None}: there are none in this process.
    @ivar settings: Returns the settings in use, by their names.
    @ivar showsPayloads: Whether payloads of tasks are shown.
    """

    health: Health
    consumer: ShownConsumer | None = None
    queues: Queues | None = None
    settings: Callable[[], Mapping[str, Setting]] = dict
    showsPayloads: bool = False
