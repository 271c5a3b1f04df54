"""
Every exception that a caller of this package may meet.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from myconsumer.fields import OpenDelay, mismatch

if TYPE_CHECKING:
    from myconsumer.interfaces import ITaskConsumer


class AlreadyRunningError(Exception):
    """
    C{consume} of a consumer was called a second time.
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

    def __init__(self, consumer: ITaskConsumer) -> None:
        """
        @param consumer: The consumer, which does not consume yet.
        """
        super().__init__(f"{consumer!r} does not consume yet: call consume() first")


def checkedDelay(delay: Any) -> float | None:
    """
    @param delay: Seconds, as a number of any type; or C{None}.

    @return: C{delay} as a C{float}, which every protocol can encode.

    @raise ValueError: C{delay} is negative, infinite or no number.
    """
    if delay is None:
        return None
    try:
        if 0 <= delay < inf:
            return float(delay)
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise ValueError(mismatch("delay", OpenDelay, delay))


def delayOf(error: Any) -> float | None:
    """
    @return: The seconds for which an exception wants its task to wait; C{None} leaves
        them to the backoff, and so does what is no such number.
    """
    try:
        return checkedDelay(error.delay)
    except ValueError:
        return None


class Release(Exception):
    """
    Raised by a handler: give the task back, to be delivered again later.

    @ivar delay: The seconds after which the task may be delivered again; C{None}:
        as many as after a failure.
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
    Raised by a handler: this attempt has failed, for a reason that needs no traceback
    in the log.  The task is retried as after any other exception.

    @ivar delay: The seconds before the next attempt; C{None}: as many as after any
        other failure.
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
    machine's and not the task's: no descriptors, processes or threads are left, or
    the program is gone.  The task is given back, the attempt is not counted, and
    claiming pauses.
    """


class LeaseLostError(Exception):
    """
    A lease cannot be extended: it is lost, has ended, or never was.
    """


class QueueError(Exception):
    """
    A request to a queue has failed.  Its text is for the operator.
    """


class FaultError(QueueError):
    """
    A fault that may pass by itself: the same request is worth a retry.

    @ivar retryAfter: The seconds to wait before the retry, as the endpoint asks for;
        C{None} where it asks for none.
    @ivar tooLong: Whether the answer was too long to be read, so that asking for less
        may succeed.
    @ivar unreachable: Whether no connection could be made, so that nothing was sent.
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
    The endpoint refuses the request as it stands: a retry is refused as well until
    somebody has changed the configuration or the endpoint.

    @ivar divisible: Whether the endpoint may accept a part of the same batch, as after
        HTTP's 400, 413 and 422.
    """

    def __init__(self, message: str, *, divisible: bool = False) -> None:
        super().__init__(message)
        self.divisible = divisible
