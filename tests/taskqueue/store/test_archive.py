"""
Tests for L{myconsumer.taskqueue.store.archive}; L{tests.taskqueue.test_machine} has the
rest.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, Raw

from myconsumer.task import Settlement
from myconsumer.taskqueue.limits import LARGEST_PAYLOAD
from myconsumer.taskqueue.store.database import CHUNK
from myconsumer.taskqueue.store.records import (
    FailedTask,
    NewTask,
    Retried,
    RetryCursor,
    TaskRecord,
)
from tests.taskqueue.store.test_tables import StoreCase


class ArchiveTests(StoreCase):
    """
    Tests for L{Archive <myconsumer.taskqueue.store.archive.Archive>}.
    """

    def pages(self, limit: int) -> Iterator[list[FailedTask]]:
        """
        Go through the failed tasks of queue a.
        """
        after = 0
        for _ in range(100):
            page = self.file.tables.archive.failed("a", limit, after)
            yield page.failed
            if page.next is UNSET:
                return
            after = page.next
        raise AssertionError("it does not end")

    def test_listsInPages(self) -> None:
        """
        The failed tasks are listed page by page, each once, without an empty page at
        the end; tasks that are queued or retried meanwhile change nothing of that.
        """
        ids = self.file.fill("a", 6, 1.0)
        self.file.fill("b", 3, 1.0)
        self.endAll("fail", 2.0)
        listed = [[task.id for task in page] for page in self.pages(2)]
        self.assertEqual(listed, [ids[:2], ids[2:4], ids[4:]])
        listed = [[task.id for task in page] for page in self.pages(4)]
        self.assertEqual(listed, [ids[:4], ids[4:]])
        pages = self.pages(2)
        self.assertEqual([task.id for task in next(pages)], ids[:2])
        self.file.do(lambda tables: tables.archive.retry("a", ids[:3]))
        self.assertEqual([task.id for task in next(pages)], ids[3:5])

    def test_listsNone(self) -> None:
        """
        Where nothing has failed, and in an unknown queue, nothing is listed.
        """
        self.assertEqual([*self.pages(10)], [[]])
        self.file.fill("a", 1, 1.0)
        self.assertEqual([*self.pages(10)], [[]])

    def test_boundsPageByPayloads(self) -> None:
        """
        A page has no more than 8 MiB of payloads, but one task at least.
        """
        half = NewTask(b"1" * (LARGEST_PAYLOAD // 2))
        huge = NewTask(b"1" * (LARGEST_PAYLOAD + 1))
        self.file.do(lambda tables: tables.enqueue("a", [half, half, half, huge], 1.0))
        self.endAll("fail", 2.0)
        self.assertEqual([len(page) for page in self.pages(10)], [2, 1, 1])

    def test_boundsPageByErrors(self) -> None:
        """
        Errors count for the size of a page, by their bytes in JSON.
        """
        self.file.fill("a", 200, 1.0)
        settlements = [
            Settlement(delivery.receipt, "fail", error="\x01" * 10_000)
            for delivery in self.claim(1.0, limit=200)
        ]
        self.settle(2.0, *settlements)
        [first, *_] = self.pages(1000)
        self.assertEqual(len(first), LARGEST_PAYLOAD // 60_050)

    def test_listsWholeTask(self) -> None:
        """
        A failed task is listed with payload, attempts and the last error.
        """
        self.file.do(lambda tables: tables.enqueue("a", [NewTask(b"[1]", "x")], 1.0))
        for now in (2.0, 3.0):
            [delivery] = self.claim(now)
            outcome = "release" if now == 2.0 else "fail"
            told = Settlement(delivery.receipt, outcome, error=f"at {now}")  # type: ignore[arg-type]
            self.settle(now, told)
        [[task]] = self.pages(1)
        expected = FailedTask("x", Raw(b"[1]"), 2, 1.0, 3.0, "at 3.0")
        self.assertEqual(task, expected)

    def test_retries(self) -> None:
        """
        A retried task begins anew, and keeps its age; a task that has not failed stays
        as it is.
        """
        old, *_ = self.file.fill("a", 1, 1.0)
        self.endAll("fail", 2.0)
        [new] = self.file.fill("a", 1, 3.0)
        retry = [old, new, "x"]
        done = self.file.do(lambda tables: tables.archive.retry("a", retry))
        self.assertEqual(done, Retried(1, [new, "x"]))
        one, two = self.claim(4.0, limit=2)
        self.assertEqual((one.id, one.attempt, two.id), (old, 1, new))

    def test_retriesWithError(self) -> None:
        """
        A retried task has not ended: it is not forgotten, and keeps its last error.
        """
        [id] = self.file.fill("a", 1, 1.0)
        [delivery] = self.claim(1.0)
        self.settle(2.0, Settlement(delivery.receipt, "fail", error="bad"))
        self.file.do(lambda tables: tables.archive.retryAll("a", 5, None, 2.0))
        expected = TaskRecord(id, "ready", 0, 0, 1.0, error="bad")
        self.assertEqual(self.file.tables.archive.task("a", id), expected)
        self.assertFalse(self.file.do(lambda tables: tables.archive.prune(100.0)))

    def test_retriesOwnQueue(self) -> None:
        """
        The id of a task of another queue is not known.
        """
        ids = self.file.fill("a", 1, 1.0)
        self.file.fill("b", 1, 1.0)
        self.endAll("fail", 2.0)
        for queue in ("b", "c"):
            done = self.file.do(lambda tables, q=queue: tables.archive.retry(q, ids))
            self.assertEqual(done, Retried(0, ids))

    def test_retriesAllInPieces(self) -> None:
        """
        However many tasks have failed, no more than the limit are retried in one
        transaction.
        """
        self.file.fill("a", CHUNK + 5, 1.0)
        self.endAll("fail", 2.0)
        retried = [
            self.file.do(
                lambda tables: tables.archive.retryAll("a", CHUNK, None, 3.0)
            ).retried
            for _ in range(3)
        ]
        self.assertEqual(retried, [CHUNK, 5, 0])

    def retryAll(self, limit: int, after: RetryCursor | None, now: float) -> Retried:
        return self.file.do(
            lambda tables: tables.archive.retryAll("a", limit, after, now)
        )

    def test_retriesAllOnce(self) -> None:
        """
        A task that fails after the first page was retried is not retried with the later
        pages, whether it had failed before or not.
        """
        self.file.fill("a", 3, 1.0)
        self.endAll("fail", 2.0)
        late = self.file.fill("a", 1, 1.0)
        first = self.retryAll(2, None, 3.0)
        self.endAll("fail", 4.0)
        assert isinstance(first.next, RetryCursor)
        second = self.retryAll(2, first.next, 5.0)
        self.assertEqual((first.retried, second), (2, Retried(1)))
        failed = [task.id for page in self.pages(10) for task in page]
        self.assertEqual(len(failed), 3)
        self.assertIn(late[0], failed)

    def test_retriesAllFromTheFuture(self) -> None:
        """
        A task that failed while the clock was ahead is retried.
        """
        self.file.fill("a", 1, 1.0)
        self.endAll("fail", 1e9)
        self.assertEqual(self.retryAll(10, None, 3.0), Retried(1))

    def test_findsTask(self) -> None:
        """
        A task is found by its id in its queue, with its whole record.
        """
        self.file.do(
            lambda tables: tables.enqueue("a", [NewTask(b"1", "x", 5.0, 7)], 1.0)
        )
        self.assertEqual(
            self.file.tables.archive.task("a", "x"),
            TaskRecord("x", "delayed", 0, 7, 1.0, due=6.0),
        )
        self.file.do(lambda tables: tables.expiry.wake(6.0))
        [delivery] = self.claim(7.0)
        told = Settlement(delivery.receipt, "complete", Raw(b'{"n": 1}'))
        self.settle(8.0, told)
        self.assertEqual(
            self.file.tables.archive.task("a", "x"),
            TaskRecord("x", "completed", 1, 7, 1.0, ended=8.0, result=Raw(b'{"n": 1}')),
        )
        for queue, id in (("a", "y"), ("b", "x"), ("a", "X")):
            self.assertIsNone(self.file.tables.archive.task(queue, id))

    def test_prunes(self) -> None:
        """
        Tasks that ended at a time or before are forgotten, in pieces, with all that
        belongs to them; those that have not ended stay.
        """
        self.file.fill("a", CHUNK + 5, 1.0)
        self.endAll("fail", 2.0)
        self.file.fill("a", 5, 1.0)
        self.endAll("complete", 3.0)
        self.file.fill("a", 5, 1.0)
        pruned = [
            self.file.do(lambda tables, t=time: tables.archive.prune(t)).total()
            for time in (1.9, 2.0, 2.0, 2.0, 3.0)
        ]
        self.assertEqual(pruned, [0, CHUNK, 5, 0, 5])
        counts = {
            table: self.file.connection.execute(
                f"SELECT count(*) FROM {table}"
            ).fetchone()[0]
            for table in ("tasks", "payloads", "results")
        }
        self.assertEqual(counts, {"tasks": 5, "payloads": 5, "results": 0})
