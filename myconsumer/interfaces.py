"""
Every interface of the package.  What a method's docstring says is its contract.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from myconsumer.task import Claimed, Settlement, Task


class ITaskConsumer(Interface):
    """
    What a task source tells of the tasks it finds.
    """

    def taskStarted(task: Callable[[], Any]) -> None:
        """
        Called by the source for each task, which it will not send again.  The source
        may be started or stopped before this returns.

        @param task: Runs the task when called; may return a C{Deferred} or a
            coroutine, and the task runs until that has fired.

        @raise NotRunningError: Nothing is consumed yet.
        """

    def noTasksFound() -> None:
        """
        Called by the source when it has looked and there was nothing to do.

        @raise NotRunningError: Nothing is consumed yet.
        """

    def taskProductionFailed(reason: Failure) -> None:
        """
        Called by the source when looking for tasks has failed.

        @param reason: Why.

        @raise NotRunningError: Nothing is consumed yet.
        """


class ITaskSlots(Interface):
    """
    How much room a consumer has: what a source that asks for several tasks at
    once needs to know of it.
    """

    running: int = Attribute("The number of tasks that run now.")
    freeSlots: int = Attribute("How many more may run now: 0 or more.")


class ITaskSource(Interface):
    """
    Where tasks come from: can be started and stopped, as often as one likes.
    """

    def start(consumer: ITaskConsumer) -> None:
        """
        Look for tasks and tell C{consumer}.  Called again it looks again, for
        the consumer given last.

        @param consumer: Is told of each task, of there being none, and of
            faults: before C{start} returns, or later.
        """

    def stop() -> Deferred[bool]:
        """
        Look for no further tasks.  Harmless before C{start} and when repeated.

        @return: Fires once nothing that was under way can bring a task any
            more: with C{True} if the source is still stopped then, with
            C{False} if it was started meanwhile.
        """


class ITaskQueue(Interface):
    """
    The client's side of one wire protocol.

    Each method's C{Deferred} fails with L{FaultError
    <myconsumer.errors.FaultError>} where the same request may succeed later, and
    with L{RefusalError <myconsumer.errors.RefusalError>} where something has to
    be changed first, and with nothing else.
    """

    def claim(claim: str, limit: int, wait: float, lease: float) -> Deferred[Claimed]:
        """
        Ask for tasks.  Cancelling the C{Deferred} drops the request; what the
        endpoint leases under it all the same is lost until its lease ends.

        @param claim: A name for this claim, never used before.
        @param limit: The most tasks to bring, 1 or more; the answer may hold more.
        @param wait: The seconds to wait for the first task, 0 or more.
        @param lease: The seconds for which the tasks are to be ours.

        @return: Fires with what came, within a bounded time.
        """

    def settle(
        settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        Tell how tasks ended, or that they still run.  Safe to repeat.

        @param settlements: One or more.
        @param deadline: The seconds after which to give up and fail.

        @return: Fires with the receipts of those whose lease is no longer ours.
        """

    def cancelClaim(claim: str) -> Deferred[bool]:
        """
        End a claim that may be open: what was leased under it and has not been
        answered goes back.  Harmless for a claim that was never made.

        @return: Fires with C{True} once the endpoint has ended it, with
            C{False} where the endpoint cannot end claims at all.
        """

    def close() -> Deferred[None]:
        """
        Let go of all connections.  The queue can be used again afterwards.

        @return: Fires once that is done; never fails.
        """


class ISelfTimedTaskQueue(ITaskQueue):
    """
    A queue whose endpoint is not told for how long a claim is to wait: a smaller
    C{wait} makes it answer no sooner, and may lose what it answers later.  So it is
    always given the C{wait} that was configured.
    """


class IRunningTask(Interface):
    """
    A task, as a handler gets it: with what can be known and done while it runs.
    """

    id: str | int = Attribute("The endpoint's name for it.")
    payload: Any = Attribute("What is to be worked on: any JSON value.")
    attempt: int = Attribute("1 for the first delivery, one more for each counted.")
    receipt: str | None = Attribute("The proof of its lease, if it is leased.")
    lease: float | None = Attribute("The seconds of its lease, if the endpoint said.")
    enqueued: float | None = Attribute("When it was queued, in seconds since 1970.")
    value: Task = Attribute("All of the above, as a plain value.")
    deadline: float | None = Attribute(
        "When its time limit ends, in seconds since 1970; C{None}: it has no limit."
    )
    cancelled: bool = Attribute(
        "Whether it is to end early: it takes too long, its lease is lost, or the "
        "service stops.  May be looked at from any thread."
    )

    def extend(seconds: float) -> Deferred[None]:
        """
        Have the lease last for C{seconds} from now, and renewed to C{seconds} from
        then on.  Only a handler that blocks the reactor needs to: all leases are
        renewed in time anyway.  Only on the reactor's thread.

        @param seconds: More than 0, a year at most.

        @return: Fires once the endpoint has agreed.  Fails with L{LeaseLostError
            <myconsumer.errors.LeaseLostError>} where the lease is lost, or has
            ended, or never was.

        @raise ValueError: C{seconds} is out of range.
        """


class ITaskHandler(Interface):
    """
    What is done with a task.
    """

    def handle(task: IRunningTask) -> Any:
        """
        Do what C{task} asks for.

        @param task: The task, which runs until this has raised or returned, or until
            the C{Deferred} that it returned has fired.

        @return: The result, or a C{Deferred} that fires with it, or that is
            cancelled when the task has to end.  It has succeeded unless this
            raises, or the C{Deferred} fails.

        @raise Release: To have it delivered again later.
        @raise Reject: To have it never delivered again.
        """


class ITaskQueueMaker(Interface):
    """
    Makes the queue of one wire protocol: the plugin that C{--protocol} names.
    Found by C{twisted.plugin.getPlugins} in L{myconsumer.plugins}; provides
    C{twisted.plugin.IPlugin} too.
    """

    name: str = Attribute("What C{--protocol} calls it.")
    description: str = Attribute("A few words for the help, in lower case.")

    def makeQueue(reactor: Any, options: Mapping[str, Any]) -> ITaskQueue:
        """
        Make a queue.  Opens no connection and no thread: the process may fork yet.

        @param reactor: The reactor, which may not run yet.
        @param options: The options of C{twistd consumer} by their long names,
            each checked and of its final type.

        @raise ValueError: An option that this protocol needs is missing or does
            not suit it; the text names the option and what it takes.
        """


class ITaskHandlerMaker(Interface):
    """
    Makes one kind of handler: the plugin behind C{--python}, C{--exec} and
    C{--forward}.  Found by C{twisted.plugin.getPlugins} in L{myconsumer.plugins};
    provides C{twisted.plugin.IPlugin} too.
    """

    name: str = Attribute("The option that chooses it, without dashes.")
    description: str = Attribute("A few words for the help, in lower case.")

    def makeHandler(reactor: Any, options: Mapping[str, Any]) -> ITaskHandler:
        """
        Make a handler.  Starts no process and no thread: our own may fork yet.

        @param reactor: The reactor, which may not run yet.
        @param options: The options of C{twistd consumer} by their long names,
            each checked and of its final type.

        @return: The handler.  One that is a service as well is started before the
            first task, and stopped after the last.  One that opens file descriptors
            for each task says how many: its attribute C{descriptorsEach}.

        @raise ValueError: An option does not suit it; the text names the option
            and what it takes.
        """
