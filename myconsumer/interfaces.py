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
    from myconsumer.task import Claimed, Ending, Request, Settlement, Task


class ITaskConsumer(Interface):
    """
    Takes what a task source finds.

    Each method may call L{ITaskSource.start} or L{ITaskSource.stop} of the source that
    has called it, before it returns.
    """

    def taskStarted(task: Callable[[], Any]) -> None:
        """
        Called by the source for each task that it has found, once.  The consumer may
        start the source from within, for the next task, or stop it.

        @param task: Runs the task when called.  It may return a C{Deferred} or a
            coroutine: the task then runs until that has ended.

        @raise NotRunningError: The consumer's C{consume} was not called yet.
        """

    def noTasksFound() -> None:
        """
        Called by the source when it has looked for tasks and found none.

        @raise NotRunningError: The consumer's C{consume} was not called yet.
        """

    def taskProductionFailed(reason: Failure) -> None:
        """
        Called by the source when looking for tasks has failed.

        @param reason: Why looking for tasks has failed.

        @raise NotRunningError: The consumer's C{consume} was not called yet.
        """


class ITaskSlots(Interface):
    """
    How much room a consumer has, for a source that asks for several tasks at once.
    """

    limit: int = Attribute("The most tasks to run at once; it may change.")
    running: int = Attribute(
        "The number of tasks that run now: more than the limit where that was lowered."
    )
    freeSlots: int = Attribute("How many further tasks may run now: 0 or more.")


class ITaskSource(Interface):
    """
    Where tasks come from.  Can be started and stopped any number of times.
    """

    def start(consumer: ITaskConsumer) -> None:
        """
        Look for tasks and call C{consumer} for what is found.  When called again, look
        again, for the consumer given last.

        @param consumer: Called for each task, when there is none, and when looking for
            tasks has failed: before C{start} returns, or later.
        """

    def stop() -> Deferred[bool]:
        """
        Look for no further tasks.  Harmless before C{start} and when repeated.

        @return: Fires once no search in flight can bring a task any more: with C{True}
            if the source is still stopped then, with C{False} if it was started
            meanwhile.
        """


