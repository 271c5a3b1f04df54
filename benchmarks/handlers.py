"""
What each kind of handler costs a task that takes no time, beside what does the same
without it.

Run it as C{python benchmarks/handlers.py}.  It starts the web application that it
posts to, which is this file, too.
"""

from __future__ import annotations

import sys

if not sys.flags.safe_path:
    # This folder has an http.py, which would hide the standard library's http.
    del sys.path[0]

import argparse
import asyncio
import json
import multiprocessing
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any, NamedTuple

from treq.client import HTTPClient
from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.web.client import Agent, HTTPConnectionPool

from myconsumer import ITaskHandler, Task
from myconsumer.handlers import forward, python
from myconsumer.handlers.callables import NamedCallable
from myconsumer.handlers.command import handler as command
from myconsumer.http import parseURL

HERE = Path(__file__).resolve().parent
# worker processes look where this one does
sys.path.append(str(HERE.parent))

CALLABLE = "benchmarks.noop.nothing"
SIDE_BY_SIDE = 8
NO_OPTIONS: dict[str, Any] = {
    "limit": SIDE_BY_SIDE,
    "timeout": 0.0,
    "run-in": "reactor",
    "exec-env": None,
    "kill-after": 5.0,
}

Do = Callable[[Task], Any]


class Bare(NamedTuple):
    """
    What does the same as a handler.

    @ivar name: What it is.
    @ivar alone: Does one task after the other.
    @ivar together: Does several side by side.
    """

    name: str
    alone: Do
    together: Do


class Pair(NamedTuple):
    """
    A handler, and what it is measured beside.

    @ivar name: What the handler is chosen by.
    @ivar tasks: How many tasks make a run.
    """

    name: str
    handle: Do
    bare: Bare
    tasks: int


class Cost(NamedTuple):
    """
    What one run took.

    @ivar wall: Microseconds a task.
    @ivar cpu: Microseconds a task of CPU of this process alone.
    """

    wall: float
    cpu: float


Turn = tuple[Cost, Cost]


def barePosts(reactor: Any, url: str) -> Bare:
    """
    A POST through treq, with as many kept connections as it takes.
    """
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = SIDE_BY_SIDE
    client = HTTPClient(Agent(reactor, pool=pool))

    async def post(task: Task) -> Any:
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": "application/json",
            "Task-Id": str(task.id),
            "Task-Attempt": str(task.attempt),
        }
        body = json.dumps(task.payload).encode()
        response = await client.post(url, data=body, headers=headers)
        return await response.json()

    return Bare("treq.post", *[lambda task: Deferred.fromCoroutine(post(task))] * 2)


def bareCommands(inThread: Callable[[Do], Do]) -> Bare:
    """
    C{subprocess.run}; side by side, in threads.
    """
    true = which("true") or "true"

    def run(task: Task) -> Any:
        return subprocess.run(
            [true],
            input=json.dumps(task.payload).encode(),
            capture_output=True,
            check=True,
        )

    return Bare("subprocess.run", run, inThread(run))


def bareProcesses(reactor: Any, pool: ProcessPoolExecutor, function: Do) -> Bare:
    """
    The process pool of the standard library.
    """

    def submit(task: Task) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        future = pool.submit(function, task)
        future.add_done_callback(
            lambda future: reactor.callFromThread(done.callback, future.result())
        )
        return done

    return Bare("ProcessPoolExecutor", submit, submit)


def pairs(reactor: Any, stack: ExitStack) -> list[Pair]:
    """
    Make all that is measured.

    @param stack: Ends what has to be ended in the end, other than the handlers.
    """
    threads = ThreadPool(0, SIDE_BY_SIDE)
    threads.start()
    stack.callback(threads.stop)
    # "fork" would have the children hold the sockets of the other handlers
    spawn = multiprocessing.get_context("spawn")
    processes = stack.enter_context(ProcessPoolExecutor(SIDE_BY_SIDE, spawn))
    url = stack.enter_context(webApplication())

    def inThread(function: Do) -> Do:
        return lambda task: deferToThreadPool(reactor, threads, function, task)

    named = NamedCallable.load(CALLABLE)
    nothing = named.function
    handlers: dict[str, ITaskHandler] = {
        where: python.makeHandler(
            reactor, {**NO_OPTIONS, "python": named, "run-in": where}
        )
        for where in ("reactor", "thread", "process")
    }
    handlers["exec"] = command.makeHandler(reactor, {**NO_OPTIONS, "exec": ["true"]})
    handlers["forward"] = forward.makeHandler(
        reactor, {**NO_OPTIONS, "forward": parseURL(url)}
    )
    bare = {
        "reactor": Bare("maybeDeferred", nothing, nothing),
        "thread": Bare("deferToThreadPool", *[inThread(nothing)] * 2),
        "process": bareProcesses(reactor, processes, nothing),
        "exec": bareCommands(inThread),
        "forward": barePosts(reactor, url),
    }
    counts = {"reactor": 20_000, "thread": 2_000, "process": 1_000, "exec": 60}
    for handler in handlers.values():
        if IService.providedBy(handler):
            handler.startService()
    return [
        Pair(name, handler.handle, bare[name], counts.get(name, 300))
        for name, handler in handlers.items()
    ]


