"""
Batches of tasks, sent one after another, and how many tasks were queued.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct
from twisted.application.internet import backoffPolicy
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from myconsumer.cli.enqueueing.batches import Batch
from myconsumer.cli.queue import Queue
from myconsumer.errors import FaultError, QueueError, RefusalError
from myconsumer.retrying import Policy, Retry

_WANTED = '{"ids": [...]}'

#: 0.25 s and doubling, up to 5 s; jitter adds up to 1 s.
_policy: Policy = backoffPolicy(0.25, 4.0, 2.0)


class _Answer(Struct):
    ids: list[str | int]
    known: list[str | int] = []


class Sending:
    """
    Sends batches.

    @ivar queued: The number of tasks that were queued.
    @ivar known: The number of tasks that the queue had already.
    """

    queued = 0
    known = 0

    def __init__(
        self,
        queue: Queue,
        clock: IReactorTime,
        patience: float,
        policy: Policy = _policy,
    ) -> None:
        """
        @param queue: The queue.
        @param clock: Measures C{patience} and the waits between retries.
        @param patience: The seconds for which a batch is retried.
        @param policy: The number of failures before this one -> seconds to wait.
        """
        self._queue = queue
        self._clock = clock
        self._patience = patience
        self._retry = Retry("Requests", clock, policy)
        self._lastLine = 0
        self._open = 0

    async def send(self, batch: Batch) -> None:
        """
        Send a batch, and retry after faults; one that is too large for the queue is
        sent in parts.

        @param batch: The batch.

        @raise QueueError: The queue refused a part of it, or no answer came while the
            patience lasted.
        """
        parts = deque([batch])
        while parts:
            part = parts.popleft()
            try:
                await self._sendWhole(part)
            except RefusalError as error:
                if not error.divisible:
                    raise
                if len(part.tasks) == 1:
                    where = f"the task of line {part.lines[0]}"
                    raise RefusalError(f"{where}: {error}") from None
                parts.extendleft(reversed(part.halves()))

    async def _sendWhole(self, batch: Batch) -> None:
        self._open = len(batch.tasks)
        answer = await self._answered(batch)
        self._open = 0
        self._lastLine = batch.lastLine
        self.known += len(answer.known)
        self.queued += len(batch.tasks) - len(answer.known)

    def account(self) -> str:
        """
        @return: What was done, as a line.
        """
        text = f"{_tasks(self.queued)} queued"
        if self.known:
            text += f", {self.known} {_were(self.known)} known already"
        return text

    def accountBefore(self) -> str:
        """
        @return: What was done before something went wrong, as the end of a line.
        """
        text = f"{_tasks(self.queued)} {_were(self.queued)} queued before that"
        if self._lastLine:
            text += f", up to line {self._lastLine}"
        if self._open:
            text += f"; the next {self._open} may be queued, too"
        return text

    async def _answered(self, batch: Batch) -> _Answer:
        body = batch.body
        failedAt: float | None = None
        while True:
            try:
                answer = await self._queue.ask(_Answer, _WANTED, "POST", body=body)
            except FaultError as error:
                now = self._clock.seconds()
                failedAt = now if failedAt is None else failedAt
                left = failedAt + self._patience - now
                if left <= 0 or (error.retryAfter or 0) > left:
                    raise
                delay = self._retry.failed(Failure())
                await deferLater(self._clock, min(delay, left))
            except RefusalError:
                # all or none
                self._open = 0
                raise
            else:
                self._retry.succeeded()
                return _checked(answer, len(batch.tasks))


def _checked(answer: _Answer, sent: int) -> _Answer:
    if len(answer.ids) != sent:
        raise QueueError(
            f"the queue answered with the ids of {_tasks(len(answer.ids))} to a "
            f"request with {_tasks(sent)}: is the URL that of a queue?"
        )
    return answer


def _tasks(count: int) -> str:
    return f"{count} task" if count == 1 else f"{count} tasks"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