class ITaskQueue(Interface):
    """
    The client's side of one wire protocol.

    Each method's C{Deferred} fails with L{FaultError
    <myconsumer.errors.FaultError>} where the same request may succeed later, and
    with L{RefusalError <myconsumer.errors.RefusalError>} where something has to
    be changed first, and with nothing else unless it is cancelled.
    """

    def claim(claim: str, limit: int, wait: float, lease: float) -> Deferred[Claimed]:
        """
        Claim tasks.  Cancelling the C{Deferred} drops the request: a task that the
        endpoint leases to it all the same is delivered to nobody until its lease
        expires.

        @param claim: A name for this claim, never used before.
        @param limit: The most tasks to claim, 1 or more; the answer may hold more.
        @param wait: The seconds that the endpoint may wait for a first task, 0 or more.
        @param lease: The seconds for which the tasks are to be leased to us.

        @return: Fires with the endpoint's answer, within a bounded time after C{wait}.
        """

    def settle(
        settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        Report how tasks ended, and extend the leases of tasks that still run.  Safe to
        repeat.

        @param settlements: One or more settlements.
        @param deadline: The seconds after which to give up and fail.

        @return: Fires with the receipts of those tasks that are not leased to us any
            more.
        """

    def cancelClaim(claim: str) -> Deferred[bool]:
        """
        End a claim that may be open: a task that was leased to it, and not delivered
        with its answer, becomes ready again.  Harmless for a claim that was never made.

        @return: Fires with C{True} once the endpoint has ended it, with
            C{False} where the endpoint cannot end claims at all.
        """

    def close() -> Deferred[None]:
        """
        Close all connections; requests in flight fail.  The queue can be used again
        afterwards.

        @return: Fires once the connections are closed; never fails.
        """


class IScalableTaskQueue(ITaskQueue):
    """
    A queue that keeps something for each open claim, such as a connection, and can be
    made to keep more or less while it is used.
    """

    def setPollers(pollers: int) -> None:
        """
        Keep what C{pollers} claims side by side need.  Called before more claims are
        made than before, and after fewer are to be made: claims beyond that are
        answered yet.

        @param pollers: The most claims from now on, 1 or more.

        @raise ValueError: It cannot keep that much; nothing is changed then.
        """


class ISelfTimedTaskQueue(ITaskQueue):
    """
    A queue that cannot tell its endpoint C{wait}: a claim with a smaller C{wait} than
    the configured one is not answered sooner, but may be given up before it is
    answered, with the tasks of that answer lost.  Such a queue is always given the
    configured C{wait}.
    """


class IProbed(Interface):
    """
    What can say, before it is used, whether it can be: a queue, or the service behind
    one.  C{--check-config} asks for this.
    """

    def probe() -> Deferred[str]:
        """
        Find out whether all that is needed is there.  Nothing is claimed, and nothing
        is left behind.

        @return: Fires with a few words that follow the name of what was asked.  Fails
            with L{QueueError <myconsumer.errors.QueueError>} where it cannot be used.
        """

    def close() -> Deferred[None]:
        """
        See L{ITaskQueue.close}.
        """


class IPausable(Interface):
    """
    What claims tasks, and can be kept from it: the L{ConsumerService
    <myconsumer.service.ConsumerService>}.

    A handler or a queue that is a service, and a child of it, may hold up the first
    claim: by L{pause} from its own C{startService}, which is called before.
    """

    def pause(reason: str) -> None:
        """
        Claim nothing until L{resume} is called with the same C{reason}, and give back
        tasks that have not started.  Running tasks go on.

        @param reason: Why.  The log says when it begins and ends, unless it is a
            L{LoggedReason <myconsumer.task.LoggedReason>}.
        """

    def resume(reason: str) -> None:
        """
        Claim again, unless there is another reason not to.
        """


class IRunningTask(Interface):
    """
    A task as a handler gets it, while the task runs.
    """

    id: str | int = Attribute("The endpoint's name for the task.")
    payload: Any = Attribute("What is to be worked on: any JSON value.")
    attempt: int = Attribute("1 for the first delivery, one more for each counted.")
    receipt: str | None = Attribute("The proof of the task's lease, if it is leased.")
    lease: float | None = Attribute("The seconds of the lease, if the endpoint says.")
    enqueued: float | None = Attribute("When it was queued, in seconds since 1970.")
    value: Task = Attribute("All of the above, as a plain value.")
    deadline: float | None = Attribute(
        "When its time limit ends, in seconds since 1970; C{None}: it has no limit."
    )
    cancelled: bool = Attribute(
        "Whether the task is to end early: it takes too long, its lease is lost, or "
        "the service stops.  May be read from any thread."
    )

    def extend(seconds: float) -> Deferred[None]:
        """
        Extend the lease to C{seconds} from now; from then on it is renewed to
        C{seconds} each time.  Only a handler that blocks the reactor needs this: all
        leases are renewed in time anyway.  To be called on the reactor's thread only.

        @param seconds: More than 0, a year at most.

        @return: Fires once the endpoint has agreed.  Fails with L{LeaseLostError
            <myconsumer.errors.LeaseLostError>} where the lease is lost, or has
            ended, or never was.

        @raise ValueError: C{seconds} is out of range.
        """


class ITaskHandler(Interface):
    """
    Does the work that tasks ask for.
    """

    def handle(task: IRunningTask) -> Any:
        """
        Do what C{task} asks for.

        @param task: The task, which runs until this has raised or returned, or until
            the C{Deferred} that it returned has fired.

        @return: The result, or a C{Deferred} that fires with the result and is
            cancelled when the task has to end.  The task has succeeded unless this
            raises, or the C{Deferred} fails.

        @raise Release: To have the task delivered again later.
        @raise Reject: To have the task never delivered again.
        """


class IScalableTaskHandler(ITaskHandler):
    """
    A handler that keeps something for each slot, such as a thread, a process or a
    connection, and can be made to keep more or less while it is used.
    """

    def setLimit(limit: int) -> None:
        """
        Keep what C{limit} tasks at once need.  Called before more tasks are given to
        L{handle} at once than before, and after fewer are to be given: tasks beyond
        that run on, and what they need is let go when they have ended.

        @param limit: The most tasks from now on, 1 or more.

        @raise ValueError: It cannot keep that much; nothing is changed then.
        """


class IConsumerObserver(Interface):
    """
    Is called with all that happens in a L{ConsumerService
    <myconsumer.service.ConsumerService>}, in the order in which it happens.

    Each method is called on the reactor's thread, and has to return soon: the consumer
    waits for it.  What it raises is logged, and changes nothing.  It may call the
    service's methods; what is announced goes on all the same.  Implementers derive
    from L{Observer <myconsumer.pipeline.observers.Observer>}, to which later versions
    may add events.
    """

    def requestSent(request: Request) -> None:
        """
        A request is sent to the queue.  Either L{requestAnswered} or L{requestFailed}
        follows, once, before L{stopped} at the latest.
        """

    def requestAnswered(request: Request, seconds: float, count: int) -> None:
        """
        A request was answered as it should be.

        @param request: The same object as in L{requestSent}.
        @param seconds: How long that took.
        @param count: How many tasks a claim has brought that can be run; how many
            settlements or extensions were taken, but for those of lost leases; whether
            a claim could be cancelled: 1 or 0.
        """

    def requestFailed(request: Request, seconds: float, reason: Failure) -> None:
        """
        A request was not answered as it should be.  What it was to settle or extend is
        sent again, unless that has no point any more.

        @param request: The same object as in L{requestSent}.
        @param seconds: How long that took.
        @param reason: A L{FaultError <myconsumer.errors.FaultError>} where the same
            request may succeed later, a L{RefusalError
            <myconsumer.errors.RefusalError>} where something has to be changed first,
            C{CancelledError} where the answer is wanted no longer; anything else is a
            bug of the queue.
        """

    def taskStarted(task: Task) -> None:
        """
        A task is given to its handler.  L{taskEnded} follows, once, before L{stopped}
        at the latest.
        """

    def taskEnded(task: Task, ending: Ending, seconds: float) -> None:
        """
        A task has ended, once for each L{taskStarted}, and once for each that was
        delivered too often and is failed without being started.  A task that does not
        end although it was cancelled is given up by a stop: then this says so, and
        nothing is announced when it does end.

        @param task: The task.
        @param ending: How it has ended; its settlement is still to be sent.
        @param seconds: How long it has run.
        """

    def leasesLost(ids: Sequence[str | int]) -> None:
        """
        The endpoint says that tasks are leased to us no longer.

        @param ids: The tasks, which run, wait, or have ended and were not settled.
        """

    def settlementsGivenUp(ids: Sequence[str | int]) -> None:
        """
        The leases of tasks have ended, or the service has stopped, before the endpoint
        has acknowledged how the tasks ended: it may deliver them again.
        """

    def paused(reason: str) -> None:
        """
        Claiming pauses, for one reason more.  A reason from before the start is
        announced after L{started}.
        """

    def resumed(reason: str) -> None:
        """
        One of the reasons for a pause is gone.  A stop ends what pauses there are
        without this.
        """

    def settingChanged(name: str, old: Any, new: Any) -> None:
        """
        A setting was changed while the service runs.

        @param name: The argument of L{ConsumerService
            <myconsumer.service.ConsumerService>} that sets it, such as C{limit}.
        """

    def started() -> None:
        """
        The service begins to claim.
        """

    def stopping(running: int, waiting: int) -> None:
        """
        The service begins to drain.

        @param running: How many tasks run.
        @param waiting: How many tasks wait for a slot, and are given back.
        """

    def stopped() -> None:
        """
        The service has drained: nothing comes after this until it is started again.
        """


class ITaskQueueMaker(Interface):
    """
    Makes the queue of one wire protocol: a plugin for C{twistd consumer}.  Found by
    C{twisted.plugin.getPlugins} in L{myconsumer.plugins}; provides
    C{twisted.plugin.IPlugin} too.

    C{--protocol} names it, unless it brings an option with its own name: then that
    option chooses it, in place of C{--url} and C{--protocol}.
    """

    name: str = Attribute("What C{--protocol} calls it, or its own option is called.")
    description: str = Attribute("A few words for the help, in lower case.")
    options: Sequence[Any] = Attribute(
        """
        The options that it brings, each an L{Option
        <myconsumer.command.option.Option>} with a name of its own.  They are refused
        unless it is chosen; one with its own name has no default.
        """
    )

    def makeQueue(reactor: Any, options: Mapping[str, Any]) -> ITaskQueue:
        """
        Make a queue.  Opens no connection and no thread: the process may fork yet.

        @param reactor: The reactor, which may not run yet.
        @param options: The options of C{twistd consumer} by their long names,
            each checked and of its final type.

        @return: The queue.  One that is a service as well becomes a child of the
            L{ConsumerService <myconsumer.service.ConsumerService>}: it is started
            before the first claim, and stopped after the last settlement.

        @raise ValueError: An option that this protocol needs is missing or does
            not suit it; the text names the option and what it takes.
        """


class ITaskHandlerMaker(Interface):
    """
    Makes one kind of handler: a plugin for C{twistd consumer}, such as those behind
    C{--python}, C{--exec} and C{--forward}.  Found by C{twisted.plugin.getPlugins} in
    L{myconsumer.plugins}; provides C{twisted.plugin.IPlugin} too.
    """

    name: str = Attribute("The option that chooses it, without dashes.")
    description: str = Attribute("A few words for the help, in lower case.")
    options: Sequence[Any] = Attribute(
        """
        The options that it brings, each an L{Option
        <myconsumer.command.option.Option>} with a name of its own.  The one with the
        maker's name chooses it, and has no default; the others are refused without.
        """
    )

    def makeHandler(reactor: Any, options: Mapping[str, Any]) -> ITaskHandler:
        """
        Make a handler.  Starts no process and no thread: our own may fork yet.

        @param reactor: The reactor, which may not run yet.
        @param options: The options of C{twistd consumer} by their long names,
            each checked and of its final type.

        @return: The handler.  One that is a service as well becomes a child of the
            L{ConsumerService <myconsumer.service.ConsumerService>}, which it may pause:
            it is started before the first claim, and stopped after the last task.  One
            that opens file descriptors
            for each task says how many: its attribute C{descriptorsEach}.

        @raise ValueError: An option does not suit it; the text names the option
            and what it takes.
        """
