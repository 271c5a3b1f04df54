"""
What the embedded queue does in a second, beside bare SQLite that is told the same;
how soon a task is picked up; and what a claim costs with few and with many tasks in the
file.

The queue, the consumer and this are a process each.  Run it as C{python -P
benchmarks/taskqueue.py}.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from myconsumer.task import Settlement
from myconsumer.taskqueue.store.database import Database
from myconsumer.taskqueue.store.records import NewTask
from myconsumer.taskqueue.store.schema import CONNECTION, prepare
from myconsumer.taskqueue.store.tables import Tables

HERE = Path(__file__).resolve().parent
TWISTD = Path(sys.executable).with_name("twistd")
PAYLOAD = {"number": 12345, "to": "somebody@example.org"}
QUEUED = 1_000
CLAIMED = 100
END_TO_END_AIM = 20_000
PICKUP_AIM = 5.0
LISTEN = "tcp:0:interface=127.0.0.1"

INSERT = (
    "INSERT INTO tasks (queue, id, state, priority, enqueued, due) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
SELECT = (
    "SELECT number, id, attempts, enqueued, payload FROM tasks "
    "JOIN payloads USING (number) WHERE state = 'ready' AND queue = ? "
    "ORDER BY priority DESC, number LIMIT ?"
)
LEASE = (
    "UPDATE tasks SET state = 'leased', attempts = attempts + 1, "
    "due = ?, lease = ?, secret = ?, claim = ? WHERE number = ?"
)
COMPLETE = (
    "UPDATE tasks SET state = ?, due = NULL, ended = ?, claim = NULL, error = NULL "
    "WHERE number = ? AND secret = ? AND queue = ? AND state = 'leased' AND due > ?"
)
DELETE = "DELETE FROM payloads WHERE number = ?"


class Server:
    """
    A C{twistd} process with an embedded queue.

    @ivar url: Where its queue called C{tasks} is.
    """

    def __init__(self, directory: str, *command: str) -> None:
        self._log = Path(directory, f"{command[0]}.log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [TWISTD, "-n", "--pidfile=", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=HERE,
            )
        self.url = self._await(r"(http://\S+/)NAME") + "tasks"

    def _await(self, pattern: str) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(pattern, self._log.read_text()):
                return found[1]
            time.sleep(0.02)
        raise RuntimeError(self._log.read_text())

    def cpu(self) -> float:
        """
        The seconds of CPU that it has had.
        """
        return cpuOf(self._process.pid)

    def end(self) -> None:
        """
        End it.
        """
        self._process.terminate()
        self._process.wait()


def cpuOf(pid: int) -> float:
    """
    The seconds of CPU that a process has had.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Client:
    """
    A connection that is kept, with as little around it as possible.
    """

    def __init__(self, url: str) -> None:
        host, _, self._path = url.removeprefix("http://").partition("/")
        self._connection = http.client.HTTPConnection(host)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, below: str = "", body: Any = None) -> Any:
        """
        Make a request, and wait for its answer.
        """
        text = None if body is None else json.dumps(body)
        self._connection.request(method, f"/{self._path}{below}", text)
        with self._connection.getresponse() as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def served(*command: str) -> Iterator[tuple[Server, Client]]:
    """
    Have a queue served from a new file.
    """
    with TemporaryDirectory() as directory, ExitStack() as stack:
        file = str(Path(directory, "queue.sqlite"))
        words = [each.format(file=file) for each in command]
        server = Server(directory, *words)
        stack.callback(server.end)
        yield server, Client(server.url)


TASKQUEUE = ("taskqueue", "--db", "{file}", "--listen", LISTEN)


