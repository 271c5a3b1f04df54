"""
The service of the embedded queue: the file, and the port on which it is served.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct
from twisted.application.service import Service
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from myconsumer.errors import NotRunningError
from myconsumer.taskqueue.broker import Broker
from myconsumer.taskqueue.inprocess import LocalQueue
from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.disk import Disk
from myconsumer.taskqueue.store.lock import FileLock
from myconsumer.taskqueue.store.schema import CONNECTION, Sync, prepare
from myconsumer.taskqueue.store.writer import Writer
from myconsumer.text import oneLine
from myconsumer.tokenfile import TokenFile

if TYPE_CHECKING:
    from myconsumer.taskqueue.web.api import Door

#: The seconds for which tasks are kept that completed or failed: a week.
KEEP = 7 * 86_400.0


class RefusedToStart(Exception):
    """
    The queue cannot be served as it should be.  The text is one line that says why.
    """


class _Running(Struct):
    """
    What one run of the service is made of.
    """

    pool: ConnectionPool
    broker: Broker
    door: Door
    port: IListeningPort | None = None


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
        @param sync: How durable things are to be.
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
        self._lock = FileLock(path)
        self._disk = Disk(path)

    def queue(self, name: str) -> LocalQueue:
        """
        Give one of the queues, for a consumer in the same process.

        @param name: Its name.
        """
        return LocalQueue(self._broker, name, self._reactor)

    def privilegedStartService(self) -> None:
        """
        Listen.
        """
        super().privilegedStartService()
        self._running = running = self._make()
        # Twisted's endpoints listen at once, all of them
        came: list[Any] = []
        self._endpoint.listen(running.door.site).addBoth(came.append)
        [port] = came
        if isinstance(port, Failure):
            self._refuse(f"it cannot listen: {oneLine(port.getErrorMessage())}")
        self._listens(port, running)

    def startService(self) -> None:
        """
        Open the file, and listen, unless that is so already.
        """
        super().startService()
        if self._running is None:
            self.privilegedStartService()
        try:
            self._lock.acquire()
            self._disk.create()
        except (OSError, ValueError) as error:
            self._refuse(f"{self._path!r} cannot be used: {error}")
        self._broker().open()

    def stopService(self) -> Deferred[None]:
        """
        Answer all open claims, and close everything.

        @return: Fires once that is done.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _make(self) -> _Running:
        # Klein imports a reactor, which whoever runs this has chosen by now
        from myconsumer.taskqueue.web.api import Door

        pool = ConnectionPool(
            "sqlite3",
            self._path,
            cp_reactor=self._reactor,
            # one thread, one connection, one writer
            cp_min=1,
            cp_max=1,
            cp_openfun=partial(prepare, sync=self._sync),
            **CONNECTION,
        )
        disk, clock = self._disk, EpochClock(self._reactor)
        writer = Writer(pool.runWithConnection, clock, disk.checkFile)
        broker = Broker(writer, clock, self._keep, disk.checkRoom)
        return _Running(pool, broker, Door(broker, self._token, self._reactor))

    def _broker(self) -> Broker:
        if self._running is None:
            raise NotRunningError("the embedded queue does not run")
        return self._running.broker

    def _listens(self, port: IListeningPort, running: _Running) -> None:
        """
        @param port: What listens.  Nothing was served yet.
        """
        address: Any = port.getHost()
        host = getattr(address, "host", None)
        if host is None:
            # a socket in the file system, whose permissions are what guards it
            url = str(address)
        else:
            self._checkHost(host, port, running.door)
            isSecure = isinstance(getattr(port, "factory", None), TLSMemoryBIOFactory)
            scheme = "https" if isSecure else "http"
            shown = f"[{host}]" if ":" in host else host
            url = f"{scheme}://{shown}:{address.port}/NAME"
        running.port = port
        self._log.info("Serving queues at {url} from {path}", url=url, path=self._path)

    def _checkHost(self, host: str, port: IListeningPort, door: Door) -> None:
        if ip_address(host.partition("%")[0]).is_loopback:
            door.hosts = frozenset({"localhost", "127.0.0.1", "[::1]", host})
        elif self._token is None:
            port.stopListening()
            self._refuse(
                f"it would listen on {host}, for others than this machine, without a "
                "token: name the file of one with --token-file, or listen on "
                "tcp:PORT:interface=127.0.0.1"
            )

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            if running.port is not None:
                await maybeDeferred(running.port.stopListening)
            await running.broker.close()
            await running.door.site.close()
            running.pool.close()
        self._lock.release()


def _raise(reason: str) -> NoReturn:
    raise RefusedToStart(reason)
