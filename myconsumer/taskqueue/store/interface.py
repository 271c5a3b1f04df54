"""
What the embedded queue asks of whatever keeps its tasks.

A store knows tasks, leases and counts.  It knows neither claims that wait nor HTTP:
those are the L{broker's <myconsumer.taskqueue.broker.Broker>}, which is the one that
uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.records import (
    Delivery,
    Enqueued,
    FailedTasks,
    NewTask,
    Pruned,
    Retried,
    RetryCursor,
    State,
    TaskRecord,
)


class StoreError(Exception):
    """
    The store cannot be read or written now; the same request may succeed later.  The
    text says why, for operators and clients.
    """


class IStoreListener(Interface):
    """
    Called when something happens in a store, on the reactor's thread.  Neither method
    may raise.
    """

    def tasksReady(queue: str) -> None:
        """
        More tasks of a queue are ready than before, or may be: queued, released,
        retried or woken.  Called once that is committed, and before the Deferred of
        the call that did it fires.

        @param queue: The name of the queue.
        """

    def nextDue(seconds: float | None) -> None:
        """
        The time changed, or may have, at which L{ITaskStore.wake} is to be called next.

        @param seconds: The seconds from now until the first delay or lease ends, 0 or
            more; C{None}: nothing is delayed or leased.
        """


class ITaskStore(Interface):
    """
    Keeps the tasks of all queues.  A queue is made by its first task.

    The service calls L{start} first and L{close} last; the broker calls everything
    else, L{open} first.  Methods are called on the reactor's thread, and return without
    waiting for a disk or a server.

    A Deferred fires once the change that it stands for is committed and durable, and
    seen by every later call.  It fails with L{StoreError} where the store cannot be
    read or written, and with anything else only because of a bug.  After a failure
    nothing is changed, unless the method says otherwise.  To cancel it does not undo
    the change.

    Each call is a transaction, or shares one with other calls.  A call that fails does
    not make others fail that share its transaction.

    Leases, delays and ages are measured by the store's own clock, in seconds.  Times in
    records are seconds since the epoch.
    """

    name: str = Attribute("Where the tasks are kept, as one line for the log.")

    def start() -> None:
        """
        Take hold of the place where the tasks are kept: alone, unless such a store can
        be shared.  Called once, before L{open}.

        @raise ValueError: It cannot be used; the text is one line that says why.
        """

    def open(listener: IStoreListener) -> Deferred[float | None]:
        """
        Count the tasks, and restart at their full length the leases that nobody could
        extend before.  Called until it succeeds, and before anything else is asked.

        @param listener: Called from now on when something happens.

        @return: Fires with the seconds since the last task completed or failed, which
            are negative where the clock was set back; C{None}: none has.
        """

    def idle() -> Deferred[None]:
        """
        @return: Fires once every call made so far is answered, and those made in the
            callbacks of these; never fails.
        """

    def close() -> None:
        """
        Let go of what L{start} took, and of all connections.  Called once the store is
        idle.  What is asked afterwards fails with L{StoreError}.
        """

    def enqueue(queue: str, tasks: Sequence[NewTask]) -> Deferred[Enqueued]:
        """
        Queue tasks: all of them or, if this fails, none.  One whose id is known is not
        queued again.

        @param queue: The name of the queue.
        @param tasks: The tasks.  Where there is no room for new ones this fails, and
            everything else goes on.
        """

    def ready(queue: str) -> int:
        """
        Tell how many tasks a claim of a queue may find, without asking anybody.

        @param queue: The name of the queue.

        @return: At least as many tasks as are ready once all calls so far are done,
            or L{IStoreListener.tasksReady} is called when it turns out that there
            are more.  It may be too high, but not for ever: a claim that finds none
            corrects it.
        """

    def claim(
        queue: str, claim: str, limit: int, lease: float
    ) -> Deferred[list[Delivery]]:
        """
        Lease what is ready: the tasks with the highest priority, and of these the
        oldest.  Does not wait for any.

        @param queue: The name of the queue.
        @param claim: The name of the claim, for L{endClaim}.
        @param limit: The most tasks, 1 or more.  Fewer come, too, where payloads are
            large.
        @param lease: The seconds for which to lease them.

        @return: Fires with the tasks; none: there was nothing ready.
        """

    def endClaim(queue: str, claim: str) -> Deferred[None]:
        """
        Release, uncounted, what is leased to a claim of which nobody can know whether
        it was answered, such as one from before L{open}.  What the broker itself has
        claimed and not delivered it releases with L{settle}.  Harmless for any other
        claim.

        @param queue: The name of the queue.
        @param claim: The name of the claim.
        """

    def settle(queue: str, settlements: Sequence[Settlement]) -> Deferred[list[str]]:
        """
        Record how tasks ended, or extend their leases, each settlement by itself and in
        order.  Harmless to repeat.

        @param queue: The name of the queue.
        @param settlements: The settlements.

        @return: Fires with the receipts, in order, whose lease has ended or never was.
            One that was settled in the same way before may be among them or not.
        """

    def wake() -> Deferred[None]:
        """
        Make tasks ready whose delay or lease has ended: some of them where they are
        many, and then L{IStoreListener.nextDue} says 0 until the last.  One call at a
        time.
        """

    def counts() -> Deferred[dict[str, dict[State, int]]]:
        """
        @return: Fires with the number of tasks in each state, by queue.
        """

    def failed(queue: str, limit: int, after: int) -> Deferred[FailedTasks]:
        """
        List tasks that have failed, the oldest first.

        @param queue: The name of the queue.
        @param limit: The most tasks.  Fewer come, too, where payloads are large.
        @param after: Where to go on, L{FailedTasks.next}; 0: at the beginning.
        """

    def retry(queue: str, ids: Collection[str]) -> Deferred[Retried]:
        """
        Make failed tasks ready, their attempts beginning anew.

        @param queue: The name of the queue.
        @param ids: The ids of the tasks.
        """

    def retryAll(
        queue: str, limit: int, after: RetryCursor | None
    ) -> Deferred[Retried]:
        """
        Make ready the tasks that have failed by now, the oldest first, their
        attempts beginning anew.  Where they are many it takes several transactions,
        between which others get their turn; if one of them fails, what those before
        did stays done.

        @param queue: The name of the queue.
        @param limit: The most tasks.
        @param after: Where to go on, L{Retried.next}; C{None}: at the beginning.
        """

    def task(queue: str, id: str) -> Deferred[TaskRecord | None]:
        """
        Look a task up.

        @param queue: The name of the queue.
        @param id: The id of the task.

        @return: Fires with its record; with C{None} where it is not known.
        """

    def prune(keep: float) -> Deferred[Pruned]:
        """
        Forget tasks that completed or failed long ago: some of them where they are
        many.

        @param keep: The seconds for which they are kept.
        """

    def followClock() -> Deferred[float]:
        """
        Set the store's clock, where it differs from the machine's by more than is
        tolerated, and restart every lease at its full length.  If this fails, the clock
        is as it was.

        @return: Fires with the seconds by which the clock was ahead, negative where it
            was behind; 0: it was right, and nothing was done.
        """
