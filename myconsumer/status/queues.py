"""
What is shown of queues that are served from this process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred


class QueueLoad(Struct, frozen=True):
    """
    What is in a queue.  JSON can encode it.

    @ivar name: Its name.
    @ivar ready: How many tasks are ready, as of C{leased}, C{delayed}, C{failed} and
        C{completed}.
    @ivar oldest: For how many seconds the ready task is queued that was queued first;
        C{None}: none is ready.
    """

    name: str
    ready: int
    leased: int
    delayed: int
    failed: int
    completed: int
    oldest: float | None = None


class FailedAlike(Struct, frozen=True):
    """
    Failed tasks of a queue that have the same error.

    @ivar error: The error; C{None}: none was told.
    @ivar count: How many there are of them, among those that were looked at.
    @ivar id: The name of one of them.
    @ivar ended: When the last of them failed, in seconds since the epoch.
    """

    error: str | None
    count: int
    id: str
    ended: float


class Queues(Protocol):
    """
    Queues that are served from this process.  Each Deferred fails with an exception
    whose text says why the queues cannot be read or written now.
    """

    def load(self) -> Deferred[Sequence[QueueLoad]]:
        """
        @return: What is in each queue, by name.
        """

    def failed(self, queue: str, limit: int, after: int) -> Deferred[Any]:
        """
        List failed tasks.

        @param limit: The most tasks.
        @param after: C{next} of the part before; 0: from the beginning.

        @return: What JSON can encode: C{failed}, each with C{id}, C{payload},
            C{attempts}, C{enqueued}, C{ended} and C{error}, and C{next}.
        """

    def failedAlike(self, queue: str, limit: int) -> Deferred[Sequence[FailedAlike]]:
        """
        Count failed tasks by their errors.

        @param limit: The most errors; those come first that most tasks have.
        """

    def retry(self, queue: str, ids: Sequence[str]) -> Deferred[int]:
        """
        Retry failed tasks.

        @return: How many are ready again.
        """

    def retryAlike(self, queue: str, error: str | None) -> Deferred[int]:
        """
        Retry all failed tasks that have an error.

        @return: How many are ready again.
        """

    def collect(self, load: Sequence[QueueLoad]) -> Iterable[Any]:
        """
        @param load: What is in each queue.

        @return: Metrics, as C{prometheus_client.registry.Collector.collect} has them.
        """
