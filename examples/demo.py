"""
Queues twenty tasks at the example endpoint and lets twistd consume them, four at a
time.  Ctrl-C stops it as a daemon is stopped: what runs may end, what waits goes back.
"""
# ruff: noqa: E402

from __future__ import annotations

import signal

# until there is something to stop, Ctrl-C is to end this without a traceback
signal.signal(signal.SIGINT, signal.SIG_DFL)

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
TWISTD = Path(sys.executable).with_name("twistd")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COMMAND = (
    "twistd -n consumer --url {} --limit 4 --python demo_handler.work --until-empty"
)
COUNT = 20

stopping = False
stop: Callable[[], object] | None = None


def stopped(*_: object) -> None:
    """
    Called for each signal.
    """
    global stopping
    stopping = True
    if stop is not None:
        stop()


def start(*command: str | Path, **options: Any) -> Popen[str]:
    # in a session of its own, for Ctrl-C to reach this process alone
    return Popen(
        command, cwd=HERE, text=True, stdin=DEVNULL, start_new_session=True, **options
    )


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(url, data, timeout=10) as answer:
        return json.load(answer)


def tasks() -> list[dict[str, Any]]:
    payloads = [{"number": n, "seconds": 0.6 + n % 5 / 5} for n in range(1, COUNT + 1)]
    payloads[2]["failures"] = 1
    return [{"payload": payload} for payload in payloads]


def consume(url: str) -> str:
    """
    Run the consumer to its end, and say how it ended.
    """
    global stop
    command = COMMAND.format(url)
    print(f"$ {command}\n", flush=True)
    consumer = start(TWISTD, "-n", "--pidfile=", *shlex.split(command)[2:])
    stop = consumer.terminate
    if stopping:
        stop()
    status = consumer.wait()
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def main() -> None:
    for number in SIGNALS:
        signal.signal(number, stopped)
    endpoint = start(sys.executable, "endpoint.py", stdout=PIPE)
    try:
        url = next(iter(endpoint.stdout or ()), "").strip()
        ask(url, tasks())
        print(f"{COUNT} tasks are queued at the endpoint {url}, and now:\n")
        end = consume(url)
        left = ask(url)["queued"]
    finally:
        endpoint.terminate()
        endpoint.wait()
    done = COUNT - left
    print(f"\nThe consumer {end}; {done} of {COUNT} tasks are complete, {left} queued.")


if __name__ == "__main__":
    main()
