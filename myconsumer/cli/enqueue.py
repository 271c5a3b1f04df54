"""
C{myconsumer enqueue}: lines of JSON become tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import FileIO
from typing import Any

from twisted.internet.defer import CancelledError

from myconsumer.cli.enqueueing.batches import Batches
from myconsumer.cli.enqueueing.input import Input, opened
from myconsumer.cli.enqueueing.progress import progressOf
from myconsumer.cli.enqueueing.readers import Reader, payloadReader, taskReader
from myconsumer.cli.enqueueing.sending import Sending
from myconsumer.cli.options import PLACES, makeCommand
from myconsumer.cli.queue import queueOf
from myconsumer.cli.running import CommandError
from myconsumer.command.option import Flag, Option, text
from myconsumer.command.refusal import AllGiven, exclude
from myconsumer.command.usage import CommandOptions
from myconsumer.errors import QueueError
from myconsumer.fields import Delay, Priority, Seconds, count
from myconsumer.taskqueue.limits import MOST_TASKS

_FORALL = ("delay", "priority", "id-field")


def _checkTogether(given: AllGiven) -> None:
    for name in _FORALL:
        exclude(given, "tasks", name)


class Options(CommandOptions):
    """
    What C{myconsumer enqueue} takes.
    """

    command = makeCommand(
        "enqueue",
        Option(
            "file",
            text("the path of a file, or - for standard input"),
            "-",
            "the file to read",
            argument="FILE",
        ),
        Option("delay", Delay, None, "seconds before each task is delivered"),
        Option("priority", Priority, None, "priority of each task; highest goes first"),
        Option(
            "id-field",
            text("the name of a field"),
            None,
            "field of the payload that holds the task's id",
            metavar="NAME",
        ),
        Option("batch", count(1, MOST_TASKS), 1000, "the most tasks in a request"),
        Option("retry", Seconds, 60, "seconds for which failing requests are retried"),
        Option("tasks", Flag, False, "each line is a task, not only its payload"),
        checkTogether=_checkTogether,
    )
    synopsis = "URL [FILE] [options]"
    longdesc = (
        "Each line of FILE, or of standard input, is the payload of a task, in JSON. "
        "With --tasks it is a task: an object with the payload in 'payload', and "
        "optionally 'id', 'delay' and 'priority'. Blank lines are skipped. "
        f"{PLACES}"
    )


async def enqueue(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Queue the tasks, and print how many were queued.

    @param reactor: The reactor.
    @param options: The L{Options}.
    @param write: Writes a line.

    @return: The exit status.

    @raise CommandError: Not all tasks were queued.
    """
    with opened(options["file"]) as (file, name):
        batches = Batches(reactor, _reader(options), name, options["batch"])
        async with queueOf(reactor, options) as queue:
            sending = Sending(queue, reactor, options["retry"])
            Input(reactor, file, batches)
            try:
                await _sendAll(file, batches, sending)
            except (CommandError, QueueError) as error:
                raise CommandError(f"{error}; {sending.accountBefore()}") from None
            except CancelledError:
                raise CommandError(f"stopped; {sending.accountBefore()}") from None
            finally:
                batches.stop()
    write(sending.account())
    return 0


def _reader(options: Mapping[str, Any]) -> Reader:
    if options["tasks"]:
        return taskReader()
    return payloadReader(
        options["delay"] or 0, options["priority"] or 0, options["id-field"]
    )


async def _sendAll(file: FileIO, batches: Batches, sending: Sending) -> None:
    with progressOf(file) as progress:
        while (batch := await batches.next()) is not None:
            await sending.send(batch)
            progress.add(batch)
