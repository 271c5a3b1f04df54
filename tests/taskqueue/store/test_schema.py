"""
Tests for L{myconsumer.taskqueue.store.schema}.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing

from twisted.trial.unittest import SynchronousTestCase

from myconsumer.taskqueue.store.records import NewTask
from myconsumer.taskqueue.store.schema import APPLICATION, CONNECTION, check, prepare
from tests.taskqueue.core import File, connect

PAGE = 4096


def snapshot(path: str, copy: str) -> None:
    """
    Copy what would be left of a file if the process died now.
    """
    for suffix in ("", "-wal"):
        if os.path.exists(path + suffix):
            shutil.copyfile(path + suffix, copy + suffix)


class CheckTests(SynchronousTestCase):
    """
    Tests for L{check}.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()

    def make(self, count: int = 2000) -> None:
        """
        Make a queue of some pages, and close it.
        """
        file = File(self.path)
        task = NewTask(b'"' + b"x" * 200 + b'"')
        file.do(lambda tables: tables.enqueue("a", [task] * count, 1.0))
        file.do(lambda tables: tables.claim("a", "c", count // 2, 60.0, 2.0))
        file.close()

    def execute(self, *statements: str) -> None:
        """
        Change the file behind our back.
        """
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def pageOf(self, name: str) -> int:
        """
        @return: The offset of the page where a table or an index begins.
        """
        with closing(sqlite3.connect(self.path)) as connection:
            [page] = connection.execute(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)
            ).fetchone()
        return int(page - 1) * PAGE

    def overwrite(self, offset: int, content: bytes) -> None:
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(content)

    def content(self) -> bytes | None:
        """
        @return: What is in the file; L{None}: there is no regular file.
        """
        if not os.path.isfile(self.path):
            return None
        with open(self.path, "rb") as file:
            return file.read()

    def assertRefused(self, *words: str) -> None:
        """
        Fail unless the file is refused, in one line that has these words, and left as
        it is.
        """
        before = self.content()
        with self.assertRaises(ValueError) as caught:
            check(self.path)
        reason = str(caught.exception)
        for word in words:
            self.assertIn(word, reason)
        self.assertNotIn("\n", reason)
        self.assertTrue(self.content() == before)

    def test_takesSoundFile(self) -> None:
        """
        A queue's file is taken, as often as one likes, and not written to.
        """
        self.make()
        before = self.content()
        check(self.path)
        check(self.path)
        self.assertEqual(self.content(), before)

    def test_takesOddName(self) -> None:
        """
        The very file is checked, whatever characters its name has.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        for name in ("a b", "tasks?mode=rwc", "%41", "a#b", "\u00fc", "file:x", "-"):
            self.path = f"{directory}/{name}"
            self.make(1)
            check(self.path)
            self.execute("PRAGMA user_version = 2")
            self.assertRefused("a newer myconsumer")

    def test_takesNoFile(self) -> None:
        """
        A file that is not there is taken, and not made.
        """
        check(self.path)
        self.assertFalse(os.path.exists(self.path))

    def test_takesEmptyFile(self) -> None:
        """
        An empty file is taken.
        """
        self.overwriteWith(b"")
        check(self.path)
        self.assertEqual(self.content(), b"")

    def overwriteWith(self, content: bytes) -> None:
        """
        Have the file hold nothing but this.
        """
        with open(self.path, "wb") as file:
            file.write(content)

    def test_refusesWithoutDirectory(self) -> None:
        """
        A file in a directory that is not there is refused.
        """
        self.path = f"{self.mktemp()}/tasks.sqlite"
        with self.assertRaises(ValueError) as caught:
            check(self.path)
        self.assertIn("there is no such directory", str(caught.exception))

    def test_refusesDirectory(self) -> None:
        """
        A directory is refused, and so is what lies below a file.
        """
        os.mkdir(self.path)
        self.assertRefused("no regular file")
        self.path = self.mktemp()
        self.overwriteWith(b"")
        self.assertRaises(ValueError, check, f"{self.path}/tasks.sqlite")

    def test_refusesPipe(self) -> None:
        """
        A pipe is refused without being waited for.
        """
        os.mkfifo(self.path)
        self.assertRefused("no regular file")

    def test_refusesWithoutPermission(self) -> None:
        """
        A file that may not be written is refused, and a place where none may be made.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        self.path = f"{directory}/tasks.sqlite"
        self.make()
        os.chmod(self.path, 0o444)
        os.chmod(directory, 0o555)
        if not os.getuid():
            # to root everything is permitted
            os.setresuid(65534, 65534, 0)
            self.addCleanup(os.setresuid, 0, 0, 0)
        self.assertRefused("may not be read and written")
        self.path = f"{directory}/other.sqlite"
        self.assertRefused("directory may not be written to")

    def test_refusesWhatIsNoDatabase(self) -> None:
        """
        A file that is no database is refused.
        """
        for content in (b"#!/bin/sh\n", b"\0" * 10_000, b"x" * 100_000):
            self.overwriteWith(content)
            self.assertRefused("no SQLite database", "name another")

    def test_refusesOtherProgram(self) -> None:
        """
        The database of another program is refused, whether it says whose it is or only
        has tables.
        """
        self.execute("CREATE TABLE addresses (name)")
        self.assertRefused("some other program")
        self.path = self.mktemp()
        self.execute("PRAGMA application_id = 7")
        self.assertRefused("some other program")
        self.execute("CREATE TABLE tasks (id)")
        self.assertRefused("some other program")

    def test_refusesNewerFormat(self) -> None:
        """
        A format that is newer is refused with its number.
        """
        self.make()
        self.execute("PRAGMA user_version = 2")
        self.assertRefused("a newer myconsumer", "2")

    def test_refusesNewerWithLog(self) -> None:
        """
        A newer file with a log that was left behind is refused without working that in.
        """
        connection = connect(self.path)
        connection.execute("PRAGMA user_version = 2")
        copy = self.mktemp()
        snapshot(self.path, copy)
        connection.close()
        self.path = copy
        self.assertRefused("a newer myconsumer")

    def test_refusesTruncated(self) -> None:
        """
        A file whose end is missing is refused, wherever it was cut.
        """
        self.make()
        content = self.content()
        assert content is not None
        for length in (50, PAGE, 10 * PAGE, 10 * PAGE + 100, len(content) - PAGE):
            self.overwriteWith(content[:length])
            self.assertRefused("damaged", "put back a copy")

    def test_refusesDamaged(self) -> None:
        """
        A page of a table, an index or the schema that was overwritten is found.
        """
        self.make()
        content = self.content()
        assert content is not None
        offsets = {
            name: self.pageOf(name)
            for name in (
                "tasks",
                "payloads",
                "ready",
                "due",
                "sqlite_autoindex_tasks_1",
            )
        }
        for offset in (*offsets.values(), 100, len(content) // PAGE // 2 * PAGE):
            for rubbish in (b"\0" * PAGE, b"\xff" * 200, b"rubbish" * 100):
                self.overwriteWith(content)
                self.overwrite(offset, rubbish)
                self.assertRefused("damaged", "put back a copy")


class PrepareTests(SynchronousTestCase):
    """
    Tests for L{prepare}.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()

    def open(self) -> sqlite3.Connection:
        """
        Open the file, without making it a queue.
        """
        connection = sqlite3.connect(self.path, **CONNECTION)
        self.addCleanup(connection.close)
        return connection

    def pragma(self, connection: sqlite3.Connection, name: str) -> object:
        """
        @return: One setting.
        """
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    def test_setsUp(self) -> None:
        """
        A prepared file is in WAL mode, marked as ours, and as durable as is asked for.
        """
        connection = self.open()
        prepare(connection, "normal")
        self.assertEqual(self.pragma(connection, "journal_mode"), "wal")
        self.assertEqual(self.pragma(connection, "application_id"), APPLICATION)
        self.assertEqual(self.pragma(connection, "synchronous"), 1)
        prepare(connection, "full")
        self.assertEqual(self.pragma(connection, "synchronous"), 2)
        self.assertFalse(connection.in_transaction)

    def test_preparesTwice(self) -> None:
        """
        To prepare a file again, by the same or another connection, is harmless.
        """
        file = File(self.path)
        [id] = file.fill("a", 1, 1.0)
        prepare(file.connection, "normal")
        prepare(self.open(), "normal")
        self.assertIsNotNone(file.tables.archive.task("a", id))
        file.close()

    def test_preparesWhollyOrNot(self) -> None:
        """
        Wherever the process dies while it prepares a file, what is left is taken for
        empty.
        """
        connection = self.open()
        left: list[str] = []

        def look(_: str) -> None:
            left.append(self.mktemp())
            snapshot(self.path, left[-1])

        connection.set_trace_callback(look)
        prepare(connection, "normal")
        self.assertGreater(len(left), 10)
        for path in left:
            file = File(path)
            self.assertEqual(file.tables.count(), {})
            file.close()


class CopyTests(SynchronousTestCase):
    """
    The file can be copied while it is written.
    """

    def test_backsUp(self) -> None:
        """
        SQLite's own backup, made between and during transactions, is sound and holds
        each transaction wholly or not at all.
        """
        file = File(self.mktemp())
        self.addCleanup(file.close)
        for number in range(5):
            file.fill("a", 700, float(number))
            file.connection.execute("BEGIN IMMEDIATE")
            file.tables.claim("a", "c", 300, 60.0, 1.0)
            copy = self.mktemp()
            self.backup(file, copy)
            file.connection.commit()
            copied = File(copy)
            self.assertEqual(
                +copied.tables.count(),
                {("a", "ready"): 700 + 400 * number}
                | ({("a", "leased"): 300 * number} if number else {}),
            )
            copied.close()

    def backup(self, file: File, copy: str) -> None:
        """
        Copy a file, some pages at a time, while it is written.
        """
        source, target = sqlite3.connect(file.path), sqlite3.connect(copy)
        with closing(source), closing(target):
            source.backup(target, pages=20)
