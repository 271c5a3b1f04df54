"""
Runs the consumer on an embedded queue, four tasks at a time, and does what its operator
would: queues tasks, counts them, and retries the one that failed.  Ctrl-C stops it as a
daemon is stopped: running tasks may end, waiting tasks are released.
"""
# ruff: noqa: E402

from __future__ import annotations

import signal

# until there is something to stop, Ctrl-C is to end this without a traceback
signal.signal(signal.SIGINT, signal.SIG_DFL)

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.request import urlopen

HANDLER = Path(__file__).resolve().with_name("demo_handler.py")
BIN = Path(sys.executable).parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CONSUMER = (
    "twistd -n consumer --local tasks.sqlite --listen tcp:0:interface=127.0.0.1 "
    "--limit 4 --python demo_handler.work"
)
SERVING = re.compile(r"Serving queues at (http://\S+/)NAME")
COUNT = 20
UNTIL_LOOKED = 0.2

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("CONSUMER_")
} | {"PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])}


class Stopped(Exception):
    """
    A signal came, or the consumer has ended by itself.
    """


class Demo:
    """
    A consumer with its queue, and what is done with it.
    """

    def __init__(self, directory: Path) -> None:
        """
        @param directory: Where its files are to be.
        """
        self.directory = directory
        self.consumer: Popen[str] | None = None
        self.shown: Thread | None = None
        self.isStopping = False
        self.url = ""

    def stop(self, *_: object) -> None:
        """
        Called for each signal.
        """
        self.isStopping = True
        if self.consumer is not None:
            self.consumer.terminate()

    def run(self) -> None:
        """
        Do everything, in order.
        """
        try:
            self.consume()
            self.operate()
        except Stopped:
            pass
        finally:
            if self.consumer is not None:
                self.end(self.consumer)

    def consume(self) -> None:
        """
        Start the consumer, and wait until it serves its queue.
        """
        say(f"$ {CONSUMER} &")
        words = shlex.split(CONSUMER)
        words.insert(2, "--pidfile=")
        self.consumer = self.start(words, stdout=PIPE, stderr=STDOUT)
        lines = iter(self.consumer.stdout or ())
        for line in lines:
            sys.stdout.write(line)
            if found := SERVING.search(line):
                self.url = found[1] + "tasks"
                break
        else:
            self.consumer.wait()
        self.shown = Thread(target=show, args=(lines,))
        self.shown.start()

    def operate(self) -> None:
        """
        Queue tasks, and look after them until they are complete.
        """
        write(self.directory / "tasks.jsonl")
        self.do(f"myconsumer enqueue {self.url} tasks.jsonl --id-field number")
        self.wait()
        self.do(f"myconsumer counts {self.url}")
        self.do(f"myconsumer failed {self.url}")
        self.do("touch paper")
        self.do(f"myconsumer retry {self.url} --all")
        self.wait()
        self.do(f"myconsumer counts {self.url}")

    def do(self, command: str) -> None:
        """
        Run a command to its end.
        """
        self.check()
        say(f"\n$ {command}")
        status = self.start(shlex.split(command)).wait()
        if status:
            sys.exit(f"It ended with status {status}, which it should not.")

    def wait(self) -> None:
        """
        Wait until each task has come to its end.
        """
        counts = {"ready": 1}
        while any(counts.get(state) for state in ("ready", "leased", "delayed")):
            time.sleep(UNTIL_LOOKED)
            self.check()
            with urlopen(self.url, timeout=10) as answer:
                counts = json.load(answer)

    def check(self) -> None:
        """
        Go on only while the consumer does.
        """
        if self.isStopping or self.consumer is None or self.consumer.poll() is not None:
            raise Stopped

    def end(self, consumer: Popen[str]) -> None:
        """
        Stop the consumer, if it has not ended, and say how it ended.
        """
        if consumer.poll() is None and not self.isStopping:
            say(f"\n$ kill {consumer.pid}")
            consumer.terminate()
        status = consumer.wait()
        if self.shown is not None:
            self.shown.join()
        if status != -signal.SIGTERM:
            sys.exit(f"\nThe consumer ended with status {status}.")
        say("\nThe consumer ended by SIGTERM.")

    def start(self, words: list[str], **options: Any) -> Popen[str]:
        """
        Start a command, in a session of its own: Ctrl-C is to reach us alone.
        """
        return Popen(
            words,
            cwd=self.directory,
            env=ENVIRONMENT,
            text=True,
            stdin=DEVNULL,
            start_new_session=True,
            **options,
        )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(lines: Iterator[str]) -> None:
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.flush()


def write(file: Path) -> None:
    """
    Write the payloads of the tasks, one a line.
    """
    payloads: list[dict[str, Any]] = [
        {"number": number, "seconds": 0.6 + number % 5 / 5}
        for number in range(1, COUNT + 1)
    ]
    payloads[2]["failures"] = 1
    payloads[6]["needs"] = "paper"
    file.write_text("".join(f"{json.dumps(payload)}\n" for payload in payloads))


def main() -> None:
    with TemporaryDirectory(prefix="demo-") as directory:
        shutil.copy(HANDLER, directory)
        demo = Demo(Path(directory))
        for number in SIGNALS:
            signal.signal(number, demo.stop)
        demo.run()


if __name__ == "__main__":
    main()
