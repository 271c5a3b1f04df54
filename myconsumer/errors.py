"""
Every exception that a caller of this package may meet.
"""

from __future__ import annotations

from math import inf
from typing import Any


class AlreadyRunningError(Exception):
    """
    A consumer was told to consume a second time.
    """

    def __init__(self, consumer: object, source: object) -> None:
        super().__init__(
            f"{consumer!r} consumes tasks from {source!r} already; "
            "make another consumer for another run"
        )


class NotRunningError(Exception):
    """
    A method of L{ITaskConsumer <myconsumer.interfaces.ITaskConsumer>} was called before
    C{consume()} was, and for no other reason.
    """

    def __init__(self, consumer: object) -> None:
        """
        @param consumer: What does not consume yet.
        """
        super().__init__(f"{consumer!r} does not consume yet: call consume() first")


def checkedDelay(delay: Any) -> float | None:
    """
    @param delay: Seconds, as a number of any type; or C{None}.

    @return: The same as a C{float}, which every protocol can encode.

    @raise ValueError: It is negative, infinite or no number.
    """
    if delay is None:
        return None
    try:
        if 0 <= delay < inf:
            return float(delay)
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise ValueError(f"delay takes seconds, 0 or more, not {delay!r}")


class Release(Exception):
    """
    Raised by a handler: give the task back, to be delivered again later.

    @ivar delay: The seconds after which it may be delivered again; C{None}
        leaves them to the backoff that a failure gets.
    """

    # for subclasses that do not call our __init__
    delay: float | None = None

    def __init__(
        self, message: str = "released", *, delay: float | None = None
    ) -> None:
        """
        @raise ValueError: C{delay} is negative, infinite or no number.
        """
        super().__init__(message)
        self.delay = checkedDelay(delay)


class Reject(Exception):
    """
    Raised by a handler: the task has failed and is never to be delivered again.
    """


class TaskFailedError(Exception):
    """
    Raised by a handler: the task was not done, for a reason that needs no traceback.
    It is retried as after any other exception, and counts as one.

    @ivar delay: The seconds before the next attempt; C{None} leaves them to the
        backoff.
    """

    delay: float | None = None

    def __init__(self, message: str, *, delay: float | None = None) -> None:
        """
        @raise ValueError: C{delay} is negative, infinite or no number.
        """
        super().__init__(message)
        self.delay = checkedDelay(delay)


class NotBegunError(Exception):
    """
    Raised by a handler: the task could not be begun, for a reason that is this
    machine's and not the task's: no descriptors, no processes, no threads left, or
    the program gone.  The task is given back, uncounted, and claiming pauses.
    """


class LeaseLostError(Exception):
    """
    A lease is not to be extended: the task is somebody else's, or has ended.
    """


class QueueError(Exception):
    """
    A request to a queue did not do what was asked.  Its text is for the operator.
    """


class FaultError(QueueError):
    """
    A fault that may pass by itself: the same request is worth trying again.

    @ivar retryAfter: The seconds that the endpoint asks to be left alone for,
        or C{None} where it does not say.
    @ivar tooLong: Whether the answer was longer than is read, so that a smaller
        request may have one that is not.
    @ivar unreachable: Whether no connection was to be had: nothing was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        retryAfter: float | None = None,
        tooLong: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryAfter = retryAfter
        self.tooLong = tooLong
        self.unreachable = unreachable


class RefusalError(QueueError):
    """
    The endpoint refuses the request as it stands; somebody has to change something.

    @ivar divisible: Whether a part of the same batch might be taken, as after
        HTTP's 400, 413 and 422.
    """

    def __init__(self, message: str, *, divisible: bool = False) -> None:
        super().__init__(message)
        self.divisible = divisible
