"""
The service of the embedded queue: its store, and the port on which it is served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from myconsumer.errors import RefusalError
from myconsumer.http.serving.guard import Guard
from myconsumer.http.serving.listening import Listening, listen
from myconsumer.interfaces import IProbed
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.inprocess import LocalQueue
from myconsumer.taskqueue.store.file import SQLiteFileStore
from myconsumer.taskqueue.store.interface import ITaskStore, StoreError
from myconsumer.taskqueue.store.schema import Sync
from myconsumer.text import oneLine
from myconsumer.tokenfile import TokenFile

if TYPE_CHECKING:
    from myconsumer.http.serving.site import GuardedSite

#: The seconds for which tasks are kept that completed or failed: a week.
KEEP = 7 * 86_400.0


class RefusedToStart(Exception):
    """
    The queue cannot be served.  The text is one line that says why.
    """


@dataclass
class _Running:
    """
    What one run of the service is made of.
    """

    store: ITaskStore
    broker: Broker
    guard: Guard
    site: GuardedSite
    port: IListeningPort | None = None
    url: str = ""

    def shown(self) -> str:
        """
        @return: What it serves, in a few words.
        """
        return (
            f"serving queues at {self.url} from {self.store.name}; "
            f"{len(self.site.channels)} connections, "
            f"{self.broker.openClaims} claims waiting"
        )


@implementer(IProbed)
class LocalQueueService(Service):
    """
    Serves queues of tasks from a SQLite file while it runs.
    """

    _log = Logger()

    _running: _Running | None = None

    def __init__(
        self,
        path: str,
        endpoint: IStreamServerEndpoint,
        *,
        token: TokenFile | None = None,
        keep: float = KEEP,
        sync: Sync = "normal",
        reactor: Any = None,
        refuse: Callable[[str], NoReturn] | None = None,
    ) -> None:
        """
        @param path: The file; see L{check <myconsumer.taskqueue.store.schema.check>}.
        @param endpoint: Where to listen.
        @param token: What each request has to bring; C{None}: nothing, and then it
            listens on this machine's own addresses only.
        @param keep: The seconds for which tasks are kept that completed or failed.
        @param sync: How durable tasks are to be.
        @param reactor: The reactor, which gets a thread for SQLite.
        @param refuse: Called with one line if it cannot be started; by default
            L{RefusedToStart} is raised.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._path = path
        self._endpoint = endpoint
        self._token = token
        self._keep = keep
        self._sync: Sync = sync
        self._reactor = reactor
        self._refuse = refuse or _raise

    def queue(self, name: str) -> LocalQueue:
        """
        Find a queue for a consumer in the same process.

        @param name: Its name.
        """
        return LocalQueue(self._findBroker, name, self._reactor)

    def short(self) -> str:
        """
        @return: What it does, in one line.
        """
        return "stopped" if self._running is None else self._running.shown()

    async def lines(self) -> list[str]:
        """
        @return: What it does, and what is in its queues, in a line for each.
        """
        lines = [self.short()]
        if self._running is not None:
            try:
                counts = await self._running.broker.counts()
            except StoreError as error:
                return [*lines, f"its tasks cannot be counted: {error}"]
            for queue, states in counts.items():
                held = ", ".join(f"{n} {state}" for state, n in states.items() if n)
                lines.append(f"queue {oneLine(queue, 70)}: {held or 'empty'}")
        return lines

    def __repr__(self) -> str:
        return f"<LocalQueueService {self._path}>"

    def probe(self) -> Deferred[str]:
        """
        See L{IProbed.probe}.  Listens for a moment.  The file is not opened.
        """
        refuse, self._refuse = self._refuse, _raise
        why = ""
        try:
            self._listen()
        except RefusedToStart as error:
            why = str(error)
        finally:
            self._refuse = refuse
        return self.close().addCallback(_probed, why)

    def close(self) -> Deferred[None]:
        """
        See L{IProbed.close}.
        """
        return Deferred.fromCoroutine(self._stop())

    def privilegedStartService(self) -> None:
        """
        Listen.
        """
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """
        Open the store, and listen, unless that is so already.
        """
        super().startService()
        running = self._running or self._listen()
        try:
            running.store.start()
        except ValueError as error:
            self._refuse(str(error))
        running.broker.open()

    def stopService(self) -> Deferred[None]:
        """
        Answer all open claims, and close everything.

        @return: Fires once that is done.
        """
        super().stopService()
        return self.close()

    def _make(self) -> _Running:
        # Klein imports a reactor, which whoever runs this has chosen by now
        from myconsumer.http.serving.site import GuardedSite
        from myconsumer.taskqueue.web.api import QueueAPI

        store = SQLiteFileStore(self._path, self._sync, self._reactor)
        broker = Broker(store, self._reactor, self._keep)
        guard = Guard(self._token, self._reactor)
        site = GuardedSite(QueueAPI(broker).app.resource(), guard, self._reactor)
        return _Running(store, broker, guard, site)

    def _listen(self) -> _Running:
        self._running = running = self._make()
        try:
            listening = listen(self._endpoint, running.site)
        except ValueError as error:
            self._refuse(str(error))
        self._listens(listening, running)
        return running

    def _findBroker(self) -> Broker | None:
        return None if self._running is None else self._running.broker

    def _listens(self, listening: Listening, running: _Running) -> None:
        """
        @param listening: What listens.  Nothing was served yet.
        """
        # a socket in the file system has no host, and its permissions guard it
        isOpen = listening.host is not None and not listening.isLoopback
        if isOpen and self._token is None:
            listening.port.stopListening()
            self._refuse(
                f"it would listen on {listening.host}, for others than this machine, "
                "without a token: name the file of one with --token-file, or listen on "
                "tcp:PORT:interface=127.0.0.1"
            )
        running.guard.hosts = listening.hosts
        isSocket = listening.host is None
        url = listening.url if isSocket else f"{listening.url}/NAME"
        running.port, running.url = listening.port, url
        self._log.info(
            "Serving queues at {url} from {path}", url=url, path=running.store.name
        )

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            if running.port is not None:
                await maybeDeferred(running.port.stopListening)
            await running.broker.close()
            await running.site.close()
            running.store.close()


def _probed(_: None, why: str) -> str:
    if why:
        raise RefusalError(why)
    return "can be served"


def _raise(reason: str) -> NoReturn:
    raise RefusedToStart(reason)
