"""
What a whole consumer costs a task over HTTP, beside a bare treq loop; and how
near it comes to the ideal rate when tasks take their time.

Each endpoint, loop and consumer is a process of its own.  Run it as C{python
benchmarks/http.py}; the processes are started with C{-P}, since a folder with
this file in it must not be where C{import http} looks first.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TWISTD = Path(sys.executable).with_name("twistd")
BATCHES = (1, 10, 100)
LIMITS = (100, 200)
AIMS = {10: 0.95, 100: 1.15}

SLOTS = 40
USUAL, SLOW = 0.02, 0.2
MEAN = 0.9 * USUAL + 0.1 * SLOW
ROUND_TRIP = 0.005
PREFETCH = 20
RATE_AIM = 95.0


class Sample(NamedTuple):
    """
    One look at an endpoint and the process that works for it.

    @ivar completed: Tasks completed so far.
    @ivar requests: Claims and settle requests so far.
    @ivar cpu: The seconds of CPU that the process has had.
    @ivar now: When, in monotonic seconds.
    """

    completed: int
    requests: int
    cpu: float
    now: float


class Endpoint:
    """
    An endpoint process.
    """

    def __init__(self, **options: float) -> None:
        words = [f"--{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-P", HERE / "endpoint.py", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self._readLine().strip()}/tasks"

    def _readLine(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def counts(self) -> dict[str, int]:
        """
        What it has seen so far.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._readLine())
        if counts["others"]:
            raise RuntimeError(f"tasks were not completed: {counts}")
        return counts

    def end(self) -> None:
        """
        End it.
        """
        self._process.communicate()


class Worker:
    """
    A process that works for an endpoint, and is paused while another is measured.

    @param command: How to start it.
    @param endpoint: For which.
    """

    def __init__(self, command: list[str], endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=HERE.parent,
        )

    def awaitStart(self, seconds: float = 15) -> None:
        """
        Wait until it has completed tasks.
        """
        begun = time.monotonic()
        before = self._endpoint.counts()["completed"]
        while self._endpoint.counts()["completed"] == before:
            if self._process.poll() is not None or time.monotonic() > begun + seconds:
                self._log.seek(0)
                said = self._log.read(4000).decode(errors="replace")
                raise RuntimeError(f"{self._process.args!r} does not work:\n{said}")
            time.sleep(0.02)

    def pause(self) -> None:
        """
        Keep it from running.
        """
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """
        Let it run again.
        """
        self._process.send_signal(signal.SIGCONT)

    def sample(self) -> Sample:
        """
        Look at it.  Its CPU, of user and system and all threads, is read from
        outside: on Linux the clock of process PID has the number C{~PID << 3 | 2}.
        """
        cpu = time.clock_gettime(~self._process.pid << 3 | 2)
        now = time.monotonic()
        counts = self._endpoint.counts()
        requests = counts["claims"] + counts["settles"]
        return Sample(counts["completed"], requests, cpu, now)

    def end(self) -> None:
        """
        End it at once.
        """
        self._process.kill()
        self._process.wait()
        self._log.close()


def consumerCommand(
    endpoint: Endpoint, limit: int, handler: str, *more: str
) -> list[str]:
    """
    The real thing: C{twistd consumer}.
    """
    twistd = [str(TWISTD), "--nodaemon", "--pidfile="]
    options = [f"--url={endpoint.url}", f"--limit={limit}", "--python"]
    return [*twistd, "consumer", *options, f"benchmarks.noop.{handler}", *more]


def bareCommand(endpoint: Endpoint, limit: int) -> list[str]:
    """
    The bare loop.
    """
    return ["-P", str(HERE / "bare.py"), endpoint.url, str(limit)]


class Cost(NamedTuple):
    """
    What one worker spent in one window.

    @ivar cpu: Microseconds of CPU a task.
    @ivar requests: Requests a task.
    """

    cpu: float
    requests: float


def window(worker: Worker, seconds: float) -> Cost:
    """
    Let a paused worker run for a while.
    """
    worker.resume()
    time.sleep(0.05)
    before = worker.sample()
    time.sleep(seconds)
    after = worker.sample()
    worker.pause()
    time.sleep(0.01)
    done = after.completed - before.completed
    cpu, requests = after.cpu - before.cpu, after.requests - before.requests
    return Cost(cpu / done * 1e6, requests / done)


