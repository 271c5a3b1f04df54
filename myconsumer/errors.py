"""
Every exception that a caller of this package may meet.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myconsumer.interfaces import ITaskConsumer, ITaskSource


class AlreadyRunningError(Exception):
    """
    A consumer was told to consume a second time.
    """

    def __init__(self, consumer: ITaskConsumer, source: ITaskSource) -> None:
        super().__init__(
            f"{consumer!r} consumes tasks from {source!r} already; "
            "make another consumer for another run"
        )


class NotRunningError(Exception):
    """
    A consumer was told of a task, or of none, before it was told to consume.
    """

    def __init__(self, consumer: ITaskConsumer) -> None:
        super().__init__(f"{consumer!r} does not consume yet: call consume() first")


class Release(Exception):
    """
    Raised by a handler: give the task back, to be delivered again later.

    @ivar delay: The seconds after which it may be delivered again; L{None}
        leaves them to the backoff that a failure gets.
    """

    def __init__(
        self, message: str = "released", *, delay: float | None = None
    ) -> None:
        """
        @raise ValueError: C{delay} is negative, infinite or no number.
        """
        if delay is not None and not 0 <= delay < inf:
            raise ValueError(f"delay takes seconds, 0 or more, not {delay!r}")
        super().__init__(message)
        self.delay = delay


class Reject(Exception):
    """
    Raised by a handler: the task has failed and is never to be delivered again.
    """


class QueueError(Exception):
    """
    A request to a queue did not do what was asked.  Its text is for the operator.
    """


class FaultError(QueueError):
    """
    A fault that may pass by itself: the same request is worth trying again.

    @ivar retryAfter: The seconds that the endpoint asks to be left alone for,
        or L{None} where it does not say.
    """

    def __init__(self, message: str, *, retryAfter: float | None = None) -> None:
        super().__init__(message)
        self.retryAfter = retryAfter


class RefusalError(QueueError):
    """
    The endpoint refuses the request as it stands; somebody has to change something.

    @ivar divisible: Whether a part of the same batch might be taken, as after
        HTTP's 400, 413 and 422.
    """

    def __init__(self, message: str, *, divisible: bool = False) -> None:
        super().__init__(message)
        self.divisible = divisible
