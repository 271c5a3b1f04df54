"""
The SQLite file of the embedded queue: how it is laid out, and whether a file is one.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from stat import S_ISREG
from time import monotonic
from typing import Any, Literal

from myconsumer.text import oneLine

#: The format that is written, and the newest that is read; C{PRAGMA user_version}.
FORMAT = 1

#: "myco"; C{PRAGMA application_id}.
APPLICATION = 0x6D79636F

#: The seconds that looking for damage may take; some gigabytes are read in that time.
CHECKING = 5.0

#: Which losses a task survives once it is acknowledged: C{normal}, that of the
#: process; C{full}, that of power, too.
Sync = Literal["normal", "full"]

# One row a task, from beginning to end.  What is large lies beside it, since a row is
# written anew whenever something in it changes.
_TABLES = (
    """
    CREATE TABLE queues (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    )
    """,
    """
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY,
        queue INTEGER NOT NULL REFERENCES queues,
        id TEXT NOT NULL,
        -- ready, delayed, leased, completed or failed
        state TEXT NOT NULL,
        priority INTEGER NOT NULL,
        -- counted deliveries, the one under way among them
        attempts INTEGER NOT NULL DEFAULT 0,
        -- times are seconds since the epoch
        enqueued REAL NOT NULL,
        -- when its delay or its lease ends
        due REAL,
        -- the seconds of its lease, while it is leased
        lease REAL,
        -- when it completed or failed
        ended REAL,
        -- the secret half of the last delivery's receipt, and the name of its claim
        secret INTEGER,
        claim TEXT,
        -- why it last did not succeed
        error TEXT,
        UNIQUE (queue, id)
    )
    """,
    "CREATE TABLE payloads (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
    "CREATE TABLE results (number INTEGER PRIMARY KEY, result BLOB NOT NULL)",
    # each holds no more than the tasks that it is there to find, and each task is in
    # one of the first three, by which all can be counted without being read
    "CREATE INDEX ready ON tasks (queue, priority DESC) WHERE state = 'ready'",
    "CREATE INDEX due ON tasks (due, queue, state) WHERE due IS NOT NULL",
    "CREATE INDEX ended ON tasks (ended, queue, state) WHERE ended IS NOT NULL",
    "CREATE INDEX failed ON tasks (queue) WHERE state = 'failed'",
)


#: How connections are opened.  Transactions begin and end where we say so.
CONNECTION: dict[str, Any] = {
    "isolation_level": None,
    "timeout": 5.0,
    # it is closed by the thread of the reactor
    "check_same_thread": False,
}


def check(path: str) -> None:
    """
    Make sure that a file is a queue, or can become one.  It is not written to.

    @param path: The file, which need not be there.

    @raise ValueError: It is neither; the text says why, without the path.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        _checkDirectory(path)
        return
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be read") from None
    if not S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise ValueError("it may not be read and written")
    if not found.st_size:
        return
    try:
        # read only: else the last one to close a file works its log into it
        uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, **CONNECTION)) as connection:
            _checkContent(connection)
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"it is damaged, or no SQLite database ({error}); it was left as it is: "
            "name another, or put back a copy"
        ) from None


def prepare(connection: sqlite3.Connection, sync: Sync) -> None:
    """
    Make a connection ready for the store, and an empty file a queue.

    @param connection: A new connection to a file that was checked.
    @param sync: How durable things are to be.
    """
    execute = connection.execute
    execute("PRAGMA journal_mode = WAL")
    execute(f"PRAGMA synchronous = {sync}")
    # 64 MiB of pages in memory
    execute("PRAGMA cache_size = -65536")
    # what the log grows to before it is worked into the file, and is cut back to
    execute("PRAGMA wal_autocheckpoint = 4000")
    execute("PRAGMA journal_size_limit = 67108864")
    execute("BEGIN IMMEDIATE")
    if not _pragma(connection, "application_id"):
        for statement in _TABLES:
            execute(statement)
        execute(f"PRAGMA application_id = {APPLICATION}")
        execute(f"PRAGMA user_version = {FORMAT}")
    connection.commit()


def _checkDirectory(path: str) -> None:
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise ValueError("there is no such directory")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ValueError("its directory may not be written to")


def _checkContent(connection: sqlite3.Connection) -> None:
    application = _pragma(connection, "application_id")
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (application or tables):
        raise ValueError("it is the SQLite database of some other program")
    found = _pragma(connection, "user_version")
    if found > FORMAT:
        raise ValueError(
            f"it was written by a newer myconsumer: its format is {found}, and this "
            f"one knows no more than {FORMAT}"
        )
    deadline = monotonic() + CHECKING
    connection.set_progress_handler(lambda: monotonic() > deadline, 100_000)
    try:
        [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    if verdict != "ok":
        raise sqlite3.DatabaseError(oneLine(verdict))


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