def compare(
    batch: int, limit: int, windows: int, seconds: float
) -> list[tuple[Cost, Cost]]:
    """
    Measure the bare loop and the consumer in turns, each freshly started.

    @return: Pairs of the two, measured one right after the other.
    """
    pairs = []
    with ExitStack() as stack:
        endpoint = Endpoint(most=batch)
        stack.callback(endpoint.end)
        workers = []
        for command in (
            bareCommand(endpoint, limit),
            consumerCommand(endpoint, limit, "nothing"),
        ):
            worker = Worker(command, endpoint)
            stack.callback(worker.end)
            worker.awaitStart()
            worker.pause()
            workers.append(worker)
        for worker in workers:
            window(worker, seconds)
        bare, consumer = workers
        for number in range(windows):
            if number % 2:
                later = window(consumer, seconds)
                pairs.append((window(bare, seconds), later))
            else:
                pairs.append((window(bare, seconds), window(consumer, seconds)))
    return pairs


def verdict(met: bool) -> str:
    """
    Say whether an aim is met.
    """
    return "aim met" if met else "AIM MISSED"


def reportCost(rounds: int, windows: int, seconds: float) -> None:
    """
    Measure what a task costs, and print the table.
    """
    cells: dict[tuple[int, int], list[tuple[Cost, Cost]]] = {}
    for _ in range(rounds):
        for batch in BATCHES:
            for limit in LIMITS:
                pairs = compare(batch, limit, windows, seconds)
                cells.setdefault((batch, limit), []).extend(pairs)
    print("                CPU microseconds a task      requests a task")
    print("claims  limit   bare loop  consumer  ratio   bare loop  consumer")
    for (batch, limit), pairs in cells.items():
        bare = median(bare.cpu for bare, _ in pairs)
        consumer = median(consumer.cpu for _, consumer in pairs)
        ratio = median(consumer.cpu / bare.cpu for bare, consumer in pairs)
        bareRequests = median(bare.requests for bare, _ in pairs)
        requests = median(consumer.requests for _, consumer in pairs)
        aim = AIMS.get(batch)
        print(
            f"{batch:6} {limit:6} {bare:11.2f} {consumer:9.2f} {ratio:6.3f}"
            f" {bareRequests:11.3f} {requests:9.3f}"
            + (f"   (at most {aim}: {verdict(ratio <= aim)})" if aim else "")
        )


def measureRate(prefetch: int, windows: int, seconds: float) -> tuple[float, float]:
    """
    Let a consumer work on tasks that take their time.

    @return: Tasks completed a second, and the percentage of one CPU spent.
    """
    with ExitStack() as stack:
        endpoint = Endpoint(most=1000, delay=ROUND_TRIP, usual=USUAL, slow=SLOW)
        stack.callback(endpoint.end)
        options = f"--prefetch={prefetch}"
        command = consumerCommand(endpoint, SLOTS, "wait", options)
        worker = Worker(command, endpoint)
        stack.callback(worker.end)
        worker.awaitStart()
        time.sleep(min(1.0, seconds))
        samples = [worker.sample()]
        for _ in range(windows):
            time.sleep(seconds)
            samples.append(worker.sample())
    spans = list(pairwise(samples))
    rate = median((b.completed - a.completed) / (b.now - a.now) for a, b in spans)
    return rate, median((b.cpu - a.cpu) / (b.now - a.now) * 100 for a, b in spans)


def reportRate(windows: int, seconds: float) -> None:
    """
    Measure the rate without prefetch and with it, and print both.
    """
    ideal = SLOTS / MEAN
    print(
        f"Tasks of {USUAL * 1e3:.0f} ms, every tenth {SLOW * 1e3:.0f} ms,"
        f" {SLOTS} slots, {ROUND_TRIP * 1e3:.0f} ms round trip:"
        f" ideal {ideal:.0f} tasks a second"
    )
    for prefetch in (0, PREFETCH):
        rate, cpu = measureRate(prefetch, windows, seconds)
        share = rate / ideal * 100
        aim = f" (at least {RATE_AIM}%: {verdict(share >= RATE_AIM)})"
        print(
            f"  --prefetch {prefetch:3}: {rate:5.0f} a second, {share:5.1f}% of ideal,"
            f" {cpu:.0f}% of one CPU{aim if prefetch else ''}"
        )


def main() -> None:
    """
    Measure, and print; judges nothing by its exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, in some seconds")
    quick = parser.parse_args().quick
    # A signal ends this as an exception does, so that no process is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reportCost(*((1, 1, 0.15) if quick else (3, 3, 0.25)))
    reportRate(*((1, 1.0) if quick else (4, 2.0)))


if __name__ == "__main__":
    main()