def enqueue(client: Client, count: int) -> float:
    """
    Queue tasks in batches.

    @return: The seconds that it took.
    """
    batch = [{"payload": PAYLOAD}] * QUEUED
    begun = time.perf_counter()
    for _ in range(count // QUEUED):
        client.ask("POST", body=batch)
    return time.perf_counter() - begun


def work(client: Client) -> float:
    """
    Claim and complete tasks, one batch after the other.

    @return: The seconds that it took.
    """
    begun = time.perf_counter()
    claim = {"limit": CLAIMED, "wait": 0, "lease": 60, "consumer": "b", "claim": "c"}
    while tasks := client.ask("POST", "/claim", claim)["tasks"]:
        settle = [{"receipt": t["receipt"], "outcome": "complete"} for t in tasks]
        client.ask("POST", "/settle", {"consumer": "b", "settle": settle})
    return time.perf_counter() - begun


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """
    Have a connection to a new file.
    """
    with TemporaryDirectory() as directory:
        path = Path(directory, "queue.sqlite")
        with closing(sqlite3.connect(path, **CONNECTION)) as connection:
            prepare(connection, "normal")
            yield connection


def bare(count: int) -> tuple[float, float]:
    """
    Have SQLite do what the queue has it do, and nothing else.

    @return: The seconds for queueing, and for claiming and completing.
    """
    with opened() as connection:
        execute = connection.execute
        payload = json.dumps(PAYLOAD).encode()
        now = time.time()
        begun = time.perf_counter()
        for start in range(0, count, QUEUED):
            execute("BEGIN IMMEDIATE")
            payloads = []
            for number in range(start, start + QUEUED):
                row = (1, f"{number:036}", "ready", 0, now, None)
                payloads.append((execute(INSERT, row).lastrowid, payload))
            connection.executemany("INSERT INTO payloads VALUES (?, ?)", payloads)
            connection.commit()
        queued = time.perf_counter()
        for _ in range(count // CLAIMED):
            execute("BEGIN IMMEDIATE")
            rows = execute(SELECT, (1, CLAIMED)).fetchall()
            leases = [(now + 60, 60.0, 2**61, "c" * 36, row[0]) for row in rows]
            connection.executemany(LEASE, leases)
            connection.commit()
            execute("BEGIN IMMEDIATE")
            for number, *_ in rows:
                execute(COMPLETE, ("completed", now, number, 2**61, 1, now))
                execute(DELETE, (number,))
            connection.commit()
        return queued - begun, time.perf_counter() - queued


def throughput(count: int) -> None:
    """
    Tasks a second, through HTTP and through bare SQLite, in turn.
    """
    rates: dict[str, list[float]] = {}
    for _ in range(3):
        with served(*TASKQUEUE) as (_, client):
            rates.setdefault("enqueue", []).append(count / enqueue(client, count))
            rates.setdefault("claim+settle", []).append(count / work(client))
        queued, worked = bare(count)
        rates.setdefault("bare enqueue", []).append(count / queued)
        rates.setdefault("bare claim+settle", []).append(count / worked)
    for name, batch in (("enqueue", QUEUED), ("claim+settle", CLAIMED)):
        ours, other = median(rates[name]), median(rates[f"bare {name}"])
        print(
            f"{name:13}{ours:9,.0f} tasks/s in batches of {batch:5,}; "
            f"bare SQLite {other:9,.0f}; {ours / other:.2f} of it"
        )


def endToEnd(count: int) -> None:
    """
    Tasks a second from the first claim to the last settlement, with one consumer.
    """
    batches = ("--limit", str(CLAIMED), "--prefetch", str(CLAIMED), "--python")
    handler = (*batches, "noop.nothing", "--drain", "1")
    print(f"end to end, batches of {CLAIMED}, aim {END_TO_END_AIM:,} tasks/s:")
    ways: dict[str, Callable[[], float]] = {
        "a queue and a consumer": lambda: apart(count, handler),
        "the two in one process": lambda: together(count, handler),
    }
    for name, way in ways.items():
        rates = [count / way() for _ in range(3)]
        told = ", ".join(f"{rate:,.0f}" for rate in rates)
        print(f"  {name}: {median(rates):,.0f} tasks/s ({told})")


def apart(count: int, handler: tuple[str, ...]) -> float:
    """
    The queue is a process, and the consumer is another.
    """
    with served(*TASKQUEUE) as (server, client):
        enqueue(client, count)
        command = [TWISTD, "-n", "--pidfile=", "consumer", "--url", server.url]
        process = subprocess.Popen(
            [*command, *handler], stdout=subprocess.DEVNULL, cwd=HERE
        )
        try:
            return untilDone(client, count)
        finally:
            process.terminate()
            process.wait()


def together(count: int, handler: tuple[str, ...]) -> float:
    """
    The consumer has the queue inside; what it is to do is in the file already.
    """
    with TemporaryDirectory() as directory:
        file = str(Path(directory, "queue.sqlite"))
        with closing(sqlite3.connect(file, **CONNECTION)) as connection:
            prepare(connection, "normal")
            fill(connection, Tables(Database(connection)), count)
        consumer = ("consumer", "--local", file, "--listen", LISTEN, *handler)
        server = Server(directory, *consumer)
        try:
            return untilDone(Client(server.url), count)
        finally:
            server.end()


def untilDone(client: Client, count: int) -> float:
    """
    Look on while tasks are being worked off.

    @return: The seconds that all would have taken at the pace seen from the first
        look at which some were done.
    """
    begun, before = 0.0, 0
    while True:
        done = client.ask("GET")["completed"]
        now = time.perf_counter()
        if done == count:
            return (now - begun) * count / (count - before)
        if done and not begun:
            begun, before = now, done
        time.sleep(0.02)


def pickup(count: int) -> None:
    """
    From an enqueue's answer to the handler's start, with a consumer that waits.
    """
    with (
        served(*TASKQUEUE) as (server, client),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear,
    ):
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(10)
        port = ear.getsockname()[1]
        command = [TWISTD, "-n", "--pidfile=", "consumer", "--url", server.url]
        handler = ["--limit", "4", "--python", "noop.tellTime"]
        process = subprocess.Popen(
            [*command, *handler], stdout=subprocess.DEVNULL, cwd=HERE
        )
        try:
            answered, sent, bareTrips = [], [], []
            for number in range(count + 20):
                before = time.monotonic()
                client.ask("POST", body={"payload": port})
                after = time.monotonic()
                [started] = struct.unpack("d", ear.recv(8))
                while client.ask("GET")["completed"] <= number:
                    time.sleep(0.001)
                begun = time.monotonic()
                client.ask("GET")
                bareTrips.append(1000 * (time.monotonic() - begun))
                answered.append(1000 * max(0.0, started - after))
                sent.append(1000 * (started - before))
                # until it is idle again, and so is the queue
                time.sleep(0.01)
        finally:
            process.terminate()
            process.wait()
    print(f"pickup when idle, in ms, aim p99 under {PICKUP_AIM:g}:")
    for name, times in (
        ("enqueue answered to handler started", answered),
        ("enqueue sent to handler started", sent),
        ("bare HTTP round trip", bareTrips),
    ):
        percentiles = quantiles(times[20:], n=100)
        print(f"  {name:36} p50 {percentiles[49]:.2f}  p99 {percentiles[98]:.2f}")


def fill(connection: sqlite3.Connection, tables: Tables, count: int) -> None:
    """
    Queue tasks at the store itself.
    """
    task = NewTask(json.dumps(PAYLOAD).encode())
    for _ in range(count // QUEUED):
        transact(
            connection, partial(tables.enqueue, "tasks", [task] * QUEUED, time.time())
        )


def transact(connection: sqlite3.Connection, operation: Callable[[], Any]) -> Any:
    """
    Do something in a transaction.
    """
    connection.execute("BEGIN IMMEDIATE")
    result = operation()
    connection.commit()
    return result


def claimsCost(connection: sqlite3.Connection, tables: Tables) -> tuple[float, float]:
    """
    The microseconds a task of claims of one, and of whole batches; medians.
    """
    costs = []
    for limit in (1, CLAIMED):
        times = []
        for _ in range(400):
            now = time.time()
            begun = time.perf_counter()
            claim = partial(tables.claim, "tasks", "c", limit, 60, now)
            tasks = transact(connection, claim)
            times.append(time.perf_counter() - begun)
            back = [
                Settlement(task.receipt, "release", counted=False) for task in tasks
            ]
            transact(connection, partial(tables.settlements.settle, "tasks", back, now))
        costs.append(1e6 * median(times) / limit)
    return costs[0], costs[1]


def flatness(most: int) -> None:
    """
    What claims cost, with ever more tasks in the file.
    """
    with opened() as connection:
        tables = Tables(Database(connection))
        print("a claim's cost in us a task, of 1 and of 100:")
        waiting = 0
        for count in (1_000, most // 10, most):
            fill(connection, tables, count - waiting)
            waiting = count
            one, many = claimsCost(connection, tables)
            print(f"  {count:9,} waiting{'':20} {one:7.1f} {many:7.2f}")
        while tasks := transact(
            connection, partial(tables.claim, "tasks", "c", 1000, 60, time.time())
        ):
            done = [Settlement(task.receipt, "complete") for task in tasks]
            transact(
                connection,
                partial(tables.settlements.settle, "tasks", done, time.time()),
            )
        fill(connection, tables, 1_000)
        one, many = claimsCost(connection, tables)
        print(f"  {1000:9,} waiting, {most:9,} done    {one:7.1f} {many:7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--pickups", type=int, default=1_000)
    parser.add_argument("--most", type=int, default=1_000_000)
    options = parser.parse_args()
    throughput(options.tasks)
    endToEnd(options.tasks)
    pickup(options.pickups)
    flatness(options.most)


if __name__ == "__main__":
    main()
