"""
The SQLite file of an embedded queue that runs: locked, watched, and reached through a
thread of its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool

from myconsumer.taskqueue.store.clock import EpochClock
from myconsumer.taskqueue.store.disk import Disk
from myconsumer.taskqueue.store.lock import FileLock
from myconsumer.taskqueue.store.schema import CONNECTION, Sync, prepare
from myconsumer.taskqueue.store.sqlite import SQLiteStore
from myconsumer.taskqueue.store.writer import Writer


class SQLiteFileStore(SQLiteStore):
    """
    Keeps tasks in a file.

    @ivar pool: The one connection, on its own thread.
    """

    def __init__(self, path: str, sync: Sync, reactor: Any) -> None:
        """
        @param path: The file; see L{check <myconsumer.taskqueue.store.schema.check>}.
        @param sync: How durable tasks are to be.
        @param reactor: The reactor, which gets a thread for SQLite.
        """
        self.name = path
        self._path = path
        self._lock = FileLock(path)
        self._disk = Disk(path)
        self.pool = ConnectionPool(
            "sqlite3",
            path,
            cp_reactor=reactor,
            # one thread, one connection, one writer
            cp_min=1,
            cp_max=1,
            cp_openfun=partial(prepare, sync=sync),
            **CONNECTION,
        )
        clock = EpochClock(reactor)
        writer = Writer(self.pool.runWithConnection, clock, self._disk.checkFile)
        super().__init__(writer, clock, self._disk.checkRoom)

    def start(self) -> None:
        """
        See L{ITaskStore.start
        <myconsumer.taskqueue.store.interface.ITaskStore.start>}.
        """
        try:
            self._lock.acquire()
            self._disk.create()
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._path!r} cannot be used: {error}") from None

    def close(self) -> None:
        """
        See L{ITaskStore.close
        <myconsumer.taskqueue.store.interface.ITaskStore.close>}.
        """
        super().close()
        self.pool.close()
        self._lock.release()
