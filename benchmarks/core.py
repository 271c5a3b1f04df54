"""
What L{ParallelLimitedTaskConsumer} costs a task, beside the bare Deferred that
does the same: over limits, and over numbers of tasks.
"""

from __future__ import annotations

import sys

if not sys.flags.safe_path:
    # This folder has an http.py, which would hide the standard library's http.
    del sys.path[0]

import argparse
import time
from collections import defaultdict, deque
from collections.abc import Callable
from statistics import median

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from zope.interface import implementer

from myconsumer import ITaskConsumer, ITaskSource, ParallelLimitedTaskConsumer

LIMITS = (1, 4, 100, 10_000)
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
SYNC_AIM = 1.0
ASYNC_AIM = 2.5
FLAT_AIM = 1.5

Task = Callable[[], Deferred[None] | None]
Cell = tuple[int, int]


@implementer(ITaskSource)
class MemorySource:
    """
    Has so many tasks left, and tells of one each time that it is started.
    """

    def __init__(self, task: Task, count: int) -> None:
        self._task = task
        self._left = count

    def start(self, consumer: ITaskConsumer) -> None:
        """
        See L{ITaskSource.start}.
        """
        if self._left:
            self._left -= 1
            consumer.taskStarted(self._task)
        else:
            consumer.noTasksFound()

    def stop(self) -> Deferred[bool]:
        """
        See L{ITaskSource.stop}.
        """
        return succeed(True)


class Work:
    """
    Tasks of both kinds, and a count of them.

    @ivar done: How many have begun.
    """

    def __init__(self) -> None:
        self.done = 0
        self._open: deque[Deferred[None]] = deque()

    def sync(self) -> None:
        """
        Ends before it returns.
        """
        self.done += 1

    def later(self) -> Deferred[None]:
        """
        Ends when L{endAll} comes to it.
        """
        self.done += 1
        ended: Deferred[None] = Deferred()
        self._open.append(ended)
        return ended

    def endAll(self) -> None:
        """
        End what is open, the oldest first, until nothing is.
        """
        waiting = self._open
        while waiting:
            waiting.popleft().callback(None)


def runConsumer(limit: int, count: int, sync: bool) -> int:
    """
    Run C{count} tasks through a consumer.

    @return: How many ran.
    """
    work = Work()
    source = MemorySource(work.sync if sync else work.later, count)
    over = ParallelLimitedTaskConsumer(limit).consume(source)
    work.endAll()
    if not over.called:
        raise RuntimeError("the run has not ended")
    return work.done


def runBareSync(limit: int, count: int) -> int:
    """
    Run C{count} tasks that end at once, each under a Deferred.

    @return: How many ran.
    """
    work = Work()
    task = work.sync

    def ended(result: object) -> None:
        pass

    for _ in range(count):
        maybeDeferred(task).addBoth(ended)
    return work.done


def runBareAsync(limit: int, count: int) -> int:
    """
    Run C{count} tasks that end later, C{limit} at once, by a callback on each.

    @return: How many ran.
    """
    work = Work()
    task = work.later
    left = count

    def ended(result: object) -> None:
        nonlocal left
        if left:
            left -= 1
            task().addBoth(ended)

    for _ in range(min(limit, count)):
        left -= 1
        task().addBoth(ended)
    work.endAll()
    return work.done


RUNS: dict[str, Callable[[int, int], int]] = {
    "bare sync": runBareSync,
    "sync": lambda limit, count: runConsumer(limit, count, True),
    "bare async": runBareAsync,
    "async": lambda limit, count: runConsumer(limit, count, False),
}


def measure(kind: str, limit: int, count: int) -> float:
    """
    @return: The microseconds of CPU a task of one run.
    """
    run = RUNS[kind]
    begun = time.process_time()
    ran = run(limit, count)
    spent = time.process_time() - begun
    if ran != count:
        raise RuntimeError(f"{kind}: {ran} of {count} tasks ran")
    return spent / count * 1e6


def measureAll(counts: tuple[int, ...], rounds: int) -> dict[Cell, dict[str, float]]:
    """
    Every kind at every limit and count, in turns; the largest less often.

    @return: Medians: in microseconds, and of the differences and ratios to the bare
        Deferred measured right before it.
    """
    samples: dict[Cell, dict[str, list[float]]] = {}
    for number in range(rounds):
        for count in counts:
            if number % max(1, count // 200_000):
                continue
            for limit in LIMITS:
                cell = samples.setdefault((count, limit), defaultdict(list))
                for _ in range(max(1, min(10, 20_000 // count))):
                    turn = {kind: measure(kind, limit, count) for kind in RUNS}
                    turn["over"] = turn["async"] - turn["bare async"]
                    turn["sync ratio"] = turn["sync"] / turn["bare sync"]
                    turn["async ratio"] = turn["async"] / turn["bare async"]
                    for name, value in turn.items():
                        cell[name].append(value)
    return {
        key: {name: median(values) for name, values in cell.items()}
        for key, cell in samples.items()
    }


def verdict(met: bool) -> str:
    """
    Say whether an aim is met.
    """
    return "aim met" if met else "AIM MISSED"


def report(figures: dict[Cell, dict[str, float]]) -> None:
    """
    Print the table, and what became of each aim.
    """
    print("CPU microseconds a task      ends at once                 ends later")
    print(
        "    tasks   limit     bare  consumer  ratio     bare  consumer  ratio   over"
    )
    for (count, limit), cell in figures.items():
        print(
            f"{count:9,} {limit:7,}"
            f" {cell['bare sync']:8.2f} {cell['sync']:9.2f} {cell['sync ratio']:6.2f}"
            f" {cell['bare async']:8.2f} {cell['async']:9.2f}"
            f" {cell['async ratio']:6.2f} {cell['over']:6.2f}"
        )
    for text, name, ratio, aim in (
        ("a task that ends at once", "sync", "sync ratio", SYNC_AIM),
        (
            "one that ends later, over the bare Deferred",
            "over",
            "async ratio",
            ASYNC_AIM,
        ),
    ):
        cost = median(cell[name] for cell in figures.values())
        worst = max(cell[name] for cell in figures.values())
        ratios = [cell[ratio] for cell in figures.values()]
        spread = max(ratios) / min(ratios)
        print(f"{text}: {cost:.2f} us (at most {aim}: {verdict(cost <= aim)})", end="")
        print(f"; at worst {worst:.2f} ({verdict(worst <= aim)})")
        print(
            f"  flat: ratios are within {(spread - 1) * 100:.0f}% of each other", end=""
        )
        print(f" (at most {(FLAT_AIM - 1) * 100:.0f}%: {verdict(spread <= FLAT_AIM)})")


def deepRun(count: int = 200_000) -> None:
    """
    Run many tasks that end at once, under the recursion limit that Python has.
    """
    try:
        ran = runConsumer(1, count, True) + runConsumer(4, count, True)
    except RecursionError:
        ran = 0
    print(
        f"{count:,} tasks that end at once, recursion limit {sys.getrecursionlimit()}:"
        f" {verdict(ran == 2 * count)}"
    )


def main() -> None:
    """
    Measure, and print; judges nothing by its exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, in some seconds")
    quick = parser.parse_args().quick
    for kind in RUNS:
        measure(kind, 4, 20_000)
    deepRun()
    report(measureAll(COUNTS[:-1] if quick else COUNTS, 2 if quick else 6))


if __name__ == "__main__":
    main()
