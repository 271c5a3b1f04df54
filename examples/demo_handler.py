"""
The handler of the demo: it takes its time, and shows how many tasks run beside it.
"""

import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from myconsumer import Reject, Release, Task

running: list[Task] = []


def show(event: str, task: Task, text: str = "") -> None:
    # not sys.stdout, which twistd turns into log events
    bar = "#" * len(running) + "." * (4 - len(running))
    number = task.payload["number"]
    print(f"  [{bar}]  task {number:2} {event}{text}", file=sys.__stdout__, flush=True)


async def work(task: Task) -> dict[str, Any]:
    """
    Wait for as long as the payload says; fail as often as it says, and for good while
    the file that it needs is not there.
    """
    from twisted.internet import reactor

    running.append(task)
    show("starts", task, f", attempt {task.attempt}" if task.attempt > 1 else "")
    try:
        await deferLater(reactor, task.payload["seconds"])
    finally:
        running.remove(task)
    if task.attempt <= task.payload.get("failures", 0):
        show("FAILS", task, ": it is given back, to be tried again in 1 s")
        raise Release("it is a demo", delay=1)
    needs = task.payload.get("needs")
    if needs and not Path(needs).exists():
        show("FAILS", task, f": there is no {needs}, and trying again would not help")
        raise Reject(f"there is no {needs}")
    show("ends", task)
    return {"square": task.payload["number"] ** 2}
