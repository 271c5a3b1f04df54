"""
The embedded queue, as the options of a command describe it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from zope.interface import implementer

from myconsumer.command.daemon import refuseToStart
from myconsumer.command.privileges import laterUser
from myconsumer.command.usage import CommandOptions
from myconsumer.interfaces import IProbed, ITaskQueue
from myconsumer.task import Claimed, Settlement
from myconsumer.taskqueue.options import queueFile
from myconsumer.taskqueue.service import LocalQueueService

#: The queue that C{--local} consumes.
LOCAL = "tasks"


@implementer(ITaskQueue, IProbed)
class EmbeddedQueue(MultiService):
    """
    One of the queues of a file, for the consumer in the same process, with the service
    that serves them all.
    """

    def __init__(self, service: LocalQueueService, name: str) -> None:
        """
        @param service: Serves the queues; becomes a child of this.
        @param name: The queue's name.
        """
        super().__init__()
        service.setServiceParent(self)
        self._queue = service.queue(name)
        self._service = service

    def __repr__(self) -> str:
        return repr(self._queue)

    def claim(
        self, claim: str, limit: int, wait: float, lease: float
    ) -> Deferred[Claimed]:
        """
        See L{ITaskQueue.claim}.
        """
        return self._queue.claim(claim, limit, wait, lease)

    def settle(
        self, settlements: Sequence[Settlement], deadline: float
    ) -> Deferred[Collection[str]]:
        """
        See L{ITaskQueue.settle}.
        """
        return self._queue.settle(settlements, deadline)

    def cancelClaim(self, claim: str) -> Deferred[bool]:
        """
        See L{ITaskQueue.cancelClaim}.
        """
        return self._queue.cancelClaim(claim)

    def probe(self) -> Deferred[str]:
        """
        See L{IProbed.probe}.
        """
        return self._service.probe()

    def close(self) -> Deferred[None]:
        """
        See L{ITaskQueue.close}.
        """
        return self._queue.close()


def makeQueue(reactor: Any, options: Mapping[str, Any]) -> EmbeddedQueue:
    """
    See L{ITaskQueueMaker.makeQueue
    <myconsumer.interfaces.ITaskQueueMaker.makeQueue>}.
    """
    path = options["local"]
    return EmbeddedQueue(makeLocalQueueService(reactor, path, options), LOCAL)


def makeLocalQueueService(
    reactor: Any, path: str, options: Mapping[str, Any]
) -> LocalQueueService:
    """
    Make the service of the embedded queue.

    @param reactor: The reactor.
    @param path: The file.
    @param options: C{listen}, C{keep}, C{sync} and C{token-file}, resolved.  If these
        are the options of the command that runs, the process ends if the service cannot
        be started.
    """
    refuse = None
    if isinstance(options, CommandOptions):
        _checkAsLaterUser(options, path)
        refuse = partial(refuseToStart, options)
    return LocalQueueService(
        path,
        serverFromString(reactor, options["listen"]),
        token=options["token-file"],
        keep=options["keep"],
        sync=options["sync"],
        reactor=reactor,
        refuse=refuse,
    )


def _checkAsLaterUser(options: CommandOptions, path: str) -> None:
    twistd = getattr(options, "parent", None) or {}
    if twistd.get("uid") is None:
        return
    try:
        with laterUser(twistd):
            queueFile(path)
    except ValueError as error:
        options.exit(f"the user of --uid cannot use {path!r}: {error}")