@contextmanager
def webApplication() -> Iterator[str]:
    """
    Has the web application run in a process of its own, and gives its URL.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, "--serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/tasks"
    finally:
        process.kill()
        process.communicate()


class WebApplication(asyncio.Protocol):
    """
    Answers each request with a little JSON, and with as little work as possible.
    """

    ANSWER = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b'Content-Length: 10\r\n\r\n{"done":1}'
    )

    def connection_made(self, transport: Any) -> None:
        """
        Somebody has connected.
        """
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        """
        Some of a request, or of the next one, is there.
        """
        self.received += data
        while (end := self.received.find(b"\r\n\r\n") + 4) >= 4:
            length = re.search(rb"content-length: (\d+)", self.received[:end], re.I)
            end += int(length[1]) if length else 0
            if len(self.received) < end:
                return
            self.received = self.received[end:]
            self.transport.write(self.ANSWER)


async def serve() -> None:
    """
    Be the web application, until killed.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(WebApplication, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def measure(do: Do, count: int, side: int) -> Cost:
    """
    Have C{count} tasks done, C{side} at once.
    """
    left = iter(range(count))

    async def work() -> None:
        for number in left:
            await maybeDeferred(do, Task(str(number), {"number": number}))

    wall, cpu = time.perf_counter(), time.process_time()
    await gatherResults([Deferred.fromCoroutine(work()) for _ in range(side)])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(wall / count * 1e6, cpu / count * 1e6)


async def takeTurns(pair: Pair, side: int, number: int, part: float) -> Turn:
    """
    Measure both of a pair, one right after the other; which is first changes.

    @return: The cost of the bare one, and of the handler.
    """
    count = max(side, int(pair.tasks * part))
    bare = pair.bare.alone if side == 1 else pair.bare.together
    if number % 2:
        later = await measure(pair.handle, count, side)
        return await measure(bare, count, side), later
    return await measure(bare, count, side), await measure(pair.handle, count, side)


Turns = dict[tuple[str, int], list[Turn]]


async def measureAll(pairs: list[Pair], rounds: int, part: float) -> Turns:
    """
    Measure everything in turns, after a round that does not count.

    @param part: How much of the usual number of tasks to do.

    @return: All turns, by name of the handler and number of tasks at once.
    """
    turns: Turns = defaultdict(list)
    for number in range(-1, rounds):
        for pair in pairs:
            for side in (1, SIDE_BY_SIDE):
                turn = await takeTurns(pair, side, number, part)
                if number >= 0:
                    turns[pair.name, side].append(turn)
    return turns


def columns(turns: list[Turn], of: str) -> str:
    """
    Three columns: of the bare one, of the handler, and the ratio.
    """
    bare = median(getattr(bare, of) for bare, _ in turns)
    handler = median(getattr(handler, of) for _, handler in turns)
    ratio = median(getattr(handler, of) / getattr(bare, of) for bare, handler in turns)
    return f"{bare:9.1f} {handler:8.1f} {ratio:6.2f}"


def report(pairs: list[Pair], turns: Turns) -> None:
    """
    Print the table.
    """
    together = f"{SIDE_BY_SIDE} at once"
    print(
        "microseconds a task        "
        f"{'one after the other':>26}{together:>26}{'CPU, ' + together:>26}"
    )
    print(f"handler beside            {'      bare  handler  ratio' * 3}")
    for pair in pairs:
        alone, several = turns[pair.name, 1], turns[pair.name, SIDE_BY_SIDE]
        print(
            f"{pair.name:8}{pair.bare.name:19}{columns(alone, 'wall')} "
            f"{columns(several, 'wall')} {columns(several, 'cpu')}"
        )


async def run(reactor: Any, stack: ExitStack, quick: bool) -> None:
    """
    Measure, and print.
    """
    all = pairs(reactor, stack)
    handlers = [pair.handle.__self__ for pair in all]  # type: ignore[attr-defined]
    try:
        turns = await measureAll(all, 1 if quick else 5, 0.2 if quick else 1.0)
    finally:
        for handler in filter(IService.providedBy, handlers):
            await maybeDeferred(handler.stopService)
    report(all, turns)


def main() -> None:
    """
    Measure, and print; judges nothing by its exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look, in some seconds")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
    # A signal ends this as an exception does, so that no process is left behind; once
    # the reactor runs it is stopped, which comes to the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        react(
            lambda reactor: Deferred.fromCoroutine(run(reactor, stack, arguments.quick))
        )


if __name__ == "__main__":
    main()
